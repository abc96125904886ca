"""What a run says of itself: where it is, and what came of each file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sasnet_live.frame import Registration

AVERAGED = ("ncc_before", "ncc_after", "ssim_before", "ssim_after")
"""Figures whose means are reported."""


@dataclass(frozen=True)
class Progress:
    """Where a run is: scans of the current file registered so far, of how many, and the last one."""

    path: Path
    file: int
    files: int
    done: int
    total: int
    registration: Registration | None = None


@dataclass(frozen=True)
class FileReport:
    """What came of one file.

    Attributes
    ----------
    path, outputs
        The input, and the complete files written.
    frames, accepted
        Scans in the output and how many of them were registered; a scan is one frame of each channel.
    ncc_before, ncc_after, ssim_before, ssim_after
        Means over all scans where the figure is defined, else NaN.
    resumed_at
        Number of scans that an earlier run had done.
    seconds, fps
        Time of this run, and scans registered in it a second.
    remarks
        What a user should know of the input, one line each, see `sasnet_live.recordings.Recording`.
    error
        One line; empty if the file is done. `exception` has the details.
    """

    path: Path
    outputs: tuple[Path, ...] = ()
    frames: int = 0
    accepted: int = 0
    ncc_before: float = math.nan
    ncc_after: float = math.nan
    ssim_before: float = math.nan
    ssim_after: float = math.nan
    resumed_at: int = 0
    seconds: float = 0.0
    fps: float = math.nan
    remarks: tuple[str, ...] = ()
    error: str = ""
    exception: Exception | None = None


@dataclass(frozen=True)
class ReprocessReport:
    """What came of all files.

    Attributes
    ----------
    files
        In order.
    metrics
        The table of all files, if one was asked for.
    cancelled
        Whether the run was ended before it was done.
    left_out
        Inputs that came out of this program registered, and were not registered again.
    """

    files: tuple[FileReport, ...]
    metrics: Path | None = None
    cancelled: bool = False
    left_out: tuple[Path, ...] = ()

    @property
    def left_out_in_words(self) -> str:
        """One line; empty if nothing was left out."""
        if not self.left_out:
            return ""
        more = f" and {len(self.left_out) - 1} more" if len(self.left_out) > 1 else ""
        return f"{self.left_out[0]}{more}: registered by this program already; left out"

    @property
    def failed(self) -> tuple[FileReport, ...]:
        """The files that are not done."""
        return tuple(file for file in self.files if file.error)


class Tally:
    """Sums over the scans of a file; the figures themselves go to disk."""

    def __init__(self) -> None:
        self.frames = self.accepted = 0
        self._sums = dict.fromkeys(AVERAGED, 0.0)
        self._counts = dict.fromkeys(AVERAGED, 0)

    def add(self, figures: Mapping[str, Any]) -> None:
        """Count one scan; figures that are not defined do not count."""
        self.frames += 1
        self.accepted += bool(figures.get("accepted"))
        for name in AVERAGED:
            value = figures.get(name)
            if value is not None and math.isfinite(value):
                self._sums[name] += value
                self._counts[name] += 1

    def mean(self, name: str) -> float:
        """Mean over the scans where the figure is defined, NaN if there are none."""
        return self._sums[name] / self._counts[name] if self._counts[name] else math.nan
