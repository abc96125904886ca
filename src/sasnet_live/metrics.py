"""How alike two frames are: NCC, SSIM, PSNR and temporal NCC, as pure functions on batches.

All take (..., H, W), NumPy or torch, of any real dtype, and return one value a frame, shape (...), in the library that
came in: float64 in NumPy (a plain scalar for one frame), a float32 tensor in torch, where all but the dtype conversion
is differentiable. Everything is computed in float32 on frames from which a mean has been taken off, so that a small
signal on a large pedestal keeps its digits. Where a figure is not defined it is NaN: no error, because a dark frame in
a live session is no fault of the user's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    Array = np.ndarray[Any, Any] | Tensor
else:
    Array = Any

# SSIM as Wang, Bovik, Sheikh and Simoncelli 2004 define it, with scikit-image's truncation of the window at 3.5 sigma.
_SIGMA_PX = 1.5
_REACH_PX = 5
_K1, _K2 = 0.01, 0.03

SSIM_WINDOW_PX = 2 * _REACH_PX + 1


class Similarity(NamedTuple):
    """What `compare` finds, each (k, ...): one row an image."""

    ncc: Array
    ssim: Array


def ncc(a: Array, b: Array) -> Any:
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
        If the frames differ in size or library, or are not real.
    """
    first, second = _pair(a, b)
    return _returned(_ncc(first, [second])[0], a)


def ssim(reference: Array, image: Array, data_range: float | None = None) -> Any:
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
    first, second = _pair(reference, image)
    return _returned(_ssim(first, [second], _ranges(first, data_range))[0], reference)


def psnr(reference: Array, image: Array, data_range: float | None = None) -> Any:
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
    first, second = _pair(reference, image)
    peak = _ranges(first, data_range)
    error = ((first - second) / peak[..., None, None]).square().mean((-2, -1))
    return _returned(-10 * error.log10(), reference)


def temporal_ncc(frames: Array) -> Any:
    """NCC of each frame with the next one: (..., T, H, W) -> (..., T - 1).

    Raises
    ------
    InputError
        As `ncc`, or if there are fewer than two frames.
    """
    if frames.ndim < 3 or frames.shape[-3] < 2:
        raise InputError(f"frames of shape {tuple(frames.shape)} came; expected (..., T, H, W) with T of 2 or more")
    return ncc(frames[..., :-1, :, :], frames[..., 1:, :, :])


