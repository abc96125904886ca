"""Reading what Bruker's PrairieView records: an XML file and TIFF files of one frame each, from 4.3 to 5.8."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError

from .prairieview_xml import Cycle, Series, read_series
from .recording import Recording
from .settings import ReadSettings
from .spread import Grid, Members, Places, SpreadRecording, whole_times

_SHOWN = 3
"""Missing files that are named one by one."""


class PrairieViewRecording(SpreadRecording):
    """Frames of PrairieView, see `open_prairieview`."""

    format_name = "PrairieView"


def open_prairieview(paths: Sequence[Path], settings: ReadSettings) -> Recording:
    """Open a series by its XML; for `sasnet_live.recordings.open_recording`.

    Frames of a time series are times, over all its cycles; those of a z series are depths, and its cycles are times.
    Where the depths of every second cycle were scanned backwards, they are put in the order of the others.

    Raises
    ------
    InputError
        Damaged XML, a line or point scan, files that are missing (they are named) or differ.
    """
    path = Path(paths[0])
    series = read_series(path)
    remarks: list[str] = []
    cycles = _whole_cycles(path, series, remarks)
    channels = _channels(path, cycles)
    files, grid = _grid(series, cycles, channels)
    _refuse_missing(path, files, settings)
    there = [name for name in files if (path.parent / name).is_file()]
    places = {name: number for number, name in enumerate(there)}
    number = np.array([places.get(name, -1) for name in files])
    grid[..., 0] = number[grid[..., 0]]
    if not there:
        raise InputError(f"{path}: none of its {len(files)} files is beside it; keep them in one folder")
    members = Members([path.parent / name for name in there], settings)
    try:
        grid, cut = whole_times(path, "PrairieView series", grid, members.counts, settings)
        if series.mode.lower() == "galvo" and series.scan.bidirectional is None:
            remarks.append(
                f"{path}: scanned with galvanometers; PrairieView does not write whether lines went both ways. If they "
                "did not, there is nothing to register"
            )
        known = {**series.known, "channel_names": tuple(channels.values()) if len(channels) > 1 else ()}
        spread = Grid(("p", "t", "z", "c"), grid, known)
        said = [*members.remarks, *remarks, *cut]
        return PrairieViewRecording(path, members, spread, settings, series.scan, said)
    except BaseException:
        members.close()
        raise


def prairieview_members(path: Path) -> list[Path]:
    """Files that a series names, those that are there."""
    names = {name for cycle in read_series(path).cycles for one in cycle.frames for name, _ in one.files.values()}
    return [path.parent / name for name in sorted(names) if (path.parent / name).is_file()]


def _whole_cycles(path: Path, series: Series, remarks: list[str]) -> list[Cycle]:
    """The cycles to read: of a z series, those of one length."""
    cycles = list(series.cycles)
    lengths = [len(cycle.frames) for cycle in cycles]
    if series.is_z and len(cycles) > 1 and lengths[-1] < lengths[0]:
        remarks.append(f"{path}: its last z series has {lengths[-1]} of {lengths[0]} depths and is left out")
        cycles, lengths = cycles[:-1], lengths[:-1]
    if series.is_z and len(set(lengths)) > 1:
        raise InputError(
            f"{path}: its z series have different numbers of depths ({', '.join(map(str, sorted(set(lengths))))}); "
            "expected one: read its TIFF files with --series join, or apart"
        )
    return cycles


def _channels(path: Path, cycles: Sequence[Cycle]) -> dict[int, str]:
    """Names of the channels by number, which every frame must have."""
    frames = [one for cycle in cycles for one in cycle.frames]
    sets = {tuple(sorted(one.files)) for one in frames}
    if len(sets) != 1 or () in sets:
        listed = ", ".join(" and ".join(map(str, one)) or "none" for one in sorted(sets)[:_SHOWN])
        raise InputError(f"{path}: its frames have different channels ({listed}); expected the same in all")
    return {channel: frames[0].names[channel] for channel in sorted(frames[0].files)}


def _grid(series: Series, cycles: Sequence[Cycle], channels: Collection[int]) -> tuple[list[str], Places]:
    """Names of the files, and (P, T, Z, C, 2) with their numbers and the images in them."""
    rows: list[Any] = []
    order: dict[str, int] = {}
    for cycle in cycles:
        frames = cycle.frames
        if series.is_z and _goes_back(cycle, cycles[0]):
            frames = frames[::-1]
        rows.append(
            [[(order.setdefault(one.files[c][0], len(order)), one.files[c][1]) for c in channels] for one in frames]
        )
    if series.is_z:
        grid = np.array(rows, np.int64)[None]  # cycles are times
        if series.positions == len(cycles) > 1:
            grid = grid.swapaxes(0, 1)
    elif series.positions == len(cycles) > 1 and len({len(one) for one in rows}) == 1:
        grid = np.array(rows, np.int64)[:, :, None]
    else:
        grid = np.array([frame for row in rows for frame in row], np.int64)[None, :, None]
    return list(order), grid


def _goes_back(cycle: Cycle, first: Cycle) -> bool:
    """Whether the depths of a cycle were scanned the other way than those of the first."""
    ways = []
    for one in (first, cycle):
        depths = [frame.z_um for frame in one.frames]
        ends = (depths[0], depths[-1]) if depths else (None, None)
        ways.append(None if ends[0] is None or ends[1] is None else np.sign(ends[1] - ends[0]))
    if ways[0] and ways[1]:
        return bool(ways[0] != ways[1])
    # Without positions, what the settings say: every second one.
    return cycle.bidirectional_z and cycle.number % 2 != first.number % 2


def _refuse_missing(path: Path, files: Sequence[str], settings: ReadSettings) -> None:
    missing = [name for name in files if not (path.parent / name).is_file()]
    if not missing or settings.allow_missing:
        return
    shown = ", ".join(missing[:_SHOWN]) + (" and more" if len(missing) > _SHOWN else "")
    raw = any("RAWDATA" in one.name.upper() for one in path.parent.iterdir())
    remedy = (
        "convert the raw data beside it with PrairieView's Image-Block Ripping Utility first"
        if raw
        else "copy them there, or add --allow-missing to use the times before the first of them"
    )
    raise InputError(f"{path}: {len(missing)} of its {len(files)} files are not beside it ({shown}); {remedy}")
