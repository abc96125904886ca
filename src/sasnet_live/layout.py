"""What a run of frames is, live or in a file: its axes, shape, data type, scales and names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from .errors import InputError
from .frame import Frame

STACK_AXES = ("p", "t", "z", "c")
"""Axes that a file may have before (y, x): position, time, depth, channel."""

UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
"""Of `Layout.scale`, as OME-NGFF names them; other axes have none."""


@dataclass(frozen=True)
class Layout:
    """Axes, sizes and calibration of frames of one shape and dtype: an acquisition, a live session, a file.

    Axes are named as useq and `Frame.index` name them, in lower case, slowest first; (y, x) follow them and are not
    named.

    Attributes
    ----------
    frame_shape
        (H, W) of every frame.
    dtype
        Data type of every frame.
    axes, sizes
        The axes before (y, x): "t", "c", "z", "p", "g" and so on, in the order of acquisition, and their lengths. Empty
        where frames just follow one another, or there is one only. The first length may be None: not known until the
        last frame.
    frames
        Number of frames, None if nobody knows. Where it is the product of the sizes there is a frame at every place;
        else axes only say what a frame is of, and frames are in the order in which they come. See `stack`.
    pixel_size_um
        (y, x), or None if not known. One number counts for both axes, and what is no size, as the 0 that Micro-Manager
        gives, is not known.
    z_step_um, interval_s, exposure_ms
        Distance of depths, time between frames, and exposure; None if not known. The first two are known of some
        frames that have no such axis.
    channel_names
        One a channel, or empty.
    source
        What delivers the frames, for people: ``camera "ORPAM"``.
    description
        Free text that came with a file.
    ome_xml
        The OME-XML that came with a file, or empty.
    metadata
        Anything else worth writing to a file, JSON-serializable.

    Raises
    ------
    InputError
        Axes of one name, sizes that are none, or not one for each axis.
    """

    frame_shape: tuple[int, int]
    dtype: np.dtype[Any]
    axes: tuple[str, ...] = ()
    sizes: tuple[int | None, ...] = ()
    frames: int | None = None
    pixel_size_um: tuple[float, float] | None = None
    z_step_um: float | None = None
    interval_s: float | None = None
    exposure_ms: float | None = None
    channel_names: tuple[str, ...] = ()
    source: str = ""
    description: str = ""
    ome_xml: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        object.__setattr__(self, "pixel_size_um", pixel_size_of(self.pixel_size_um))
        if len(self.axes) != len(self.sizes) or len(set(self.axes)) != len(self.axes):
            raise InputError(f"axes {self.axes} with sizes {self.sizes} came; expected different names, one size each")
        if any(size is None for size in self.sizes[1:]) or any(size is not None and size < 1 for size in self.sizes):
            raise InputError(f"sizes {self.sizes} came; expected 1 or more each, and only the first may be unknown")

    @classmethod
    def stack(
        cls,
        frame_shape: tuple[int, int],
        dtype: np.dtype[Any],
        axes: Sequence[str] = ("t",),
        sizes: tuple[int | None, ...] = (None,),
        **more: Any,
    ) -> Layout:
        """A frame at every place along the axes, as in a file; `more` as `Layout`."""
        return cls(frame_shape, dtype, tuple(axes), sizes, _product(sizes), **more)

    @classmethod
    def of(cls, frame: Frame, source: str = "") -> Layout:
        """What one frame tells of the frames that will follow it."""
        return cls(
            frame_shape=shape_of(frame),
            dtype=frame.data.dtype,
            pixel_size_um=pixel_size_of(frame.metadata.get("pixel_size_um")),
            exposure_ms=_positive(frame.metadata.get("exposure_ms")),
            source=source or str(frame.metadata.get("camera_device", "")),
        )

    def fits(self, frame: Frame) -> bool:
        """Whether this frame has the shape and dtype of the others."""
        return frame.data.shape == self.frame_shape and frame.data.dtype == self.dtype

    def size(self, axis: str) -> int | None:
        """Length of an axis, None if not known; 1 where there is no such axis."""
        return self.sizes[self.axes.index(axis)] if axis in self.axes else 1

    def scale(self, axis: str) -> float | None:
        """Length of a step along an axis, (y, x) included, in its `UNITS`; None if not known."""
        if axis in ("y", "x"):
            return None if self.pixel_size_um is None else self.pixel_size_um["yx".index(axis)]
        return {"t": self.interval_s, "z": self.z_step_um}.get(axis)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Sizes of all axes, (y, x) included."""
        return (*self.sizes, *self.frame_shape)

    @property
    def letters(self) -> str:
        """The axes as TIFF files and the command line name them: "TC"."""
        return "".join(self.axes).upper()

    @property
    def is_stack(self) -> bool:
        """Whether there is a frame at every place along axes that a file may have."""
        return self._fills(self.axes)

    def place(self, index: Mapping[str, int]) -> int | None:
        """Number of a frame, from 0, in the order of the axes; None where frames are in the order in which they come.

        Parameters
        ----------
        index
            Position along the axes, as `Frame.index`.
        """
        if not self._stored_axes() or not all(axis in index for axis in self.axes):
            return None
        place = 0
        for axis, size in zip(self.axes, self.sizes, strict=True):
            place = place * (size or 1) + index[axis]
        return place

    def index(self, place: int, order: Sequence[str] | None = None) -> dict[str, int]:
        """Position along the axes of frame number `place` in an order of axes, slowest first; by default their own."""
        position = {}
        for axis in reversed(self.axes if order is None else order):
            size = self.size(axis)
            place, position[axis] = (0, place) if size is None else divmod(place, size)
        return {axis: position[axis] for axis in self.axes}

    def indices(self, order: Sequence[str] | None = None) -> Iterator[dict[str, int]]:
        """Positions of all frames in an order of axes, slowest first; by default their own.

        Raises
        ------
        InputError
            If their number is not known.
        """
        if self.frames is None:
            raise InputError("the number of frames of this stack is not known yet")
        return (self.index(place, order) for place in range(self.frames))

    def with_length(self, length: int | None) -> Layout:
        """The same stack, the first of its axes with this length; None: open, as of a run that may end early."""
        sizes = (length, *self.sizes[1:])
        return replace(self, sizes=sizes, frames=_product(sizes))

    def as_they_come(self) -> Layout:
        """Frames like these, of which neither the places nor the number are known."""
        return replace(self, axes=(), sizes=(), frames=None)

    def stored(self, frame_shape: tuple[int, int], dtype: np.dtype[Any]) -> Layout:
        """The stack in which a sink writes these frames.

        The points of a grid are positions. Frames that are no stack, as those of a position with a grid of its own or
        of an acquisition that skips some channels, are times in the order in which they come.

        Parameters
        ----------
        frame_shape, dtype
            Of the images written.
        """
        axes, sizes = self._stored_axes(), self.sizes
        if not axes:
            axes, sizes = ("t",), (None,)
        return replace(
            self,
            frame_shape=frame_shape,
            dtype=dtype,
            axes=axes,
            sizes=sizes,
            frames=_product(sizes),
            channel_names=self.channel_names if "c" in axes else (),
            # They describe a file, of which not every frame may come.
            description="",
            ome_xml="",
        )

    def _stored_axes(self) -> tuple[str, ...]:
        """The axes as a file has them; empty where frames have no place along them."""
        axes = tuple("p" if axis == "g" else axis for axis in self.axes)
        return axes if self._fills(axes) else ()

    def _fills(self, axes: tuple[str, ...]) -> bool:
        """Whether there is a frame at every place along axes of these names, and a file may have them."""
        known = set(axes) <= set(STACK_AXES) and len(set(axes)) == len(axes)
        return known and self.frames == _product(self.sizes)


def shape_of(frame: Frame) -> tuple[int, int]:
    """(H, W) of a frame; more where it is no frame, which the registrar refuses."""
    return cast("tuple[int, int]", frame.data.shape)


def pixel_size_of(value: Any) -> tuple[float, float] | None:
    """The size of a px, (y, x) in um, of one number for both axes or one for each; None where there is none."""
    sizes = tuple(_positive(size) for size in (value if isinstance(value, (tuple, list)) else (value, value)))
    y, x = sizes if len(sizes) == 2 else (None, None)
    return None if y is None or x is None else (y, x)


def _product(sizes: Sequence[int | None]) -> int | None:
    """Number of places along axes; None if not known yet."""
    return None if None in sizes else math.prod(size for size in sizes if size is not None)


def _positive(value: Any) -> float | None:
    """A size as a float, or None where there is none; Micro-Manager says 0 for an unknown pixel size."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
