"""NCC and SSIM that gradients go through: the same definitions as `sasnet_live.metrics`, on batches in torch.

Both take (..., H, W) of any real dtype and return (...) float32. Everything is computed on frames from which a mean has
been taken off. Where a figure is not defined it is NaN.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sasnet_live.metrics import K1, K2, SSIM_WINDOW_PX, WINDOW


def ncc(a: Tensor, b: Tensor) -> Tensor:
    """Zero-mean normalized cross-correlation over each frame, in [-1, 1]; NaN where a frame is constant."""
    first, second = _centred(a.float()), _centred(b.float())
    power = first.square().sum((-2, -1)) * second.square().sum((-2, -1))
    return ((first * second).sum((-2, -1)) / power.sqrt()).clip(-1, 1)


def ssim(reference: Tensor, image: Tensor) -> Tensor:
    """Structural similarity over each frame; NaN where the reference is constant, or smaller than the window."""
    reference, image = reference.float(), image.float()
    span = reference.amax((-2, -1)) - reference.amin((-2, -1))
    # Variances do not depend on a pedestal, nor SSIM on units; float32 does on both.
    scale = 1 / span.where(span > 0, math.nan)[..., None, None]
    mean = reference.mean((-2, -1), keepdim=True)
    pedestal = mean * scale
    x, y = (reference - mean) * scale, (image - mean) * scale
    if min(x.shape[-2:]) < SSIM_WINDOW_PX:
        return (x * y).mean((-2, -1)) * math.nan
    # With d = x - y, mean_x^2 + mean_y^2 = 2 mean_x mean_y + mean_d^2, and var_x + var_y = 2 cov + var_d.
    mean_x, mean_y, square_d, product = _smoothed(torch.stack([x, y, (x - y).square(), x * y]))
    mean_d_squared = (mean_x - mean_y).square()
    luminance = 2 * (mean_x + pedestal) * (mean_y + pedestal) + K1**2
    structure = 2 * (product - mean_x * mean_y) + K2**2
    worst = (luminance + mean_d_squared) * (structure + square_d - mean_d_squared)
    figure: Tensor = (luminance * structure / worst).mean((-2, -1))
    return figure


def _centred(frames: Tensor) -> Tensor:
    """Mean 0 and mean absolute value 1, so that squares neither overflow nor vanish; NaN for a constant frame."""
    centred = frames - frames.mean((-2, -1), keepdim=True)
    # A constant frame is told by its extremes: its mean may be off by a rounding, which leaves a tiny false signal.
    low, high = frames.amin((-2, -1), keepdim=True), frames.amax((-2, -1), keepdim=True)
    scale = centred.abs().mean((-2, -1), keepdim=True)
    unit: Tensor = centred / scale.where(high > low, math.nan)
    return unit


def _smoothed(maps: Tensor) -> Tensor:
    """Gaussian average of (..., H, W) where the window fits: (..., H - 10, W - 10).

    Shifted sums, one axis after the other: several times as fast on a CPU as convolution or banded matrices.
    """
    for axis in (-2, -1):
        size = maps.shape[axis] - SSIM_WINDOW_PX + 1
        total = maps.narrow(axis, 0, size) * float(WINDOW[0])
        for start in range(1, SSIM_WINDOW_PX):
            total = total.add(maps.narrow(axis, start, size), alpha=float(WINDOW[start]))
        maps = total
    return maps
