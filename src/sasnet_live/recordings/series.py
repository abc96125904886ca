"""Recordings of which each frame, or each piece, is a TIFF file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError

from .names import Counted, counted, pattern_of
from .recording import ScanFacts
from .settings import ReadSettings
from .spread import Grid, Members, Places, SpreadRecording, in_a_row, whole_times
from .tiff_peek import peek

_ORDER = ("p", "t", "z", "c")
_SHOWN = 5
"""Missing numbers that are named one by one."""


def open_series(paths: Sequence[Path], settings: ReadSettings) -> SpreadRecording:
    """Open files of one recording: of one frame each along the axes that their names count, else one after another.

    Raises
    ------
    InputError
        For a file that cannot be read, differs from the first, or has other axes than time.
    """
    first = peek(paths[0])
    single = first is not None and first.images == 1
    found = counted(paths) if single and len({pattern_of(path) for path in paths}) == 1 else None
    files = list(paths) if found is None else list(found.files)
    members = Members(files, settings, plain=single)
    try:
        grid, remarks = _frames(members, found, settings)
    except BaseException:
        members.close()
        raise
    return SpreadRecording(Path(files[0]), members, grid, settings, ScanFacts(), [*members.remarks, *remarks])


def _frames(members: Members, found: Counted | None, settings: ReadSettings) -> tuple[Grid, list[str]]:
    first = members.files[0]
    known = _known(members)
    count = len(members.files)
    if found is None:
        axes, places = _one_after_another(members)
        said = f"{first}: and {count - 1} more files are read as one recording"
        return Grid(axes, places, known), [f"{said}; --series apart reads each by itself"]
    if set(members.counts) - {0, 1}:
        wrong = next(n for n, frames in enumerate(members.counts) if frames > 1)
        raise InputError(
            f"{members.files[wrong]}: holds {members.counts[wrong]} frames, {first.name} one; expected one in each "
            "file of a series: take it out, or read each by itself with --series apart"
        )
    sizes = [dict(zip(found.axes, found.sizes, strict=True)).get(axis, 1) for axis in _ORDER]
    places = np.stack([np.arange(count), np.zeros(count, int)], axis=-1).astype(np.int64).reshape(*sizes, 2)
    places, cut = whole_times(first, "series", places, members.counts, settings)
    grid = Grid(_ORDER, places, known)
    words = ", ".join(f"{size} {axis.upper()}" for axis, size in zip(found.axes, found.sizes, strict=True))
    remarks = [
        f"{first}: and {count - 1} more files whose names count up are read as one recording ({words}); --series apart "
        "reads each by itself"
    ]
    return grid, [*remarks, *said_of_gaps(first, found), *cut]


def said_of_gaps(path: Path, found: Counted | None) -> list[str]:
    """What to say of numbers that are missing in the names of a series; nothing if none is."""
    if found is None or not found.gaps:
        return []
    shown = ", ".join(map(str, found.gaps[:_SHOWN])) + (" and more" if len(found.gaps) > _SHOWN else "")
    return [f"{path}: of the numbers in the names of its series {shown} are missing"]


def _one_after_another(members: Members) -> tuple[tuple[str, ...], Places]:
    """Files of one kind of axes, joined along time; up to the first that is not whole."""
    places = in_a_row(members)
    layouts = members.layouts[: None if members.damaged is None else members.damaged + 1]
    axes = layouts[0].axes
    rest = [tuple(layout.size(axis) for axis in axes if axis != "t") for layout in layouts]
    if any(layout.axes != axes for layout in layouts) or len(set(rest)) > 1:
        listed = ", ".join(
            f"{layout.source} {layout.letters or 'single'} {layout.shape}" for layout in layouts[:_SHOWN]
        )
        raise InputError(
            f"{members.files[0]}: its files have different axes ({listed}); expected the same but for time: "
            "read each by itself with --series apart"
        )
    pieces, start = [], 0
    for layout, count in zip(layouts, members.counts, strict=False):
        if not count:
            break
        piece = places[start : start + count].reshape(*(size or 1 for size in layout.sizes), 2)
        start += count
        pieces.append(np.moveaxis(piece, axes.index("t"), 0) if "t" in axes else piece[None])
    return ("t", *(axis for axis in axes if axis != "t")), np.concatenate(pieces)


def _known(members: Members) -> dict[str, Any]:
    """What the first file says of all of them."""
    first = members.layouts[0]
    return {
        "pixel_size_um": first.pixel_size_um,
        "z_step_um": first.z_step_um,
        "interval_s": first.interval_s,
        "channel_names": first.channel_names,
    }
