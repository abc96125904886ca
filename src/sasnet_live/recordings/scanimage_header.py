"""What ScanImage writes into its TIFF files, from 3.8 to today.

Settings are lines ``NAME = VALUE`` in MATLAB's notation: in the Software tag since 2016, in the description of each
frame before. Names changed over the years (``state.acq``, ``scanimage.SI4``, ``scanimage.SI5``, ``SI``); the present
ones are in https://docs.scanimage.org/Appendix/ScanImage+BigTiff+Specification.html.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sasnet_live.recordings.recording import ScanFacts

_LINE = re.compile(r"(?:scanimage\.)?((?:SI\d?|state)\.[\w.]+)[ \t]*=[ \t]*([^\r\n]*)")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|[Ii]nf)")
_FRAME_NUMBER = re.compile(r"(?:frameNumbers|Frame Number)\s*=\s*(\d+)")
_TRUE, _FALSE = ("1", "true"), ("0", "false")

MOST_STEPS = 100_000
"""Channels, depths or frames a depth beyond which a header is not believed."""


@dataclass(frozen=True)
class ScanImageHeader:
    """The settings of a file, and what they say of its frames.

    Frames lie channel by channel in a frame, then frame by frame at a depth, then depth by depth in a volume.

    Attributes
    ----------
    settings
        Text of each, by name without ``scanimage.``.
    channels
        Numbers of the channels that were saved, from 1.
    depths
        In a volume.
    flyback
        Frames after those of each volume in which the objective went back.
    frames_at_depth
        In a row, before the next depth; None if not known, as where it was to be stopped by hand.
    volumes
        That were asked for; None if not known.
    """

    settings: Mapping[str, str] = field(repr=False)
    channels: tuple[int, ...] = (1,)
    depths: int = 1
    flyback: int = 0
    frames_at_depth: int | None = None
    volumes: int | None = None

    @property
    def claimed(self) -> int | None:
        """Frames that were asked for, in all files of the recording."""
        if self.frames_at_depth is None or self.volumes is None:
            return None
        return len(self.channels) * self.frames_at_depth * (self.depths + self.flyback) * self.volumes

    def text(self, *names: str) -> str | None:
        """The first of some settings that is there."""
        return next((self.settings[name].strip() for name in names if name in self.settings), None)

    def flag(self, *names: str) -> bool | None:
        """The first of some settings, as true or false."""
        value = (self.text(*names) or "").strip("'; ").lower()
        return True if value in _TRUE else False if value in _FALSE else None

    def numbers(self, *names: str) -> list[float]:
        """All numbers in the first of some settings."""
        return [float(one) for one in _NUMBER.findall(self.text(*names) or "")]

    def number(self, *names: str) -> float | None:
        """A number that is finite, or None."""
        found = self.numbers(*names)
        return found[0] if len(found) == 1 and math.isfinite(found[0]) else None

    def positive(self, *names: str) -> float | None:
        """A number above 0, or None."""
        found = self.number(*names)
        return found if found is not None and found > 0 else None


def is_scanimage(software: str, description: str) -> bool:
    """Whether the tags of the first image are ScanImage's."""
    return software.startswith("SI.") or description.startswith("state.") or "scanimage.SI" in description


def frame_number(description: str) -> int | None:
    """Number of a frame in its run, from 1; None before ScanImage 4."""
    found = _FRAME_NUMBER.search(description)
    return int(found[1]) if found else None


def read_header(software: str, description: str) -> ScanImageHeader:
    """Read the settings from the tags of the first image of a file."""
    text = software if software.startswith("SI.") else description
    given = ScanImageHeader(dict(_LINE.findall(text)))
    fast = given.flag("SI.hFastZ.enable", "SI4.fastZEnable", "SI5.fastZEnable") or False
    mode = (given.text("SI.hStackManager.stackMode") or "").strip("'")
    if mode == "fast" and given.flag("SI.hStackManager.enable"):
        fast = True
    depths = _depths(given)
    volumes: int | None = 1
    if fast:
        found = given.numbers(
            "SI.hStackManager.actualNumVolumes", "SI.hFastZ.numVolumes", "SI.hStackManager.numVolumes",
            "SI4.fastZNumVolumes", "SI5.fastZNumVolumes",
        )  # fmt: skip
        volumes = _count(found)
    return ScanImageHeader(
        given.settings,
        _channels(given),
        depths,
        _flyback(given, depths) if fast and depths > 1 else 0,
        1 if fast and depths > 1 else _frames_at_depth(given, volumes if fast else None),
        None if fast and not volumes else volumes if fast and depths > 1 else 1,
    )


