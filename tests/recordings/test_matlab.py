"""MATLAB files of versions 5 and 7.3: the variable as MATLAB shows it, and one line where they are damaged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from array_files import check, refusal, stack, survives_damage
from sasnet_live.recordings import ReadSettings, open_recording


def save_v5(path: Path, variables: dict[str, Any], *, do_compression: bool = False) -> Path:
    savemat(path, variables, do_compression=do_compression)
    return path


def save_v7(path: Path, variables: dict[str, Any]) -> Path:
    return save_v5(path, variables, do_compression=True)


def save_v73(path: Path, variables: dict[str, Any]) -> Path:
    """As MATLAB does it: a header of its own before HDF5, axes in the reverse order, the class as an attribute."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install sasnet-live[hdf5]")
    names = {"float64": "double", "float32": "single", "bool": "logical"}
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            if isinstance(value, str):
                stored, kind = np.array([[ord(one)] for one in value], "u2"), "char"
            else:
                array = np.atleast_2d(value)
                stored, kind = array.T, names.get(array.dtype.name, array.dtype.name)
            file[name] = stored
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
        file.create_group("#refs#").create_dataset("a", data=np.zeros((4, 4)))
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


EVERY_VERSION = pytest.mark.parametrize("save", [save_v5, save_v7, save_v73])


@EVERY_VERSION
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4", "f8"])
def test_frames_along_the_first_axis(tmp_path: Path, save: Any, dtype: str) -> None:
    frames = stack(5, dtype=dtype)
    path = save(tmp_path / "a.mat", {"frames": frames, "rate": 20.0, "who": "nobody", "t": np.arange(5.0)})
    check(path, frames, "TYX")
    with open_recording(path) as recording:
        assert recording.remarks == (f"{path}: frames (5x8x12) is taken for 5 frames of 8x12; if not, add --axes YXT",)


@EVERY_VERSION
def test_frames_along_the_last_axis_as_matlab_has_them(tmp_path: Path, save: Any) -> None:
    frames = stack(5)
    path = save(tmp_path / "a.mat", {"frames": frames.transpose(1, 2, 0)})
    check(path, frames, "TYX")
    with open_recording(path) as recording:
        assert recording.remarks == (f"{path}: frames (8x12x5) is taken for 5 frames of 8x12; if not, add --axes TYX",)


@EVERY_VERSION
def test_axes_that_the_user_names(tmp_path: Path, save: Any) -> None:
    frames = stack(3, 2)
    path = save(tmp_path / "a.mat", {"frames": frames.transpose(2, 3, 1, 0)})
    assert "has 4 axes (8x12x2x3)" in refusal(path)
    check(path, frames.swapaxes(0, 1), "CTYX", ReadSettings("YXCT"))
    with open_recording(save(tmp_path / "b.mat", {"frames": stack(5)}), ReadSettings("TYX")) as recording:
        assert recording.remarks == ()


@EVERY_VERSION
def test_one_frame(tmp_path: Path, save: Any) -> None:
    check(save(tmp_path / "a.mat", {"frame": stack()}), stack(), "YX")


@EVERY_VERSION
def test_one_of_several_variables(tmp_path: Path, save: Any) -> None:
    path = save(tmp_path / "a.mat", {"one": stack(3), "two": stack(4, seed=1), "n": 4.0})
    said = refusal(path)
    assert "holds 2 arrays; say which with --dataset: " in said
    assert all(one in said for one in ("one (3x8x12)", "two (4x8x12)", "n (1x1)"))
    check(path, stack(4, seed=1), "TYX", ReadSettings(dataset="two"))


@EVERY_VERSION
def test_what_is_no_recording_is_refused(tmp_path: Path, save: Any) -> None:
    assert "holds no array with lines and px" in refusal(save(tmp_path / "a.mat", {"n": 4.0, "s": "text"}))


def test_other_values_are_refused(tmp_path: Path) -> None:
    path = save_v7(tmp_path / "a.mat", {"a": stack(3) * 1j})
    assert "holds complex128 values" in refusal(path)
    savemat(path, {"a": stack()}, format="4")
    assert "no MATLAB file of version 5 or 7.3, or damaged; save it again with -v7" in refusal(path)


@EVERY_VERSION
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.6, 0.98])
def test_truncated_files_are_refused(tmp_path: Path, save: Any, kept: float) -> None:
    path = save(tmp_path / "a.mat", {"frames": stack(40)})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert any(word in refusal(path) for word in ("truncated", "damaged"))


@EVERY_VERSION
def test_damaged_files_are_refused_or_read(tmp_path: Path, save: Any) -> None:
    path = save(tmp_path / "a.mat", {"frames": stack(3), "n": 4.0})
    survives_damage(path, head=6000 if save is save_v73 else 300)


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_v73(tmp_path / "a.mat", {"frames": stack(3)})
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert 'run: pip install "sasnet-live[hdf5]"' in refusal(path)
