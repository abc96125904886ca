"""What a PrairieView XML file says: cycles, frames, files, and the settings of the scan.

Settings stand in a shard at the root, and those that differ in one at a cycle or a frame. Until 4.3 they are
``<Key key="micronsPerPixel_XAxis" value="..."/>`` in each frame, since 5.0 ``<PVStateValue>`` with one for each axis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from sasnet_live.errors import InputError

from .recording import ScanFacts
from .safe_xml import read_xml

State = dict[str, str]


@dataclass(frozen=True)
class FrameFiles:
    """One frame.

    Attributes
    ----------
    files
        Name of the file and number of the image in it, from 0, by channel.
    names
        Of the channels.
    z_um, time_s
        Where and when; None if not known.
    """

    files: Mapping[int, tuple[str, int]]
    names: Mapping[int, str]
    z_um: float | None
    time_s: float | None


@dataclass(frozen=True)
class Cycle:
    """One sequence: a time series, a volume, or a single frame."""

    number: int
    bidirectional_z: bool
    frames: tuple[FrameFiles, ...]


@dataclass(frozen=True)
class Series:
    """All of a file.

    Attributes
    ----------
    cycles
        At least one with at least one frame.
    is_z
        Whether the frames of a cycle are depths.
    positions
        Of the stage in a grid, one a cycle; 1 without.
    mode
        How it was scanned: "Galvo", "ResonantGalvo".
    scan
        What is said of the scan.
    known
        Calibration, by the names of `sasnet_live.layout.Layout`.
    """

    cycles: tuple[Cycle, ...]
    is_z: bool
    positions: int
    mode: str
    scan: ScanFacts
    known: Mapping[str, Any]


def read_series(path: Path) -> Series:
    """Read an XML file.

    Raises
    ------
    InputError
        Damaged XML, one of something else, one without frames, a line or point scan.
    """
    root = read_xml(path)
    if root.tag != "PVScan":
        raise InputError(
            f"{path}: describes {str(root.tag)[:40]}; expected PVScan, as PrairieView writes beside its images, or "
            "ThorImage's Experiment.xml"
        )
    base = _state(root, {})
    sequences = root.findall("Sequence")
    kinds = [one.get("type", "") for one in sequences]
    for kind in kinds:
        if "line" in kind.lower() or "point" in kind.lower():
            raise InputError(f"{path}: is a {kind}; expected frames: a time series, z series or single image")
    cycles = [_cycle(path, one, base) for one in sequences]
    kept = [(cycle, "ZSeries" in kind) for cycle, kind in zip(cycles, kinds, strict=True) if cycle.frames]
    if not kept:
        raise InputError(f"{path}: names no frames; was the scan stopped before the first?")
    if len({is_z for _, is_z in kept}) > 1:
        raise InputError(
            f"{path}: mixes time series and z series; expected one kind: read its TIFF files with --series apart"
        )
    settings = _of_first_frame(sequences, base)
    whole = tuple(cycle for cycle, _ in kept)
    return Series(
        whole,
        kept[0][1],
        _positions(sequences),
        _mode(settings),
        _facts(root, settings),
        _known(whole, kept[0][1], settings),
    )


def _cycle(path: Path, sequence: ElementTree.Element, base: State) -> Cycle:
    state = _state(sequence, base)
    return Cycle(
        int(_number(sequence.get("cycle")) or 0),
        sequence.get("bidirectionalZ", "").lower() == "true",
        tuple(_frame(path, one, state) for one in sequence.findall("Frame")),
    )


def _frame(path: Path, frame: ElementTree.Element, base: State) -> FrameFiles:
    state = _state(frame, base)
    files: dict[int, tuple[str, int]] = {}
    names: dict[int, str] = {}
    for one in frame.findall("File"):
        name, channel = one.get("filename", ""), _number(one.get("channel"))
        if not name or Path(name).name != name or "\\" in name or channel is None:
            raise InputError(f"{path}: damaged XML, it names the file {name!r} of channel {one.get('channel')}")
        files[int(channel)] = (name, max(0, int(_number(one.get("page")) or 1) - 1))
        names[int(channel)] = one.get("channelName", f"Ch{int(channel)}")
    device = int(_number(state.get("zDevice")) or 0)
    z = (f"positionCurrent_ZAxis_{device}", "positionCurrent_ZAxis", "positionCurrent_ZAxis_0")
    return FrameFiles(
        files,
        names,
        next((_number(state[name]) for name in z if name in state), None),
        _number(frame.get("absoluteTime")),
    )


def _state(element: ElementTree.Element, base: State) -> State:
    """The settings at an element, in addition to those above it."""
    shard = element.find("PVStateShard")
    if shard is None or not len(shard):
        return base
    found = dict(base)
    for one in shard:
        key = one.get("key", "")
        if one.get("value") is not None:
            value = one.get("value", "")
            # Until 4.3, choices are numbers with their names beside them.
            found[key] = one.get("description", value) if one.tag == "Key" else value
        for indexed in one:
            name = f"{key}_{indexed.get('index', '')}"
            if indexed.get("value") is not None:
                found[name] = indexed.get("value", "")
            for below in indexed:
                found[f"{name}_{below.get('subindex', '')}"] = below.get("value", "")
    return found


def _of_first_frame(sequences: list[ElementTree.Element], base: State) -> State:
    for sequence in sequences:
        frame = sequence.find("Frame")
        if frame is not None:
            return _state(frame, _state(sequence, base))
    return base


def _mode(settings: State) -> str:
    return settings.get("activeMode", "")


def _facts(root: ElementTree.Element, settings: State) -> ScanFacts:
    mode = _mode(settings)
    said = [value.lower() for key, value in settings.items() if key.lower().startswith("bidirectional")]
    two_ways = True if "true" in said or "resonant" in mode.lower() else False if "false" in said else None
    return ScanFacts(
        bidirectional=two_ways,
        line_axis="rows",
        line_period_s=_positive(settings.get("scanLinePeriod", settings.get("scanlinePeriod"))),
        microscope=" ".join(filter(None, ["PrairieView", root.get("version", "")[:40], mode[:40]])),
    )


def _known(cycles: tuple[Cycle, ...], is_z: bool, settings: State) -> dict[str, Any]:
    x, y = (_positive(settings.get(f"micronsPerPixel_{axis}Axis")) for axis in "XY")
    interval = _spacing([cycle.frames[0].time_s for cycle in cycles] if is_z else [f.time_s for f in cycles[0].frames])
    if interval is None and not is_z:
        rasters = _positive(settings.get("rastersPerFrame")) or 1.0
        period = _positive(settings.get("framePeriod"))
        interval = period * rasters if period else None
    step = _spacing([frame.z_um for frame in cycles[0].frames]) if is_z else None
    return {
        "pixel_size_um": (y or x, x or y) if x or y else None,
        "z_step_um": step or (_positive(settings.get("micronsPerPixel_ZAxis")) if is_z else None),
        "interval_s": interval,
    }


def _spacing(values: list[float | None]) -> float | None:
    """Median distance of neighbours; None where values are missing or do not differ."""
    known = [value for value in values if value is not None]
    if len(known) != len(values) or len(known) < 2:
        return None
    spacing = float(np.median(np.abs(np.diff(known))))
    return spacing if math.isfinite(spacing) and spacing > 0 else None


def _positions(sequences: list[ElementTree.Element]) -> int:
    first = sequences[0]
    if first.get("xYStageGridDefined", "").lower() != "true":
        return 1
    sides = [_number(first.get(f"xYStageGridNum{axis}Positions")) for axis in "XY"]
    return int(math.prod(side or 1 for side in sides))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) < 1e12 else None


def _positive(text: str | None) -> float | None:
    number = _number(text)
    return number if number is not None and number > 0 else None
