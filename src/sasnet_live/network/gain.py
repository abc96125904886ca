"""The smooth difference in brightness between passes: a gain and an offset along the line."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

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
    profiles = _smoothed(torch.stack([target_mean, moved_mean, covariance, variance], 1))
    target_mean, moved_mean, covariance, variance = profiles[:, :, None].unbind(1)  # (B, 1, W) each
    gain = (covariance / (variance + 1e-20)).clamp(*GAIN_RANGE)
    return torch.addcmul(target_mean, moved - moved_mean, gain)


def _smoothed(profiles: Tensor) -> Tensor:
    """Gaussian average of (B, k, W) along the line; the ends go on."""
    radius = math.ceil(3 * SMOOTHING_PX)
    place = torch.arange(-radius, radius + 1, dtype=profiles.dtype, device=profiles.device)
    kernel = torch.exp(-0.5 * (place / SMOOTHING_PX) ** 2)
    rows = F.pad(profiles, (radius, radius), mode="replicate").flatten(0, 1)[:, None]
    smooth: Tensor = F.conv1d(rows, (kernel / kernel.sum())[None, None]).view(profiles.shape)
    return smooth
