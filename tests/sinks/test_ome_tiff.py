"""Writing OME-TIFF frame by frame: readable at every moment, whole or named partial, and resumable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ome_types
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from sasnet_live.errors import InputError
from sasnet_live.layout import Layout
from sasnet_live.recordings.tiff import TiffStack
from sasnet_live.sinks.ome_tiff import OmeTiffWriter, frame_figures, partial_path, read_record

SHAPE = (6, 8)


def frames(count: int, dtype: Any = np.uint16, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 250, (count, *SHAPE)).astype(dtype)


def layout(axes: str = "t", sizes: tuple[int | None, ...] = (4,), dtype: Any = np.uint16, **more: Any) -> Layout:
    return Layout.stack(SHAPE, np.dtype(dtype), axes, sizes, **more)


def write(path: Path, data: np.ndarray[Any, Any], described: Layout, **options: Any) -> None:
    with OmeTiffWriter(path, described, **options) as writer:
        for frame in data:
            writer.write(frame)


LAYOUTS = [
    ("", (), "YX"),
    ("t", (4,), "TYX"),
    ("z", (4,), "ZYX"),
    ("tc", (3, 2), "TCYX"),
    ("tzc", (2, 3, 2), "TZCYX"),
    ("tcz", (2, 2, 3), "TCZYX"),
    ("ct", (2, 3), "CTYX"),
]


@pytest.mark.parametrize(("axes", "sizes", "expected"), LAYOUTS)
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_comes_back_as_written(
    tmp_path: Path, axes: str, sizes: tuple[int, ...], expected: str, big: bool, dtype: str
) -> None:
    described = layout(axes, sizes, dtype)
    data = frames(described.frames or 0, dtype)
    write(tmp_path / "a.ome.tiff", data, described, big=big)
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as tiff:
        assert tiff.is_bigtiff is big
        assert tiff.is_ome
        assert tiff.series[0].axes == expected
        assert tiff.series[0].dtype == dtype
        np.testing.assert_array_equal(tiff.asarray(), data.reshape(*sizes, *SHAPE))
        ome_types.from_xml(tiff.ome_metadata or "", validate=True)
    with TiffStack(tmp_path / "a.ome.tiff") as stack:
        assert (stack.layout.axes, stack.layout.sizes) == (tuple(axes), sizes)
    assert not partial_path(tmp_path / "a.ome.tiff").exists()


@pytest.mark.parametrize("order", ["ztc", "czt", "tzc"])
def test_order_of_writing_does_not_change_the_axes(tmp_path: Path, order: str) -> None:
    described = layout("tcz", (2, 3, 4))
    data = frames(24).reshape(2, 3, 4, *SHAPE)
    with OmeTiffWriter(tmp_path / "a.ome.tiff", described, order=order) as writer:
        for index in described.indices(order):
            writer.write(data[index["t"], index["c"], index["z"]])
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as tiff:
        assert tiff.series[0].axes == "TCZYX"
        np.testing.assert_array_equal(tiff.asarray(), data)
        ome_types.from_xml(tiff.ome_metadata or "", validate=True)


def test_positions_are_images(tmp_path: Path) -> None:
    data = frames(6).reshape(2, 3, *SHAPE)
    write(tmp_path / "a.ome.tiff", data.reshape(6, *SHAPE), layout("pt", (2, 3)))
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as tiff:
        assert [series.axes for series in tiff.series] == ["TYX", "TYX"]
        np.testing.assert_array_equal(np.stack([series.asarray() for series in tiff.series]), data)
        ome_types.from_xml(tiff.ome_metadata or "", validate=True)


def test_calibration_record_and_times(tmp_path: Path) -> None:
    described = layout(
        "tc",
        (2, 2),
        pixel_size_um=(0.5, 0.25),
        interval_s=0.04,
        channel_names=("532 nm", "558 nm"),
        description="mouse ear <3 & more",
    )
    record = {"model": "lite", "weights_sha256": "0" * 64}
    with OmeTiffWriter(tmp_path / "a.ome.tiff", described, record=record) as writer:
        for number, frame in enumerate(frames(4)):
            writer.write(
                frame, figures={"ncc_after": number / 4}, times={"DeltaT": number * 0.04, "ExposureTime": 20.0}
            )
    with TiffStack(tmp_path / "a.ome.tiff") as stack:
        read = stack.layout
    assert read.pixel_size_um == pytest.approx((0.5, 0.25))
    assert read.interval_s == pytest.approx(0.04)
    assert read.channel_names == ("532 nm", "558 nm")
    assert read.description == "mouse ear <3 & more"
    kept = read_record(tmp_path / "a.ome.tiff")
    assert kept["model"] == "lite"
    assert kept["software"].startswith("SASNet Live ")
    assert [figures["ncc_after"] for figures in frame_figures(tmp_path / "a.ome.tiff")] == [0, 0.25, 0.5, 0.75]
    ome = ome_types.from_xml(tifffile.tiffcomment(tmp_path / "a.ome.tiff"), validate=True)
    assert [plane.delta_t for plane in ome.images[0].pixels.planes] == pytest.approx([0, 0.04, 0.08, 0.12])
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as tiff:
        x = tiff.pages.first.tags["XResolution"].value
        assert x[0] / x[1] == pytest.approx(1e4 / 0.25)


SOURCE = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Instrument ID="Instrument:0"><Objective ID="Objective:0" LensNA="0.3"/></Instrument>'
    '<Image ID="Image:0" Name="ear"><AcquisitionDate>2025-01-02T03:04:05</AcquisitionDate>'
    '<InstrumentRef ID="Instrument:0"/><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="8" '
    'SizeY="6" SizeZ="1" SizeC="1" SizeT="4" SignificantBits="12" PhysicalSizeX="0.25" PhysicalSizeY="0.5">'
    '<Channel ID="Channel:0:0" Name="532 nm" SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="4"/>'
    '<Plane TheZ="0" TheC="0" TheT="3" DeltaT="1.5"/></Pixels></Image>'
    '<StructuredAnnotations><CommentAnnotation ID="Annotation:0"><Value>kept</Value></CommentAnnotation>'
    "</StructuredAnnotations></OME>"
)


def test_ome_metadata_of_the_source_are_carried_on(tmp_path: Path) -> None:
    """Also what this program knows nothing of: instrument, times of planes, annotations."""
    write(tmp_path / "a.ome.tiff", frames(4), layout("t", (4,), ome_xml=SOURCE), record={"model": "lite"})
    ome = ome_types.from_xml(tifffile.tiffcomment(tmp_path / "a.ome.tiff"), validate=True)
    image = ome.images[0]
    assert ome.instruments[0].objectives[0].lens_na == 0.3
    assert image.acquisition_date is not None
    assert image.acquisition_date.year == 2025
    assert image.pixels.significant_bits == 12
    assert image.pixels.planes[0].delta_t == 1.5
    assert image.pixels.channels[0].name == "532 nm"
    assert ome.structured_annotations[0].value == "kept"
    assert read_record(tmp_path / "a.ome.tiff")["model"] == "lite"
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.ome.tiff"), frames(4))


@pytest.mark.parametrize(
    "source", ["", "<OME", "<OME/>", SOURCE.replace("2016-06", "2013-06"), SOURCE.replace('SizeT="4"', 'SizeT="5"')]
)
def test_ome_metadata_that_cannot_be_carried_on(tmp_path: Path, source: str) -> None:
    write(tmp_path / "a.ome.tiff", frames(4), layout("t", (4,), ome_xml=source, pixel_size_um=(0.5, 0.25)))
    ome = ome_types.from_xml(tifffile.tiffcomment(tmp_path / "a.ome.tiff"), validate=True)
    assert ome.images[0].pixels.physical_size_x == 0.25
    assert ome.instruments == []
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.ome.tiff"), frames(4))


def test_unknown_number_of_frames(tmp_path: Path) -> None:
    data = frames(6)
    write(tmp_path / "a.ome.tiff", data, layout("tc", (None, 2)))
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as tiff:
        assert tiff.is_bigtiff
        assert tiff.series[0].axes == "TCYX"
        np.testing.assert_array_equal(tiff.asarray(), data.reshape(3, 2, *SHAPE))


def test_last_time_point_not_whole_keeps_its_pages(tmp_path: Path) -> None:
    data = frames(7)
    write(tmp_path / "a.ome.tiff", data, layout("tc", (None, 2)))
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as tiff:
        np.testing.assert_array_equal(tiff.asarray(), data[:6].reshape(3, 2, *SHAPE))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.ome.tiff", key=6), data[6])


def test_every_written_frame_is_seen_at_once_by_others(tmp_path: Path) -> None:
    path, data = tmp_path / "a.ome.tiff", frames(4)
    writer = OmeTiffWriter(path, layout())
    for number, frame in enumerate(data, 1):
        writer.write(frame)
        assert not path.exists()
        np.testing.assert_array_equal(
            tifffile.imread(writer.partial).reshape(-1, *SHAPE), data[:number], err_msg=str(number)
        )
    writer.close()
    np.testing.assert_array_equal(tifffile.imread(path), data)


def test_missing_frames_leave_it_partial(tmp_path: Path) -> None:
    writer = OmeTiffWriter(tmp_path / "a.ome.tiff", layout())
    writer.write(frames(1)[0])
    with pytest.raises(InputError, match="1 of 4 frames came"):
        writer.close()
    assert not writer.path.exists()
    assert writer.partial.exists()


def test_nothing_is_left_of_a_file_without_a_frame(tmp_path: Path) -> None:
    OmeTiffWriter(tmp_path / "a.ome.tiff", layout()).abandon()
    assert list(tmp_path.iterdir()) == []


def test_error_in_the_block_leaves_it_partial(tmp_path: Path) -> None:
    def fail() -> None:
        with OmeTiffWriter(tmp_path / "a.ome.tiff", layout()) as writer:
            writer.write(frames(1)[0])
            raise RuntimeError("camera")

    with pytest.raises(RuntimeError, match="camera"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.tiff.partial"]


@settings(max_examples=40, deadline=None)
@given(whole=st.integers(0, 5), torn=st.integers(0, 400), big=st.booleans())
def test_resume_after_any_cut(tmp_path_factory: pytest.TempPathFactory, whole: int, torn: int, big: bool) -> None:
    """Whatever is left of a page behind the last whole one, resuming gives the file that would have been."""
    path, data = tmp_path_factory.mktemp("cut") / "a.ome.tiff", frames(5)
    writer = OmeTiffWriter(path, layout("t", (5,)), big=big, record={"model": "lite"})
    for frame in data[:whole]:
        writer.write(frame)
    end = writer.partial.stat().st_size
    if whole < 5:
        writer.write(data[whole])
    writer.abandon()
    os.truncate(writer.partial, min(end + torn, writer.partial.stat().st_size))
    again = OmeTiffWriter(path, layout("t", (5,)), big=big, record={"model": "lite"}, resume=True)
    assert again.pages_written in (whole, whole + 1)
    for frame in data[again.pages_written :]:
        again.write(frame)
    again.close()
    np.testing.assert_array_equal(tifffile.imread(path), data)


def test_cut_to_an_earlier_frame(tmp_path: Path) -> None:
    path, data = tmp_path / "a.ome.tiff", frames(4)
    with OmeTiffWriter(path, layout()) as writer:
        for frame in data[[0, 1, 3]]:
            writer.write(frame)
        writer.cut(2)
        for frame in data[2:]:
            writer.write(frame)
    np.testing.assert_array_equal(tifffile.imread(path), data)


def test_killed_between_the_last_frame_and_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, data = tmp_path / "a.ome.tiff", frames(4)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write(path, data, layout(), record={"model": "lite"})
    assert not path.exists()
    again = OmeTiffWriter(path, layout(), record={"model": "lite"}, resume=True)
    assert again.pages_written == 4
    again.close()
    np.testing.assert_array_equal(tifffile.imread(path), data)
    assert read_record(path)["model"] == "lite"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, r"a\.ome\.tiff\.partial: an earlier run was interrupted; add --resume"),
    (
        {"resume": True, "record": {"model": "full"}},
        "begun with other settings .model was lite, now full.; .*overwrite",
    ),
    ({"resume": True, "layout": layout("t", (9,))}, "of a stack of other axes or sizes"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_what_is_refused_over_a_partial_file(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    writer = OmeTiffWriter(tmp_path / "a.ome.tiff", layout(), record={"model": "lite"})
    writer.write(frames(1)[0])
    writer.abandon()
    before = writer.partial.read_bytes()
    options = {"layout": layout(), "record": {"model": "lite"}, **options}
    with pytest.raises(InputError, match=message):
        OmeTiffWriter(tmp_path / "a.ome.tiff", **options)
    assert writer.partial.read_bytes() == before


def test_ignored_settings_may_differ(tmp_path: Path) -> None:
    writer = OmeTiffWriter(tmp_path / "a.tif", layout(), record={"device": "cpu"})
    writer.write(frames(1)[0])
    writer.abandon()
    OmeTiffWriter(tmp_path / "a.tif", layout(), record={"device": "cuda"}, ignored=("device",), resume=True).abandon()


def test_existing_file_needs_overwrite_and_stays_until_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tiff"
    write(path, frames(4), layout())
    with pytest.raises(InputError, match="is there already; add --overwrite"):
        OmeTiffWriter(path, layout())
    new = frames(4, seed=1)
    with OmeTiffWriter(path, layout(), overwrite=True) as writer:
        for frame in new:
            np.testing.assert_array_equal(tifffile.imread(path), frames(4))
            writer.write(frame)
    np.testing.assert_array_equal(tifffile.imread(path), new)


def test_two_writers_of_one_file(tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="locking is left to the system on Windows")
    first = OmeTiffWriter(tmp_path / "a.ome.tiff", layout())
    first.write(frames(1)[0])
    with pytest.raises(InputError, match="another process is writing"):
        OmeTiffWriter(tmp_path / "a.ome.tiff", layout(), resume=True)
    first.abandon()


def test_bad_frames_and_folders(tmp_path: Path) -> None:
    with OmeTiffWriter(tmp_path / "a.tif", layout("t", (1,))) as writer:
        with pytest.raises(InputError, match=r"\(3, 3\) uint16 came; expected \(6, 8\)"):
            writer.write(np.zeros((3, 3), np.uint16))
        with pytest.raises(InputError, match="float32 came"):
            writer.write(np.zeros(SHAPE, np.float32))
        writer.write(frames(1)[0])
        with pytest.raises(InputError, match="all 1 frames are written"):
            writer.write(frames(1)[0])
    with pytest.raises(InputError, match=r"none/a\.tif\.partial: cannot be written"):
        OmeTiffWriter(tmp_path / "none" / "a.tif", layout())
    with pytest.raises(InputError, match="int64 cannot be written to OME-TIFF"):
        OmeTiffWriter(tmp_path / "b.tif", replace(layout(), dtype=np.dtype("int64")))


KILLED = """
    import sys, numpy as np
    from sasnet_live.sinks.ome_tiff import OmeTiffWriter
    from sasnet_live.layout import Layout

    writer = OmeTiffWriter(sys.argv[1], Layout.stack((256, 256), np.dtype("uint16"), "t", (None,)))
    for number in range(100_000):
        writer.write(np.full((256, 256), number % 60_000, np.uint16))
        print(number + 1, flush=True)
"""


def test_killed_process_leaves_every_flushed_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tiff"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = 0
        while said < 25:
            said = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split("\n")
    said = max([said, *(int(line) for line in rest[:-1] if line)])
    assert not path.exists()
    with TiffStack(partial_path(path)) as stack:
        (count,) = stack.layout.sizes
        assert count is not None
        assert said <= count <= said + 1
        assert all((stack.read({"t": t}) == t).all() for t in range(count))
    resumed = OmeTiffWriter(path, Layout.stack((256, 256), np.dtype("uint16"), "t", (None,)), resume=True)
    assert resumed.pages_written == count
    resumed.write(np.full((256, 256), count, np.uint16))
    resumed.close()
    assert [int(frame[0, 0]) for frame in tifffile.imread(path)] == list(range(count + 1))
