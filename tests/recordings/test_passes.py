"""Two passes recorded as two images: files, channels, datasets, in every geometry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from array_files import Array, check, registered, stack
from fake_registrar import FakeRegistrar, expected
from sasnet_live.cli import main
from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.recordings import ReadSettings, open_recording
from sasnet_live.reprocess import ReprocessSettings, reprocess
from sasnet_live.scan import split
from sasnet_live.settings import RegistrarSettings
from sasnet_live.sinks.ome_tiff import read_record


def interleaved(forward: Array, backward: Array) -> Array:
    """Rows in turns, forward first."""
    return np.stack([forward, backward], axis=-2).reshape(*forward.shape[:-2], -1, forward.shape[-1])


def save(path: Path, data: Any, **options: Any) -> Path:
    tifffile.imwrite(path, data, photometric="minisblack", **options)
    return path


def shell(*arguments: str) -> int:
    """Exit status of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


FORWARD, BACKWARD = stack(5), stack(5, seed=1)


def in_files(folder: Path) -> tuple[list[Path], ReadSettings]:
    paths = save(folder / "f.tif", FORWARD), save(folder / "b.tif", BACKWARD)
    return [], ReadSettings(passes=(str(paths[0]), str(paths[1])))


def in_other_files(folder: Path) -> tuple[list[Path], ReadSettings]:
    np.save(folder / "f.npy", FORWARD)
    save(folder / "b.tif", BACKWARD)
    return [folder / "f.npy"], ReadSettings(passes=(str(folder / "f.npy"), str(folder / "b.tif")))


def in_raw_files(folder: Path) -> tuple[list[Path], ReadSettings]:
    for name, data in (("f.bin", FORWARD), ("b.bin", BACKWARD)):
        (folder / name).write_bytes(data.tobytes())
    names = str(folder / "f.bin"), str(folder / "b.bin")
    return [], ReadSettings(passes=names, raw_shape=FORWARD.shape, raw_dtype="uint16")


def in_channels(folder: Path) -> tuple[list[Path], ReadSettings]:
    data = np.stack([BACKWARD, FORWARD], axis=1)
    return [save(folder / "a.tif", data, imagej=True, metadata={"axes": "TCYX"})], ReadSettings(passes=("1", "0"))


def in_named_channels(folder: Path) -> tuple[list[Path], ReadSettings]:
    data = np.stack([FORWARD, stack(5, seed=2), BACKWARD], axis=1)
    metadata = {"axes": "TCYX", "Channel": {"Name": ["trace", "other", "retrace"]}}
    return [save(folder / "a.ome.tif", data, ome=True, metadata=metadata)], ReadSettings(passes=("trace", "retrace"))


def in_datasets(folder: Path) -> tuple[list[Path], ReadSettings]:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install sasnet-live[hdf5]")
    with h5py.File(folder / "a.h5", "w") as file:
        file["scan/forward"], file["scan/backward"] = FORWARD, BACKWARD
    return [folder / "a.h5"], ReadSettings(passes=("scan/forward", "scan/backward"))


def in_variables(folder: Path) -> tuple[list[Path], ReadSettings]:
    np.savez(folder / "a.npz", forward=FORWARD, backward=BACKWARD)
    return [folder / "a.npz"], ReadSettings(passes=("forward", "backward"))


def in_channels_of_a_dataset(folder: Path) -> tuple[list[Path], ReadSettings]:
    np.savez(folder / "a.npz", both=np.stack([FORWARD, BACKWARD]), other=FORWARD)
    return [folder / "a.npz"], ReadSettings("CTYX", dataset="both", passes=("0", "1"))


WAYS = (
    in_files,
    in_other_files,
    in_raw_files,
    in_channels,
    in_named_channels,
    in_datasets,
    in_variables,
    in_channels_of_a_dataset,
)


@pytest.mark.parametrize("way", WAYS)
def test_every_frame_comes_out_interleaved(tmp_path: Path, way: Any) -> None:
    inputs, reading = way(tmp_path)
    found, axes = registered(inputs, reading)
    assert axes == "TYX"
    np.testing.assert_array_equal(found, expected(interleaved(FORWARD, BACKWARD)))


@pytest.mark.parametrize("line_axis", ["rows", "columns"])
@pytest.mark.parametrize("first", ["forward", "backward"])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("one_more", [0, 1])
def test_split_gives_back_the_passes(tmp_path: Path, line_axis: Any, first: Any, mirrored: bool, one_more: int) -> None:
    geometry = ScanGeometry(line_axis, first, mirrored)
    shape = (8 + one_more, 12) if line_axis == "rows" else (12, 8 + one_more)
    longer = np.random.default_rng(0).integers(0, 99, shape).astype("u2")
    shorter = np.random.default_rng(1).integers(0, 99, (8, 12) if line_axis == "rows" else (12, 8)).astype("u2")
    forward, backward = (longer, shorter) if first == "forward" else (shorter, longer)
    np.save(tmp_path / "f.npy", forward)
    np.save(tmp_path / "b.npy", backward)
    reading = ReadSettings(passes=(str(tmp_path / "f.npy"), str(tmp_path / "b.npy")))
    with open_recording([], reading, geometry) as recording:
        raw = recording.read()
        assert raw.shape == recording.layout.frame_shape
        assert recording.scan.bidirectional
    lines = (forward, backward) if line_axis == "rows" else (forward.T, backward.T)
    for found, given in zip(split(raw, geometry), (lines[0], lines[1][:, ::-1] if mirrored else lines[1]), strict=True):
        np.testing.assert_array_equal(found, given)


