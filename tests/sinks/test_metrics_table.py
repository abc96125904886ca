"""The table of figures: every row is there when written, a torn one is dropped on resume."""

from __future__ import annotations

import csv
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
