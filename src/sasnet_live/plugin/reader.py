"""Reads what this program wrote, with the figures of each frame."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
    if name.suffix.lower() == ".zarr" and _zarr_record(name):
        return _read_zarr
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


def _read_zarr(path: str) -> list[LayerData]:
    import tensorstore as ts

    array_path = Path(path) / "0"
    driver = "zarr3" if (array_path / "zarr.json").exists() else "zarr"
    store: Any = ts.open({"driver": driver, "kvstore": {"driver": "file", "path": str(array_path)}}).result()
    record, figures, scale = _zarr_record(Path(path)) or ({}, [], [])
    array = np.asarray(store.read().result())
    meta: dict[str, Any] = {
        "name": Path(path).name.split(".")[0],
        "metadata": {"sasnet_live": summary(record, figures)},
    }
    if len(scale) == array.ndim:
        meta["scale"] = scale
    return [(array, meta, "image")]


def _zarr_record(path: Path) -> tuple[dict[str, str], list[dict[str, Any]], list[float]] | None:
    """Record, figures a frame and scale of one of our OME-Zarr folders; None for any other."""
    try:
        attributes = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        record = attributes["sasnet_live"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    figures = attributes.get("ome_writers", {}).get("frame_metadata", [])
    try:
        scale = attributes["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
    except (KeyError, IndexError, TypeError):
        scale = []
    return record, list(figures), list(scale)


def summary(record: dict[str, str], figures: list[dict[str, Any]]) -> dict[str, Any]:
    """How it was processed, the mean figures, and those of each frame."""
    names = ("ncc_before", "ncc_after", "ssim_before", "ssim_after", "displacement_px_mean", "confidence")
    means = {}
    for name in names:
        values = [one[name] for one in figures if isinstance(one.get(name), (int, float)) and math.isfinite(one[name])]
        if values:
            means[name] = sum(values) / len(values)
    return {"record": record, "means": means, "frames": figures}
