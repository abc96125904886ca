"""``sasnet-live reprocess``: options reach the work, exit statuses, one line an error, nothing left that looks done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from fake_registrar import FakeRegistrar, expected
from sasnet_live import cli
from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.recordings import ReadSettings
from sasnet_live.reprocess import ReprocessReport, ReprocessSettings
from sasnet_live.settings import RegistrarSettings

TESTS = Path(__file__).parents[1]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RegistrarSettings]:
    """Settings that a registrar was made with; the registrar is a fake one."""
    seen: list[RegistrarSettings] = []

    def make(settings: RegistrarSettings) -> FakeRegistrar:
        seen.append(settings)
        if settings.model == "lit":
            raise InputError("model 'lit' is not known; did you mean 'lite'?")
        return FakeRegistrar(settings.model, settings.output, settings.geometry)

    monkeypatch.setattr(RegistrarSettings, "make", make)
    return seen


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["reprocess", *map(str, arguments)])
    out, err = capsys.readouterr()
    return ended.value.code, out, err  # type: ignore[return-value]


def recording(path: Path, count: int = 4, **options: Any) -> np.ndarray[Any, Any]:
    data = np.random.default_rng(0).integers(1, 4000, (count, 16, 24)).astype(np.uint16)
    options.setdefault("metadata", {"axes": "TYX"})
    tifffile.imwrite(path, data, photometric="minisblack", **options)
    return data


def complaints(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("sasnet-live: ")]


def test_done(tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[RegistrarSettings]) -> None:
    data = recording(tmp_path / "a.tif")
    status, out, err = run(capsys, tmp_path / "a.tif", "-o", tmp_path / "b.ome.tiff", "--metrics", tmp_path / "m.csv")
    assert status == 0
    assert complaints(err) == []
    assert "a.tif  4/4  NCC 0.500 -> 0.900" in err
    assert "0.500 -> 0.900" in out
    assert f"wrote {tmp_path / 'b.ome.tiff'}\n" in out
    assert f"wrote {tmp_path / 'm.csv'}\n" in out
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.ome.tiff"), expected(data))


def test_the_table_is_not_wrapped_where_there_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, asked: list[RegistrarSettings]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    name = f"{'long ' * 20}.tif"
    recording(tmp_path / name)
    _, out, _ = run(capsys, tmp_path / name, "-o", tmp_path / "b.ome.tiff")
    [line] = [line for line in out.splitlines() if line.startswith(name)]
    assert "0.500 -> 0.900" in line


def test_every_option_reaches_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[ReprocessSettings] = []

    def work(inputs: list[str], out: Path, settings: ReprocessSettings, **others: Any) -> ReprocessReport:
        wanted.append(settings)
        return ReprocessReport(())

    monkeypatch.setattr("sasnet_live.reprocess.run.reprocess", work)
    options = (
        "--model full --device cuda --precision fp16 --output both --align-on 0 --axes TYX --line-axis columns "
        "--first backward --mirrored --line-offset -3 --crop 1 2 --slow-axis stepped --search-px 20 --each-frame-alone "
        "--dtype float32 --allow-missing "
        "--overwrite --include-registered"
    )
    run(capsys, tmp_path / "a.tif", "-o", tmp_path / "b.tif", *options.split())
    assert wanted == [
        ReprocessSettings(
            RegistrarSettings(
                "full",
                "cuda",
                precision="fp16",
                output="both",
                geometry=ScanGeometry("columns", "backward", True, -3, (1, 2), "stepped"),
                search_px=20.0,
                temporal=False,
            ),
            align_on="0",
            reading=ReadSettings(axes="TYX", allow_missing=True),
            dtype="float32",
            overwrite=True,
            include_registered=True,
        )
    ]


def test_what_is_registered_already_is_named_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[RegistrarSettings]
) -> None:
    recording(tmp_path / "a.tif")
    assert run(capsys, tmp_path / "a.tif", "-o", tmp_path / "b.tif")[0] == 0
    status, out, err = run(capsys, tmp_path / "a.tif", tmp_path / "b.tif", "-o", tmp_path / "out")
    assert status == 0
    assert complaints(err) == [f"sasnet-live: {tmp_path / 'b.tif'}: registered by this program already; left out"]
    assert "a_registered.ome.tiff" in out
    status, out, err = run(capsys, tmp_path / "b.tif", "-o", tmp_path / "out")
    assert (status, len(complaints(err))) == (2, 1)


def _truncated(path: Path) -> None:
    recording(path)
    path.write_bytes(path.read_bytes()[:1500])


def _mixed_shapes(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.ones((6, 8), np.uint16), metadata=None)
        writer.write(np.ones((7, 8), np.uint16), metadata=None)


BAD: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "not a TIFF": (lambda path: path.write_text("a poem"), "is not a TIFF file", "convert it"),
    "empty": (lambda path: path.touch(), "is empty", "again"),
    "truncated": (_truncated, "truncated TIFF", "copy it again"),
    "RGB": (
        lambda path: tifffile.imwrite(path, np.ones((6, 8, 3), np.uint8), photometric="rgb"),
        "colour image (RGB)",
        "split the channels",
    ),
    "complex": (lambda path: tifffile.imwrite(path, np.ones((6, 8), np.complex64)), "complex64", "save the magnitude"),
    "1-D": (lambda path: tifffile.imwrite(path, np.ones(50, np.uint16)), "one-dimensional", "reshape it"),
    "one line": (lambda path: tifffile.imwrite(path, np.ones((1, 50), np.uint16)), "1 line along rows", "--line-axis"),
    "mixed shapes": (_mixed_shapes, "different shapes", "file of its own"),
    "64 bit": (lambda path: tifffile.imwrite(path, np.ones((6, 8), np.int64)), "int64 cannot be written", "float32"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[RegistrarSettings], kind: str
) -> None:
    make, what, remedy = BAD[kind]
    path = tmp_path / "bad.tif"
    make(path)
    status, out, err = run(capsys, path, "-o", tmp_path / "out.ome.tiff", "--metrics", tmp_path / "m.csv")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert str(path) in err
    assert what in err
    assert remedy in err
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bad.tif", "m.csv"]
    assert (tmp_path / "m.csv").read_text().count("\n") == 1


def test_one_bad_file_among_good_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[RegistrarSettings]
) -> None:
    recording(tmp_path / "a.tif")
    _truncated(tmp_path / "b.tif")
    recording(tmp_path / "c.tif")
    status, out, err = run(capsys, tmp_path / "*.tif", "-o", tmp_path / "out")
    assert status == 1
    assert len(complaints(err)) == 1
    assert str(tmp_path / "b.tif") in complaints(err)[0]
    assert out.count("0.500 -> 0.900") == 2
    assert "failed" in out
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        "a_registered.ome.tiff",
        "c_registered.ome.tiff",
    ]


def test_debug_shows_where(tmp_path: Path, asked: list[RegistrarSettings]) -> None:
    _truncated(tmp_path / "b.tif")
    with pytest.raises(InputError, match="truncated"):
        cli.main(["reprocess", str(tmp_path / "b.tif"), "-o", str(tmp_path / "c.tif"), "--debug"])


REFUSED = {
    "missing input": (["none.tif", "-o", "out.tif"], "none.tif: no such file or folder; check the name"),
    "output exists": (["a.tif", "-o", "there.tif"], "there.tif: is there already; add --overwrite to replace it"),
    "not writable": (["a.tif", "-o", "there.tif/out.tif"], "there.tif: cannot be written to"),
    "unknown model": (["a.tif", "-o", "out.tif", "--model", "lit"], "did you mean 'lite'?"),
    "overwrite and resume": (["a.tif", "-o", "out.tif", "--overwrite", "--resume"], "exclude each other"),
    "no such type": (["a.tif", "-o", "out.tif", "--dtype", "uint61"], "dtype is 'uint61'"),
    "crop below 0": (["a.tif", "-o", "out.tif", "--crop", "-1", "0"], "crop is (-1, 0); expected two whole numbers"),
    "metrics name": (["a.tif", "-o", "out.tif", "--metrics", "m.xlsx"], "m.xlsx: metrics are written as .csv"),
    "metrics folder": (["a.tif", "-o", "out.tif", "--metrics", "no/m.csv"], "no/m.csv: cannot be written, the folder"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_arguments(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    asked: list[RegistrarSettings],
    case: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    recording(tmp_path / "a.tif")
    recording(tmp_path / "there.tif")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    arguments, message = REFUSED[case]
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (1 if case == "unknown model" else 2, "")
    assert message in err
    assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_twelve_bits_do_not_wrap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[RegistrarSettings]
) -> None:
    data = recording(tmp_path / "a.tif")
    run(capsys, tmp_path / "a.tif", "-o", tmp_path / "b.tif")
    run(capsys, tmp_path / "a.tif", "-o", tmp_path / "c.tif", "--dtype", "uint8")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), expected(data))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "c.tif"), expected(data).clip(0, 255))


SLOW = """
    import sys, time
    from fake_registrar import FakeRegistrar
    from sasnet_live import cli
    from sasnet_live.settings import RegistrarSettings

    class Slow(FakeRegistrar):
        def register(self, raw):
            time.sleep(0.02)
            return super().register(raw)

    RegistrarSettings.make = lambda settings: Slow(settings.model)
    cli.main(sys.argv[1:])
