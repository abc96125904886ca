"""The smooth difference in brightness between passes: a gain and an offset along the line."""

from __future__ import annotations

from torch import Tensor

from sasnet_live.correspondence.filters import blur

SMOOTHING_PX = 12.0
GAIN_RANGE = (0.2, 5.0)


def match_gain(target: Tensor, moved: Tensor) -> Tensor:
    """Moved lines with a gain and an offset along the line that fit the target; fine detail is not touched.

    Least squares in a sliding window along the line, over all lines: means and covariances of each px column, smoothed
    by a Gaussian of sigma 12 px.

    Parameters
    ----------
    target, moved
        (B, n, W) aligned passes.

    Returns
    -------
    (B, n, W)
    """
    target_mean, moved_mean = target.mean(1, keepdim=True), moved.mean(1, keepdim=True)
    centred = moved - moved_mean
    covariance = blur(((target - target_mean) * centred).mean(1, keepdim=True), SMOOTHING_PX)
    variance = blur(centred.square().mean(1, keepdim=True), SMOOTHING_PX)
    gain = (covariance / (variance + 1e-20)).clamp(*GAIN_RANGE)
    return blur(target_mean, SMOOTHING_PX) + gain * (moved - blur(moved_mean, SMOOTHING_PX))
