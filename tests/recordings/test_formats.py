"""Opening a recording by what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.recordings import is_recording, open_recording
from sasnet_live.recordings.formats import name_patterns
from sasnet_live.reprocess.plan import expand


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("a.tif", True),
        ("A.OME.TIFF", True),
        ("a.btf", True),
        ("a.npy", True),
        ("a.MAT", True),
        ("a.h5", True),
        ("a.ome.zarr", True),
        ("a.raw", False),
        ("a.txt", False),
        ("tif", False),
        ("a.tif.partial", False),
    ],
)
def test_names_of_recordings(name: str, known: bool) -> None:
    assert is_recording(name) is known


def test_a_folder_yields_arrays_too_but_no_raw_files(tmp_path: Path) -> None:
    for name in ("b.npy", "a.tif", "c.bin", "d.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "e.zarr").mkdir()
    assert [one.paths for one in expand([tmp_path])[0]] == [(tmp_path / "a.tif",), (tmp_path / "b.npy",)]
    assert [one.paths for one in expand([tmp_path / "e.zarr"])[0]] == [(tmp_path / "e.zarr",)]


def test_dialogs_offer_files_of_every_format() -> None:
    offered = name_patterns().split()
    assert {"*.tif", "*.npy", "*.mat", "*.h5", "*.tdms", "*.czi", "*.xml"} <= set(offered)
    assert "*.zarr" not in offered
    assert len(offered) == len(set(offered))


def test_frames_come_by_number_and_by_place(tmp_path: Path) -> None:
    stack = np.arange(3 * 2 * 6 * 8, dtype=np.uint16).reshape(3, 2, 6, 8)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TCYX"})
    with open_recording(tmp_path / "a.tif") as recording:
        assert len(recording) == 6
        np.testing.assert_array_equal(recording.frame(3), stack[1, 1])
        np.testing.assert_array_equal(recording.read({"t": 1, "c": 1}), stack[1, 1])
        np.testing.assert_array_equal(np.stack(list(recording.frames())), stack.reshape(6, 6, 8))


@pytest.mark.parametrize("number", [-1, 6])
def test_a_frame_that_is_none_is_refused(tmp_path: Path, number: int) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 6, 8), np.uint16), photometric="minisblack")
    with open_recording(tmp_path / "a.tif") as recording, pytest.raises(InputError, match=f"{number} was asked for"):
        recording.frame(number)
    with open_recording(tmp_path / "a.tif") as recording, pytest.raises(InputError, match="expected 0 to 5"):
        recording.read({"t": number})


def test_no_file_is_no_recording() -> None:
    with pytest.raises(InputError, match="expected a recording"):
        open_recording([])