"""


def _start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(SLOW), "reprocess", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def _wait_until_larger(path: Path, size: int) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < deadline, f"{path} did not grow"
        time.sleep(0.01)


def test_disk_full_and_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: Any) -> None:
    """A limit on the size of files stands for a full disk."""
    resource = pytest.importorskip("resource", reason="Windows has no limit on the size of files")
    data = recording(tmp_path / "a.tif", count=20)
    arguments = (tmp_path / "a.tif", "-o", tmp_path / "b.tif")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 * data[0].nbytes, before[1]))
    try:
        status, out, err = run(capsys, *arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (status, out) == (1, "")
    assert complaints(err) == [
        f"sasnet-live: {tmp_path / 'a.tif'}: File too large; make room or check the disk, then go on with --resume"
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif.partial"]
    status, out, err = run(capsys, *arguments, "--resume")
    assert status == 0
    assert 0 < int(err.split("a.tif  ")[1].split("/")[0]) < 8
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), expected(data))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_and_resumed(tmp_path: Path, number: signal.Signals) -> None:
    data = recording(tmp_path / "a.tif", count=80)
    arguments = (tmp_path / "a.tif", "-o", tmp_path / "b.tif", "--metrics", tmp_path / "m.csv")
    with _start(*arguments) as process:
        _wait_until_larger(tmp_path / "b.tif.partial", 10 * data[0].nbytes)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert not (tmp_path / "b.tif").exists()
    assert not (tmp_path / "m.csv").exists()
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert len(complaints(err)) == 1
        assert "the same command with --resume goes on from there" in err
        assert "Traceback" not in err
    else:
        assert process.returncode == -signal.SIGKILL
    with _start(*arguments, "--resume") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    started = int(err.split("a.tif  ")[1].split("/")[0])
    assert started >= 5
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), expected(data))
    assert (tmp_path / "m.csv").read_text().count("\n") == 81
