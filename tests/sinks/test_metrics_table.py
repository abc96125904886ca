"""The table of figures: every row is there when written, a torn one is dropped on resume."""

from __future__ import annotations

import csv
import errno
import os
from pathlib import Path

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.frame import Registration, RegistrationMetrics
from sasnet_live.sinks import metrics_table
from sasnet_live.sinks.metrics_table import MetricsTable


def registration(number: int, reason: str = "") -> Registration:
    return Registration(
        image=np.zeros((4, 4)),
        rendered=None,
        warped=np.zeros((2, 4)),
        displacement_px=np.zeros((2, 4)),
        metrics=RegistrationMetrics(ncc_before=0.5, ncc_after=0.9, elapsed_ms=float(number)),
        accepted=not reason,
        reason=reason,
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_come_back(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    with MetricsTable(path, ("T", "C")) as table:
        table.write({"T": 0, "C": 1}, registration(7))
        table.write({"T": 1, "C": 1}, registration(8, 'constant,\n"frame"'))
    first, second = rows(path)
    assert list(first) == [
        *("T", "C", "ncc_before", "ncc_after", "ssim_before", "ssim_after", "displacement_px_mean", "confidence"),
        *("elapsed_ms", "doubtful_lines", "accepted", "reason"),
    ]
    assert (first["T"], first["ncc_after"], first["ssim_after"], first["accepted"]) == ("0", "0.9", "", "true")
    assert (second["elapsed_ms"], second["accepted"], second["reason"]) == ("8", "false", 'constant, "frame"')


def test_each_row_is_seen_at_once_and_the_name_only_at_the_end(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "m.csv")
    for number in range(3):
        table.write({"frame": number}, registration(number))
        assert [row["frame"] for row in rows(table.partial)] == [str(i) for i in range(number + 1)]
        assert not table.path.exists()
    table.close()
    assert len(rows(table.path)) == 3
    assert not table.partial.exists()


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_resume_drops_a_torn_row(tmp_path: Path, cut: int) -> None:
    table = MetricsTable(tmp_path / "m.csv")
    for number in range(4):
        table.write({"frame": number}, registration(number))
    table.abandon()
    content = table.partial.read_bytes()
    table.partial.write_bytes(content[: len(content) - cut])
    again = MetricsTable(tmp_path / "m.csv", resume=True)
    assert again.rows == content[: len(content) - cut].count(b"\n") - 1
    for number in range(again.rows, 4):
        again.write({"frame": number}, registration(number))
    again.close()
    assert (tmp_path / "m.csv").read_bytes() == content


def test_resume_when_not_even_the_header_is_whole(tmp_path: Path) -> None:
    (tmp_path / "m.csv.partial").write_text("frame,ncc_bef")
    with MetricsTable(tmp_path / "m.csv", resume=True) as table:
        table.write({"frame": 0}, registration(0))
    assert len(rows(tmp_path / "m.csv")) == 1


def test_cut(tmp_path: Path) -> None:
    with MetricsTable(tmp_path / "m.csv") as table:
        for number in (0, 1, 5, 6):
            table.write({"frame": number}, registration(number))
        table.cut(2)
        table.write({"frame": 2}, registration(2))
    assert [row["frame"] for row in rows(tmp_path / "m.csv")] == ["0", "1", "2"]


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there.csv").touch()
    with pytest.raises(InputError, match=r"there\.csv: is there already; add --overwrite"):
        MetricsTable(tmp_path / "there.csv")
    (tmp_path / "begun.csv.partial").write_text("frame,other\n")
    with pytest.raises(InputError, match="interrupted; add --resume"):
        MetricsTable(tmp_path / "begun.csv")
    with pytest.raises(InputError, match=r"has other columns \(frame, other\)"):
        MetricsTable(tmp_path / "begun.csv", resume=True)
    with pytest.raises(InputError, match=r"written as \.csv or \.parquet"):
        MetricsTable(tmp_path / "m.xlsx")
    with pytest.raises(InputError, match="cannot be written"):
        MetricsTable(tmp_path / "none" / "m.csv")
    with MetricsTable(tmp_path / "m.csv") as table, pytest.raises(InputError, match="has no columns T"):
        table.write({"T": 0}, registration(0))

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(metrics_table, "import_module", missing)
    with pytest.raises(InputError, match=r"Parquet needs pyarrow; `pip install pyarrow`, or choose a \.csv name"):
        MetricsTable(tmp_path / "m.parquet")


def test_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an optional dependency")
    with MetricsTable(tmp_path / "m.parquet") as table:
        for number in range(3):
            table.write({"frame": number}, registration(number))
    read = parquet.read_table(tmp_path / "m.parquet").to_pydict()
    assert read["frame"] == [0, 1, 2]
    assert read["elapsed_ms"] == [0, 1, 2]
    assert not table.partial.exists()


class FullDisk:
    """A file on a disk that takes so many bytes more, then part of what comes, then nothing."""

    def __init__(self, file: object, room: int) -> None:
        self._file, self._room = file, room

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def write(self, content: memoryview) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = min(self._room, len(content))
        self._room -= taken
        return self._file.write(content[:taken])  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("room", range(0, 120, 13))
def test_a_full_disk_leaves_whole_rows_under_the_partial_name(tmp_path: Path, room: int) -> None:
    table = MetricsTable(tmp_path / "m.csv")
    table.write({"frame": 0}, registration(0))
    table._file = FullDisk(table._file, room)  # type: ignore[assignment]

    def fill() -> None:
        for number in range(1, 9):
            table.write({"frame": number}, registration(number))

    with pytest.raises(OSError, match="No space left"):
        fill()
    with pytest.raises(InputError, match="a row could not be written; the table stays under this name"):
        table.close()
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv.partial"]
    content = table.partial.read_bytes()
    assert content.endswith(b"\n")
    assert [row["frame"] for row in rows(table.partial)] == [str(n) for n in range(content.count(b"\n") - 1)]


def test_rows_that_are_gone_are_noticed(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "m.csv")
    for number in range(3):
        table.write({"frame": number}, registration(number))
    os.truncate(table.partial, table.partial.stat().st_size - 5)
    with pytest.raises(InputError, match="2 of 3 rows are in it"):
        table.close()
    assert not table.path.exists()


def test_a_disk_that_is_full_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = MetricsTable(tmp_path / "m.csv")
    table.write({"frame": 0}, registration(0))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"cannot be completed \(No space left on device\); its 1 rows are in"):
        table.close()
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv.partial"]


def test_another_writer_of_the_table_empties_nothing(tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="locking is left to the system on Windows")
    with MetricsTable(tmp_path / "m.csv") as first:
        first.write({"frame": 0}, registration(0))
        before = first.partial.read_bytes()
        for options in ({"overwrite": True}, {"resume": True}):
            with pytest.raises(InputError, match="another process is writing"):
                MetricsTable(tmp_path / "m.csv", **options)
        assert first.partial.read_bytes() == before
    assert len(rows(tmp_path / "m.csv")) == 1


def test_index_columns_are_whole_numbers(tmp_path: Path) -> None:
    with MetricsTable(tmp_path / "m.csv", ("file", "T", "elapsed_s")) as table:
        table.write({"file": "a", "T": np.int64(3), "elapsed_s": 0.5}, registration(0))
        with pytest.raises(InputError, match=r"T is 'x'; expected a whole number"):
            table.write({"file": "a", "T": "x", "elapsed_s": 0.5}, registration(0))
    assert len(rows(tmp_path / "m.csv")) == 1


@pytest.mark.parametrize("content", ["none", "accepted", "passed through", "without figures", "odd names"])
def test_parquet_tables_have_one_schema_whatever_is_in_them(tmp_path: Path, content: str) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is an optional dependency")
    parquet = pytest.importorskip("pyarrow.parquet")
    figures = {
        "none": [],
        "accepted": [registration(1), registration(2)],
        "passed through": [registration(1, "noise, 'x' and \"y\"")],
        "without figures": [{"accepted": False}],
        "odd names": [registration(1, "null"), registration(2, "1"), registration(3, "nan")],
    }[content]
    with MetricsTable(tmp_path / "m.parquet", ("file", "frame", "t", "elapsed_s")) as table:
        for number, one in enumerate(figures):
            name = str(number) if content == "odd names" else "a.tif"
            table.write({"file": name, "frame": number, "t": None, "elapsed_s": number}, one)
    read = parquet.read_table(tmp_path / "m.parquet")
    text, whole, real, flag = pyarrow.string(), pyarrow.int64(), pyarrow.float64(), pyarrow.bool_()
    assert list(zip(read.schema.names, read.schema.types, strict=True)) == [
        ("file", text), ("frame", whole), ("t", whole), ("elapsed_s", real),
        *((name, real) for name in ("ncc_before", "ncc_after", "ssim_before", "ssim_after", "displacement_px_mean")),
        ("confidence", real), ("elapsed_ms", real), ("doubtful_lines", whole), ("accepted", flag), ("reason", text),
    ]  # fmt: skip
    reasons = [one.reason if isinstance(one, Registration) else "" for one in figures]
    assert read["reason"].to_pylist() == reasons
    assert [path.name for path in tmp_path.iterdir()] == ["m.parquet"]


def test_a_conversion_that_fails_leaves_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an optional dependency")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    table = MetricsTable(tmp_path / "m.parquet")
    table.write({"frame": 0}, registration(0))
    monkeypatch.setattr(parquet, "write_table", full)
    with pytest.raises(InputError, match="cannot be completed"):
        table.close()
    assert [path.name for path in tmp_path.iterdir()] == ["m.parquet.partial"]
