"""Reading microscope vendors' formats (nd2, lif, czi) through bioio and its plugins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError

from .arrays import ArrayRecording, Found
from .damage import damage_in_one_line, no_such_file
from .optional import library
from .recording import Recording
from .settings import ReadSettings

PLUGINS = {".nd2": "bioio_nd2", ".lif": "bioio_lif", ".czi": "bioio_czi"}
"""Plugin of bioio that reads a format."""


def open_vendor(paths: Sequence[Path], settings: ReadSettings) -> Recording:
    """Open a vendor's file; for `sasnet_live.recordings.open_recording`.

    Scenes of one shape are positions; `ReadSettings.dataset` chooses one scene by name.
    """
    path = paths[0]
    no_such_file(path)
    bioio = library("bioio", "vendors", path)
    plugin = library(PLUGINS[path.suffix.lower()], "vendors", path)
    kind = path.suffix[1:].lower()
    with damage_in_one_line(path, kind):
        image = bioio.BioImage(path, reader=plugin.Reader)
        array = _Scenes(image, path, settings.dataset)
        facts = _facts(image)
    return ArrayRecording(kind, path, Found(array, settings.dataset or "", array.axes, facts), settings)


class _Scenes:
    """Scenes of one shape as one array, of which one plane is read at a time.

    Its axes are those of (p, t, c, z, y, x) that are longer than 1, and y and x.
    """

    def __init__(self, image: Any, path: Path, wanted: str | None) -> None:
        self._image = image
        names = list(image.scenes)
        if wanted is not None and wanted not in names:
            raise InputError(f"{path}: holds no scene {wanted!r}; it has {', '.join(names)}")
        self._scenes = names if wanted is None else [wanted]
        layouts = set()
        for scene in self._scenes:
            image.set_scene(scene)
            if "S" in image.dims.order and image.dims.S > 1:
                raise InputError(f"{path}: is a colour image; expected one intensity a px")
            layouts.add((tuple(int(getattr(image.dims, axis)) for axis in "TCZYX"), np.dtype(image.dtype)))
        if len(layouts) > 1:
            listed = ", ".join(sorted(names))
            raise InputError(f"{path}: holds scenes of different shapes; choose one with --dataset: {listed}")
        image.set_scene(self._scenes[0])
        sizes, self.dtype = layouts.pop()
        every = zip("ptczyx", (len(self._scenes), *sizes), strict=True)
        kept = [(axis, size) for axis, size in every if size > 1 or axis in "yx"]
        self.axes = "".join(axis for axis, _ in kept)
        self.shape = tuple(size for _, size in kept)

    def __getitem__(self, key: Any, /) -> Any:
        at = dict(zip(self.axes, key, strict=True))
        self._image.set_scene(self._scenes[at.get("p", 0)])
        plane = self._image.get_image_dask_data("YX", **{axis.upper(): at.get(axis, 0) for axis in "tcz"})
        return plane.compute()[at["y"], at["x"]]


def _facts(image: Any) -> dict[str, Any]:
    """Calibration, as far as the file has it."""
    sizes = image.physical_pixel_sizes
    interval = image.time_interval
    seconds = interval.total_seconds() if hasattr(interval, "total_seconds") else interval
    known = isinstance(seconds, int | float) and math.isfinite(seconds) and seconds > 0
    return {
        "pixel_size_um": None if sizes.Y is None or sizes.X is None else (float(sizes.Y), float(sizes.X)),
        "z_step_um": None if sizes.Z is None else float(sizes.Z),
        "interval_s": float(seconds) if known else None,
        "channel_names": tuple(map(str, image.channel_names or ())),
    }
