"""The smooth difference in brightness between passes: a gain and an offset along the line."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from sasnet_live.compiled import compiled

Lines = np.ndarray[Any, np.dtype[Any]]

SMOOTHING_PX = 12.0
GAIN_RANGE = (0.2, 5.0)


def match_gain(target: Lines, moved: Lines) -> Lines:
    """Moved lines with a gain and an offset along the line that fit the target; fine detail is not touched.

    Least squares in a sliding window along the line, over all lines: means and covariances of each px column, smoothed
    by a Gaussian of sigma 12 px.

    Parameters
    ----------
    target, moved
        (n, W) aligned passes, float32.

    Returns
    -------
    (n, W) float32
    """
    profiles = np.zeros((4, target.shape[-1]))
    _column_moments(target, moved, profiles)
    smooth = gaussian_filter1d(profiles, SMOOTHING_PX, axis=-1, mode="nearest", truncate=3.0)
    target_mean, moved_mean, covariance, variance = smooth
    gain = np.clip(covariance / (variance + 1e-20), *GAIN_RANGE)
    offset = target_mean - gain * moved_mean
    matched: Lines = moved * gain.astype(np.float32)
    matched += offset.astype(np.float32)
    return matched


@compiled
def _column_moments(target: Lines, moved: Lines, profiles: Lines) -> None:
    """Means of (n, W) target and moved down each column, their covariance, and the variance of moved: (4, W), zeros."""
    lines, width = target.shape
    share = 1 / lines
    of_target, of_moved, covariance, variance = profiles[0], profiles[1], profiles[2], profiles[3]
    for i in range(lines):
        for x in range(width):
            of_target[x] += target[i, x] * share
            of_moved[x] += moved[i, x] * share
    for i in range(lines):
        for x in range(width):
            apart = moved[i, x] - of_moved[x]
            covariance[x] += apart * (target[i, x] - of_target[x]) * share
            variance[x] += apart * apart * share
