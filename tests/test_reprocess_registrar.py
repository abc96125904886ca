"""Reprocessing with the real registrar, on simulated and on real scans."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live import cli
from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.registrar import Registrar
from sasnet_live.reprocess import Progress, ReprocessSettings, kept_state, reprocess
from sasnet_live.scan import merge, split
from sasnet_live.settings import RegistrarSettings
from sasnet_live.sinks.ome_tiff import frame_figures, read_record

PAIRS = Path(__file__).resolve().parents[2] / "shared" / "data" / "raster-pairs"
FRAMES = 8


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of few frames, 12 bit in uint16, with its truth."""
    path = tmp_path_factory.mktemp("simulated") / "raw.ome.tiff"
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", "-o", str(path), "--frames", str(FRAMES), "--size", "192", "--seed", "3", "--truth"])
    assert ended.value.code == 0
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([*map(str, arguments), "--model", "correspondence", "--device", "cpu"])
    out, err = capsys.readouterr()
    return ended.value.code, out, err  # type: ignore[return-value]


def ncc(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def backward(path: Path) -> np.ndarray[Any, Any]:
    return split(tifffile.imread(path).astype(np.float64), ScanGeometry())[1]


def test_registered_is_nearer_to_the_truth(simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.ome.tiff"
    status, printed, err = run(capsys, "reprocess", simulated, "-o", out, "--metrics", tmp_path / "m.csv")
    assert status == 0, err
    assert f"wrote {out}" in printed
    truth = tifffile.imread(simulated.with_name("raw_truth.ome.tiff")).astype(np.float64)
    before = [ncc(a, b) for a, b in zip(backward(simulated), truth, strict=True)]
    after = [ncc(a, b) for a, b in zip(backward(out), truth, strict=True)]
    assert min(np.subtract(after, before)) > 0.03
    assert tifffile.imread(out).dtype == np.uint16
    np.testing.assert_array_equal(tifffile.imread(out)[:, 0::2], tifffile.imread(simulated)[:, 0::2])
    figures = list(frame_figures(out))
    assert len(figures) == FRAMES
    assert all(one["accepted"] and one["ncc_after"] > one["ncc_before"] for one in figures)
    record = read_record(out)
    assert record["model"] == "correspondence"
    assert record["source"] == simulated.name


@pytest.mark.parametrize("after", [1, 3, 5, 6])
@pytest.mark.parametrize("state", ["kept", "lost", "damaged", "of later"])
def test_resumed_run_is_to_the_bit_an_uninterrupted_one(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, state: str
) -> None:
    monkeypatch.setattr(kept_state, "STATE_EVERY", 3)
    settings = ReprocessSettings(RegistrarSettings("correspondence", "cpu", output="both"), dtype="float32")

    def interrupt(step: Progress) -> None:
        if step.done == after:
            raise KeyboardInterrupt

    whole = simulated.parent / "whole.tif"
    if not whole.with_name("whole_warped.tif").exists():
        assert not reprocess([simulated], whole, settings).failed
    with pytest.raises(KeyboardInterrupt):
        reprocess([simulated], tmp_path / "out.tif", settings, progress=interrupt)
    kept = tmp_path / "out_rendered.tif.partial.state"
    assert kept.exists() == (after >= 3)
    if state == "lost":
        kept.unlink(missing_ok=True)
    elif state == "damaged" and kept.exists():
        kept.write_bytes(kept.read_bytes()[:-7])
    elif state == "of later":
        kept.write_bytes(b"7\n" + (kept.read_bytes().partition(b"\n")[2] if kept.exists() else b""))
    report = reprocess([simulated], tmp_path / "out.tif", replace(settings, resume=True))
    assert [file.error for file in report.failed] == []
    assert report.files[0].resumed_at == after
    for kind in ("rendered", "warped"):
        of_whole, out = (path.with_name(f"{path.stem}_{kind}.tif") for path in (whole, tmp_path / "out.tif"))
        np.testing.assert_array_equal(tifffile.imread(out), tifffile.imread(of_whole))
    assert not list(tmp_path.glob("*.partial*"))


def test_state_of_a_registrar_goes_over_to_another(simulated: Path) -> None:
    frames = tifffile.imread(simulated)
    first = Registrar("correspondence", device="cpu")
    for frame in frames[:5]:
        first.register(frame)
    second = Registrar("correspondence", device="cpu")
    second.register(frames[7])
    second.load_state(first.save_state())
    for frame in frames[5:]:
        a, b = first.register(frame), second.register(frame)
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.displacement_px, b.displacement_px)
        assert a.metrics.confidence == b.metrics.confidence
    before = second.save_state()
    for content in (b"", b"nonsense", before[:-1]):
        with pytest.raises(InputError, match="not the temporal state"):
            second.load_state(content)
    assert second.save_state() == before


def test_other_channels_are_moved_with_the_displacement_of_one(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tifffile.imread(simulated)[:3]
    rng = np.random.default_rng(0)
    second = (raw * 0.5 + rng.normal(0, 20, raw.shape)).clip(0, 4095).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "two.ome.tif",
        np.stack([second, raw], axis=1),
        ome=True,
        photometric="minisblack",
        metadata={"axes": "TCYX"},
    )
    status, _, err = run(
        capsys, "reprocess", tmp_path / "two.ome.tif", "-o", tmp_path / "out.tif", "--align-on", 1, "--output", "warped"
    )
    assert status == 0, err
    out = tifffile.imread(tmp_path / "out.tif").astype(np.float64)
    truth = tifffile.imread(simulated.with_name("raw_truth.ome.tiff"))[:3].astype(np.float64)
    for channel in (0, 1):
        before = ncc(np.stack([second, raw], axis=1)[:, channel, 1::2].astype(np.float64), truth)
        assert ncc(out[:, channel, 1::2], truth) > before + 0.03


def test_frames_that_cannot_be_registered_come_out_unchanged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = np.random.default_rng(0).normal(1000, 100, (4, 128, 128)).astype(np.float32)
    frames[1] = 7
    frames[2] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", frames, photometric="minisblack", metadata={"axes": "TYX"})
    status, _, err = run(capsys, "reprocess", tmp_path / "a.tif", "-o", tmp_path / "b.tif")
    assert status == 0, err
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "b.tif"), frames)
    figures = list(frame_figures(tmp_path / "b.tif"))
    assert [one["accepted"] for one in figures] == [False] * 4
    assert all(one["reason"] for one in figures)


