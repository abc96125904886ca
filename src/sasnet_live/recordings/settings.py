"""How recordings are read, where their files do not say it themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sasnet_live.parameters import check_values, parameter

LARGEST_MIB = 256.0
"""MiB that one frame may take, unless the user allows more: 11,000 x 11,000 px of 16 bits. Registering it takes some
ten times as much, and a small file may claim to unpack to far more."""

FEWEST_IN_SERIES = 8
"""Files of one frame each, of names that count up, from which on they are taken for one recording: fewer may well be
single pictures, and as many in a row are a scan over time."""

SeriesKind = Literal["auto", "join", "apart"]


@dataclass(frozen=True)
class ReadSettings:
    """How recordings are read.

    Attributes
    ----------
    axes
        What the axes before (y, x) really are, slowest first, such as "TYX", where a file says something else. Letters
        of `sasnet_live.layout.STACK_AXES`, in either case.
    allow_missing
        Take a truncated file, or one of an acquisition that was aborted, up to the last whole step of its first axis.
    largest_mib
        Memory that one frame may take, MiB, however small it is packed in the file.
    series
        Which files are one recording. "auto": those that say so themselves, and `FEWEST_IN_SERIES` or more of one frame
        each whose names count up; "join": all that lie in one folder; "apart": each is a recording of its own.
    """

    axes: str | None = parameter(None, "What the axes are, where a file has them wrong: T, Z, C, P.")
    allow_missing: bool = parameter(False, "Register what is whole of a truncated file.")
    largest_mib: float = parameter(
        LARGEST_MIB, "Memory that a frame may take unpacked, however small its file.", unit="MiB", at_least=1
    )
    series: SeriesKind = parameter("auto", "Which files are one recording: found out, all of a folder, or each.")

    def __post_init__(self) -> None:
        check_values(self)
