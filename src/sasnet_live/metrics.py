"""How alike two frames are: NCC, concordance, SSIM, PSNR and temporal NCC, as pure functions on batches.

All take NumPy arrays (..., H, W) of any real dtype and return float64, one value a frame, shape (...), a plain scalar
for one frame. Pixels are taken as float32, sums as float64; SSIM is computed in float32 on frames from which a mean has
been taken off, so that a small signal on a large pedestal keeps its digits. Where a figure is not defined it is NaN: no
error, because a dark frame in a live session is no fault of the user's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .compiled import compiled
from .errors import InputError

Frames = np.ndarray[Any, np.dtype[Any]]

# SSIM as Wang, Bovik, Sheikh and Simoncelli 2004 define it, with scikit-image's truncation of the window at 3.5 sigma.
SSIM_WINDOW_PX = 11
_SIGMA_PX = 1.5
WINDOW = np.exp(-0.5 * ((np.arange(SSIM_WINDOW_PX) - SSIM_WINDOW_PX // 2) / _SIGMA_PX) ** 2)
WINDOW = (WINDOW / WINDOW.sum()).astype(np.float32)
K1, K2 = 0.01, 0.03


class Similarity(NamedTuple):
    """What `compare` finds, each (k, ...): one row an image."""

    ncc: Frames
    ssim: Frames


def ncc(a: Frames, b: Frames) -> Any:
    """Zero-mean normalized cross-correlation over each frame, in [-1, 1].

    Parameters
    ----------
    a, b
        (..., H, W) each; the leading axes broadcast.

    Returns
    -------
    (...); NaN where either frame is constant or holds a NaN.

    Raises
    ------
    InputError
        If the frames differ in size, or are not real.
    """
    return _of_each(_ncc, *_pair(a, b))


def concordance(a: Frames, b: Frames) -> Any:
    """Concordance correlation coefficient (Lin 1989) over each frame, in [-1, 1].

    NCC that a wrong gain or offset lowers as well: ``2 cov / (var_a + var_b + (mean_a - mean_b)^2)``.

    Parameters
    ----------
    a, b
        (..., H, W) each; the leading axes broadcast.

    Returns
    -------
    (...); NaN where both frames are constant and equal, or one holds a NaN.

    Raises
    ------
    InputError
        As `ncc`.
    """
    return _of_each(_concordance, *_pair(a, b))


def ssim(reference: Frames, image: Frames, data_range: float | None = None) -> Any:
    """Structural similarity, averaged over each frame, in [-1, 1].

    Gaussian window of sigma 1.5 px, population covariance, and only positions where the window lies inside the frame:
    ``skimage.metrics.structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)``.

    Parameters
    ----------
    reference, image
        (..., H, W) each; the leading axes broadcast.
    data_range
        What the stabilizing constants are relative to; by default the range of each reference frame.

    Returns
    -------
    (...); NaN where the data range is 0, the frame is smaller than the window (11 px), or it holds a NaN.

    Raises
    ------
    InputError
        As `ncc`.
    """
    span = _positive(data_range)
    return _of_each(lambda x, y: _ssim(x, y, _range(x) if span is None else span, 0.0), *_pair(reference, image))


def psnr(reference: Frames, image: Frames, data_range: float | None = None) -> Any:
    """Peak signal-to-noise ratio of each frame, in dB, relative to the range of the reference.

    Parameters
    ----------
    reference, image
        (..., H, W) each; the leading axes broadcast.
    data_range
        The peak; by default the range of each reference frame.

    Returns
    -------
    (...); infinite where the frames are equal, NaN where the data range is 0.

    Raises
    ------
    InputError
        As `ncc`.
    """
    span = _positive(data_range)
    return _of_each(lambda x, y: _psnr(x, y, _range(x) if span is None else span), *_pair(reference, image))


def temporal_ncc(frames: Frames) -> Any:
    """NCC of each frame with the next one: (..., T, H, W) -> (..., T - 1).

    Raises
    ------
    InputError
        As `ncc`, or if there are fewer than two frames.
    """
    if frames.ndim < 3 or frames.shape[-3] < 2:
        raise InputError(f"frames of shape {tuple(frames.shape)} came; expected (..., T, H, W) with T of 2 or more")
    return ncc(frames[..., :-1, :, :], frames[..., 1:, :, :])


def compare(reference: Frames, images: Sequence[Frames], pedestal: float = 0.0) -> Similarity:
    """NCC and SSIM of several images against one reference.

    Parameters
    ----------
    reference
        (..., H, W).
    images
        k images, each of the shape of `reference`: for instance before and after registration.
    pedestal
        What was taken off all of them: SSIM is of the intensities with it.

    Returns
    -------
    Similarity
        ``ncc`` and ``ssim``, (k, ...) each, equal to those of the single functions.

    Raises
    ------
    InputError
        As `ncc`, or if there is no image.
    """
    if not images:
        raise InputError("no image came to compare with the reference; expected one or more")
    pairs = [_pair(reference, image) for image in images]
    return Similarity(
        ncc=np.stack([_of_each(_ncc, *pair) for pair in pairs]),
        ssim=np.stack([_of_each(lambda x, y: _ssim(x, y, _range(x), pedestal), *pair) for pair in pairs]),
    )


def _of_each(figure: Callable[[Frames, Frames], float], a: Frames, b: Frames) -> Any:
    """A figure of every two frames (H, W) of (..., H, W)."""
    shape = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, (*shape, *a.shape[-2:])), np.broadcast_to(b, (*shape, *b.shape[-2:]))
    figures = np.empty(shape)
    for index in np.ndindex(shape):
        figures[index] = figure(a[index], b[index])
    return figures[()]


def _ncc(a: Frames, b: Frames) -> float:
    _, power_a, power_b, product = _central_moments(a, b)
    power = math.sqrt(power_a) * math.sqrt(power_b)
    return max(-1.0, min(1.0, product / power)) if power > 0 else math.nan


def _concordance(a: Frames, b: Frames) -> float:
    apart, power_a, power_b, product = _central_moments(a, b)
    power = power_a + power_b + a.size * apart * apart
    return 2 * product / power if power > 0 else math.nan


def _psnr(reference: Frames, image: Frames, peak: float) -> float:
    if not peak > 0:
        return math.nan
    error = float(np.square((reference - image) / np.float32(peak), dtype=np.float64).mean())
    return -10 * math.log10(error) if error else math.inf


def _ssim(reference: Frames, image: Frames, span: float, taken_off: float) -> float:
    if min(reference.shape) < SSIM_WINDOW_PX or not span > 0:
        return math.nan
    mean = float(reference.mean())
    # Variances do not depend on a pedestal, nor SSIM on units; float32 does on both.
    return _windowed_ssim(
        reference, image, np.float32(mean), np.float32(1 / span), np.float32((mean + taken_off) / span)
    )


@compiled
def _central_moments(a: Frames, b: Frames) -> tuple[float, float, float, float]:
    """Mean of (H, W) a less that of b; then sums of squares and of products of what differs from the means.

    The squares of a constant frame are 0 exactly: its mean may be off by a rounding, which leaves a tiny false signal.
    """
    height, width = a.shape
    varies_a, varies_b = False, False
    total_a, total_b = 0.0, 0.0
    for i in range(height):
        row_a, row_b = 0.0, 0.0
        for x in range(width):
            varies_a |= a[i, x] != a[0, 0]
            varies_b |= b[i, x] != b[0, 0]
            row_a += a[i, x]
            row_b += b[i, x]
        total_a += row_a
        total_b += row_b
    mean_a, mean_b = total_a / a.size, total_b / a.size
    power_a, power_b, product = 0.0, 0.0, 0.0
    for i in range(height):
        row_a, row_b, both = 0.0, 0.0, 0.0
        for x in range(width):
            of_a, of_b = a[i, x] - mean_a, b[i, x] - mean_b
            row_a += of_a * of_a
            row_b += of_b * of_b
            both += of_a * of_b
        power_a += row_a
        power_b += row_b
        product += both
    return mean_a - mean_b, power_a if varies_a else 0.0, power_b if varies_b else 0.0, product


@compiled
def _windowed_ssim(reference: Frames, image: Frames, mean: Any, scale: Any, pedestal: Any) -> float:
    """SSIM averaged over every place of the window, in one pass: rows of the window's height are kept in a ring."""
    height, width = reference.shape
    size = width - SSIM_WINDOW_PX + 1
    # With d = x - y, mean_x^2 + mean_y^2 = 2 mean_x mean_y + mean_d^2, and var_x + var_y = 2 cov + var_d.
    ring = np.empty((SSIM_WINDOW_PX, 4, width), np.float32)  # x, y, d^2, x y
    down = np.empty((4, width), np.float32)
    average = np.empty((4, size), np.float32)
    one, three, two = np.float32(K1**2), np.float32(K2**2), np.float32(2)
    total = 0.0
    for i in range(height):
        newest = ring[i % SSIM_WINDOW_PX]
        for x in range(width):
            of_x, of_y = (reference[i, x] - mean) * scale, (image[i, x] - mean) * scale
            newest[0, x], newest[1, x] = of_x, of_y
            newest[2, x], newest[3, x] = (of_x - of_y) * (of_x - of_y), of_x * of_y
        if i < SSIM_WINDOW_PX - 1:
            continue
        for m in range(4):
            down[m] = 0
            average[m] = 0
        for k in range(SSIM_WINDOW_PX):
            weight, row = WINDOW[k], ring[(i + 1 + k) % SSIM_WINDOW_PX]
            for m in range(4):
                for x in range(width):
                    down[m, x] += weight * row[m, x]
        for m in range(4):
            for k in range(SSIM_WINDOW_PX):
                weight, shifted = WINDOW[k], down[m, k : k + size]
                for x in range(size):
                    average[m, x] += weight * shifted[x]
        of_row = 0.0
        for x in range(size):
            mean_x, mean_y = average[0, x], average[1, x]
            apart = (mean_x - mean_y) * (mean_x - mean_y)
            luminance = two * (mean_x + pedestal) * (mean_y + pedestal) + one
            structure = two * (average[3, x] - mean_x * mean_y) + three
            of_row += luminance * structure / ((luminance + apart) * (structure + average[2, x] - apart))
        total += of_row
    mean_figure: float = total / ((height - SSIM_WINDOW_PX + 1) * size)
    return mean_figure


def _range(reference: Frames) -> float:
    """Data range of one frame; NaN where it holds one."""
    return float(reference.max()) - float(reference.min())


def _positive(data_range: float | None) -> float | None:
    if data_range is not None and not data_range > 0:
        raise InputError(f"data_range is {data_range!r}; expected a number above 0")
    return data_range


def _pair(a: Frames, b: Frames) -> tuple[Frames, Frames]:
    """Both as float32 in C order, checked."""
    for frames in (a, b):
        if not isinstance(frames, np.ndarray) or frames.dtype.kind not in "fiub":
            kind = f"frames of dtype {frames.dtype}" if hasattr(frames, "dtype") else type(frames).__name__
            raise InputError(f"{kind} came; expected NumPy arrays of real numbers")
    if a.ndim < 2 or b.ndim < 2 or a.shape[-2:] != b.shape[-2:]:
        raise InputError(f"frames of shapes {a.shape} and {b.shape} came; expected (..., H, W) of one height and width")
    if 0 in a.shape[-2:]:
        raise InputError(f"frames of shape {a.shape} came; expected at least one px")
    return np.require(a, np.float32, "C"), np.require(b, np.float32, "C")
