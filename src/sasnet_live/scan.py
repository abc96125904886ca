"""Raw frames of a bidirectional raster scan: how they divide into passes, and how lines are moved.

Sign convention, defined here and used everywhere: ``registered(x) = backward(x - displacement(x))``,
in px along the fast axis. A positive displacement moves backward content to the right.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np

from .compiled import compiled
from .errors import InputError
from .geometry import ScanGeometry

Array = np.ndarray[Any, Any]

Kernel = Literal["linear", "cubic", "lanczos"]

NEAR = 1e-9  # px from another px, within which the windowed sinc is read there: it would be divided by 0


def split(raw: Array, geometry: ScanGeometry) -> tuple[Array, Array]:
    """Divide raw frames into their forward and backward passes.

    Parameters
    ----------
    raw
        (..., H, W), any dtype.

    Returns
    -------
    forward, backward
        (..., n_f, W) and (..., n_b, W), lines as rows and both left to right. Views of `raw`. With an odd number
        of lines the first pass has one more.

    Raises
    ------
    InputError
        If `raw` has fewer than two axes or the crop leaves nothing of a line.
    """
    if raw.ndim < 2:
        raise InputError(f"a frame of shape {tuple(raw.shape)} came; expected (..., H, W)")
    lines = _lines_as_rows(raw, geometry)
    start, end = geometry.crop
    width = lines.shape[-1]
    if width - start - end < 1:
        raise InputError(f"crop {geometry.crop} leaves nothing of lines {width} px long; use a smaller crop")
    first, second = lines[..., 0::2, :], lines[..., 1::2, :]
    forward, backward = (first, second) if geometry.first == "forward" else (second, first)
    if geometry.backward_mirrored:
        backward = backward[..., ::-1]
    return forward[..., start : width - end], backward[..., start : width - end]


def merge(forward: Array, backward: Array, geometry: ScanGeometry) -> Array:
    """Interleave passes into frames: the exact inverse of `split`, except that cropped px do not come back.

    Parameters
    ----------
    forward, backward
        (..., n_f, W) and (..., n_b, W) of one dtype.

    Returns
    -------
    (..., H, W), a new array.

    Raises
    ------
    InputError
        If the numbers of lines cannot come from one frame, or the other axes differ.
    """
    n_forward, n_backward = forward.shape[-2], backward.shape[-2]
    first, second = (forward, backward) if geometry.first == "forward" else (backward, forward)
    same = forward.shape[:-2] == backward.shape[:-2] and forward.shape[-1] == backward.shape[-1]
    if not same or first.shape[-2] - second.shape[-2] not in (0, 1):
        raise InputError(
            f"passes of shapes {tuple(forward.shape)} and {tuple(backward.shape)} do not interleave; expected equal "
            f"shapes, or one line more in the {geometry.first} pass"
        )
    if geometry.backward_mirrored:
        backward = backward[..., ::-1]
        first, second = (forward, backward) if geometry.first == "forward" else (backward, forward)
    shape = (*forward.shape[:-2], n_forward + n_backward, forward.shape[-1])
    lines = np.empty(shape, forward.dtype)
    lines[..., 0::2, :] = first
    lines[..., 1::2, :] = second
    return _lines_as_rows(lines, geometry)


def forward_at_backward_lines(forward: Array, n_backward: int, geometry: ScanGeometry) -> Array:
    """Forward pass resampled to the slow-axis positions of the backward lines.

    With a zig-zagging beam, backward line i meets forward line i at the right end and its other forward neighbour
    at the left end, so the weights of the two neighbours run linearly along the line.

    Parameters
    ----------
    forward
        (..., n_f, W), a floating type.
    n_backward
        Number of backward lines n_b; n_f - 1, n_f or n_f + 1.

    Returns
    -------
    (..., n_b, W); at the edges of the frame the one neighbour that exists.
    """
    earlier, later = forward_neighbours(forward, n_backward, geometry)
    if geometry.slow_axis == "stepped":
        return earlier
    ramp = earlier_weight(forward.shape[-1], geometry).astype(forward.dtype)
    between: Array = earlier - later
    between *= ramp
    between += later
    return between


def forward_neighbours(forward: Array, n_backward: int, geometry: ScanGeometry) -> tuple[Array, Array]:
    """The two forward lines beside each backward line, (..., n_b, W) each; the same line twice if "stepped"."""
    last = forward.shape[-2] - 1
    if last < 0 < n_backward:
        raise InputError(f"a forward pass without lines came for {n_backward} backward lines; expected one or more")
    index = np.arange(n_backward)
    if geometry.slow_axis == "stepped":
        earlier = later = index
    elif geometry.first == "forward":
        earlier, later = index, index + 1
    else:
        earlier, later = index - 1, index
    return _take_lines(forward, earlier.clip(0, last)), _take_lines(forward, later.clip(0, last))


def earlier_weight(width: int, geometry: ScanGeometry) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(W,) weight of the earlier of the two forward neighbours of a backward line; the later one has the rest.

    `width` is that of the passes; the beam turns round at the ends of the uncropped line.
    """
    if geometry.slow_axis == "continuous":
        start, end = geometry.crop
        whole = start + width + end
        return np.linspace(0.0, 1.0, whole)[start : start + width] if whole > 1 else np.full(1, 0.5)
    return np.full(width, 1.0 if geometry.slow_axis == "stepped" else 0.5)


