"""``sasnet-live simulate`` and ``sasnet-live info``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sasnet_live import __version__, cli
from sasnet_live.cli.info import describe_weights
from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import move_lines, split


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return ended.value.code, out, err  # type: ignore[return-value]


def test_simulated_recording_with_its_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.ome.tiff"
    arguments = ("--frames", 3, "--size", 128, "--level", "easy", "--seed", 4, "--truth", "--interval", 0.25)
    status, out, err = run(capsys, "simulate", "-o", path, *arguments)
    assert (status, err) == (0, "")
    assert out.count("wrote ") == 3
    raw = tifffile.imread(path)
    truth = tifffile.imread(tmp_path / "a_truth.ome.tiff")
    displacement = tifffile.imread(tmp_path / "a_displacement.ome.tiff")
    assert (raw.shape, raw.dtype) == ((3, 128, 128), np.uint16)
    assert truth.shape == displacement.shape == (3, 64, 128)
    _, backward = split(raw.astype(np.float64), ScanGeometry())
    before = np.corrcoef(backward.ravel(), truth.ravel())[0, 1]
    after = np.corrcoef(move_lines(backward, displacement.astype(np.float64)).ravel(), truth.ravel())[0, 1]
    assert after > before + 0.01
    run(capsys, "simulate", "-o", tmp_path / "again.ome.tiff", *arguments)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "again.ome.tiff"), raw)


def test_simulate_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.tif").touch()
    for name, message in (("a.tif", "is there already; add --overwrite"), ("a.png", "expected a name that ends with")):
        status, out, err = run(capsys, "simulate", "-o", tmp_path / name, "--frames", 1, "--size", 32)
        assert (status, out) == (2, "")
        assert f"{tmp_path / name}: {message}" in err
        assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_info_of_the_installation(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "info")
    assert (status, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["sasnet-live"] == __version__
    assert {"Python", "torch", "numpy", "tifffile", "CPU"} <= set(lines)
    assert "correspondence" in out


def test_info_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.ones((4, 2, 6, 8), np.uint16),
        imagej=True,
        resolution=(4.0, 2.0),
        metadata={"axes": "TCYX", "unit": "um"},
    )
    status, out, _ = run(capsys, "info", path)
    lines = dict(line.strip().split("  ", maxsplit=1) for line in out.splitlines())
    lines = {name: value.strip() for name, value in lines.items()}
    assert status == 0
    assert lines == {
        "file": str(path),
        "format": "TIFF",
        "axes": "TCYX",
        "sizes": "4 x 2 x 6 x 8",
        "data type": "uint16",
        "pixel size": "0.25 x 0.5 µm (x, y)",
        "written by": "another program",
    }


def test_info_of_our_own_file_says_what_was_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "simulate", "-o", tmp_path / "a.ome.tiff", "--frames", 2, "--size", 32)
    status, out, _ = run(capsys, "info", tmp_path / "a.ome.tiff")
    assert status == 0
    assert "simulated" in out
    assert "medium scanner, seed 0" in out
    (tmp_path / "a.ome.tiff").rename(tmp_path / "a.ome.tiff.partial")
    assert "not complete: --resume goes on with it" in run(capsys, "info", tmp_path / "a.ome.tiff.partial")[1]


def test_info_of_what_is_no_tiff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.tif").write_text("a poem")
    status, out, err = run(capsys, "info", tmp_path / "a.tif")
    assert (status, out) == (2, "")
    assert err == f"sasnet-live: {tmp_path / 'a.tif'}: is not a TIFF file; convert it to TIFF or OME-TIFF first\n"


def test_weights_are_described_from_their_header(tmp_path: Path) -> None:
    header = json.dumps(
        {
            "__metadata__": {"version": "0.1.0", "scores": json.dumps({"easy": {"ncc": 0.98765, "pairs": 9}})},
            "a": {"dtype": "F32", "shape": [300, 100], "data_offsets": [0, 120_000]},
            "b": {"dtype": "F32", "shape": [], "data_offsets": [120_000, 120_004]},
        }
    ).encode()
    path = tmp_path / "lite.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(120_004))
    text = describe_weights(path)
    assert text.startswith("0.03 M parameters, 0.1 MiB, trained with 0.1.0, easy ncc 0.988 pairs 9, sha256 ")
    assert len(text.split()[-1]) == 64
