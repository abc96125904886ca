"""The benchmark of the network runs, small, and prints its tables."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "benchmark_network.py"


def rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str, script: Path = SCRIPT
) -> dict[str, list[str]]:
    """Cells of the table that it prints, by the name in the first."""
    monkeypatch.setattr(sys, "argv", [str(script), *options])
    runpy.run_path(str(script), run_name="__main__")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]
    return {name: cells for name, *cells in table}


def test_configurations_are_counted_and_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = rows(monkeypatch, capsys, "--size", "32x64", "--repeats", "1")
    assert table["lite"][0] == "0.072 M"
    assert float(table["fold_px 8"][1]) <= float(table["lite"][1]) < float(table["full"][1])
    assert all(float(time.split(",")[0]) > 0 for cells in table.values() for time in cells[2:])


def test_bfloat16_changes_little(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    table = rows(monkeypatch, capsys, "--accuracy", "1")
    assert list(table) == ["easy", "medium", "hard"]
    for frames, scores, _, largest in table.values():
        assert frames == "1"
        assert all(float(score) > 0.8 for score in scores.split(","))
        assert all(float(change) < 2e-4 for change in largest.split(","))


def test_runtimes_agree(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    script = SCRIPT.with_name("benchmark_runtimes.py")
    table = rows(monkeypatch, capsys, "--size", "64x64", "--repeats", "2", script=script)
    assert {"torch, fp32", "torch recorded, fp32"} <= set(table)
    for name, (*times, apart) in table.items():
        assert all(float(time) > 0 for time in times)
        assert float(apart) < (1e-4 if "fp32" in name else 0.2)
