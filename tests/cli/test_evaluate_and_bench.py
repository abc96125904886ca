"""The commands `evaluate` and `bench`, from the command line to the files they write."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live import cli


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        cli.main(list(arguments))
    out = capsys.readouterr()
    return int(exit_.value.code or 0), out.out, out.err


@pytest.fixture
def no_registrar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only peers are asked for: nothing of ours may be needed."""
    monkeypatch.setitem(sys.modules, "sasnet_live.registrar", None)


def test_evaluate_writes_table_csv_and_report(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_registrar: None
) -> None:
    monkeypatch.setenv("COLUMNS", "60")  # of a terminal, which this is not: nothing is wrapped
    table, page = tmp_path / "scores.csv", tmp_path / "report.html"
    status, out, _ = _run(
        capsys,
        *("evaluate", "or-pam-sim-4k", "--size", "48x96", "--limit", "2", "--levels", "easy,hard"),
        *("--methods", "none,rigid", "--methods", "ilk", "--against", "none"),
        *("--csv", str(table), "--report", str(page)),
    )
    assert status == 0
    for word in ("easy", "hard", "rigid", "ilk", "displacement error, px", "12 rows", "report in"):
        assert word in out
    titles = ["level", "method", "frames", "NCC", "SSIM", "displacement error, px"]
    assert any(all(title in line for title in titles) for line in out.splitlines())
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows[:3]] == ["none", "rigid", "ilk"]
    assert {row["level"] for row in rows} == {"easy", "hard"}
    none, rigid = (np.mean([float(r["ncc"]) for r in rows if r["method"] == name]) for name in ("none", "rigid"))
    assert rigid > none
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_evaluate_a_recording(capsys: pytest.CaptureFixture[str], no_registrar: None) -> None:
    arguments = (
        "or-pam-sim-one",
        "--size",
        "48x96",
        "--levels",
        "recording",
        "--limit",
        "3",
        "--methods",
        "none,rigid",
    )
    status, out, _ = _run(capsys, "evaluate", *arguments)
    assert status == 0
    assert "temporal NCC" in out


def test_evaluate_raw_frames_with_a_geometry(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, no_registrar: None
) -> None:
    rng = np.random.default_rng(0)
    lines = np.cumsum(rng.standard_normal((20, 60)), 1).astype(np.float32).repeat(2, 0)
    lines[1::2] = np.roll(lines[1::2], 3, axis=1)
    tifffile.imwrite(tmp_path / "raw.tif", lines.T)
    arguments = ("evaluate", str(tmp_path), "--line-axis", "columns", "--slow-axis", "stepped", "--markdown")
    status, out, _ = _run(capsys, *arguments, "--methods", "none,rigid", "--csv", str(tmp_path / "s.csv"))
    assert status == 0
    assert "| raw | rigid | 1 |" in out
    with (tmp_path / "s.csv").open(newline="") as file:
        none, rigid = csv.DictReader(file)
    assert float(rigid["ncc"]) > float(none["ncc"]) + 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["or-pam-sim-4k", "--size", "big"], "size is 'big'; expected height x width"),
        (["or-pam-sim-4k", "--levels", "extreme"], "no level 'extreme'"),
        (["or-pam-sim-4k", "--methods", "none", "--against", "lite"], "cannot compare against 'lite'"),
        (["or-pam-sim-4k", "--report", "nowhere/report.html"], "its folder does not exist"),
        (["or-pam-sim-4k", "--csv", "."], ".: cannot be written; choose another place"),
        (["or-pam-sim-4k", "--report", "/"], "/: cannot be written; choose another place"),
        (["or-pam-sim-4k", "--kind", "zarr"], "zarr"),
    ],
)
def test_bad_arguments_are_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    status, out, error = _run(capsys, "evaluate", *arguments)
    assert status == 2
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not out


@pytest.fixture
def one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registrar that does nothing, so that the command is tested and not a network."""

    class Registrar:
        def __init__(self, model: str, **options: Any) -> None:
            self.model = model

        def warm_up(self, shape: Any, dtype: Any) -> None:
            pass

        def register(self, raw: Any) -> None:
            pass

        def describe(self) -> dict[str, str]:
            return {"model": self.model}

    module: Any = types.ModuleType("sasnet_live.registrar")
    module.Registrar = Registrar
    monkeypatch.setattr("sasnet_live.network.names.model_names", lambda: ("lite", "full"))
    monkeypatch.setitem(sys.modules, "sasnet_live.registrar", module)


def test_bench_prints_a_table(capsys: pytest.CaptureFixture[str], one_model: None) -> None:
    status, out, _ = _run(capsys, "bench", "--size", "32x64", "--frames", "2")
    assert status == 0
    for word in ("lite", "full", "GFLOP/s", "32 x 64 raw frames", "p99 ms", "kernels", "synchronizations"):
        assert word in out


def test_bench_prints_json(capsys: pytest.CaptureFixture[str], one_model: None) -> None:
    status, out, _ = _run(capsys, "bench", "--model", "lite", "--size", "32x64", "--frames", "2", "--json")
    assert status == 0
    found = json.loads(out)
    assert [model["model"] for model in found["models"]] == ["lite"]
    assert found["models"][0]["over_arithmetic"] is None  # nothing was multiplied, and NaN is not JSON
    assert found["metrics"]["median_ms"] > 0


@pytest.mark.parametrize(("option", "value"), [("--model", "correspondence,nope"), ("--device", "banana")])
def test_bench_refuses_before_it_times(capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    status, out, err = _run(capsys, "bench", "--size", "32x64", "--model", "correspondence", option, value)
    assert (status, out) == (2, "")
    assert value.split(",")[-1] in err
    assert len(err.splitlines()) == 1


def test_importing_the_commands_is_light() -> None:
    code = (
        "import sys, sasnet_live.cli.evaluate, sasnet_live.cli.bench; "
        "heavy = {'torch', 'numpy', 'skimage', 'SimpleITK', 'matplotlib', 'rich.table'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
