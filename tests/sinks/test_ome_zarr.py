"""OME-Zarr: the axes, the numbers, and every frame read back."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ome_writers")
tensorstore = pytest.importorskip("tensorstore")

from sasnet_live.errors import InputError  # noqa: E402
from sasnet_live.sinks.ome_zarr import OmeZarrSink  # noqa: E402

_SPEC = importlib.util.spec_from_file_location("recording_helpers", Path(__file__).with_name("test_recording.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
helpers = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(helpers)
frame, registration, stream, write, T4C2, H, W = (
    getattr(helpers, name) for name in ("frame", "registration", "stream", "write", "T4C2", "H", "W")
)


def read(path: Path) -> np.ndarray[Any, Any]:
    store = tensorstore.open(
        {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path / "0")}}, read=True, open=True
    ).result()
    return np.asarray(store.read().result())


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_an_acquisition_becomes_an_image_with_its_axes_and_figures(tmp_path: Path, dtype: Any) -> None:
    info = stream(**T4C2, dtype=dtype, pixel_size_um=(5.0, 1.25), interval_s=0.5)
    frames = [frame(2 * t + c, dtype, t=t, c=c) for t in range(4) for c in range(2)]
    report = write(OmeZarrSink(tmp_path / "a.ome.zarr", record=lambda: {"model": "lite"}), info, frames)
    assert (report.verified, report.problem) == (8, "")
    pixels = read(tmp_path / "a.ome.zarr")
    assert pixels.dtype == dtype
    assert pixels[..., 0, 0].tolist() == [[101, 102], [103, 104], [105, 106], [107, 108]]
    attributes = json.loads((tmp_path / "a.ome.zarr" / "zarr.json").read_text())["attributes"]
    multiscale = attributes["ome"]["multiscales"][0]
    assert [axis["name"] for axis in multiscale["axes"]] == ["t", "c", "y", "x"]
    assert multiscale["datasets"][0]["coordinateTransformations"][0]["scale"] == [0.5, 1.0, 5.0, 1.25]
    assert attributes["sasnet_live"]["model"] == "lite"
    assert json.loads(attributes["sasnet_live"]["channels"]) == ["DAPI", "FITC"]
    assert attributes["ome_writers"]["frame_metadata"][3]["ncc_after"] == 0.9


def test_positions_are_images_of_their_own(tmp_path: Path) -> None:
    info = stream("pz", (2, 3))
    frames = [frame(3 * p + z, p=p, z=z) for p in range(2) for z in range(3)]
    assert write(OmeZarrSink(tmp_path / "a.ome.zarr"), info, frames).verified == 6
    assert read(tmp_path / "a.ome.zarr" / "Pos1")[:, 0, 0].tolist() == [104, 105, 106]


def test_axes_acquired_in_another_order_are_stored_in_that_of_the_format(tmp_path: Path) -> None:
    info = stream("ct", (2, 3), channel_names=("DAPI", "FITC"))
    frames = [frame(3 * c + t, t=t, c=c) for c in range(2) for t in range(3)]
    assert write(OmeZarrSink(tmp_path / "a.ome.zarr"), info, frames).verified == 6
    assert read(tmp_path / "a.ome.zarr")[..., 0, 0].tolist() == [[101, 104], [102, 105], [103, 106]]


def test_frames_that_never_came_leave_their_place_empty(tmp_path: Path) -> None:
    report = write(OmeZarrSink(tmp_path / "a.ome.zarr"), stream(**T4C2), [frame(0, t=0, c=0), frame(1, t=2, c=1)])
    assert report.verified == 2
    assert read(tmp_path / "a.ome.zarr")[..., 0, 0].tolist() == [[101, 0], [0, 0], [0, 102]]


def test_a_run_of_unknown_length_has_as_many_frames_as_came(tmp_path: Path) -> None:
    assert write(OmeZarrSink(tmp_path / "a.ome.zarr"), stream(), [frame(n) for n in range(5)]).verified == 5
    assert read(tmp_path / "a.ome.zarr").shape == (5, H, W)


def test_frames_that_are_not_on_disk_are_not_counted(tmp_path: Path) -> None:
    sink = OmeZarrSink(tmp_path / "a.ome.zarr")
    sink.open(stream())
    for n in range(6):
        sink.write(frame(n), registration(frame(n)))
    sink.flush()
    shutil.rmtree(tmp_path / "a.ome.zarr" / "0" / "c" / "2")
    assert sink.close().verified == 5


def test_a_flush_finds_the_writes_that_it_waits_for(tmp_path: Path) -> None:
    """They are private to ome-writers: this fails where a new version keeps them elsewhere."""
    sink = OmeZarrSink(tmp_path / "a.ome.zarr")
    sink.open(stream())
    for n in range(3):
        sink.write(frame(n), registration(frame(n)))
    assert sink._stream is not None
    writes = list(sink._stream._backend._futures)  # type: ignore[attr-defined]
    assert len(writes) == 3
    sink.flush()
    assert all(write.done() for write in writes)
    assert sink._stream._backend._futures == []  # type: ignore[attr-defined]
    assert len(list((tmp_path / "a.ome.zarr" / "0" / "c").iterdir())) == 3
    sink.close()


def test_a_folder_that_is_taken_away_is_noticed(tmp_path: Path) -> None:
    sink = OmeZarrSink(tmp_path / "a.ome.zarr")
    sink.open(stream())
    sink.write(frame(0), registration(frame(0)))
    sink.flush()
    shutil.rmtree(tmp_path / "a.ome.zarr")
    with pytest.raises(FileNotFoundError, match="has been removed"):
        sink.flush()
    assert not sink.close().complete


def test_what_is_there_is_replaced_only_if_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    write(OmeZarrSink(path), stream(), [frame(n) for n in range(4)])
    with pytest.raises(InputError, match="is there already"):
        OmeZarrSink(path)
    write(OmeZarrSink(path, overwrite=True), stream(), [frame(n) for n in range(2)])
    assert read(path).shape == (2, H, W)


def test_an_image_that_another_writes_is_not_removed(tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="locking is left to the system on Windows")
    path = tmp_path / "a.ome.zarr"
    first, second = OmeZarrSink(path), OmeZarrSink(path, overwrite=True)
    first.open(stream())
    for n in range(3):
        first.write(frame(n), registration(frame(n)))
    with pytest.raises(InputError, match="another process is writing"):
        second.open(stream())
    assert first.close().verified == 3
    assert write(second, stream(), [frame(0)]).verified == 1
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_an_image_whose_writer_is_killed_is_readable_to_the_last_flush(tmp_path: Path) -> None:
    script = helpers._KILLED.format(
        path=[str(Path(__file__).parent)],
        module="test_recording",
        make=f"__import__('sasnet_live.sinks.ome_zarr').sinks.ome_zarr.OmeZarrSink({str(tmp_path / 'a.ome.zarr')!r})",
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert result.stdout == "flushed\n", result.stderr
    assert read(tmp_path / "a.ome.zarr")[..., 0, 0].ravel()[:5].tolist() == [101, 102, 103, 104, 105]