def compare(reference: Array, images: Sequence[Array], pedestal: float = 0.0) -> Similarity:
    """NCC and SSIM of several images against one reference, sharing what depends on the reference alone.

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
    first = _as_float32(reference)
    rest = [_pair(reference, image)[1] for image in images]
    return Similarity(
        ncc=_returned(_ncc(first, rest), reference),
        ssim=_returned(_ssim(first, rest, _ranges(first, None), pedestal), reference),
    )


def _ncc(reference: Tensor, images: Sequence[Tensor]) -> Tensor:
    """(..., H, W) against each of k images -> (k, ...)."""
    import torch

    a = _centred(reference)
    power = a.square().sum((-2, -1))
    figures = []
    for image in images:
        b = _centred(image)
        figures.append((a * b).sum((-2, -1)) / (power * b.square().sum((-2, -1))).sqrt())
    return torch.stack(figures).clip(-1, 1)


def _centred(frames: Tensor) -> Tensor:
    """Mean 0 and mean absolute value 1, so that squares neither overflow nor vanish; NaN for a constant frame."""
    centred = frames - frames.mean((-2, -1), keepdim=True)
    # A constant frame is told by its extremes: its mean may be off by a rounding, which leaves a tiny false signal.
    low, high = frames.amin((-2, -1), keepdim=True), frames.amax((-2, -1), keepdim=True)
    scale = centred.abs().mean((-2, -1), keepdim=True)
    return centred / scale.where(high > low, math.nan)


def _ssim(reference: Tensor, images: Sequence[Tensor], data_range: Tensor, taken_off: float = 0.0) -> Tensor:
    """(..., H, W) against each of k images -> (k, ...)."""
    import torch

    # Variances do not depend on a pedestal, nor SSIM on units; float32 does on both.
    scale = 1 / data_range[..., None, None]
    mean = reference.mean((-2, -1), keepdim=True)
    pedestal = (mean + taken_off) * scale
    shape = np.broadcast_shapes(reference.shape, *(image.shape for image in images))
    x, *ys = ((frames - mean).mul_(scale).expand(shape) for frames in (reference, *images))
    if min(x.shape[-2:]) < SSIM_WINDOW_PX:
        return torch.stack([(x * y).mean((-2, -1)) * math.nan for y in ys])
    # With d = x - y, mean_x^2 + mean_y^2 = 2 mean_x mean_y + mean_d^2, and var_x + var_y = 2 cov + var_d: two smoothed
    # maps an image instead of three, beside the mean. All in one go: half the time on two threads.
    count = len(ys)
    maps = _smoothed(torch.stack([x, *ys, *((x - y).square_() for y in ys), *(x * y for y in ys)]))
    mean_x, mean_y, square_d, product = maps[0], maps[1 : 1 + count], maps[1 + count : 1 + 2 * count], maps[-count:]
    mean_d_squared = (mean_x - mean_y).square_()
    luminance = (mean_y + pedestal).mul_(2 * (mean_x + pedestal)).add_(_K1**2)
    structure = torch.addcmul(product, mean_x, mean_y, value=-1).mul_(2).add_(_K2**2)
    worst = (luminance + mean_d_squared) * (structure + square_d).sub_(mean_d_squared)
    return (luminance * structure).div_(worst).mean((-2, -1))


def _smoothed(maps: Tensor) -> Tensor:
    """Gaussian average of (..., H, W) where the window fits: (..., H - 10, W - 10).

    Shifted sums in place, one axis after the other: several times as fast on a CPU as convolution or banded matrices.
    """
    weights = np.exp(-0.5 * (np.arange(-_REACH_PX, _REACH_PX + 1) / _SIGMA_PX) ** 2)
    weights /= weights.sum()
    for axis in (-2, -1):
        size = maps.shape[axis] - 2 * _REACH_PX
        total = maps.narrow(axis, 0, size) * float(weights[0])
        for start in range(1, SSIM_WINDOW_PX):
            total.add_(maps.narrow(axis, start, size), alpha=float(weights[start]))
        maps = total
    return maps


def _ranges(reference: Tensor, data_range: float | None) -> Tensor:
    """(...) data range of each frame, NaN where it is 0."""
    if data_range is None:
        span = reference.amax((-2, -1)) - reference.amin((-2, -1))
        return span.where(span > 0, math.nan)
    if not data_range > 0:
        raise InputError(f"data_range is {data_range!r}; expected a number above 0")
    return reference.new_full(reference.shape[:-2], data_range)


def _pair(a: Array, b: Array) -> tuple[Tensor, Tensor]:
    """Both as float32 tensors, checked."""
    if isinstance(a, np.ndarray) != isinstance(b, np.ndarray):
        raise InputError(f"{type(a).__name__} and {type(b).__name__} came; expected both of one library")
    if a.ndim < 2 or b.ndim < 2 or a.shape[-2:] != b.shape[-2:]:
        raise InputError(
            f"frames of shapes {tuple(a.shape)} and {tuple(b.shape)} came; expected (..., H, W) of one height and width"
        )
    if 0 in a.shape[-2:]:
        raise InputError(f"frames of shape {tuple(a.shape)} came; expected at least one px")
    return _as_float32(a), _as_float32(b)


def _as_float32(frames: Array) -> Tensor:
    import torch

    if not isinstance(frames, np.ndarray):
        if frames.is_complex():
            raise InputError(f"frames of dtype {frames.dtype} came; expected real numbers")
        return frames.float()
    if frames.dtype.kind not in "fiub":
        raise InputError(f"frames of dtype {frames.dtype} came; expected real numbers")
    # torch takes neither negative strides nor, without a warning, memory that may not be written to.
    return torch.from_numpy(np.require(frames, np.float32, ("C", "W")))


def _returned(figures: Tensor, like: Array) -> Any:
    return figures.detach().numpy().astype(np.float64)[()] if isinstance(like, np.ndarray) else figures
