"""What a stack of frames is, whichever file it lies in: its axes, sizes, data type and calibration."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .errors import InputError

AXES = "PTZC"
"""Axes that a stack may have before (Y, X): position, time, depth, channel."""


@dataclass(frozen=True)
class StackLayout:
    """Axes, sizes and calibration of a stack of frames.

    Attributes
    ----------
    frame_shape
        (H, W) of every frame.
    dtype
        Data type of every frame.
    axes, sizes
        The axes before (Y, X), slowest first, each one of `AXES`, and their lengths. The first length may be None:
        not known until the stack ends.
    pixel_size_um
        (y, x), or None if not known.
    z_step_um, interval_s
        Distance of depths and time between frames; None if not known.
    channel_names
        One a channel, or empty.
    description
        Free text that came with the stack.
    ome_xml
        The OME-XML that came with the stack, or empty.
    """

    frame_shape: tuple[int, int]
    dtype: np.dtype[Any]
    axes: str = "T"
    sizes: tuple[int | None, ...] = (None,)
    pixel_size_um: tuple[float, float] | None = None
    z_step_um: float | None = None
    interval_s: float | None = None
    channel_names: tuple[str, ...] = ()
    description: str = ""
    ome_xml: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        if len(self.axes) != len(self.sizes) or len(set(self.axes)) != len(self.axes) or set(self.axes) - set(AXES):
            raise InputError(
                f"axes {self.axes!r} with sizes {self.sizes} came; expected different letters of {AXES}, one size each"
            )
        if any(size is None for size in self.sizes[1:]) or any(size is not None and size < 1 for size in self.sizes):
            raise InputError(f"sizes {self.sizes} came; expected 1 or more each, and only the first may be unknown")

    def size(self, axis: str) -> int | None:
        """Length of an axis; 1 where the stack has no such axis."""
        return self.sizes[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def frames(self) -> int | None:
        """Number of frames, or None if not known yet."""
        return None if None in self.sizes else math.prod(size for size in self.sizes if size is not None)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Sizes of all axes, (Y, X) included."""
        return (*self.sizes, *self.frame_shape)

    def with_length(self, length: int) -> StackLayout:
        """The same stack, the first of its axes with this length."""
        return replace(self, sizes=(length, *self.sizes[1:]))

    def index(self, page: int, order: str) -> dict[str, int]:
        """Position along the axes of the page written as number `page` when `order` (slowest first) is the order."""
        position = {}
        for axis in reversed(order):
            size = self.size(axis)
            page, position[axis] = (0, page) if size is None else divmod(page, size)
        return {axis: position[axis] for axis in self.axes}

    def indices(self, order: str) -> Iterator[dict[str, int]]:
        """Positions of all frames in an order of axes, slowest first."""
        if self.frames is None:
            raise InputError("the number of frames of this stack is not known yet")
        return (self.index(page, order) for page in range(self.frames))
