"""A table of figures, one row a frame, as CSV or Parquet."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

from sasnet_live.errors import InputError
from sasnet_live.frame import Registration, RegistrationMetrics

from .ome_tiff import partial_path

FIGURES = (*(field.name for field in fields(RegistrationMetrics)), "accepted", "reason")
"""Columns that every registered frame has."""


class MetricsTable:
    """Writes rows to ``NAME.partial``, which becomes ``NAME`` when closed.

    Every row is in the file, for other processes to read, when `write` returns. A name that ends with ``.parquet`` is
    converted from the CSV rows at the end, so that a kill loses no row there either.

    Parameters
    ----------
    path
        ``.csv`` or ``.parquet`` (needs pyarrow).
    index
        Columns that say which frame it is, before the figures: "frame", or "file", "P", "T".
    overwrite
        Replace a table that is there, or a partial one.
    resume
        Go on with a partial table that is there; a last row that is torn is dropped.

    Raises
    ------
    InputError
        If the table is there, cannot be written, has other columns than a partial one, or pyarrow is missing.
    """

    def __init__(
        self, path: str | Path, index: Sequence[str] = ("frame",), *, overwrite: bool = False, resume: bool = False
    ) -> None:
        self.path = Path(path)
        self.partial = partial_path(self.path)
        self.columns = (*index, *FIGURES)
        check_name(self.path)
        if self.path.exists() and not overwrite:
            raise InputError(f"{self.path}: is there already; add --overwrite to replace it")
        if self.partial.exists() and not (resume or overwrite):
            raise InputError(
                f"{self.partial}: an earlier run was interrupted; add --resume to go on with it or --overwrite to "
                "start again"
            )
        try:
            self._file = self.partial.open("r+b" if resume and self.partial.exists() else "w+b", buffering=0)
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}); choose a folder that exists and that you may "
                "write to"
            ) from None
        try:
            self.rows = self._begin()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> MetricsTable:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def write(self, index: Mapping[str, Any], figures: Registration | Mapping[str, Any]) -> None:
        """Append the row of one frame.

        Parameters
        ----------
        index
            Values of the index columns.
        figures
            A registration, or figures by name as `figures_of` gives them; columns left out stay empty.
        """
        row = {**index, **(figures_of(figures) if isinstance(figures, Registration) else figures)}
        unknown = set(row) - set(self.columns)
        if unknown:
            raise InputError(
                f"{self.path}: has no columns {', '.join(sorted(unknown))}; its columns are {', '.join(self.columns)}"
            )
        self._append([_text(row.get(column)) for column in self.columns])
        self.rows += 1

    def cut(self, rows: int) -> None:
        """Keep only the first so many rows."""
        self._file.seek(0)
        ends = _row_ends(self._file.read())
        self._file.truncate(ends[rows])
        self._file.seek(0, os.SEEK_END)
        self.rows = min(self.rows, rows)

    def close(self) -> Path:
        """Complete the table and give it its final name."""
        if self._file.closed:
            return self.path
        os.fsync(self._file.fileno())
        self._file.close()
        if self.path.suffix.lower() == ".parquet":
            _to_parquet(self.partial, self.path)
            self.partial.unlink()
        else:
            os.replace(self.partial, self.path)
        return self.path

    def abandon(self) -> None:
        """Close the table as it is, under its partial name."""
        self._file.close()

    def _begin(self) -> int:
        """Write the header, or find the end of the last whole row; the number of rows."""
        content = self._file.read()
        ends = _row_ends(content)
        if not ends:
            self._file.seek(0)
            self._file.truncate()
            self._append(list(self.columns))
            return 0
        header = next(csv.reader([content[: ends[0]].decode()]))
        if tuple(header) != self.columns:
            raise InputError(
                f"{self.partial}: has other columns ({', '.join(header)}); expected {', '.join(self.columns)}: start "
                "again with --overwrite"
            )
        self._file.truncate(ends[-1])
        self._file.seek(ends[-1])
        return len(ends) - 1

    def _append(self, values: list[str]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(values)
        self._file.write(line.getvalue().encode())


def figures_of(registration: Registration) -> dict[str, Any]:
    """The figures of a registered frame by column name."""
    return {
        **registration.metrics.as_row(),
        "accepted": registration.accepted,
        # One line, so that every row of the table is one.
        "reason": " ".join(registration.reason.split()),
    }


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).splitlines())


def _row_ends(content: bytes) -> list[int]:
    """Positions behind each whole row, header included; `_text` leaves no line break within one."""
    ends, at = [], content.find(b"\n")
    while at >= 0:
        ends.append(at + 1)
        at = content.find(b"\n", at + 1)
    return ends


def check_name(path: Path) -> None:
    """Refuse a name that no table can be written to, before there is anything to write.

    Raises
    ------
    InputError
        If it ends otherwise than with ``.csv`` or ``.parquet``, or pyarrow is missing for the latter.
    """
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"{path}: metrics are written as .csv or .parquet; choose such a name")
    if path.suffix.lower() == ".parquet":
        _pyarrow(path)


def _pyarrow(path: Path) -> Any:
    try:
        import_module("pyarrow.csv")
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError:
        raise InputError(f"{path}: Parquet needs pyarrow; `pip install pyarrow`, or choose a .csv name") from None


def _to_parquet(source: Path, target: Path) -> None:
    pyarrow = _pyarrow(target)
    unfinished = target.with_name(target.name + ".converting")
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(source), unfinished)
    os.replace(unfinished, target)
