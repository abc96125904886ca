"""HDF5 files: every frame of a dataset, which dataset it is, and one line where they are damaged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from array_files import check, refusal, stack, survives_damage
from sasnet_live.recordings import ReadSettings, open_recording

h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install sasnet-live[hdf5]")


def save(path: Path, frames: Any, name: str = "scan/frames", **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=frames, **options)
        file["temperature"] = 21.5
        file["times"] = np.arange(9.0)
        file.attrs["operator"] = "nobody"
    return path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (1, 8, 12)},
        {"chunks": (4, 8, 12), "compression": "gzip", "shuffle": True},
        {"chunks": (2, 3, 5), "compression": "lzf", "fletcher32": True},
    ],
)
def test_the_only_stack_is_found(tmp_path: Path, options: dict[str, Any]) -> None:
    check(save(tmp_path / "a.h5", stack(5), **options), stack(5), "TYX")


@pytest.mark.parametrize("dtype", ["u1", ">u2", "f4", ">f8", "i4"])
def test_data_types_and_byte_orders(tmp_path: Path, dtype: str) -> None:
    frames = stack(3, dtype=dtype)
    with open_recording(save(tmp_path / "a.hdf5", frames)) as recording:
        np.testing.assert_array_equal(np.stack(list(recording.frames())), frames)
        assert recording.layout.dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize(("axes", "order"), [("CTYX", (1, 0, 2, 3)), ("YXCT", (2, 3, 1, 0)), ("CYXT", (1, 2, 3, 0))])
def test_axes_that_the_user_names(tmp_path: Path, axes: str, order: tuple[int, ...]) -> None:
    frames = stack(3, 2)  # TCYX
    save(tmp_path / "a.h5", frames.transpose(order))
    leading = axes.replace("Y", "").replace("X", "")
    kept = frames.transpose(["TC".index(one) for one in leading] + [2, 3])
    check(tmp_path / "a.h5", kept, f"{leading}YX", ReadSettings(axes=axes))


def test_axes_that_the_file_names(tmp_path: Path) -> None:
    with h5py.File(save(tmp_path / "a.h5", stack(3, 2)), "a") as file:
        for number, label in enumerate("tcyx"):
            file["scan/frames"].dims[number].label = label
    check(tmp_path / "a.h5", stack(3, 2), "TCYX")


def test_one_of_several_datasets(tmp_path: Path) -> None:
    with h5py.File(save(tmp_path / "a.h5", stack(3)), "a") as file:
        file["other"] = stack(4, seed=1)
    assert "holds 2 arrays; say which with --dataset: other (4x8x12), scan/frames (3x8x12)" in refusal(
        tmp_path / "a.h5"
    )
    assert "holds no dataset 'frames'; it has" in refusal(tmp_path / "a.h5", ReadSettings(dataset="frames"))
    for name in ("other", "/other"):
        with open_recording(tmp_path / "a.h5", ReadSettings(dataset=name)) as recording:
            np.testing.assert_array_equal(recording.frame(2), stack(4, seed=1)[2])
    check(tmp_path / "a.h5", stack(3), "TYX", ReadSettings(dataset="scan/frames"))


def test_px_in_other_files_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "other.h5", stack(3))
    (tmp_path / "px.bin").write_bytes(stack(3).tobytes())
    layout = h5py.VirtualLayout(shape=(3, 8, 12), dtype="u2")
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "scan/frames", shape=(3, 8, 12))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["linked"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "scan/frames")
        file["soft"] = h5py.SoftLink("/linked")
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("outside", (3, 8, 12), "u2", external=[(str(tmp_path / "px.bin"), 0, 576)])
    for name in ("linked", "soft"):
        assert f"holds no dataset {name!r}" in refusal(tmp_path / "a.h5", ReadSettings(dataset=name))
    for name in ("virtual", "outside"):
        assert f"the px of {name} lie in other files" in refusal(tmp_path / "a.h5", ReadSettings(dataset=name))


@pytest.mark.parametrize(
    ("frames", "options", "said"),
    [
        (stack(3), {"chunks": (1, 8, 12), "scaleoffset": 0}, "packed with the scale-offset filter"),
        (stack(3).astype("c8"), {}, "holds complex64 values"),
        (stack(2, 2), {}, "has 4 axes (2x2x8x12); expected frames with lines: say what its axes are"),
        (np.zeros(7), {}, "holds no array with lines and px; it has scan/frames (7), temperature"),
        (np.zeros((70, 8, 12)), {"maxshape": (None, 8, 12), "chunks": (2**16, 8, 12)}, "the blocks that it is stored"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, frames: Any, options: dict[str, Any], said: str) -> None:
    save(tmp_path / "a.h5", frames, **options)
    assert said in refusal(tmp_path / "a.h5", ReadSettings(largest_mib=32))


def test_truncated_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", stack(50))
    path.write_bytes(path.read_bytes()[:-1000])
    assert "no HDF5 file, or damaged (Unable to synchronously open file (truncated file" in refusal(path)
    path.write_bytes(b"no such thing")
    assert "no HDF5 file, or damaged" in refusal(path)


@pytest.mark.parametrize("options", [{}, {"chunks": (1, 8, 12), "compression": "gzip"}])
def test_damaged_files_are_refused_or_read(tmp_path: Path, options: dict[str, Any]) -> None:
    path = save(tmp_path / "a.h5", stack(3), **options)
    survives_damage(path, head=8000, tail=1500)


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.h5", stack(3))
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert 'run: pip install "sasnet-live[hdf5]"' in refusal(path)