def scan_facts(header: ScanImageHeader) -> ScanFacts:
    """What the settings say of the scan."""
    two_ways = header.flag(
        "SI.hScan2D.bidirectional",
        "SI.hResScan.bidirectional",
        "SI.hLinScan.bidirectional",
        "state.acq.bidirectionalScan",
    )
    if two_ways is None:
        named = [name for name in header.settings if name.split(".")[-1].lower().startswith("bidirectional")]
        two_ways = header.flag(*named)
    old = header.positive("state.acq.msPerLine")
    return ScanFacts(
        bidirectional=two_ways,
        line_phase_s=header.number("SI.hScan2D.linePhase"),
        line_period_s=header.positive("SI.hRoiManager.linePeriod", "SI4.scanLinePeriod", "SI5.scanLinePeriod")
        or (old / 1e3 if old else None),
        line_axis="rows",
        microscope=_version(header),
    )


def pixel_size_um(header: ScanImageHeader, frame_shape: tuple[int, int]) -> tuple[float, float] | None:
    """(y, x), from the corners of the field of view."""
    corners = header.numbers("SI.hRoiManager.imagingFovUm")
    if len(corners) != 8 or not all(map(math.isfinite, corners)):
        return None
    xs, ys = corners[::2], corners[1::2]
    size = ((max(ys) - min(ys)) / frame_shape[0], (max(xs) - min(xs)) / frame_shape[1])
    return size if min(size) > 0 else None


def interval_s(header: ScanImageHeader) -> float | None:
    """From one frame of a depth to the next."""
    if header.depths > 1 and header.frames_at_depth == 1:
        rate = header.positive("SI.hRoiManager.scanVolumeRate")
        return 1 / rate if rate else None
    averaged = header.positive("SI.hScan2D.logAverageFactor", "state.acq.numAvgFramesSave") or 1.0
    period = header.positive("SI.hRoiManager.scanFramePeriod", "SI4.scanFramePeriod", "SI5.scanFramePeriod")
    rate = header.positive(
        "SI.hRoiManager.scanFrameRate", "SI4.scanFrameRate", "SI5.scanFrameRate", "state.acq.frameRate"
    )
    return averaged * period if period else averaged / rate if rate else None


def z_step_um(header: ScanImageHeader) -> float | None:
    """Between depths."""
    if header.depths == 1:
        return None
    step = header.number(
        "SI.hStackManager.actualStackZStepSize", "SI.hStackManager.stackZStepSize", "SI4.stackZStepSize",
        "SI5.stackZStepSize", "state.acq.zStepSize",
    )  # fmt: skip
    return abs(step) if step else None


def _version(header: ScanImageHeader) -> str:
    number = header.text("SI.VERSION_MAJOR", "SI4.versionMajor", "SI5.VERSION_MAJOR", "state.software.version")
    return f"ScanImage {number.strip(chr(39))}" if number else "ScanImage"


def _channels(header: ScanImageHeader) -> tuple[int, ...]:
    found = header.numbers("SI.hChannels.channelSave", "SI4.channelsSave", "SI5.channelsSave")
    if not found:  # before ScanImage 4, a switch for each
        saved = [n for n in range(1, 9) if header.flag(f"state.acq.savingChannel{n}")]
        found = [float(n) for n in saved]
    kept = tuple(int(one) for one in found if math.isfinite(one) and 0 < one <= MOST_STEPS)
    return kept or (1,)


def _depths(header: ScanImageHeader) -> int:
    if header.flag("SI.hStackManager.enable") is False and header.flag("SI.hFastZ.enable") is not True:
        return 1
    found = header.numbers(
        "SI.hStackManager.actualNumSlices", "SI.hStackManager.numSlices", "SI4.stackNumSlices", "SI5.stackNumSlices",
        "state.acq.numberOfZSlices",
    )  # fmt: skip
    return _count(found) or max(1, len(header.numbers("SI.hStackManager.zs")))


def _flyback(header: ScanImageHeader, depths: int) -> int:
    """Frames of a volume beyond its depths; `hFastZ.numFramesPerVolume` counts them."""
    for name in ("SI.hStackManager.numFramesPerVolumeWithFlyback", "SI.hFastZ.numFramesPerVolume"):
        whole = _count(header.numbers(name))
        if whole is not None and whole > depths:
            return whole - depths
    if header.flag("SI.hFastZ.discardFlybackFrames", "SI4.fastZDiscardFlybackFrames") is not True:
        return 0
    return _count(header.numbers("SI.hFastZ.numDiscardFlybackFrames", "SI4.fastZNumDiscardFrames")) or 0


def _frames_at_depth(header: ScanImageHeader, volumes: int | None) -> int | None:
    found = _count(
        header.numbers(
            "SI.hStackManager.framesPerSlice", "SI4.acqNumFrames", "SI5.acqNumFrames", "state.acq.numberOfFrames"
        )
    )
    averaged = _count(header.numbers("SI.hScan2D.logAverageFactor", "state.acq.numAvgFramesSave")) or 1
    return max(1, found // averaged) if found else volumes


def _count(found: list[float]) -> int | None:
    """A whole number of 1 or more; None where there is none, as for Inf."""
    if len(found) != 1 or not math.isfinite(found[0]) or not 1 <= found[0] <= 1e9:
        return None
    return int(found[0])
