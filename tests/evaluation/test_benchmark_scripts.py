"""The benchmarks in `docs/` run, small, and print their tables."""

from __future__ import annotations

import runpy
import sys
from itertools import islice
from pathlib import Path

import pytest

from sasnet_live.training import loop
from sasnet_live.training.data import simulated_samples
from tiny_training import InlinePool

DOCS = Path(__file__).parents[2] / "docs"


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, *options: object
) -> list[list[str]]:
    """Cells of all table rows that a script prints."""
    script = DOCS / f"benchmark_{name}.py"
    monkeypatch.setattr(sys, "argv", [str(script), *(str(option) for option in options)])
    runpy.run_path(str(script), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


def test_tracking(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small = ("--levels", "easy", "--seeds", 1, "--frames", 3, "--after", 2, "--jump-at", 1, "--size", 96)
    header, drift, jump = printed(monkeypatch, capsys, "tracking", *small)
    assert [header[0], drift[1], jump[1]] == ["level", "drift", "jump"]
    assert drift[6] == "–"
    assert "at most" in jump[6]


def test_tracking_refuses_frames_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        printed(monkeypatch, capsys, "tracking", "--frames", 5)
    assert "must lie within the 5 frames" in capsys.readouterr().err


def test_confidence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = printed(monkeypatch, capsys, "confidence", "--limit", 1, "--size", 96, "--only", "frames")
    names = [row[0].split(":")[0] for row in rows]
    for name in ("easy", "hard, noise x 8", "any content, any scanner", "displaced out of reach", "all", "confidence"):
        assert name in names
    assert names.count("easy") == 2  # once for the frame, once for its lines


def test_deviation(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    header, *rows = printed(monkeypatch, capsys, "deviation", "--sizes", 96, "--frames", 2, "--follow", 1)
    assert header[3] == "squared error / variance"
    assert [row[1] for row in rows] == ["easy", "medium", "hard"]
    assert 0.05 < float(rows[0][3]) < 20


def test_displacement(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small = ("--sizes", 96, "--kinds", "stepped", "--methods", "none", "rigid")
    header, none, rigid = printed(monkeypatch, capsys, "displacement", *small)
    assert header[3:] == ["easy", "medium", "hard"]
    for before, after in zip(none[3:4], rigid[3:4], strict=True):
        assert float(after.split("/")[2]) < float(before.split("/")[2])


def test_noise(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _, noise, quiet, *others = printed(monkeypatch, capsys, "noise", "--limit", 1, "--size", 96)
    assert len(others) == 3
    decibels = [[float(cell.split("/")[0]) for cell in row[1:]] for row in (noise, quiet)]
    assert all(a < b for a, b in zip(*decibels, strict=True))
    assert decibels[0][0] > decibels[0][2] + 3


def test_published_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    samples = tuple(islice(simulated_samples(0, 0, 32, 64, "implicit", "one"), 4))
    monkeypatch.setattr(InlinePool, "samples", samples)
    monkeypatch.setattr(loop, "SamplePool", InlinePool)
    small = ("--steps", 2, "--size", 32, 64, "--channels", 2, 4, 8, "--limit", 3)
    variants = ("--variants", "all losses", "without alignment")
    header, *rows = printed(monkeypatch, capsys, "published", "--out", tmp_path, *small, *variants)
    assert [row[0] for row in rows] == ["none", "sift-affine", "correspondence", "all losses", "without alignment"]
    assert header[5] == "temporal NCC"
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert len(written) == 4
    printed(monkeypatch, capsys, "published", "--out", tmp_path, *small, *variants, "--only", "train")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == written
    with pytest.raises(SystemExit, match="was begun with other settings"):
        printed(monkeypatch, capsys, "published", "--out", tmp_path, *small, *variants, "--seed", 1)


def test_cross_sections(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    header, constant, stretched = printed(monkeypatch, capsys, "cross_sections", "--frames", 2, "--widths", 3)
    assert header[1] == "sigma, px"
    for row in (constant, stretched):
        assert row[2] == "2 of 2"
        assert float(row[4].split(" %")[0]) < 1
        assert float(row[6]) < 0.05


def test_cost(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small = ("--models", "correspondence", "--sizes", "64x96", "96x128", "--frames", 2)
    header, first, second = printed(monkeypatch, capsys, "cost", *small)
    assert header[:3] == ["model", "lines x px", "fastest, ms"]
    assert [first[1], second[1]] == ["64 x 96", "96 x 128"]
    assert 0 < float(first[2]) <= float(first[3])


def test_the_exponent_of_a_power_law() -> None:
    exponent = runpy.run_path(str(DOCS / "benchmark_cost.py"))["exponent"]
    assert exponent([10, 100, 1000], [3.0, 3.0 * 10**1.5, 3.0 * 10**3]) == pytest.approx(1.5)


def test_volumes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small = ("--levels", "easy", "--seeds", 1, "--size", 96, "--samples", 64, "--mib", 2, "--orders", "DYX")
    header, accuracy, sizes, measured = printed(monkeypatch, capsys, "volumes", *small)
    assert header[0] == "level"
    assert accuracy[0] == "easy"
    assert float(accuracy[4].split()[0]) < 0.2
    assert sizes[3] == "peak RSS, MiB"
    assert measured[:3] == ["2", "113", "DYX"]
