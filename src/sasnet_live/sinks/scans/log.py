"""What was found in each scan, appended scan by scan to a file that survives a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.files import open_partial, partial_path, refuse_folder, refuse_present, write_all
from sasnet_live.frame import MeasuredDisplacement, Registration, RegistrationMetrics

from .series import ScanSeries

REASON_BYTES = 256
"""Of a reason, UTF-8; the longest that the registrar gives has about 120."""

READ_SCANS = 16
"""Held in memory at a time where scans are gone through: 160 kB of 512 x 512 px."""

FIGURES = tuple(field.name for field in fields(RegistrationMetrics))

Row = np.void
"""What was found in one scan: a record of `scan_record`."""


def scan_record(lines: int, width: int) -> np.dtype[Any]:
    """One scan: its figures, its displacement in parts and their deviations, px."""
    parts = [("profile_px", width), ("lines_px", lines), ("creep_px", width)]
    deviations = [("profile_deviation_px", width), ("line_deviation_px", lines), ("creep_deviation_px", width)]
    return np.dtype(
        [
            *((name, "<f8") for name in FIGURES),
            ("accepted", "?"),
            ("reason", f"S{REASON_BYTES}"),
            *((name, "<f4", (length,)) for name, length in (*parts, *deviations)),
            ("line_confidence", "<f4", (lines,)),
        ]
    )


class ScanLog:
    """The file ``NAME.partial`` while a file ``NAME`` is being made: a line of JSON, then one record a scan.

    Parameters
    ----------
    path
        Final name of what is made of it.
    series
        What the scans have in common; must be the same to `resume`.
    ignored
        Names in its record that may differ on `resume`, such as the device.
    overwrite
        Replace a file or a log that is there.
    resume
        Go on with a log that is there; a last record that is torn is dropped.

    Raises
    ------
    InputError
        If the file is there, the log is of other scans or settings, or is being written by another process.
    """

    def __init__(
        self,
        path: Path,
        series: ScanSeries,
        *,
        ignored: tuple[str, ...] = (),
        overwrite: bool = False,
        resume: bool = False,
    ) -> None:
        self.path, self.partial, self.series = path, partial_path(path), series
        self.record = scan_record(*series.lines_shape)
        if not overwrite:
            refuse_present(path)
        refuse_folder(path)
        self._file = open_partial(self.partial, resume=resume, overwrite=overwrite)
        try:
            self._start, self.rows = self._begin(ignored)
        except BaseException:
            self._file.close()
            raise

    def append(self, found: Registration) -> None:
        """Add the next scan.

        Raises
        ------
        InputError
            If the registrar tells no parts of a displacement that it accepted.
        """
        row = np.zeros((), self.record)
        for name, value in found.metrics.as_row().items():
            row[name] = value
        row["accepted"] = found.accepted
        row["reason"] = " ".join(found.reason.split()).encode()[:REASON_BYTES]
        measured = found.measured if found.accepted else None
        if found.accepted and measured is None:
            raise InputError("what registers these frames tells no parts of the displacement; choose another model")
        for name in self.record.names or ():
            if name.endswith("deviation_px"):
                row[name] = np.nan if measured is None else getattr(measured, name)
            elif measured is not None and name in ("profile_px", "lines_px", "creep_px"):
                row[name] = getattr(measured, name)
        if found.line_confidence is not None and found.accepted:
            row["line_confidence"] = found.line_confidence
        write_all(self._file, row.tobytes(), self._start + self.rows * self.record.itemsize)
        self.rows += 1

    def cut(self, rows: int) -> None:
        """Keep only the first so many scans."""
        self.rows = min(self.rows, rows)
        self._file.truncate(self._start + self.rows * self.record.itemsize)

    def __iter__(self) -> Iterator[Row]:
        """The scans in the order of the axes of the series."""
        for _, rows in self.blocks(READ_SCANS):
            yield from rows

    def __getitem__(self, scan: int) -> Row:
        """One scan, by its number in the order of the axes."""
        with self.partial.open("rb") as file:
            row: Row = self._read(file, self.series.row(scan), 1)[0]
        return row

    def blocks(self, scans: int) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
        """(n,) records of so many scans at a time in the order of the axes, and the number of the first of them."""
        with self.partial.open("rb") as file:
            for first in range(0, self.rows, scans):
                at = [self.series.row(scan) for scan in range(first, min(first + scans, self.rows))]
                if at == list(range(at[0], at[0] + len(at))):
                    yield first, self._read(file, at[0], len(at))
                else:  # worked through in another order
                    yield first, np.concatenate([self._read(file, row, 1) for row in at])

    def _read(self, file: BinaryIO, row: int, count: int) -> np.ndarray[Any, Any]:
        # Read and not mapped: mapped pages count as memory of this process, as many as there are.
        file.seek(self._start + row * self.record.itemsize)
        return np.frombuffer(file.read(count * self.record.itemsize), self.record)

    def check_whole(self) -> None:
        """Refuse a log in which scans are missing, counted in the file itself.

        Raises
        ------
        InputError
            It stays under its partial name.
        """
        there = (self.partial.stat().st_size - self._start) // self.record.itemsize
        if not there == self.rows == self.series.scans:
            raise InputError(f"{self.partial}: {there} of {self.series.scans} scans are in it; go on with --resume")

    def close(self) -> None:
        """Close it as it is, under its partial name; one without a scan is removed."""
        if not self._file.closed:
            self._file.close()
            if not self.rows:
                self.partial.unlink(missing_ok=True)

    def remove(self) -> None:
        """It is of no use any more."""
        self._file.close()
        self.partial.unlink(missing_ok=True)

    def _begin(self, ignored: tuple[str, ...]) -> tuple[int, int]:
        """Write the first line, or compare the one that is there; where records start, and how many are whole."""
        header = json.dumps({"sasnet_live_scans": self.series.described()}).encode() + b"\n"
        self._file.seek(0)
        kept, newline, _ = self._file.read(max(len(header) + 4096, 2**16)).partition(b"\n")
        if not newline:  # new, or killed before its first line was whole
            self._file.truncate(0)
            write_all(self._file, header, 0)
            return len(header), 0
        described: Mapping[str, Any] = {}
        with suppress(ValueError, KeyError, TypeError):
            described = json.loads(kept)["sasnet_live_scans"]
        series = ScanSeries.read(described, str(self.partial))
        other = [
            name
            for name in dict.fromkeys((*series.record, *self.series.record))
            if series.record.get(name) != self.series.record.get(name) and name not in ignored
        ]
        if other or {**series.as_dict(), "record": {}} != {**self.series.as_dict(), "record": {}}:
            what = ", ".join(other) or "scans of another shape"
            raise InputError(
                f"{self.partial}: was begun with other settings ({what}); give the same again, or --overwrite"
            )
        start = len(kept) + 1
        whole = (os.fstat(self._file.fileno()).st_size - start) // self.record.itemsize
        self._file.truncate(start + whole * self.record.itemsize)
        return start, whole


def measured_of(row: Row, *, unpaired: bool) -> MeasuredDisplacement:
    """The displacement of one scan of a log."""
    names = [field.name for field in fields(MeasuredDisplacement) if field.name != "unpaired"]
    return MeasuredDisplacement(**{name: row[name] for name in names}, unpaired=unpaired)


def reason_of(row: Row) -> str:
    """Its reason as text; one that was cut within a character loses that."""
    return bytes(row["reason"]).decode(errors="ignore")
