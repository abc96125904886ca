"""The smooth difference in brightness between passes: a gain and an offset along the line."""

from __future__ import annotations

import torch
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
    target_mean, moved_mean = target.mean(1), moved.mean(1)  # (B, W) each
    centred = moved - moved_mean[:, None]
    covariance = (centred * (target - target_mean[:, None])).mean(1)
    variance = centred.square().mean(1)
    # All four profiles in one go: each blur is 75 small operations, whatever it is given.
    profiles = blur(torch.stack([target_mean, moved_mean, covariance, variance], 1), SMOOTHING_PX)
    target_mean, moved_mean, covariance, variance = profiles[:, :, None].unbind(1)  # (B, 1, W) each
    gain = (covariance / (variance + 1e-20)).clamp(*GAIN_RANGE)
    return torch.addcmul(target_mean, moved - moved_mean, gain)
