"""Where in a stack each frame of a stream belongs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sasnet_live.frame import Frame
from sasnet_live.layout import STACK_AXES, Layout
from sasnet_live.stream import StreamInfo


@dataclass(frozen=True)
class PageOrder:
    """The axes of a stream as a stack in a file has them, and the page of each frame.

    Attributes
    ----------
    axes
        Of `sasnet_live.layout.STACK_AXES`, slowest first, in the order of acquisition. "t" where the axes of the
        stream are not those of a regular stack: frames are then pages in the order in which they came.
    sizes
        Lengths; the first is None in "t" of unknown length.
    names
        The names that the stream has for these axes; empty where frames are pages as they came.
    """

    axes: str
    sizes: tuple[int | None, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, stream: StreamInfo) -> PageOrder:
        """The order of the pages of a stream."""
        names = tuple(axis.name for axis in stream.axes)
        letters = "".join("p" if name == "g" else name for name in names)
        sizes = tuple(axis.size for axis in stream.axes)
        regular = names and set(letters) <= set(STACK_AXES) and len(set(letters)) == len(letters)
        if regular and stream.expected == math.prod(sizes):
            return cls(letters, sizes, names)
        return cls("t", (None,), ())

    def page(self, index: Mapping[str, int]) -> int | None:
        """Number of the page of a frame; None where pages are in the order in which frames came."""
        if not self.names or not all(name in index for name in self.names):
            return None
        page = 0
        for name, size in zip(self.names, self.sizes, strict=True):
            page = page * (size or 1) + index[name]
        return page

    def layout(self, stream: StreamInfo, shape: tuple[int, int], dtype: np.dtype[Any]) -> Layout:
        """The stack to write; the first axis of open length, so that a run that ends early can be completed."""
        return Layout.stack(
            frame_shape=shape,
            dtype=dtype,
            axes=self.axes,
            sizes=(None, *self.sizes[1:]),
            pixel_size_um=stream.pixel_size_um,
            z_step_um=stream.z_step_um,
            interval_s=stream.interval_s,
            channel_names=stream.channels if "c" in self.axes else (),
        )


def elapsed_s(frame: Frame, first: Frame) -> float:
    """Time of a frame since the start of its stream, s: the acquisition's own clock if it has one."""
    runner_time_ms = frame.metadata.get("runner_time_ms")
    if runner_time_ms is not None:
        return float(runner_time_ms) / 1e3
    return frame.received_s - first.received_s
