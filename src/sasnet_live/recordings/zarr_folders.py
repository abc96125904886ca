"""Reading Zarr and OME-Zarr folders, of versions 2 and 3 of Zarr, whoever wrote them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sasnet_live.errors import InputError
from sasnet_live.layout import STACK_AXES

from .arrays import ArrayRecording, Found, choose
from .damage import damage_in_one_line
from .optional import library
from .recording import Recording
from .settings import ReadSettings

MOST_ARRAYS = 1000
"""Groups and arrays that are looked at to find the frames; a plate of 384 wells has that many."""

_METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")  # files that are no chunks
_MICROMETRES = {"meter": 1e6, "millimeter": 1e3, "micrometer": 1.0, "nanometer": 1e-3, "angstrom": 1e-4}
_SECONDS = {"second": 1.0, "millisecond": 1e-3, "microsecond": 1e-6, "minute": 60.0, "hour": 3600.0}


def open_zarr(paths: Sequence[Path], settings: ReadSettings) -> Recording:
    """Open an array of a Zarr folder, or level 0 of an OME-Zarr image; for `sasnet_live.recordings.open_recording`."""
    path = paths[0]
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the name")
    if not path.is_dir():
        raise InputError(f"{path}: is a file; expected a folder of Zarr: unpack it")
    zarr = library("zarr", "zarr", path)
    with damage_in_one_line(path, "Zarr"), _no_warnings():
        root = zarr.open(str(path), mode="r")
        found = _found(root, zarr, path, settings)
    return ArrayRecording("OME-Zarr" if found.axes else "Zarr", path, found, settings)


def _found(root: Any, zarr: Any, path: Path, settings: ReadSettings) -> Found:
    images, arrays = {}, {}
    if isinstance(root, zarr.Array):
        arrays[""] = root
    else:
        for name, one in _members(root, zarr, path):
            if isinstance(one, zarr.Array):
                arrays[name] = one
            elif _multiscales(one):
                images[name] = one
    # Levels of an image are parts of it, and so are its labels.
    level_0 = {name: _level_0(one, zarr, name, path) for name, one in images.items() if not _is_label(name)}
    free = {name: one for name, one in arrays.items() if not any(_lies_in(name, image) for image in images)}
    candidates = {**free, **{name: array for name, (array, _) in level_0.items()}}
    shapes = {name: tuple(array.shape) for name, array in candidates.items() if array.dtype.kind in "uifc"}
    if "" in shapes and settings.dataset is None and len(shapes) > len(level_0):
        shapes = {"": shapes[""]}
    wanted = settings.dataset.strip("/") if settings.dataset else None
    name = choose(shapes, wanted, path)
    array = candidates[name]
    image = level_0.get(name)
    axes, facts = _calibration(image[1], path) if image is not None else (_names(array), {})
    return Found(
        array, name, axes, facts, math.prod(array.chunks) * array.dtype.itemsize, _remarks(array, name, path, settings)
    )


def _members(root: Any, zarr: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """Groups and arrays in a folder, the root first, by name."""
    yield "", root
    for seen, (name, one) in enumerate(root.members(max_depth=None)):
        if seen >= MOST_ARRAYS:
            raise InputError(f"{path}: holds more than {MOST_ARRAYS} arrays; give the folder of one of them")
        if isinstance(one, zarr.Array | zarr.Group):
            yield str(name).strip("/"), one


def _multiscales(group: Any) -> Mapping[str, Any] | None:
    """What the metadata of OME-NGFF, 0.4 and 0.5, say of an image in a group."""
    attributes = dict(group.attrs)
    found = attributes.get("ome", attributes)
    images = found.get("multiscales") if isinstance(found, Mapping) else None
    return images[0] if isinstance(images, list) and images and isinstance(images[0], Mapping) else None


def _level_0(group: Any, zarr: Any, name: str, path: Path) -> tuple[Any, Mapping[str, Any]]:
    image = _multiscales(group) or {}
    try:
        inner = str(image["datasets"][0]["path"])
        array = None if ".." in inner.split("/") or inner.startswith("/") else group[inner]
    except (KeyError, IndexError, TypeError):
        array = None
    if not isinstance(array, zarr.Array):
        shown = f" {name}" if name else ""
        raise InputError(f"{path}: the full resolution of its image{shown} is not there; copy or export it again")
    return array, image


def _calibration(image: Mapping[str, Any], path: Path) -> tuple[str, dict[str, Any]]:
    """Axes and scales of an image."""
    listed = image.get("axes", [{"name": one} for one in "tczyx"])
    axes = [one if isinstance(one, Mapping) else {"name": one} for one in listed]
    letters = "".join(str(one.get("name", "?")) for one in axes).lower()
    scales = [1.0] * len(axes)
    transformations = [*image["datasets"][0].get("coordinateTransformations", ())]
    for one in [*transformations, *image.get("coordinateTransformations", ())]:
        if isinstance(one, Mapping) and one.get("type") == "scale":
            scales = [a * float(b) for a, b in zip(scales, one["scale"], strict=True)]
    units = [str(one.get("unit", "")) for one in axes]
    known = dict(zip(letters, zip(scales, units, strict=True), strict=True)) if len(letters) == len(axes) else {}

    def scale(axis: str, factors: Mapping[str, float]) -> float | None:
        size, unit = known.get(axis, (0.0, ""))
        return size * factors[unit] if unit in factors and 0 < size < math.inf else None

    y, x = scale("y", _MICROMETRES), scale("x", _MICROMETRES)
    facts = {
        "pixel_size_um": (y, x) if y and x else None,
        "z_step_um": scale("z", _MICROMETRES),
        "interval_s": scale("t", _SECONDS),
        "description": str(image.get("name", "")),
    }
    if not set(letters) <= {*STACK_AXES, "y", "x"}:
        raise InputError(f"{path}: has axes {letters.upper()}; expected T, Z, C, P, Y, X: export it again")
    return letters, facts


def _names(array: Any) -> str | None:
    """The axes that Zarr 3, or xarray in Zarr 2, names, where each is one of ours."""
    named = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    letters = [str(one).lower() for one in named or ()]
    return "".join(letters) if letters and set(letters) <= {*STACK_AXES, "y", "x"} else None


def _remarks(array: Any, name: str, path: Path, settings: ReadSettings) -> tuple[str, ...]:
    """Chunks that were never written count as filled, which also hides those that were lost.

    Raises
    ------
    InputError
        If most of them are not there: what is left of a recording, or of one that was aborted.
    """
    stored = array.shards or array.chunks
    expected = math.prod(-(-size // part) for size, part in zip(array.shape, stored, strict=True))
    missing = expected - sum(one not in _METADATA for _, _, files in os.walk(path / array.path) for one in files)
    if missing <= 0:
        return ()
    of = f" of {name}" if name else ""
    remark = f"{path}: {missing} of {expected} chunks{of} are not there and count as {array.fill_value}: "
    if 2 * missing > expected and not settings.allow_missing:
        raise InputError(f"{remark}truncated, or mostly empty; copy it again, or add --allow-missing to use it so")
    return (f"{remark}they were never written, or are lost",)


def _is_label(name: str) -> bool:
    return "labels" in name.split("/")


def _lies_in(name: str, group: str) -> bool:
    return not group or name.startswith(f"{group}/")


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Zarr warns of files in a folder that it does not know; that is no matter of the user's."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
