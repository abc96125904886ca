"""What a recording on disk is, whatever its format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels
from sasnet_live.geometry import LineAxis
from sasnet_live.layout import Layout


@dataclass(frozen=True)
class ScanFacts:
    """What a file says of the scan that it comes from; None where it does not say.

    Attributes
    ----------
    bidirectional
        Whether lines were recorded both ways.
    line_phase_s
        What the program that recorded it had set to align the two passes, s of its own sign convention; 0 if nothing.
    line_axis
        Whether scan lines are rows or columns of a frame.
    line_period_s
        Time from the start of one line to the start of the next, s.
    microscope
        Program or instrument that recorded it, for people.
    """

    bidirectional: bool | None = None
    line_phase_s: float | None = None
    line_axis: LineAxis | None = None
    line_period_s: float | None = None
    microscope: str = ""

    def in_words(self) -> dict[str, str]:
        """What is known, for people and for the record of an output, by name."""
        known = {
            "bidirectional": None if self.bidirectional is None else "yes" if self.bidirectional else "no",
            "line_phase_s": None if self.line_phase_s is None else f"{self.line_phase_s:g}",
            "line_axis": self.line_axis,
            "line_period_s": None if self.line_period_s is None else f"{self.line_period_s:g}",
            "microscope": self.microscope or None,
        }
        return {name: value for name, value in known.items() if value is not None}


class Recording(ABC):
    """Frames of one shape and data type on disk, read one at a time.

    What a reader of a format owes: whatever is wrong with a file is found when it is opened, and is an `InputError` of
    one line that names the file, says what is wrong and what to do. Sizes that a file claims are checked against the
    file before room is made for them. No frame is kept in memory. To close twice is no error.

    Attributes
    ----------
    format_name
        Of the format, for people: "TIFF".
    path
        The file, or the first of several.
    layout
        Axes, sizes, data type and calibration; of the file's name as source.
    remarks
        What a user should know of a recording that can be read, one line each: what is left out of it.
    scan
        What the file says of the scan.
    reads_rows
        Whether `read_rows` reads less than a whole frame.
    """

    format_name: str
    path: Path
    layout: Layout
    remarks: tuple[str, ...] = ()
    scan: ScanFacts = ScanFacts()
    reads_rows: bool = False

    @abstractmethod
    def read(self, index: Mapping[str, int] | None = None) -> Pixels:
        """Read one frame.

        Parameters
        ----------
        index
            Position along the axes of `layout`, for example ``{"t": 3, "c": 0}``; an axis left out counts as 0.

        Returns
        -------
        (H, W) in the file's data type and this machine's byte order; a new array.

        Raises
        ------
        InputError
            For an axis that is none, or a frame that cannot be read.
        """

    def read_rows(self, index: Mapping[str, int] | None, start: int, end: int) -> Pixels:
        """Read some rows of a frame, (end - start, W), as `read`; `reads_rows` says whether that is less to read.

        A reader that can do so overrides both: volumes of A-lines are read so, see `sasnet_live.recordings.volumes`.
        """
        return self.read(index)[start:end]

    @abstractmethod
    def close(self) -> None:
        """Close the files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Number of frames."""
        return self.layout.frames or 0

    def refuse_one_way(self, remedy: str) -> None:
        """Refuse a recording that says itself that its lines went one way; `remedy` is what to do if it is wrong.

        Raises
        ------
        InputError
            With what the file says.
        """
        if self.scan.bidirectional is False:
            by = f" ({self.scan.microscope})" if self.scan.microscope else ""
            raise InputError(
                f"{self.path}: says that its lines were scanned one way only{by}, so that no pass went backward and "
                f"there is nothing to register; {remedy}"
            )

    def frame(self, number: int) -> Pixels:
        """Frame `number`, from 0, in the order of the axes; (H, W)."""
        if not 0 <= number < len(self):
            raise InputError(f"{self.path}: frame {number} was asked for; expected 0 to {len(self) - 1}")
        return self.read(self.layout.index(number))

    def frames(self) -> Iterator[Pixels]:
        """All frames in the order of the axes."""
        return (self.read(index) for index in self.layout.indices())

    def volume(self, number: int) -> Pixels:
        """The samples that frame `number` is a projection of, (H, W, D) in the file's data type.

        Raises
        ------
        InputError
            If frames are no projections, see `sasnet_live.recordings.volumes.open_volume`, or there is no such frame.
        """
        raise InputError(
            f"{self.path}: has no axis of depth samples; say which it is with --depth-axis, or with a D in --axes"
        )

    def _place(self, index: Mapping[str, int] | None) -> dict[str, int]:
        """The position of a frame along all axes, as `read` is given it.

        Raises
        ------
        InputError
            For an axis that is none, or a position outside of it.
        """
        given = dict(index or {})
        unknown = set(given) - set(self.layout.axes)
        if unknown:
            named = ", ".join(sorted(unknown)).upper()
            raise InputError(f"{self.path}: has no axis {named}; its axes are {self.layout.letters}")
        for axis, size in zip(self.layout.axes, self.layout.sizes, strict=True):
            if not 0 <= given.setdefault(axis, 0) < (size or 1):
                raise InputError(
                    f"{self.path}: {axis.upper()} {given[axis]} was asked for; expected 0 to {(size or 1) - 1}"
                )
        return given
