"""Filters that make two passes comparable: reduction, blurring, local normalization, and the coherence weighting.

All work on one pass, (n, W) float32: n lines, W px.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter, uniform_filter1d

from . import kernels
from .arrays import Floats

WINDOW_LINES, BOX_PX = 8, 25
VARIANCE_FLOOR = 0.15  # part of the mean variance that is added everywhere: empty regions are not blown up to noise
GAP_PX = 28  # that lines go on for, at least, before they begin again
CELL_BINS = 8  # along each axis, that spectra are averaged over
MOST_COHERENT = 0.98


def blurred(images: Floats, lines: float, px: float) -> Floats:
    """Gaussian blur with edges replicated; deviations in lines and px."""
    smooth: Floats = gaussian_filter(images, (lines, px), mode="nearest", truncate=3.0)
    return smooth


def reduced(images: Floats, px: int) -> Floats:
    """(n, W) -> (n, W // px): means of `px` neighbours along the line, a power of two."""
    while px > 1:
        even = images.shape[-1] // 2 * 2
        images = np.float32(0.5) * (images[..., 0:even:2] + images[..., 1:even:2])
        px //= 2
    return images


def locally_normalized(images: Floats) -> Floats:
    """Zero local mean and unit local deviation, over windows of about 32 px by 16 lines.

    Along the line the windows are exact and move with the content: what is displaced is normalized just as it was
    before. With moments on a coarse grid of px it was not, and single vessels a few px wide were drawn towards it. Down
    the frame a coarse grid will do.
    """
    images = np.ascontiguousarray(images, np.float32)
    lines, width = images.shape
    size = -(-lines // -(-lines // WINDOW_LINES))
    cells = np.empty((-(-lines // size), width), np.float32)
    centred, squares = np.empty_like(images), np.empty_like(cells)
    kernels.cell_means(images, size, cells)
    kernels.subtract_between(images, _over_windows(cells), centred, squares)
    # Moving sums leave a little less than nothing beside a px that is far above all others.
    variance = np.maximum(_over_windows(squares), 0)
    floor = np.float32(VARIANCE_FLOOR) * variance.mean() + np.float32(1e-12)
    kernels.multiply_between(centred, 1 / np.sqrt(variance + floor))
    return centred


def _over_windows(cells: Floats) -> Floats:
    """(c, W): averaged with the cells above and below, and by three moving averages along the line, nearly Gaussian."""
    smooth = np.empty_like(cells)
    kernels.smooth_cells(cells, BOX_PX, 3, smooth)
    return smooth


def coherence_filter(first: Floats, second: Floats) -> Floats:
    """Transfer function that weights each spatial frequency by what the two aligned passes share of it.

    The maximum-likelihood weighting of the cross-spectrum for a delay in noise (Hannan & Thomson 1973; Knapp &
    Carter 1976): with coherence c, ``c^2 / (1 - c^2) / |S|``. Its square root is applied to each pass. Frequencies of
    noise, or of structure that only one pass shows, get no say; fine structure that is shared gets all of it.

    Parameters
    ----------
    first, second
        (n, W) aligned passes.

    Returns
    -------
    (n, L // 2 + 1) float32, non-negative, for `filtered`; L is W and a gap.
    """
    lines, width = first.shape
    taper = _taper(lines)[:, None] * _taper(width)
    a, b = (fft.rfft2(images * taper) for images in (first, second))
    spectra = (_power(a), _power(b), (a * b.conj()).real)
    # Spectra are smooth, what is made of them is not: between cells they are interpolated, and not the transfer.
    frequencies = with_gap(width) // 2 + 1
    power_a, power_b, shared = (
        _interpolated(_interpolated(_over_bins(spectrum), lines, 0), frequencies, 1) for spectrum in spectra
    )
    # Moving averages of powers may leave a little less than nothing, too.
    geometric = np.sqrt(np.maximum(power_a * power_b, 0)) + np.float32(1e-20)
    coherence = np.clip(shared / geometric, 0, MOST_COHERENT)
    # A finite average of pure noise is coherent by chance: about 1 / (number of bins averaged).
    squared = np.clip(coherence**2 - 1 / (9 * CELL_BINS**2), 0, None)
    transfer: Floats = np.sqrt(np.clip(squared / (1 - squared) / geometric, 1e-14, None)).astype(np.float32)
    return transfer


def filtered(images: Floats, transfer: Floats) -> Floats:
    """(n, W) images through a transfer function of `coherence_filter`, scaled to a root-mean-square of 1.

    Lines go on beyond their end, straight to where they begin again. Without that gap, what one end has of the other
    is in another place of the content that was displaced: single vessels at the ends were stretched by up to 4 %.
    """
    lines, width = images.shape
    length = 2 * (transfer.shape[-1] - 1)
    longer = np.empty((lines, length), np.float32)
    longer[:, :width] = images
    gap = length - width
    weight = np.arange(1, gap + 1, dtype=np.float32) / np.float32(gap + 1)
    longer[:, width:] = images[:, -1:] + weight * (images[:, :1] - images[:, -1:])
    spectrum = fft.rfft2(longer, overwrite_x=True)
    spectrum *= transfer
    passed = np.ascontiguousarray(fft.irfft2(spectrum, s=(lines, length), overwrite_x=True)[:, :width])
    passed *= np.float32(1 / (root_mean_square(passed) + 1e-10))
    return passed


def root_mean_square(images: Floats) -> float:
    """Of all px."""
    return float(np.sqrt(np.vdot(images, images) / images.size))


@lru_cache(maxsize=16)
def with_gap(width: int) -> int:
    """Length of a line and the gap behind it: even, and quick to transform."""
    return 2 * int(fft.next_fast_len((width + GAP_PX + 1) // 2, real=True))


@lru_cache(maxsize=16)
def _taper(length: int) -> Floats:
    """(length,) square root of a Hann window that leaves no px out."""
    taper: Floats = np.sin(np.pi * np.arange(1, length + 1) / (length + 1)).astype(np.float32)
    return taper


def _power(spectrum: Floats) -> Floats:
    power: Floats = spectrum.real**2 + spectrum.imag**2
    return power


def _over_bins(spectrum: Floats) -> Floats:
    """(n, F) averaged over cells of bins, then over 3 x 3 cells."""
    for axis in (0, 1):
        starts = np.arange(0, spectrum.shape[axis], CELL_BINS)
        counts = np.diff(starts, append=spectrum.shape[axis]).reshape((-1, 1) if axis == 0 else (1, -1))
        spectrum = np.add.reduceat(spectrum, starts, axis=axis) / counts
    # The frequencies down the frame are periodic; along the line they begin at 0 and end.
    smooth: Floats = uniform_filter1d(uniform_filter1d(spectrum, 3, axis=0, mode="wrap"), 3, axis=1, mode="nearest")
    return smooth


def _interpolated(values: Floats, length: int, axis: int) -> Floats:
    """Cells along an axis interpolated to `length` places, linearly between their centres."""
    count = values.shape[axis]
    place = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
    above = np.minimum(place.astype(int), max(count - 2, 0))
    t = (place - above).reshape((-1, 1) if axis == 0 else (1, -1))
    below = np.minimum(above + 1, count - 1)
    lower = np.take(values, above, axis)
    between: Floats = lower + t * (np.take(values, below, axis) - lower)
    return between
