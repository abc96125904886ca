"""Reading what ThorImage records: Experiment.xml, and frames in ``Image_0001_0001.raw`` or in TIFF files of one each.

The XML is described nowhere; what its numbers mean is taken from the program's own sources
(https://github.com/cajigaslab/thorimagels_dev_vs2019): scanMode 0 scans two ways, 1 forward, 2 backward; averageMode 1
writes the mean of averageNum frames; TIFF files are named CHANNEL_WELL_TILE_DEPTH_TIME.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from sasnet_live.errors import InputError

from .raw_frames import RawFrames
from .recording import Recording, ScanFacts
from .safe_xml import read_xml
from .settings import ReadSettings
from .spread import Grid, Members, Places, SpreadRecording, whole_times
from .tiff_claims import MOST_FRAMES

_RAW = re.compile(r"Image_\d+_\d+\.raw", re.IGNORECASE)
_TIFF = re.compile(r"(.+?)_(\d{3,})_(\d{3,})_(\d{3,})_(\d{3,})\.tiff?", re.IGNORECASE)
_PREVIEW = re.compile(r".+_Preview\.tiff?", re.IGNORECASE)
_DETECTORS = (4, 3, 2)
"""Channels that a raw file may hold where it holds more than those that were switched on."""

LONGEST_SIDE_PX = 65536
"""Of a frame; ThorImage has 4096."""


@dataclass(frozen=True)
class Experiment:
    """What Experiment.xml says.

    Attributes
    ----------
    frame_shape
        (H, W).
    channels
        Names of those that were recorded.
    numbers
        Of these among all detectors, from 0.
    times, depths, flyback
        Times are frames of one depth, or volumes; flyback counts frames after each volume.
    whole
        Whether the program says that it came to its end.
    scan, known
        Of the scan, and calibration by the names of `sasnet_live.layout.Layout`.
    """

    frame_shape: tuple[int, int]
    channels: tuple[str, ...]
    numbers: tuple[int, ...]
    times: int
    depths: int
    flyback: int
    whole: bool
    scan: ScanFacts
    known: dict[str, Any]


class ThorImageRecording(SpreadRecording):
    """Frames of ThorImage, see `open_thorimage`."""

    format_name = "ThorImage"


def open_thorimage(paths: Sequence[Path], settings: ReadSettings) -> Recording:
    """Open an experiment by its XML; for `sasnet_live.recordings.open_recording`.

    Axes are time, depth and channel; of raw files of several regions also position. Frames of flyback are left out.

    Raises
    ------
    InputError
        Damaged XML, no frames beside it, files that are truncated, missing or of another shape.
    """
    path = Path(paths[0])
    experiment = read_experiment(path)
    raw = _named(path, _RAW)
    if raw:
        return _open_raw(path, raw, experiment, settings)
    return _open_tiff(path, _named(path, _TIFF), experiment, settings)


def thorimage_members(path: Path) -> list[Path]:
    """Files with frames of an experiment, and its preview where there are such."""
    frames = _named(path, _RAW) or _named(path, _TIFF)
    return [*frames, *_named(path, _PREVIEW)] if frames else []


def read_experiment(path: Path) -> Experiment:
    """Read Experiment.xml; see `open_thorimage`."""
    root = read_xml(path)
    lsm = root.find("LSM")
    if root.tag != "ThorImageExperiment" or lsm is None:
        raise InputError(
            f"{path}: describes no laser scan; expected ThorImageExperiment with LSM, as ThorImage writes it"
        )
    shape = (_whole(path, lsm, "pixelY"), _whole(path, lsm, "pixelX"))
    if max(shape) > LONGEST_SIDE_PX:
        raise InputError(f"{path}: damaged XML, it says that frames are {shape[0]}x{shape[1]} px; copy it again")
    names = tuple(one.get("name", "") for one in root.iterfind("Wavelengths/Wavelength"))
    letters = [name[-1:].upper() for name in names]
    numbers = tuple("ABCD".find(letter) if letter and letter in "ABCD" else n for n, letter in enumerate(letters))
    stage, streaming = _element(root, "ZStage"), _element(root, "Streaming")
    streams = _integer(_element(root, "CaptureMode"), "mode", 0) == 1
    depths = max(1, _integer(stage, "steps", 1)) if _integer(stage, "enable", 1) else 1
    flyback = 0
    if streams:
        frames = max(1, _integer(streaming, "frames", 1))
        if not _integer(streaming, "zFastEnable", 0):
            depths = 1
        flyback = max(0, _integer(streaming, "flybackFrames", 0)) if depths > 1 else 0
        times = max(1, frames // (depths + flyback))
    else:
        times = max(1, _integer(_element(root, "Timelapse"), "timepoints", 1))
    if times * (depths + flyback) * max(1, len(names)) > MOST_FRAMES:
        raise InputError(
            f"{path}: damaged XML, it claims {times} times of {depths} depths and {flyback} of flyback; copy it again"
        )
    status = _element(root, "ExperimentStatus").get("value", "Complete")
    return Experiment(
        shape, names or ("ChanA",), numbers or (0,), times, depths, flyback, status == "Complete",
        _facts(root, lsm), _known(root, lsm, streams, depths, depths + flyback),
    )  # fmt: skip


def _open_raw(path: Path, files: list[Path], experiment: Experiment, settings: ReadSettings) -> Recording:
    members = RawFrames(files, experiment.frame_shape, np.dtype("<u2"), allow_missing=settings.allow_missing)
    counts = [layout.frames or 0 for layout in members.layouts]
    if len(set(counts)) > 1:
        raise InputError(f"{path}: its raw files have different lengths ({', '.join(map(str, counts))} frames)")
    in_volume = experiment.depths + experiment.flyback
    channels = len(experiment.channels)
    stored = _stored_channels(path, counts[0], experiment)
    picked = list(range(channels)) if stored == channels else list(experiment.numbers)
    volumes = counts[0] // (in_volume * stored)
    times = max(experiment.times, volumes)
    remarks = []
    if not experiment.whole and volumes < experiment.times:
        remarks.append(f"{path}: was stopped after {volumes} of {experiment.times} times")
        times = volumes
    if not times:
        raise InputError(
            f"{path}: holds {counts[0]} frames, less than one volume of {in_volume * stored}; copy it again"
        )
    places = np.arange(times * in_volume * stored).reshape(times, in_volume, stored)[:, : experiment.depths, picked]
    grid = np.stack([np.stack(np.broadcast_arrays(file, places), -1) for file in range(len(files))]).astype(np.int64)
    grid, cut = whole_times(path, "ThorImage recording", grid, counts, settings)
    if experiment.flyback:
        remarks.append(
            f"{path}: {experiment.flyback} frames of flyback after each volume of {experiment.depths} are left out"
        )
    return _recording(path, members, grid, experiment, settings, [*remarks, *cut])


def _stored_channels(path: Path, frames: int, experiment: Experiment) -> int:
    """Channels in a raw file: those that were switched on, or all detectors, as its size tells."""
    switched_on = len(experiment.channels)
    needed = experiment.times * (experiment.depths + experiment.flyback)
    more = [count for count in _DETECTORS if count > max(experiment.numbers) and count > switched_on > 1]
    return next((count for count in (switched_on, *more) if frames == needed * count), switched_on)


def _open_tiff(path: Path, files: list[Path], experiment: Experiment, settings: ReadSettings) -> Recording:
    found = {}
    for file in files:
        match = _TIFF.fullmatch(file.name)
        if match is not None and match[1] in experiment.channels:
            numbers = [int(one) for one in match.groups()[1:]]
            found[(tuple(numbers[:2]), numbers[3], numbers[2], experiment.channels.index(match[1]))] = file
    if not found:
        raise InputError(
            f"{path}: has no frames beside it; expected Image_0001_0001.raw, or {experiment.channels[0]}"
            "_001_001_001_001.tif and so on: keep them in one folder"
        )
    tiles = sorted({place[0] for place in found})
    times = experiment.times if experiment.whole else min(experiment.times, max(place[1] for place in found))
    sizes = (len(tiles), max(times, 1), experiment.depths, len(experiment.channels))
    if len(tiles) * times * experiment.depths * len(experiment.channels) > MOST_FRAMES:
        raise InputError(f"{path}: damaged XML, it claims {times} times in {len(tiles)} regions; copy it again")
    ordered = list(found.values())
    number = {file: n for n, file in enumerate(ordered)}
    grid: Places = np.full((*sizes, 2), (-1, 0), np.int64)
    for (tile, t, z, c), file in found.items():
        if 1 <= t <= sizes[1] and 1 <= z <= sizes[2]:
            grid[tiles.index(tile), t - 1, z - 1, c, 0] = number[file]
    members = Members(ordered, settings)
    try:
        shape = members.layouts[0].frame_shape
        if shape != experiment.frame_shape:
            raise InputError(
                f"{ordered[0]}: has frames of {shape[0]}x{shape[1]}, {path.name} says "
                f"{experiment.frame_shape[0]}x{experiment.frame_shape[1]}; are they of one experiment?"
            )
        if set(members.counts) - {0, 1}:
            raise InputError(
                f"{path}: its TIFF files hold several images; expected one in each: read them by themselves"
            )
        grid, cut = whole_times(path, "ThorImage recording", grid, members.counts, settings)
        return _recording(path, members, grid, experiment, settings, [*members.remarks, *cut])
    except BaseException:
        members.close()
        raise


def _recording(
    path: Path, members: Any, grid: Places, experiment: Experiment, settings: ReadSettings, remarks: list[str]
) -> Recording:
    names = experiment.channels if len(experiment.channels) > 1 else ()
    spread = Grid(("p", "t", "z", "c"), grid, {**experiment.known, "channel_names": names})
    return ThorImageRecording(path, members, spread, settings, experiment.scan, remarks)


def _facts(root: ElementTree.Element, lsm: ElementTree.Element) -> ScanFacts:
    version = _element(root, "Software").get("version", "")[:40]
    return ScanFacts(
        bidirectional={0: True, 1: False, 2: False}.get(_integer(lsm, "scanMode", -1)),
        line_axis="rows",
        microscope=" ".join(filter(None, ["ThorImage", version, lsm.get("name", "")[:40]])),
    )


def _known(
    root: ElementTree.Element, lsm: ElementTree.Element, streams: bool, depths: int, in_volume: int
) -> dict[str, Any]:
    px, rate = _real(lsm, "pixelSizeUM"), _real(lsm, "frameRate")
    averaged = max(1, _integer(lsm, "averageNum", 1)) if _integer(lsm, "averageMode", 0) == 1 else 1
    interval = _real(_element(root, "Timelapse"), "intervalSec")
    if (streams or depths == 1) and not (interval and not streams):
        interval = averaged * (in_volume if streams else 1) / rate if rate else None
    return {
        "pixel_size_um": (px, px) if px else None,
        "z_step_um": _real(_element(root, "ZStage"), "stepSizeUM") if depths > 1 else None,
        "interval_s": interval,
    }


def _named(path: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Files beside the XML with names of a pattern, in order."""
    return sorted(one for one in path.parent.iterdir() if pattern.fullmatch(one.name) and one.is_file())


def _element(root: ElementTree.Element, name: str) -> ElementTree.Element:
    found = root.find(name)
    return ElementTree.Element(name) if found is None else found


def _whole(path: Path, element: ElementTree.Element, name: str) -> int:
    number = _integer(element, name, 0)
    if number < 1:
        raise InputError(f"{path}: damaged XML, its {name} is {element.get(name)}; expected a number of px")
    return number


def _integer(element: ElementTree.Element, name: str, default: int) -> int:
    try:
        number = int(element.get(name, default))
    except ValueError:
        return default
    return number if abs(number) < 10**9 else default


def _real(element: ElementTree.Element, name: str) -> float | None:
    try:
        number = float(element.get(name, ""))
    except ValueError:
        return None
    return number if 0 < number < 1e12 else None
