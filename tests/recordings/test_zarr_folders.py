"""Zarr and OME-Zarr folders, of both versions and several writers: every frame, calibration, and what is not there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from array_files import check, little_memory, read_or_refuse, refusal, stack
from sasnet_live.frame import Frame, Registration, RegistrationMetrics
from sasnet_live.layout import Layout
from sasnet_live.recordings import ReadSettings, open_recording
from sasnet_live.sinks.ome_zarr import OmeZarrSink

zarr = pytest.importorskip("zarr", reason="zarr is not installed: pip install sasnet-live[zarr]")


def save(path: Path, frames: Any, version: Any = 3, **options: Any) -> Path:
    array = zarr.create_array(path, shape=frames.shape, dtype=frames.dtype, zarr_format=version, **options)
    array[...] = frames
    return path


def ome(version: str, axes: str, scale: list[float], paths: tuple[str, ...] = ("0", "1")) -> dict[str, Any]:
    units = {"t": "millisecond", "y": "micrometer", "x": "nanometer", "z": "micrometer"}
    kinds = {"t": "time", "c": "channel"}
    image = {
        "name": "mouse",
        "axes": [
            {"name": one, "type": kinds.get(one, "space"), **({"unit": units[one]} if one in units else {})}
            for one in axes
        ],
        "datasets": [
            {"path": path, "coordinateTransformations": [{"type": "scale", "scale": scale}]} for path in paths
        ],
    }
    return {"multiscales": [{**image, "version": version}]} if version == "0.4" else {"ome": {"multiscales": [image]}}


def save_ome(path: Path, frames: Any, axes: str, scale: list[float], version: str = "0.5") -> Path:
    group = zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
    group.attrs.update(ome(version, axes, scale))
    save(path / "0", frames, 2 if version == "0.4" else 3)
    save(path / "1", frames[..., ::2, ::2], 2 if version == "0.4" else 3)
    save(path / "labels" / "cells", frames, 2 if version == "0.4" else 3)
    return path


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("options", [{}, {"chunks": (2, 5, 7)}, {"chunks": (1, 8, 12), "compressors": None}])
def test_a_plain_array(tmp_path: Path, version: int, options: dict[str, Any]) -> None:
    check(save(tmp_path / "a.zarr", stack(5), version, **options), stack(5), "TYX")


def test_shards_and_big_endian(tmp_path: Path) -> None:
    check(save(tmp_path / "a.zarr", stack(6), chunks=(1, 4, 6), shards=(3, 8, 12)), stack(6), "TYX")
    check(save(tmp_path / "b.zarr", stack(3, dtype=">u2"), 2), stack(3), "TYX")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_full_resolution_of_an_image(tmp_path: Path, version: str) -> None:
    path = save_ome(tmp_path / "a.ome.zarr", stack(3, 2), "tcyx", [50.0, 1.0, 0.5, 250.0], version)
    check(path, stack(3, 2), "TCYX")
    with open_recording(path) as recording:
        assert recording.format_name == "OME-Zarr"
        assert recording.layout.pixel_size_um == (0.5, 0.25)
        assert recording.layout.interval_s == pytest.approx(0.05)
        assert recording.layout.description == "mouse"


def test_axes_that_zarr_names(tmp_path: Path) -> None:
    frames = stack(3, 2)
    check(save(tmp_path / "a.zarr", frames, dimension_names=["t", "c", "y", "x"]), frames, "TCYX")
    path = save(tmp_path / "b.zarr", frames, 2)
    zarr.open(path).attrs["_ARRAY_DIMENSIONS"] = ["z", "t", "y", "x"]
    check(path, frames, "ZTYX")
    check(save(tmp_path / "c.zarr", frames, 2), frames, "CTYX", ReadSettings("CTYX"))


def test_our_own_live_recordings_are_read(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 99, (4, 32, 64)).astype("u2")
    sink = OmeZarrSink(tmp_path / "a.ome.zarr", "raw")
    sink.open(Layout.stack((32, 64), np.dtype("u2"), ("t",), (4,)))
    for number, one in enumerate(frames):
        still = np.zeros((16, 64), np.float32)
        found = Registration(one, None, one[1::2].astype("f4"), still, RegistrationMetrics(), False, "")
        sink.write(Frame(one, {"t": number}), found)
    sink.close()
    with open_recording(tmp_path / "a.ome.zarr") as recording:
        np.testing.assert_array_equal(np.stack(list(recording.frames())), frames)


def test_one_of_several_images(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "a.zarr")
    for number in range(2):
        save_ome(tmp_path / "a.zarr" / str(number), stack(3, seed=number), "tyx", [1.0, 1.0, 1.0])
    assert "holds 2 arrays; say which with --dataset" in refusal(tmp_path / "a.zarr")
    check(tmp_path / "a.zarr", stack(3, seed=1), "TYX", ReadSettings(dataset="1"))


def test_chunks_that_are_not_there_are_told(tmp_path: Path) -> None:
    path = save(tmp_path / "a.zarr", stack(5), chunks=(1, 8, 12), fill_value=3)
    (path / "c" / "2" / "0" / "0").unlink()
    with open_recording(path) as recording:
        assert recording.remarks == (
            f"{path}: 1 of 5 chunks are not there and count as 3: they were never written, or are lost",
        )
        assert np.all(recording.frame(2) == 3)


def test_a_folder_without_most_of_its_chunks_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.zarr", stack(5), chunks=(1, 8, 12))
    for number in (1, 2, 4):
        (path / "c" / str(number) / "0" / "0").unlink()
    assert "3 of 5 chunks are not there and count as 0: truncated, or mostly empty; copy it again" in refusal(path)
    frames = stack(5)
    frames[[1, 2, 4]] = 0
    with open_recording(path, ReadSettings(allow_missing=True)) as recording:
        np.testing.assert_array_equal(np.stack(list(recording.frames())), frames)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"paths": ("7",)}, "the full resolution of its image is not there"),
        ({"paths": ("../b.zarr/0",)}, "the full resolution of its image is not there"),
        ({"paths": ()}, "the full resolution of its image is not there"),
        ({"axes": "tqyx"}, "has axes TQYX; expected T, Z, C, P, Y, X"),
        ({"axes": "tyx"}, "damaged"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = save_ome(tmp_path / "a.zarr", stack(3, 2), "tcyx", [1.0] * 4)
    save_ome(tmp_path / "b.zarr", stack(3, 2), "tcyx", [1.0] * 4)
    zarr.open(path).attrs.update(ome("0.5", **{"axes": "tcyx", "scale": [1.0] * 4, **change}))
    assert said in refusal(path)


@pytest.mark.parametrize(
    ("frames", "options", "said"),
    [
        (stack(2, 2), {}, "has 4 axes (2x2x8x12)"),
        (np.zeros(9), {}, "holds no array with lines and px"),
        (stack(3).astype("c8"), {}, "holds complex64 values"),
        (np.ones((3, 8, 12)), {"chunks": (2**16, 8, 12)}, "each of the blocks that it is stored in takes 48 MiB"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, frames: Any, options: dict[str, Any], said: str) -> None:
    assert said in refusal(save(tmp_path / "a.zarr", frames, **options), ReadSettings(largest_mib=32))


def test_other_folders_and_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").mkdir()
    assert "no Zarr file, or damaged" in refusal(tmp_path / "a.zarr")
    (tmp_path / "b.zarr").write_bytes(b"x")
    assert "is a file; expected a folder of Zarr" in refusal(tmp_path / "b.zarr")
    assert "no such file or folder" in refusal(tmp_path / "c.zarr")


@pytest.mark.parametrize("version", [2, 3])
def test_damaged_folders_are_refused_or_read(tmp_path: Path, version: int) -> None:
    path = save(tmp_path / "a.zarr", stack(3), version, chunks=(1, 8, 12))
    files = {one: one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}

    @settings(max_examples=150, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(files)), st.integers(0, 2000), st.integers(0, 255), st.booleans())
    def damage(file: Path, place: int, value: int, cut: bool) -> None:
        content = bytearray(files[file])
        content[place % len(content)] = value
        file.write_bytes(content[: place % len(content)] if cut else content)
        read_or_refuse(path)
        file.write_bytes(files[file])

    with little_memory():
        damage()


@pytest.mark.parametrize("shape", [[3, 10**6, 10**6], [10**9, 8, 12], [10**6, 8, 12]])
def test_sizes_that_metadata_claim_are_checked(tmp_path: Path, shape: list[int]) -> None:
    path = save(tmp_path / "a.zarr", stack(3), chunks=(1, 8, 12))
    metadata = json.loads((path / "zarr.json").read_text())
    (path / "zarr.json").write_text(json.dumps({**metadata, "shape": shape}))
    assert "are not there" in refusal(path)


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.zarr", stack(3))
    monkeypatch.setitem(sys.modules, "zarr", None)
    assert 'run: pip install "sasnet-live[zarr]"' in refusal(path)