def move_lines(lines: Array, displacement_px: Array, kernel: Kernel = "lanczos") -> Array:
    """Resample lines along the fast axis: ``moved(x) = lines(x - displacement(x))``.

    Parameters
    ----------
    lines
        (..., n, W), floating. Beyond its ends a line goes on with its end value.
    displacement_px
        Broadcastable to the shape of `lines`; px, positive moves content to the right.
    kernel
        "linear"; "cubic": Keys 1981, a = -1/2, 4 points; "lanczos": windowed sinc, 6 points, weights normalized to
        sum 1 so that a constant line stays constant.

    Returns
    -------
    Same shape and dtype as `lines`.
    """
    if kernel not in get_args(Kernel):
        raise InputError(f"kernel is {kernel!r}; expected one of {', '.join(get_args(Kernel))}")
    width = lines.shape[-1]
    if not lines.size:
        return lines.copy()
    # Half precision is computed in single.
    exact = np.require(lines, np.promote_types(lines.dtype, np.float32), "C").reshape(-1, width)
    displacement = np.broadcast_to(displacement_px, lines.shape).reshape(-1, width)
    moved = np.empty_like(exact)
    _move(exact, displacement, get_args(Kernel).index(kernel), moved)
    return moved.reshape(lines.shape).astype(lines.dtype, copy=False)


@compiled
def _move(lines: Array, displacement_px: Array, kernel: int, moved: Array) -> None:
    """(n, W) each; `kernel` is its place in `Kernel`."""
    width = lines.shape[1]
    last = width - 1
    third = math.pi / 3
    for i in range(lines.shape[0]):
        line = lines[i]
        for x in range(width):
            position = min(max(x - displacement_px[i, x], 0.0), float(last))
            left = max(min(int(position), last), 0)  # also where it is NaN
            t = position - left
            if kernel == 0:
                moved[i, x] = line[left] + t * (line[min(left + 1, last)] - line[left])
            elif kernel == 1:
                moved[i, x] = (
                    t * (t * (1 - 0.5 * t) - 0.5) * line[max(left - 1, 0)]
                    + (1 + t * t * (1.5 * t - 2.5)) * line[left]
                    + t * (0.5 + t * (2 - 1.5 * t)) * line[min(left + 1, last)]
                    + t * t * (0.5 * t - 0.5) * line[min(left + 2, last)]
                )
            elif t < NEAR or t > 1 - NEAR:  # on a px
                moved[i, x] = line[left if t < NEAR else min(left + 1, last)]
            else:
                total, of_weights = 0.0, 0.0
                for k in range(-2, 4):
                    # sin(pi (t - k)) alternates in sign with k; its size falls out of the ratio.
                    weight = math.sin(third * (t - k)) / ((t - k) * (t - k)) * (1 - 2 * (k % 2))
                    total += weight * line[max(min(left + k, last), 0)]
                    of_weights += weight
                moved[i, x] = total / of_weights


def _lines_as_rows(frames: Array, geometry: ScanGeometry) -> Array:
    return frames if geometry.line_axis == "rows" else np.swapaxes(frames, -1, -2)


def _take_lines(lines: Array, index: np.ndarray[Any, Any]) -> Array:
    """Lines by index, as a view where the index is a plain run."""
    if len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
        return lines[..., int(index[0]) : int(index[0]) + len(index), :]
    return lines[..., index, :]
