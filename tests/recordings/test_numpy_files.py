"""NumPy's own files: every frame of them, and one line where they are damaged."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from array_files import check, read_or_refuse, refusal, stack, survives_damage
from sasnet_live.recordings import ReadSettings, open_recording


@pytest.mark.parametrize(
    ("leading", "axes", "given"),
    [
        ((), "YX", None),
        ((5,), "TYX", None),
        ((1, 5), "TYX", None),
        ((3, 2), "TCYX", "TCYX"),
        ((2, 3), "ZTYX", "ZT"),
        ((2, 2, 3), "TZCYX", "tzcyx"),
    ],
)
def test_every_frame_of_an_npy_comes_out(
    tmp_path: Path, leading: tuple[int, ...], axes: str, given: str | None
) -> None:
    frames = stack(*leading)
    np.save(tmp_path / "a.npy", frames)
    check(tmp_path / "a.npy", frames.squeeze(), axes, ReadSettings(axes=given))


@pytest.mark.parametrize("dtype", ["u1", "i2", ">u2", ">f4", "f4", "f8", "i4"])
def test_data_types_and_byte_orders(tmp_path: Path, dtype: str) -> None:
    frames = stack(4, dtype=dtype)
    np.save(tmp_path / "a.npy", frames)
    with open_recording(tmp_path / "a.npy") as recording:
        assert recording.layout.dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(np.stack(list(recording.frames())), frames)
        frame = recording.frame(1)
        frame[:] = 0  # a new array
        np.testing.assert_array_equal(recording.frame(1), frames[1])


@pytest.mark.parametrize("axes", ["TYX", "YXT", "XYT", "YTX", "XTY"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_axes_in_any_place_and_order(tmp_path: Path, axes: str, order: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # So little is mapped at once that a frame comes in parts.
    monkeypatch.setattr("sasnet_live.recordings.mapped.MOST_MAPPED", 300)
    frames = stack(5)
    np.save(tmp_path / "a.npy", frames.transpose(["TYX".index(one) for one in axes]).copy(order=order))
    check(tmp_path / "a.npy", frames, "TYX", ReadSettings(axes=axes))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_frame_of_an_npz_comes_out(tmp_path: Path, save: Any, order: Any) -> None:
    frames = stack(5)
    save(tmp_path / "a.npz", scan=frames.copy(order=order), depth=np.float64(3), names=np.array(["a", "b"]))
    check(tmp_path / "a.npz", frames, "TYX")


def test_one_of_several_arrays_of_an_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=stack(3), two=stack(4, seed=1))
    assert "say which with --dataset: one (3x8x12), two (4x8x12)" in refusal(tmp_path / "a.npz")
    assert "holds no dataset 'three'" in refusal(tmp_path / "a.npz", ReadSettings(dataset="three"))
    check(tmp_path / "a.npz", stack(4, seed=1), "TYX", ReadSettings(dataset="two"))


def test_what_was_unpacked_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "for-now"))
    (tmp_path / "for-now").mkdir()
    np.savez_compressed(tmp_path / "a.npz", stack(3))
    with open_recording(tmp_path / "a.npz") as recording:
        assert list((tmp_path / "for-now").rglob("*.npy"))
        recording.close()
    assert not list((tmp_path / "for-now").iterdir())
    np.savez_compressed(tmp_path / "a.npz", stack(2, 2, 2))
    assert "--axes TCYX" in refusal(tmp_path / "a.npz")
    assert not list((tmp_path / "for-now").iterdir())


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((2, 3, 8, 12), "u2"), "has 4 axes (2x3x8x12); expected frames with lines: say what its axes are"),
        (np.zeros(12, "u2"), "has 1 axes (12); expected frames with lines: reshape it"),
        (np.zeros((0, 8, 12), "u2"), "is empty (0x8x12)"),
        (np.zeros((2, 8, 12), "c8"), "holds complex64 values; expected integers or real numbers"),
        (np.zeros((2, 8, 12), "?"), "holds bool values"),
        (np.zeros((2, 8), "U3"), "holds <U3 values"),
        (np.zeros((2, 8), [("a", "u2")]), "expected integers or real numbers"),
        (np.array([[None, 1]]), "holds Python objects, which may do harm when read"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, array: Any, said: str) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    assert said in refusal(tmp_path / "a.npy")


def test_frames_that_take_too_much_memory_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 800, 1000), "u2"))
    with open_recording(tmp_path / "a.npy", ReadSettings(largest_mib=2)) as recording:
        assert len(recording) == 2
    said = refusal(tmp_path / "a.npy", ReadSettings(largest_mib=1))
    assert "a frame of 800x1000 uint16 takes 2 MiB; expected 1 at most" in said


@pytest.mark.parametrize("axes", ["TYX", "TTYX", "TCY", "QCYX", "TCZYX"])
def test_axes_that_do_not_fit_are_refused(tmp_path: Path, axes: str) -> None:
    np.save(tmp_path / "a.npy", stack(2, 3))
    assert "do not fit; give a different letter" in refusal(tmp_path / "a.npy", ReadSettings(axes=axes))


def test_a_truncated_npy_says_what_is_there(tmp_path: Path) -> None:
    path, frames = tmp_path / "a.npy", stack(5)
    np.save(path, frames)
    path.write_bytes(path.read_bytes()[:-200])
    assert "takes 960 bytes and 760 are there, enough for 3 of 5 frames; copy it again, or add" in refusal(path)
    check(path, frames[:3], "TYX", ReadSettings(allow_missing=True))


def test_claims_are_checked_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<u2", "fortran_order": False, "shape": (10**9, 10**4, 10**4)}
        )
    assert "truncated" in refusal(path)
    assert "truncated" in refusal(path, ReadSettings(allow_missing=True))


def test_a_zip_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, scan=stack(3))
    with zipfile.ZipFile(path) as archive:
        size = archive.infolist()[0].file_size
    for claimed in (2**31, 2**20):
        content = path.read_bytes()
        path.write_bytes(content.replace(size.to_bytes(4, "little"), claimed.to_bytes(4, "little")))
        assert read_or_refuse(path) is None
        path.write_bytes(content)


def test_damaged_npy_files_are_refused_or_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", stack(3))
    survives_damage(tmp_path / "a.npy", head=130)
    survives_damage(tmp_path / "a.npy", ReadSettings(allow_missing=True), head=130, examples=100)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_npz_files_are_refused_or_read(tmp_path: Path, save: Any) -> None:
    save(tmp_path / "a.npz", stack(3))
    survives_damage(tmp_path / "a.npz", head=200)


def test_no_such_file(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "a.npy")
    (tmp_path / "b.npz").mkdir()
    assert "is not a file" in refusal(tmp_path / "b.npz")
