"""Reads what this program wrote, with the figures of each frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import zarr_reader
from .layer_data import LayerData, summary

IN_MEMORY_BYTES = 2**30
"""Of a recording that is read at once. A packed file may hold far more than its size tells."""

Reader = Callable[[Any], list[LayerData]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """The reader of one of our files, or None to leave a file to others."""
    if not isinstance(path, str):
        return None
    name = Path(path)
    if name.suffix.lower() in (".tif", ".tiff"):
        from sasnet_live.sinks.ome_tiff import read_record

        return _read_tiff if read_record(name) else None
    if name.suffix.lower() == ".zarr":
        return zarr_reader.read if zarr_reader.record_of(name) else None
    return None


def _read_tiff(path: str) -> list[LayerData]:
    from sasnet_live.plugin.notify import warn
    from sasnet_live.plugin.preferences import largest_frame_mib
    from sasnet_live.recordings import ReadSettings, open_recording
    from sasnet_live.sinks.ome_tiff import frame_figures, read_record

    stack = open_recording(path, ReadSettings(largest_mib=largest_frame_mib()))
    for remark in stack.remarks:
        warn(remark)
    layout = stack.layout
    frames = _frames(stack)
    size_um = layout.pixel_size_um or (1.0, 1.0)
    leading = len(layout.sizes)
    meta: dict[str, Any] = {
        "name": Path(path).name.split(".")[0],
        "metadata": {"sasnet_live": summary(read_record(path), list(frame_figures(path)))},
    }
    lengths = ["micrometer" if layout.pixel_size_um else "pixel"] * 2
    axes = [*layout.axes, "y", "x"]
    if "c" in axes:
        channel = axes.index("c")
        meta["channel_axis"] = channel
        meta["name"] = [f"{meta['name']} {name}" for name in _channel_names(layout)]
        leading -= 1
        axes.pop(channel)
    meta["axis_labels"] = tuple(axes)
    meta["scale"] = (*[1.0] * leading, *size_um)
    meta["units"] = (*["pixel"] * leading, *lengths)
    return [(frames, meta, "image")]


def _frames(stack: Any) -> Any:
    """All frames, (sizes..., H, W): an array, or above `IN_MEMORY_BYTES` one that reads the frame that is looked at."""
    layout = stack.layout
    shape = (*[size or 1 for size in layout.sizes], *layout.frame_shape)
    if math.prod(shape) * layout.dtype.itemsize <= IN_MEMORY_BYTES:
        with stack:
            return np.stack(list(stack.frames())).reshape(shape)
    import dask.array  # comes with napari, as this module's callers do

    from_array: Any = dask.array.from_array
    stored = _Stored(stack, shape)
    # One at a time: the file has one position to read at.
    like = np.empty((0,) * stored.ndim, stored.dtype)  # else it is read once to see what comes
    return from_array(stored, chunks=((1,) * (len(shape) - 2)) + shape[-2:], name=False, lock=True, meta=like)


class _Stored:
    """A recording that is read where it is indexed: what `dask.array.from_array` needs of one."""

    def __init__(self, stack: Any, shape: tuple[int, ...]) -> None:
        self._stack = stack  # stays open as long as the layer that shows it
        self.shape, self.ndim, self.dtype = shape, len(shape), stack.layout.dtype

    def __getitem__(self, index: Any) -> np.ndarray[Any, Any]:
        """Part of one frame: chunks are no larger. An axis given by number, not as a slice, goes, as in NumPy."""
        layout = self._stack.layout
        leading = len(layout.sizes)
        chosen = [np.arange(size)[one] for size, one in zip(self.shape[:leading], index, strict=False)]
        where = {axis: int(np.ravel(one)[0]) for axis, one in zip(layout.axes, chosen, strict=True)}
        frame = self._stack.read(where)[tuple(index[leading:])]
        return np.asarray(frame[tuple(np.newaxis for one in chosen if one.ndim)])


def _channel_names(layout: Any) -> list[str]:
    count = layout.size("c") or 1
    return list(layout.channel_names) or [f"channel {number}" for number in range(count)]
