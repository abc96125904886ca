"""What is known of a run of frames before the first one arrives: shape, axes, sizes, and how it came to its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from .frame import Frame

EndReason = Literal["completed", "canceled", "errored", "stopped"]


@dataclass(frozen=True)
class Axis:
    """One axis of an acquisition, as useq names it.

    Attributes
    ----------
    name
        "t", "c", "z", "p", "g" and so on.
    size
        Number of positions along it.
    labels
        Names of the positions (channels), empty if they have none.
    """

    name: str
    size: int
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class StreamInfo:
    """One run of frames of one shape and dtype: an acquisition, a live session, a file.

    Attributes
    ----------
    shape
        (H, W) of every frame.
    dtype
        Of every frame.
    axes
        Slowest first, in the order of acquisition; empty where frames just follow one another.
    expected
        Number of frames announced, None if nobody knows.
    pixel_size_um
        (y, x), or None where the source does not know. One number counts for both axes, and what is no size, as the 0
        that Micro-Manager gives, is not known.
    z_step_um, interval_s, exposure_ms
        None where the source does not know.
    source
        What delivers the frames, for people: ``Camera "ORPAM"``.
    metadata
        Anything else worth writing to a file, JSON-serializable.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: tuple[Axis, ...] = ()
    expected: int | None = None
    pixel_size_um: tuple[float, float] | None = None
    z_step_um: float | None = None
    interval_s: float | None = None
    exposure_ms: float | None = None
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixel_size_um", pixel_size_of(self.pixel_size_um))

    @classmethod
    def of(cls, frame: Frame, source: str = "") -> StreamInfo:
        """What one frame tells of the frames that will follow it."""
        return cls(
            shape=frame.data.shape,
            dtype=frame.data.dtype,
            pixel_size_um=pixel_size_of(frame.metadata.get("pixel_size_um")),
            exposure_ms=_positive(frame.metadata.get("exposure_ms")),
            source=source or str(frame.metadata.get("camera_device", "")),
        )

    def fits(self, frame: Frame) -> bool:
        """Whether this frame has the shape and dtype of the stream."""
        return frame.data.shape == tuple(self.shape) and frame.data.dtype == self.dtype

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, empty if there is no channel axis."""
        return next((axis.labels for axis in self.axes if axis.name == "c"), ())


def pixel_size_of(value: Any) -> tuple[float, float] | None:
    """The size of a px, (y, x) in um, of one number for both axes or one for each; None where there is none."""
    sizes = tuple(_positive(size) for size in (value if isinstance(value, (tuple, list)) else (value, value)))
    y, x = sizes if len(sizes) == 2 else (None, None)
    return None if y is None or x is None else (y, x)


def _positive(value: Any) -> float | None:
    """A size as a float, or None where there is none; Micro-Manager says 0 for an unknown pixel size."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
