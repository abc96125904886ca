"""Filters that make two passes comparable: blurring, local normalization, and the coherence weighting.

All work on (B, n, W) float tensors: B frames, n lines, W px, and are differentiable.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

WINDOW_LINES, BOX_PX = 8, 25
GAP_PX = 28  # that lines go on for, at least, before they begin again


def gaussian_kernel(sigma: float) -> Tensor:
    """Normalized Gaussian, cut at 3 sigma."""
    radius = max(1, math.ceil(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    return kernel / kernel.sum()


def blur(images: Tensor, along_x: float = 0.0, along_y: float = 0.0) -> Tensor:
    """Gaussian blur of (B, n, W) with edges replicated; sigmas in px and lines, 0 for none."""
    for sigma, axis in ((along_x, -1), (along_y, -2)):
        if sigma > 0:
            images = _convolved(images, gaussian_kernel(sigma), axis)
    return images


def reduced(images: Tensor, px: int) -> Tensor:
    """(B, n, W) -> (B, n, W // px): means of `px` neighbours along the line, a power of two.

    Sums of slices: for one channel a tenth of what a pooling costs.
    """
    while px > 1:
        even = images.shape[-1] // 2 * 2
        images = 0.5 * (images[..., 0:even:2] + images[..., 1:even:2])
        px //= 2
    return images


def power_over_lines(spectra: Tensor) -> Tensor:
    """(B, n, F) complex -> (B, F): squared magnitudes summed over lines."""
    # Summed over lines first, as real numbers: the order that memory is read in.
    summed = torch.view_as_real(spectra).flatten(2).square().sum(1)
    power: Tensor = summed.reshape(len(summed), -1, 2).sum(-1)
    return power


def _convolved(images: Tensor, kernel: Tensor, axis: int) -> Tensor:
    """Symmetric kernel as a sum of shifted images: for one channel and few taps faster than a convolution."""
    radius, length = len(kernel) // 2, images.shape[axis]
    pad = (radius, radius, 0, 0) if axis == -1 else (0, 0, radius, radius)
    padded = F.pad(images[:, None], pad, mode="replicate")[:, 0]
    total = padded.narrow(axis, radius, length) * float(kernel[radius])
    for k in range(1, radius + 1):
        pair = padded.narrow(axis, radius - k, length) + padded.narrow(axis, radius + k, length)
        total = total.add(pair, alpha=float(kernel[radius + k]))
    return total


def locally_normalized(images: Tensor, floor: float = 0.15) -> Tensor:
    """Zero local mean and unit local deviation, over windows of about 32 px by 16 lines.

    Along the line the windows are exact and move with the content: what is displaced is normalized just as it was
    before. With moments on a coarse grid of px it was not, and single vessels a few px wide were drawn towards it. Down
    the frame a coarse grid will do. `floor` is the part of the frame's mean variance that is added everywhere, so
    that empty regions are not blown up to noise of unit deviation.
    """
    pool, spread = _of_lines(images.shape[-2], images.dtype, images.device)
    smooth = _along_line(images.shape[-1], images.dtype, images.device)
    # Means are matrix products: cells of lines, a window along the line, and back to single lines.
    centred = images - spread @ (pool @ images @ smooth)
    variance = pool @ centred.square() @ smooth
    deviation = (variance + floor * variance.mean((-2, -1), keepdim=True) + 1e-12).sqrt()
    return centred * (spread @ deviation.reciprocal())


@lru_cache(maxsize=16)
def _of_lines(lines: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """(cells, lines) means over cells of lines and their neighbours, and (lines, cells) what interpolates them back."""
    with torch.inference_mode(False):
        columns = torch.eye(lines, dtype=dtype)[:, None]  # (lines, 1, lines)
        cells = F.avg_pool1d(columns, min(WINDOW_LINES, lines), ceil_mode=True, count_include_pad=False)
        means = F.avg_pool1d(F.pad(cells, (1, 1), mode="replicate"), 3, stride=1)[:, 0].T
        columns = torch.eye(len(means), dtype=dtype)[:, None]
        back = F.interpolate(columns, lines, mode="linear", align_corners=False)[:, 0].T
        return means.contiguous().to(device), back.contiguous().to(device)


@lru_cache(maxsize=16)
def _along_line(width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(W, W) three moving averages one after the other, which are nearly a Gaussian; the ends replicated."""
    with torch.inference_mode(False):
        rows = torch.eye(width, dtype=dtype)[:, None]
        for _ in range(3):
            rows = F.avg_pool1d(F.pad(rows, (BOX_PX // 2, BOX_PX // 2), mode="replicate"), BOX_PX, stride=1)
        return rows[:, 0].contiguous().to(device)


def coherence_filter(first: Tensor, second: Tensor, smoothing: int = 8) -> Tensor:
    """Transfer function that weights each spatial frequency by what the two aligned passes share of it.

    The maximum-likelihood weighting of the cross-spectrum for a delay in noise (Hannan & Thomson 1973; Knapp &
    Carter 1976): with coherence c, ``c^2 / (1 - c^2) / |S|``. Its square root is applied to each pass. Frequencies of
    noise, or of structure that only one pass shows, get no say; fine structure that is shared gets all of it.

    Parameters
    ----------
    first, second
        (B, n, W) aligned passes.
    smoothing
        Bins along each axis of the cells that spectra are averaged over.

    Returns
    -------
    (B, n, L // 2 + 1) real and non-negative, for `filtered`; L is W and a gap.
    """
    lines, width = first.shape[-2:]
    taper = _taper(lines, first)[:, None] * _taper(width, first)
    a, b = (torch.fft.rfft2(images * taper) for images in (first, second))
    spectra = torch.cat([a.real.square() + a.imag.square(), b.real.square() + b.imag.square(), (a * b.conj()).real])
    # Averaged over cells of bins, then over 3 x 3 cells: what lies between is interpolated.
    cell = (min(smoothing, lines), min(smoothing, width // 2 + 1))
    pooled = F.avg_pool2d(spectra[:, None], cell, ceil_mode=True, count_include_pad=False)
    pooled = F.pad(F.pad(pooled, (0, 0, 1, 1), mode="circular"), (1, 1, 0, 0), mode="replicate")
    pooled = F.avg_pool2d(pooled, 3, stride=1)
    frequencies = (lines, _with_gap(width) // 2 + 1)
    spectra = F.interpolate(pooled, frequencies, mode="bilinear", align_corners=False)[:, 0]
    power_a, power_b, shared = spectra.chunk(3)
    geometric = (power_a * power_b).sqrt() + 1e-20
    coherence = (shared / geometric).clamp(0, 0.98)
    # A finite average of pure noise is coherent by chance: about 1 / (number of bins averaged).
    chance = 1 / (9 * smoothing**2)
    squared = (coherence.square() - chance).clamp_min(0)
    return (squared / (1 - squared) / geometric).clamp_min(1e-14).sqrt()


def filtered(images: Tensor, transfer: Tensor) -> Tensor:
    """(B, n, W) images through a real transfer function (B, n, L // 2 + 1) from `coherence_filter`.

    Lines go on beyond their end, straight to where they begin again. Without that gap, what one end has of the other
    is in another place of the content that was displaced: single vessels at the ends were stretched by up to 4 %.
    """
    lines, width = images.shape[-2:]
    length = 2 * (transfer.shape[-1] - 1)
    gap = length - width
    weight = torch.arange(1, gap + 1, dtype=images.dtype, device=images.device) / (gap + 1)
    across = torch.lerp(images[..., -1:], images[..., :1], weight)
    result: Tensor = torch.fft.irfft2(torch.fft.rfft2(torch.cat([images, across], -1)) * transfer, s=(lines, length))
    return result[..., :width]


@lru_cache(maxsize=16)
def _with_gap(width: int) -> int:
    """Even, and quick to transform."""
    return 2 * int(next_fast_len((width + GAP_PX + 1) // 2, real=True))


def unit_deviation(images: Tensor) -> Tensor:
    """(B, n, W) images scaled to a root-mean-square of 1 each."""
    return images / (images.square().mean((1, 2), keepdim=True) + 1e-20).sqrt()


def _taper(length: int, like: Tensor) -> Tensor:
    return torch.hann_window(length + 2, periodic=False, dtype=like.dtype, device=like.device)[1:-1].sqrt()
