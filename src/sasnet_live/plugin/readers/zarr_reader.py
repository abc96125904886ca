"""Reads the OME-Zarr folders that this program wrote: a layer for each position, or for each channel of each."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .layer_data import LayerData, summary

Attributes = dict[str, Any]


def record_of(folder: Path) -> dict[str, str]:
    """How the recording was processed; empty if the folder is none of ours."""
    record = _attributes(folder).get("sasnet_live")
    return dict(record) if isinstance(record, dict) else {}


def read(path: str) -> list[LayerData]:
    """Layers for napari.

    Positions are places far apart, so each is a layer of its own, as in napari's other readers of OME-Zarr, rather than
    a slider: one is shown beside the other, hidden, or thrown away by itself.
    """
    folder = Path(path)
    name, record = folder.name.split(".")[0], record_of(folder)
    series = _series(folder)
    return [_image(one, f"{name} {one.name}" if len(series) > 1 else name, record) for one in series]


def _series(folder: Path) -> list[Path]:
    """The images in it: itself, or the ones that its list of series names."""
    names = _attributes(folder / "OME").get("ome", {}).get("series") or []
    return [folder / str(name) for name in names] or [folder]


def _image(folder: Path, name: str, record: dict[str, str]) -> LayerData:
    attributes = _attributes(folder)
    array = _array(folder / "0")
    figures = list(attributes.get("ome_writers", {}).get("frame_metadata", []))
    meta: dict[str, Any] = {"name": name, "metadata": {"sasnet_live": summary(record, figures)}}
    ome = attributes.get("ome", {})
    with suppress(KeyError, IndexError, TypeError):  # written by a later version: shown without its axes
        image = ome["multiscales"][0]
        axes = [(str(axis["name"]), str(axis.get("unit", "pixel"))) for axis in image["axes"]]
        scale = [float(value) for value in image["datasets"][0]["coordinateTransformations"][0]["scale"]]
        if len(axes) == len(scale) == array.ndim:
            meta |= _axes(axes, scale, [str(one["label"]) for one in ome.get("omero", {}).get("channels", [])], name)
    return array, meta, "image"


def _axes(axes: list[tuple[str, str]], scale: list[float], channels: list[str], name: str) -> dict[str, Any]:
    """Labels, scale and units; channels become layers, whose names and places these are without."""
    meta: dict[str, Any] = {}
    names = [axis for axis, _ in axes]
    if "c" in names:
        at = names.index("c")
        meta["channel_axis"] = at
        if channels:
            meta["name"] = [f"{name} {channel}" for channel in channels]
        axes, scale = axes[:at] + axes[at + 1 :], scale[:at] + scale[at + 1 :]
    meta["axis_labels"] = tuple(axis for axis, _ in axes)
    meta["units"] = tuple(unit for _, unit in axes)
    meta["scale"] = tuple(scale)
    return meta


class _Stored:
    """An array on disk that is read where it is indexed: what `dask.array.from_array` needs of one."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.shape: tuple[int, ...] = tuple(store.shape)
        self.dtype = np.dtype(store.dtype.numpy_dtype)
        self.ndim = len(self.shape)

    def __getitem__(self, index: Any) -> np.ndarray[Any, Any]:
        return np.asarray(self._store[index].read().result())


def _array(folder: Path) -> Any:
    """A dask array, which reads the frame that is looked at and no other."""
    import dask.array  # comes with napari, as this module's callers do
    import tensorstore as ts

    driver = "zarr3" if (folder / "zarr.json").exists() else "zarr"
    store: Any = ts.open({"driver": driver, "kvstore": {"driver": "file", "path": str(folder)}}).result()
    frame = (1,) * (len(store.shape) - 2) + tuple(store.shape[-2:])
    stored = _Stored(store)
    like = np.empty((0,) * stored.ndim, stored.dtype)  # else it is read once to see what comes
    from_array: Any = dask.array.from_array
    return from_array(stored, chunks=frame, name=False, meta=like)


def _attributes(folder: Path) -> Attributes:
    try:
        attributes = json.loads((folder / "zarr.json").read_text(encoding="utf-8")).get("attributes")
    except (OSError, ValueError, AttributeError):
        return {}
    return attributes if isinstance(attributes, dict) else {}
