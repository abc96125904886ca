"""What was given to a sink is in its files, where it belongs, and readable while they grow."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Registration, RegistrationMetrics
from sasnet_live.layout import Layout
from sasnet_live.sinks import metrics_table
from sasnet_live.sinks.ome_tiff import OmeTiffWriter, frame_figures, read_record
from sasnet_live.sinks.recording import MetricsSink, OmeTiffSink

H, W = 12, 10


def stream(axes: str = "", sizes: tuple[int, ...] = (), dtype: Any = np.uint16, **more: Any) -> Layout:
    return Layout.stack((H, W), np.dtype(dtype), axes, sizes, **more) if axes else Layout((H, W), np.dtype(dtype))


def frame(number: int, dtype: Any = np.uint16, **index: int) -> Frame:
    metadata = {"runner_time_ms": 100.0 * number, "exposure_ms": 33.0}
    return Frame(np.full((H, W), number + 1, dtype), index, number, 50.0 + number, metadata)


def registration(of: Frame) -> Registration:
    lines = of.data[1::2].astype(np.float32)
    metrics = RegistrationMetrics(0.5, 0.9, 0.4, 0.8, 3.25, 0.7, 12.5)
    return Registration(of.data + of.data.dtype.type(100), None, lines, np.zeros_like(lines), metrics, True)


def write(sink: Any, info: Layout, frames: list[Frame]) -> Any:
    sink.open(info)
    for one in frames:
        sink.write(one, registration(one))
    sink.flush()
    return sink.close()


T4C2: dict[str, Any] = {"axes": "tc", "sizes": (4, 2), "channel_names": ("DAPI", "FITC")}


def test_an_acquisition_becomes_a_stack_with_its_axes_calibration_and_figures(tmp_path: Path) -> None:
    info = stream(
        **T4C2, pixel_size_um=(5.0, 1.25), interval_s=0.5, source="camera", metadata={"useq": {"axis_order": "tc"}}
    )
    frames = [frame(2 * t + c, t=t, c=c) for t in range(4) for c in range(2)]
    sink = OmeTiffSink(tmp_path / "a.ome.tiff", record=lambda: {"model": "lite", "weights_sha256": "abc"})
    report = write(sink, info, frames)
    assert (report.verified, report.problem, report.paths) == (8, "", (tmp_path / "a.ome.tiff",))
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as tiff:
        series = tiff.series[0]
        assert (series.axes, series.shape) == ("TCYX", (4, 2, H, W))
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
        assert (pixels["PhysicalSizeY"], pixels["PhysicalSizeX"]) == (5.0, 1.25)
        assert [channel["Name"] for channel in pixels["Channel"]] == ["DAPI", "FITC"]
        assert [plane["DeltaT"] for plane in pixels["Plane"]] == pytest.approx([0.1 * n for n in range(8)])
        np.testing.assert_array_equal(series.asarray()[..., 0, 0].ravel(), np.arange(8) + 101)
    record = read_record(tmp_path / "a.ome.tiff")
    assert record["model"] == "lite"
    assert record["useq"] == '{"axis_order": "tc"}'
    figures = list(frame_figures(tmp_path / "a.ome.tiff"))
    assert [f["frame"] for f in figures] == list(range(8))
    assert figures[0]["ncc_after"] == 0.9
    assert figures[5]["c"] == 1


def test_raw_and_registered_side_by_side(tmp_path: Path) -> None:
    write(OmeTiffSink(tmp_path / "a.tif", "side by side"), stream(), [frame(0)])
    image = tifffile.imread(tmp_path / "a.tif")
    assert image.shape == (H, 2 * W)
    assert (image[:, :W] == 1).all()
    assert (image[:, W:] == 101).all()


def test_raw_frames_are_written_unchanged(tmp_path: Path) -> None:
    write(OmeTiffSink(tmp_path / "a.tif", "raw"), stream(), [frame(n) for n in range(3)])
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif")[:, 0, 0], [1, 2, 3])


def test_frames_that_never_came_leave_their_place_empty_and_marked(tmp_path: Path) -> None:
    sink = OmeTiffSink(tmp_path / "a.tif")
    report = write(
        sink, stream(**T4C2), [frame(0, t=0, c=0), frame(1, t=1, c=1), frame(2, t=3, c=0), frame(3, t=3, c=1)]
    )
    assert report.verified == 4
    stack = tifffile.imread(tmp_path / "a.tif")
    assert stack[..., 0, 0].tolist() == [[101, 0], [0, 102], [0, 0], [103, 104]]
    assert [figure.get("missing", False) for figure in frame_figures(tmp_path / "a.tif")] == [
        False, True, True, False, True, True, False, False,
    ]  # fmt: skip


def test_an_acquisition_that_ends_early_is_a_complete_file_of_what_came(tmp_path: Path) -> None:
    report = write(OmeTiffSink(tmp_path / "a.ome.tiff"), stream(**T4C2), [frame(0, t=0, c=0), frame(1, t=0, c=1)])
    assert report.verified == 2
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as tiff:
        assert tiff.series[0].shape in ((2, H, W), (1, 2, H, W))


def test_streams_that_follow_get_files_of_their_own(tmp_path: Path) -> None:
    sink = OmeTiffSink(tmp_path / "a.ome.tiff")
    metrics = MetricsSink(tmp_path / "a.csv")
    for count in (2, 3):
        for one in (sink, metrics):
            assert write(one, stream(), [frame(n) for n in range(count)]).verified == count
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.ome.tiff", "a_002.csv", "a_002.ome.tiff"]


def test_metrics_have_the_axes_of_the_stream_and_a_row_a_frame(tmp_path: Path) -> None:
    frames = [frame(2 * t + c, t=t, c=c) for t in range(4) for c in range(2)]
    report = write(MetricsSink(tmp_path / "m.csv"), stream(**T4C2), frames)
    assert report.verified == 8
    lines = (tmp_path / "m.csv").read_text().splitlines()
    assert lines[0].startswith("frame,t,c,elapsed_s,ncc_before,ncc_after")
    assert lines[4].startswith("3,1,1,0.3,0.5,0.9")


@pytest.mark.parametrize("make", [OmeTiffSink, MetricsSink])
def test_what_cannot_be_written_is_refused_before_the_first_frame(make: Any, tmp_path: Path) -> None:
    suffix = ".tif" if make is OmeTiffSink else ".csv"
    with pytest.raises(InputError, match="does not exist"):
        make(tmp_path / "none" / f"a{suffix}")
    there = tmp_path / f"a{suffix}"
    there.write_text("")
    with pytest.raises(InputError, match="is there already"):
        make(there)
    make(there, overwrite=True)


@pytest.mark.parametrize("make", [OmeTiffSink, MetricsSink])
def test_a_file_that_is_taken_away_is_noticed_and_reported(make: Any, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    sink = make(folder / ("a.tif" if make is OmeTiffSink else "a.csv"))
    sink.open(stream())
    sink.write(frame(0), registration(frame(0)))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    with pytest.raises(FileNotFoundError, match="has been removed"):
        sink.flush()
    report = sink.close()
    assert not report.complete
    assert report.problem


def test_a_frame_out_of_order_is_refused(tmp_path: Path) -> None:
    sink = OmeTiffSink(tmp_path / "a.tif")
    sink.open(stream("t", (4,)))
    sink.write(frame(2, t=2), registration(frame(2)))
    with pytest.raises(InputError, match="came after later ones"):
        sink.write(frame(1, t=1), registration(frame(1)))
    sink.close()


def test_memory_does_not_grow_with_a_recording(tmp_path: Path) -> None:
    def held(count: int) -> tuple[float, float]:
        """Bytes held after so many frames, and most that were held while the file was completed."""
        sink = OmeTiffSink(tmp_path / f"{count}.ome.tiff")
        sink.open(stream())
        one = registration(frame(0))
        tracemalloc.start()
        for n in range(count):
            sink.write(frame(n), one)
        gc.collect()
        now, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert sink.close().verified == count
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return now, peak

    few, many = held(1000), held(2000)
    assert (many[0] - few[0]) / 1000 < 10
    assert (many[1] - few[1]) / 1000 < 100  # bytes a frame: two numbers, and a piece of text at a time


def test_times_of_frames_survive_an_interruption(tmp_path: Path) -> None:
    layout = Layout.stack((H, W), np.dtype("uint16"), "t", (3,))
    writer = OmeTiffWriter(tmp_path / "a.ome.tiff", layout)
    writer.write(frame(0).data, times={"DeltaT": 0.25, "ExposureTime": 5.0})
    writer.abandon()
    with OmeTiffWriter(tmp_path / "a.ome.tiff", layout, resume=True) as writer:
        writer.write(frame(1).data)
        writer.write(frame(2).data, times={"DeltaT": 0.75})
    planes = tifffile.xml2dict(tifffile.tiffcomment(tmp_path / "a.ome.tiff"))["OME"]["Image"]["Pixels"]["Plane"]
    assert [plane.get("DeltaT") for plane in planes] == [0.25, None, 0.75]
    assert [plane.get("ExposureTime") for plane in planes] == [5.0, None, None]


def test_a_table_whose_rows_could_not_all_be_written_stays_partial(tmp_path: Path) -> None:
    sink = MetricsSink(tmp_path / "m.csv")
    sink.open(stream())
    sink.write(frame(0), registration(frame(0)))
    assert sink._table is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics_table, "write_all", _full)
        with pytest.raises(OSError, match="No space"):
            sink.write(frame(1), registration(frame(1)))
    report = sink.close()
    assert (report.verified, report.complete) == (1, False)
    assert report.paths == (tmp_path / "m.csv.partial",)
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv.partial"]


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("suffix", [".ome.tiff", ".csv"])
def test_a_name_that_is_a_folder_is_refused_before_the_first_frame(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").mkdir()
    make: Any = MetricsSink if suffix == ".csv" else OmeTiffSink
    with pytest.raises(InputError, match="is a folder; choose another name"):
        make(tmp_path / f"a{suffix}", overwrite=True)


_KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from {module} import *
sink = {make}
sink.open(stream(**T4C2))
for n in range(5):
    one = frame(n, t=n // 2, c=n % 2)
    sink.write(one, registration(one))
sink.flush()
print("flushed", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_file_whose_writer_is_killed_is_readable_to_the_last_frame(tmp_path: Path) -> None:
    script = _KILLED.format(
        path=[str(Path(__file__).parent)], module=Path(__file__).stem, make=f"OmeTiffSink({str(tmp_path / 'a.tif')!r})"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert result.stdout == "flushed\n", result.stderr
    with tifffile.TiffFile(tmp_path / "a.tif.partial") as tiff:
        assert [int(page.asarray()[0, 0]) for page in tiff.pages] == [101, 102, 103, 104, 105]
