"""Raw frames of a bidirectional raster scan: how they divide into passes, and how lines are moved.

Sign convention, defined here and used everywhere: ``registered(x) = backward(x - displacement(x))``,
in px along the fast axis. A positive displacement moves backward content to the right.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np

from .errors import InputError
from .geometry import ScanGeometry

if TYPE_CHECKING:
    from torch import Tensor

    Array = TypeVar("Array", bound=np.ndarray[Any, Any] | Tensor)
else:
    Array = TypeVar("Array")

Kernel = Literal["linear", "cubic", "lanczos"]


def split(raw: Array, geometry: ScanGeometry) -> tuple[Array, Array]:
    """Divide raw frames into their forward and backward passes.

    Parameters
    ----------
    raw
        (..., H, W), NumPy or torch, any dtype.

    Returns
    -------
    forward, backward
        (..., n_f, W) and (..., n_b, W), lines as rows and both left to right. Views of `raw`, except that torch
        copies mirrored lines. With an odd number of lines the first pass has one more.

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
        backward = _mirrored(backward)
    return forward[..., start : width - end], backward[..., start : width - end]


def merge(forward: Array, backward: Array, geometry: ScanGeometry) -> Array:
    """Interleave passes into frames: the exact inverse of `split`, except that cropped px do not come back.

    Parameters
    ----------
    forward, backward
        (..., n_f, W) and (..., n_b, W) of one dtype and library.

    Returns
    -------
    (..., H, W), a new array.

    Raises
    ------
    InputError
        If the numbers of lines cannot come from one frame, or the other axes differ.
    """
    n_forward, n_backward = forward.shape[-2], backward.shape[-2]
    first: Any
    second: Any
    first, second = (forward, backward) if geometry.first == "forward" else (backward, forward)
    same = forward.shape[:-2] == backward.shape[:-2] and forward.shape[-1] == backward.shape[-1]
    if not same or first.shape[-2] - second.shape[-2] not in (0, 1):
        raise InputError(
            f"passes of shapes {tuple(forward.shape)} and {tuple(backward.shape)} do not interleave; expected equal "
            f"shapes, or one line more in the {geometry.first} pass"
        )
    if geometry.backward_mirrored:
        backward = _mirrored(backward)
        first, second = (forward, backward) if geometry.first == "forward" else (backward, forward)
    shape = (*forward.shape[:-2], n_forward + n_backward, forward.shape[-1])
    lines: Any = np.empty(shape, forward.dtype) if isinstance(forward, np.ndarray) else forward.new_empty(shape)
    lines[..., 0::2, :] = first
    lines[..., 1::2, :] = second
    frames: Array = _lines_as_rows(lines, geometry)
    return frames


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
    earlier: Any
    later: Any
    earlier, later = forward_neighbours(forward, n_backward, geometry)
    weight = earlier_weight(forward.shape[-1], geometry)
    if isinstance(forward, np.ndarray):
        ramp: Any = weight.astype(forward.dtype)
    else:
        import torch

        ramp = torch.as_tensor(weight, dtype=forward.dtype, device=forward.device)
    between: Array = earlier if geometry.slow_axis == "stepped" else later + ramp * (earlier - later)
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
        (..., n, W), floating; NumPy or torch. Beyond its ends a line goes on with its end value.
    displacement_px
        Broadcastable to the shape of `lines`, same library; px, positive moves content to the right.
    kernel
        "linear"; "cubic": Keys 1981, a = -1/2, 4 points; "lanczos": windowed sinc, 6 points, weights normalized to
        sum 1 so that a constant line stays constant.

    Returns
    -------
    Same shape and dtype as `lines`. In torch, differentiable in both arguments.
    """
    if kernel not in get_args(Kernel):
        raise InputError(f"kernel is {kernel!r}; expected one of {', '.join(get_args(Kernel))}")
    moved: Any
    if not isinstance(lines, np.ndarray):
        moved = _move_lines_torch(lines, displacement_px, kernel)
        return moved  # type: ignore[no-any-return]
    width = lines.shape[-1]
    position = np.arange(width, dtype=np.float64) - np.asarray(displacement_px, dtype=np.float64)
    position = np.broadcast_to(position.clip(0, width - 1), lines.shape)
    left = np.floor(position)
    first, weights = _kernel_weights(position - left, kernel)
    left = left.astype(np.intp) + first
    moved = np.zeros(lines.shape, np.float64)
    for k, weight in enumerate(weights):
        moved += weight * np.take_along_axis(lines, (left + k).clip(0, width - 1), axis=-1)
    return moved.astype(lines.dtype)  # type: ignore[no-any-return]


def _move_lines_torch(lines: Any, displacement_px: Any, kernel: Kernel) -> Tensor:
    import torch

    width = lines.shape[-1]
    # Half precision cannot hold a sub-pixel position on a line of hundreds of px.
    dtype = torch.promote_types(lines.dtype, torch.float32)
    grid = torch.arange(width, dtype=dtype, device=lines.device)
    displacement_px = torch.as_tensor(displacement_px, dtype=dtype, device=lines.device)
    position = (grid - displacement_px).clip(0, width - 1).expand(lines.shape)
    left = position.detach().floor()
    first, weights = _kernel_weights(position - left, kernel)
    # Padding once instead of clipping every index: 2 taps beyond each end are enough for all kernels.
    padded = torch.cat(
        [lines[..., :1].expand(*lines.shape[:-1], 2), lines, lines[..., -1:].expand(*lines.shape[:-1], 3)], -1
    )
    index = left.long() + (first + 2)
    moved: Tensor = weights[0] * padded.gather(-1, index)
    for k, weight in enumerate(weights[1:], 1):
        moved = moved + weight * padded.gather(-1, index + k)
    return moved.to(lines.dtype)


def _kernel_weights(t: Any, kernel: Kernel) -> tuple[int, list[Any]]:
    """Offset of the first point from the left neighbour, and the weight of each point, for fractions t in [0, 1)."""
    if kernel == "linear":
        return 0, [1 - t, t]
    if kernel == "cubic":
        return -1, [
            t * (t * (1 - 0.5 * t) - 0.5),
            1 + t * t * (1.5 * t - 2.5),
            t * (0.5 + t * (2 - 1.5 * t)),
            t * t * (0.5 * t - 0.5),
        ]
    # sin(pi (t - k)) alternates in sign with k, so two more trigonometric evaluations serve all six points.
    if isinstance(t, np.ndarray):
        sine, third_sine, third_cosine = np.sin(np.pi * t), np.sin(np.pi / 3 * t), np.cos(np.pi / 3 * t)
    else:
        sine, third_sine, third_cosine = (math.pi * t).sin(), (math.pi / 3 * t).sin(), (math.pi / 3 * t).cos()
    weights = []
    for k in range(-2, 4):
        distance = t - k
        near = abs(distance) < 1e-4
        window = third_sine * math.cos(math.pi * k / 3) - third_cosine * math.sin(math.pi * k / 3)
        value = (-1) ** k * sine * window / (distance * distance + near)
        weights.append(value * ~near + near * (math.pi**2 / 3))
    total = sum(weights)
    return -2, [weight / total for weight in weights]


def _lines_as_rows(frames: Any, geometry: ScanGeometry) -> Any:
    if geometry.line_axis == "rows":
        return frames
    return np.swapaxes(frames, -1, -2) if isinstance(frames, np.ndarray) else frames.transpose(-1, -2)


def _mirrored(lines: Any) -> Any:
    if isinstance(lines, np.ndarray):
        return lines[..., ::-1]
    import torch

    # torch does not flip the wider unsigned types on every device, but it does the signed ones of the same bits.
    signed = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}.get(lines.dtype)
    return lines.flip(-1) if signed is None else lines.view(signed).flip(-1).view(lines.dtype)


def _take_lines(lines: Any, index: np.ndarray[Any, Any]) -> Any:
    """Lines by index, as a view where the index is a plain run."""
    if len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
        return lines[..., int(index[0]) : int(index[0]) + len(index), :]
    if isinstance(lines, np.ndarray):
        return lines[..., index, :]
    import torch

    return lines.index_select(-2, torch.as_tensor(index, device=lines.device))
