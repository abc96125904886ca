"""A table of figures, one row a frame, as CSV or Parquet."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from importlib import import_module
from numbers import Integral
from pathlib import Path
from typing import Any

from sasnet_live.errors import InputError
from sasnet_live.files import open_partial, partial_path, refuse_folder, refuse_present, whole_file, write_all
from sasnet_live.frame import Registration, RegistrationMetrics

FIGURES = (*(field.name for field in fields(RegistrationMetrics)), "accepted", "reason")
"""Columns that every registered frame has."""

_FLOATS = [field.name for field in fields(RegistrationMetrics) if field.type in (float, "float")]


class MetricsTable:
    """Writes rows to ``NAME.partial``, which becomes ``NAME`` when closed.

    Every row is in the file, for other processes to read, when `write` returns. A name that ends with ``.parquet`` is
    converted from the CSV rows at the end, so that a kill loses no row there either.

    Parameters
    ----------
    path
        ``.csv`` or ``.parquet`` (needs pyarrow).
    index
        Columns that say which frame it is, before the figures: "file" (text), "elapsed_s" (s), any others whole
        numbers: "frame", and the position along an axis, by its name as in `Frame.index`, "t", "z", "p".
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
        if not overwrite:
            refuse_present(self.path)
        refuse_folder(self.path)
        self._file = open_partial(self.partial, resume=resume, overwrite=overwrite)
        self._end, self._failed = 0, False
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
        wrong = [name for name, value in index.items() if _kind(name) == "int" and not _is_whole(value)]
        if wrong:
            raise InputError(f"{self.path}: {wrong[0]} is {index[wrong[0]]!r}; expected a whole number")
        self._append([_text(row.get(column)) for column in self.columns])
        self.rows += 1

    def cut(self, rows: int) -> None:
        """Keep only the first so many rows; that a later one could not be written is forgotten with it."""
        self._file.seek(0)
        self._end = _row_ends(self._file.read())[rows]
        self._file.truncate(self._end)
        self.rows, self._failed = min(self.rows, rows), False

    def close(self) -> Path:
        """Complete the table: count the rows that are really in it, and give it its final name.

        Raises
        ------
        InputError
            If rows are missing, or it cannot be completed; it stays under its partial name.
        """
        if self._file.closed:
            return self.path
        try:
            os.fsync(self._file.fileno())
            self._check_rows()
            self._file.close()
            if self.path.suffix.lower() == ".parquet":
                _to_parquet(self.partial, self.path, self.columns)
                self.partial.unlink()
            else:
                os.replace(self.partial, self.path)
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be completed ({error.strerror or error}); its {self.rows} rows are in "
                f"{self.partial.name}"
            ) from None
        finally:
            self._file.close()
        return self.path

    def _check_rows(self) -> None:
        """Refuse a table in which rows are missing."""
        with self.partial.open("rb") as file:
            whole = sum(line.endswith(b"\n") for line in file) - 1
        complete = (whole, os.fstat(self._file.fileno()).st_size) == (self.rows, self._end)
        if self._failed or not complete:
            lost = "a row could not be written" if self._failed else f"{whole} of {self.rows} rows are in it"
            raise InputError(f"{self.partial}: {lost}; the table stays under this name")

    def abandon(self) -> None:
        """Close the table as it is, under its partial name."""
        self._file.close()

    def _begin(self) -> int:
        """Write the header, or find the end of the last whole row; the number of rows."""
        content = self._file.read()
        ends = _row_ends(content)
        if not ends:
            self._file.truncate(0)
            self._append(list(self.columns))
            return 0
        header = next(csv.reader([content[: ends[0]].decode()]))
        if tuple(header) != self.columns:
            raise InputError(
                f"{self.partial}: has other columns ({', '.join(header)}); expected {', '.join(self.columns)}: start "
                "again with --overwrite"
            )
        self._end = ends[-1]
        self._file.truncate(self._end)
        return len(ends) - 1

    def _append(self, values: list[str]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(values)
        row = line.getvalue().encode()
        try:
            write_all(self._file, row, self._end)
        except OSError:
            # A full disk may have taken a part; the rows before it are whole.
            self._failed = True
            with suppress(OSError):
                self._file.truncate(self._end)
            raise
        self._end += len(row)


def figures_of(registration: Registration) -> dict[str, Any]:
    """The figures of a registered frame by column name."""
    return {
        **registration.metrics.as_row(),
        "accepted": registration.accepted,
        # One line, so that every row of the table is one.
        "reason": " ".join(registration.reason.split()),
    }


def _kind(column: str) -> str:
    """Name of the type of a column's values."""
    if column in ("file", "reason"):
        return "str"
    if column == "accepted":
        return "bool"
    if column == "elapsed_s" or column in _FLOATS:
        return "float"
    return "int"


def _is_whole(value: Any) -> bool:
    return value is None or isinstance(value, Integral)


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


def _to_parquet(source: Path, target: Path, columns: Sequence[str]) -> None:
    """Convert a table in CSV; the types are those of the columns, whatever is in them, so that tables can be joined."""
    pyarrow = _pyarrow(target)
    types = {"float": pyarrow.float64(), "int": pyarrow.int64(), "bool": pyarrow.bool_(), "str": pyarrow.string()}
    options = pyarrow.csv.ConvertOptions(column_types={column: types[_kind(column)] for column in columns})
    # The partial name is that of the rows it is made from.
    with whole_file(target, target.with_name(target.name + ".converting")) as file:
        pyarrow.parquet.write_table(pyarrow.csv.read_csv(source, convert_options=options), file)