def test_unknown_model_and_pickled_weights(simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "stolen.pt"
    weights.write_bytes(pickle.dumps({"weight": [1.0]}))
    for model, message in (("corespondence", "'correspondence'"), (weights, "not a safetensors file")):
        with pytest.raises(SystemExit) as ended:
            cli.main(["reprocess", str(simulated), "-o", str(tmp_path / "out.tif"), "--model", str(model)])
        out, err = capsys.readouterr()
        assert (ended.value.code, out) == (1, "")
        assert str(model) in err
        assert message in err
        assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["stolen.pt"]


@pytest.mark.skipif(not PAIRS.is_dir(), reason=f"real scans are not there: {PAIRS}")
def test_real_scans_are_never_made_worse(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    geometry = ScanGeometry(slow_axis="stepped")
    for path in sorted(PAIRS.glob("*.tif")):
        forward, back = tifffile.imread(path)
        tifffile.imwrite(raw / path.name, merge(forward, back, geometry), photometric="minisblack")
    settings = ReprocessSettings(RegistrarSettings("correspondence", "cpu", geometry=geometry, output="warped"))
    report = reprocess([raw], tmp_path / "out", settings, metrics=tmp_path / "m.csv")
    assert [file.error for file in report.failed] == []
    assert len(report.files) == 10
    for file in report.files:
        assert file.ncc_after >= file.ncc_before, file.path.name
        forward, back = tifffile.imread(PAIRS / file.path.name).astype(np.float64)
        written = split(tifffile.imread(file.outputs[0]).astype(np.float64), geometry)
        np.testing.assert_array_equal(written[0], forward)
        assert ncc(written[1], forward) >= ncc(back, forward) - 1e-4, file.path.name
    assert sum(file.ncc_after > file.ncc_before + 0.002 for file in report.files) >= 6
