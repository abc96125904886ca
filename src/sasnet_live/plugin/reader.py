"""Reads what this program wrote, with the figures of each frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .verdict import Verdict

LayerData = tuple[np.ndarray[Any, Any], dict[str, Any], str]
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
        from .zarr_reader import read, record_of

        return read if record_of(name) else None
    return None


def _read_tiff(path: str) -> list[LayerData]:
    from sasnet_live.sinks.ome_tiff import frame_figures, read_record
    from sasnet_live.sources.tiff import TiffStack

    with TiffStack(path) as stack:
        layout = stack.layout
        positions = list(layout.indices(layout.axes))
        frames = np.stack([stack.read(position) for position in positions])
    frames = frames.reshape(*[size or 1 for size in layout.sizes], *layout.frame_shape)
    size_um = layout.pixel_size_um or (1.0, 1.0)
    leading = len(layout.sizes)
    meta: dict[str, Any] = {
        "name": Path(path).name.split(".")[0],
        "metadata": {"sasnet_live": summary(read_record(path), list(frame_figures(path)))},
    }
    lengths = ["micrometer" if layout.pixel_size_um else "pixel"] * 2
    axes = [*layout.axes.lower(), "y", "x"]
    channel = layout.axes.find("C")
    if channel >= 0:
        meta["channel_axis"] = channel
        meta["name"] = [f"{meta['name']} {name}" for name in _channel_names(layout)]
        leading -= 1
        axes.pop(channel)
    meta["axis_labels"] = tuple(axes)
    meta["scale"] = (*[1.0] * leading, *size_um)
    meta["units"] = (*["pixel"] * leading, *lengths)
    return [(frames, meta, "image")]


def _channel_names(layout: Any) -> list[str]:
    count = layout.size("C") or 1
    return list(layout.channel_names) or [f"channel {number}" for number in range(count)]


def summary(record: dict[str, str], figures: list[dict[str, Any]]) -> dict[str, Any]:
    """How it was processed, how many frames were registered, the mean figures, and those of each frame."""
    verdict = Verdict.of(figures)
    names = ("ncc_before", "ncc_after", "ssim_before", "ssim_after", "displacement_px_mean", "confidence")
    means = {}
    for name in names:
        values = [one[name] for one in figures if isinstance(one.get(name), (int, float)) and math.isfinite(one[name])]
        if values:
            means[name] = sum(values) / len(values)
    return {"record": record, "verdict": str(verdict) if verdict.frames else "", "means": means, "frames": figures}
