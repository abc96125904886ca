"""Reading Gwyddion's ``.gwy`` files: images of probe microscopes, with trace and retrace as two of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError

from .arrays import ArrayRecording, Found, choose
from .damage import by, damage_in_one_line, no_such_file
from .gwyddion_bounds import check_bounds
from .optional import library
from .recording import Recording
from .settings import ReadSettings

_MAGIC = b"GWYP"
_MICROMETRES = 1e6  # Gwyddion keeps lengths in m
_FORWARD = re.compile(r"[\s_\[(<-]*\b(trace|forward|fwd)\b[\])>]*", re.IGNORECASE)
_BACKWARD = re.compile(r"[\s_\[(<-]*\b(retrace|backward|bwd)\b[\])>]*", re.IGNORECASE)


def with_passes(paths: Sequence[Path], settings: ReadSettings) -> ReadSettings:
    """Settings that name trace and retrace as passes, where the file has one such pair, or the dataset asks for one."""
    titles = list(_fields(paths[0]))
    if settings.dataset in titles:
        return settings
    pairs = _pairs(titles)
    if settings.dataset is not None:
        pairs = {name: pair for name, pair in pairs.items() if name == settings.dataset}
    if len(pairs) > 1:
        raise InputError(
            f"{paths[0]}: holds {len(pairs)} pairs of trace and retrace; say which with --dataset: {', '.join(pairs)}"
        )
    return replace(settings, dataset=None, passes=next(iter(pairs.values()))) if pairs else settings


def open_gwy(paths: Sequence[Path], settings: ReadSettings) -> Recording:
    """Open one image of a Gwyddion file; for `sasnet_live.recordings.open_recording`."""
    path = paths[0]
    fields = _fields(path)
    name = choose({title: one.shape for title, (one, _) in fields.items()}, settings.dataset, path)
    array, size = fields[name]
    found = Found(array, name, "YX", {"pixel_size_um": size})
    return ArrayRecording("Gwyddion", path, found, settings)


def _pairs(titles: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Titles of trace and retrace, by what they have in common."""
    forward = {_FORWARD.sub("", one).strip(): one for one in titles if _FORWARD.search(one)}
    backward = {_BACKWARD.sub("", one).strip(): one for one in titles if _BACKWARD.search(one)}
    return {name: (one, backward[name]) for name, one in forward.items() if name in backward}


def _fields(path: Path) -> dict[str, tuple[np.ndarray[Any, Any], tuple[float, float] | None]]:
    """The images in a file, with their pixel size (y, x) in um, by title."""
    no_such_file(path)
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise InputError(f"{path}: no Gwyddion file, or damaged; copy or save it again")
    library("gwyfile", "probe", path)
    from gwyfile.objects import GwyDataField, GwyObject
    from gwyfile.util import find_datafields

    found = {}
    with damage_in_one_line(path, "Gwyddion"):
        check_bounds(path.read_bytes())
        content = GwyObject.fromfile(str(path))
        for number, title in find_datafields(content):
            field = content[f"/{number}/data"]
            if not isinstance(field, GwyDataField):
                raise InputError(f"{path}: damaged, its channel {number} is no image; copy or save it again")
            height, width = int(field["yres"]), int(field["xres"])
            if height < 1 or width < 1 or height * width != np.size(field["data"]):
                raise InputError(
                    f"{path}: damaged, {title} claims {by((height, width))} px and has {np.size(field['data'])}; copy "
                    "or save it again"
                )
            size = (float(field.yreal or 0) / height, float(field.xreal or 0) / width)
            known = all(one > 0 for one in size) and getattr(field.si_unit_xy, "unitstr", "") == "m"
            # Two images may have one title.
            name = str(title) if str(title) not in found else f"{title} {number}"
            um = (size[0] * _MICROMETRES, size[1] * _MICROMETRES) if known else None
            found[name] = (np.asarray(field.data), um)
    return found