@pytest.mark.parametrize(
    ("backward", "said"),
    [
        (stack(4), "forward and backward are 5x8x12 TYX uint16 and 4x8x12 TYX uint16; expected one shape and type"),
        (stack(5)[:, :-1], "5x8x12 TYX uint16 and 5x7x12 TYX uint16"),
        (stack(5)[:, :-2], "5x8x12 TYX uint16 and 5x6x12 TYX uint16"),
        (stack(5)[..., :-1], "5x8x12 TYX uint16 and 5x8x11 TYX uint16"),
        (stack(5, dtype="f4"), "5x8x12 TYX uint16 and 5x8x12 TYX float32"),
        (stack(), "5x8x12 TYX uint16 and 8x12 YX uint16"),
    ],
)
def test_passes_that_differ_are_refused(tmp_path: Path, backward: Array, said: str) -> None:
    np.save(tmp_path / "f.npy", FORWARD)
    np.save(tmp_path / "b.npy", backward)
    reading = ReadSettings(passes=(str(tmp_path / "f.npy"), str(tmp_path / "b.npy")))
    geometry = ScanGeometry(first="backward")  # so that one line less is not what an odd frame has
    with pytest.raises(InputError, match=said):
        open_recording([], reading, geometry)


@pytest.mark.parametrize(
    ("passes", "said"),
    [
        (("0", "2"), "has no channel '2' that could be a pass; it has 2"),
        (("0", "trace"), "has no channel 'trace' that could be a pass"),
        (("0", "0"), "expected two different ones"),
        (("0", "b.tif"), "expected two files, or two channels or datasets of one recording"),
        (("f.tif", "b.tif"), "came beside --passes of two files"),
    ],
)
def test_passes_that_are_none_are_refused(tmp_path: Path, passes: tuple[str, str], said: str) -> None:
    (path,), reading = in_channels(tmp_path)
    with pytest.raises(InputError, match=said):
        open_recording(path, replace(reading, passes=passes))
    with pytest.raises(InputError, match=r"without a recording|expected two|no such file|came"):
        open_recording([], replace(reading, passes=passes))
    save(tmp_path / "t.tif", FORWARD)
    with pytest.raises(InputError, match=r"no axis of channels|expected two|beside"):
        open_recording(tmp_path / "t.tif", replace(reading, passes=passes))


def test_no_output_replaces_the_second_file(tmp_path: Path) -> None:
    _, reading = in_files(tmp_path)
    with pytest.raises(InputError, match="is an input and an output"):
        reprocess([], tmp_path / "b.tif", ReprocessSettings(reading=reading, overwrite=True))


def test_the_shell_takes_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = np.random.default_rng(0).integers(0, 999, (2, 3, 32, 64)).astype("u2")
    names = [str(save(tmp_path / f"{name}.tif", one)) for name, one in zip("fb", frames, strict=True)]
    out = tmp_path / "out"
    assert shell("reprocess", "--passes", *names, "-o", str(out), "--model", "correspondence", "--mirrored") == 0
    assert tifffile.imread(out / "f_registered.ome.tiff").shape == (3, 64, 64)
    assert read_record(out / "f_registered.ome.tiff")["passes"] == str(tuple(names))
    capsys.readouterr()
    assert shell("info", "--passes", *names) == 0
    assert "3 x 64 x 64" in capsys.readouterr().out
    assert shell("reprocess", "-o", str(tmp_path / "none")) == 2
    assert "no input given" in capsys.readouterr().err


def test_real_traces_and_retraces(tmp_path: Path, real_pairs: list[Path]) -> None:
    """Their rigid shift is known: displaced as much as they are, by two channels of one file."""
    path = next(one for one in real_pairs if one.stem == "spym_topo_1")
    out = tmp_path / "out.ome.tiff"
    geometry = ScanGeometry(slow_axis="stepped")
    reading = ReadSettings(passes=("0", "1"))
    settings = ReprocessSettings(RegistrarSettings("correspondence", geometry=geometry), reading=reading)
    found = []
    report = reprocess([path], out, settings, progress=lambda step: found.append(step.registration))
    assert not report.failed
    registration = found[-1]
    assert registration is not None
    assert registration.accepted
    # backward(x) = forward(x - s) with s = -6.38 px; ours moves it back: registered(x) = backward(x - d).
    assert np.median(registration.displacement_px) == pytest.approx(6.38, abs=1.0)


def test_channels_of_many_inputs(tmp_path: Path) -> None:
    (path,), reading = in_channels(tmp_path)
    check_path = save(tmp_path / "c.tif", np.stack([FORWARD, BACKWARD], 1), imagej=True, metadata={"axes": "TCYX"})
    report = reprocess(
        [path, check_path],
        tmp_path / "out",
        ReprocessSettings(reading=reading),
        make_registrar=lambda chosen: FakeRegistrar(chosen.model, chosen.output, chosen.geometry),
    )
    assert [one.frames for one in report.files] == [5, 5]
    found = tifffile.imread(report.files[1].outputs[0])
    np.testing.assert_array_equal(found, expected(interleaved(BACKWARD, FORWARD)))


def test_without_passes_channels_stay_channels(tmp_path: Path) -> None:
    (path,), _ = in_channels(tmp_path)
    check(path, np.stack([BACKWARD, FORWARD], axis=1), "TCYX")
