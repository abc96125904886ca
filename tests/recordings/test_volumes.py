"""Volumes of A-lines from recordings of any format."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels
from sasnet_live.layout import Layout
from sasnet_live.recordings import ReadSettings, Recording, open_recording, volumes
from sasnet_live.recordings.volume_axes import axes_of
from sasnet_live.recordings.volume_settings import VolumeSettings
from sasnet_live.recordings.volumes import VolumeRecording, open_volume

LINES, PX, DEPTH = 7, 6, 9
LAST = VolumeSettings("last")


class Pages(Recording):
    """A stack of pages in memory, as a reader gives it that can do no more than it must."""

    format_name = "memory"

    def __init__(self, array: np.ndarray[Any, Any], axes: str) -> None:
        self.path = Path("memory")
        self._array = array
        self.layout = Layout.stack(array.shape[-2:], array.dtype, tuple(axes.lower()), array.shape[:-2])
        self.closed = False
        self.pages_read = 0

    def read(self, index: Mapping[str, int] | None = None) -> Pixels:
        where = self._place(index)
        self.pages_read += 1
        return np.array(self._array[tuple(where[axis] for axis in self.layout.axes)])

    def close(self) -> None:
        self.closed = True


class PagesByRows(Pages):
    """One that reads rows alone, too."""

    reads_rows = True

    def read_rows(self, index: Mapping[str, int] | None, start: int, end: int) -> Pixels:
        where = self._place(index)
        return np.array(self._array[tuple(where[axis] for axis in self.layout.axes)][start:end])


def samples(*leading: int, dtype: Any = np.int16) -> np.ndarray[Any, Any]:
    """(..., lines, px, depth)."""
    return np.random.default_rng(0).integers(-3000, 3000, (*leading, LINES, PX, DEPTH)).astype(dtype)


def stored_as(array: np.ndarray[Any, Any], order: str) -> np.ndarray[Any, Any]:
    """(..., lines, px, depth) with its last three axes in another order."""
    leading = array.ndim - 3
    return array.transpose([*range(leading), *(leading + "yxd".index(axis) for axis in order)])


def opened(pages: Pages, order: str, settings: VolumeSettings = LAST, mib: float = 1.0) -> VolumeRecording:
    axes = axes_of(pages.path, (), ReadSettings(axes=order), VolumeSettings())
    return VolumeRecording(pages, axes, settings, mib)


ORDERS = ["".join(order) for order in permutations("yxd")]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", [Pages, PagesByRows])
@pytest.mark.parametrize("block", [1, 2 * PX * DEPTH * 2, 10**6])
def test_volumes_in_any_order_of_axes(monkeypatch: pytest.MonkeyPatch, order: str, kind: Any, block: int) -> None:
    """Block by block is the same as whole, for lines that are rows and for those that are columns."""
    monkeypatch.setattr(volumes, "BLOCK_SAMPLES", block)
    whole = samples(3)
    settings = VolumeSettings("last", gate=(2, 8))
    with opened(kind(stored_as(whole, order), "tz"), f"t{order}", settings) as recording:
        assert recording.layout.axes == ("t",)
        assert recording.layout.frame_shape == (LINES, PX)
        assert recording.samples == DEPTH
        for number in range(3):
            np.testing.assert_array_equal(recording.volume(number), whole[number])
            np.testing.assert_array_equal(recording.frame(number), whole[number, ..., 2:8].max(-1))
        for line_axis, wanted in (("rows", whole[1]), ("columns", whole[1].swapaxes(0, 1))):
            parts = list(recording.blocks({"t": 1}, line_axis))
            assert [start % 2 for start, _ in parts] == [0] * len(parts)
            np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), wanted)
            assert recording.lines(line_axis) == wanted.shape[:2]
            assert all(part.size <= max(block, 2 * wanted[0].size) for _, part in parts)


def test_each_page_is_read_once_a_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of blocks: the volume is copied where its lines are not together."""
    monkeypatch.setattr(volumes, "BLOCK_SAMPLES", 1)
    pages = Pages(stored_as(samples(2), "dyx"), "tz")
    with opened(pages, "tdyx") as recording:
        recording.read({"t": 1})
        recording.read({"t": 1})
        assert pages.pages_read == DEPTH
    pages = Pages(samples(), "z")
    with opened(pages, "yxd") as recording:
        recording.read()
        assert pages.pages_read == LINES


def test_closing_closes_the_pages() -> None:
    pages = Pages(stored_as(samples(), "dyx"), "z")
    with opened(pages, "dyx") as recording:
        recording.read()
    assert pages.closed
    recording.close()


CHOSEN = [("last", "yx", "yxd"), ("first", "yx", "dyx"), ("1", "yx", "ydx"), ("-1", "yx", "yxd"), ("0", "yx", "dyx")]


@pytest.mark.parametrize(("axis", "rest", "order"), CHOSEN)
@pytest.mark.parametrize("leading", [(), (2,)])
def test_the_depth_axis_by_place(tmp_path: Path, axis: str, rest: str, order: str, leading: tuple[int, ...]) -> None:
    whole = samples(*leading)
    if leading and axis in ("0", "1"):
        axis = str(int(axis) + 1)
    tifffile.imwrite(
        tmp_path / "a.ome.tif", stored_as(whole, order), ome=True, metadata={"axes": "TZYX"[-whole.ndim :]}
    )
    with open_volume(tmp_path / "a.ome.tif", ReadSettings(), VolumeSettings(axis)) as recording:
        assert recording.layout.axes == (("t",) if leading else ())
        np.testing.assert_array_equal(recording.volume(len(recording) - 1), whole.reshape(-1, LINES, PX, DEPTH)[-1])


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("axes", ["TDYX", "TYXD", "DTYX", "CDYX"])
def test_volumes_in_tiff(tmp_path: Path, axes: str, compression: str | None) -> None:
    whole = samples(2)
    order = axes.lower().replace("t", "").replace("c", "")
    stored = stored_as(whole, order)
    if axes[0] == "D":
        stored = stored.swapaxes(0, 1)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", compression=compression, rowsperstrip=3)
    with open_volume(tmp_path / "a.tif", ReadSettings(axes=axes), VolumeSettings()) as recording:
        assert recording.layout.axes == (("c",) if "C" in axes else ("t",))
        assert recording.format_name == "TIFF, A-lines"
        for number in range(2):
            np.testing.assert_array_equal(recording.volume(number), whole[number])
            np.testing.assert_array_equal(recording.frame(number), whole[number].max(-1))


def test_rows_of_tiff_pages_are_those_of_whole_pages(tmp_path: Path) -> None:
    """Plain, big-endian, in strips, compressed, ImageJ's one directory of all frames."""
    stack = np.random.default_rng(2).integers(0, 60000, (3, 12, 10)).astype(np.uint16)
    kinds: list[dict[str, Any]] = [
        {},
        {"byteorder": ">"},
        {"rowsperstrip": 5, "photometric": "minisblack"},
        {"compression": "zlib"},
        {"imagej": True, "metadata": {"axes": "TYX"}},
    ]
    for number, options in enumerate(kinds):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, stack, **{"photometric": "minisblack"} | options)
        with open_recording(path) as recording:
            assert recording.reads_rows == ("compression" not in options)
            for page in range(3):
                found = recording.read_rows({"t": page}, 3, 8)
                np.testing.assert_array_equal(found, stack[page, 3:8])
                assert found.dtype == np.dtype(np.uint16)
                assert found.flags.writeable


def test_scales_are_kept_where_they_are_of_frames(tmp_path: Path) -> None:
    meta = {"axes": "ZYX", "PhysicalSizeX": 2.0, "PhysicalSizeY": 3.0}
    tifffile.imwrite(tmp_path / "a.ome.tif", stored_as(samples(), "dyx"), ome=True, metadata=meta)
    with open_volume(tmp_path / "a.ome.tif", ReadSettings(), VolumeSettings("first")) as recording:
        assert recording.layout.pixel_size_um == (3.0, 2.0)
    with open_volume(tmp_path / "a.ome.tif", ReadSettings(), LAST) as recording:
        assert recording.layout.pixel_size_um is None


def test_frames_of_other_recordings_are_no_projections(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", samples(), photometric="minisblack")
    with open_recording(tmp_path / "a.tif") as recording, pytest.raises(InputError, match="no axis of depth samples"):
        recording.volume(0)


def test_a_volume_that_is_none_is_refused() -> None:
    with opened(Pages(samples(), "z"), "yxd") as recording, pytest.raises(InputError, match="expected 0 to 0"):
        recording.volume(1)


WRONG: list[tuple[str | None, VolumeSettings, str]] = [
    ("YX", LAST, "do not fit"),
    ("XD", VolumeSettings(), "expected Y, X and D once each"),
    ("YYD", VolumeSettings(), "expected Y, X and D once each"),
    ("YXDT", VolumeSettings(), "two of them last"),
    ("ZYXD", VolumeSettings(), "both Z and D"),
    ("QYXD", VolumeSettings(), "do not fit"),
    ("YXD", LAST, "give one of them"),
    (None, VolumeSettings("3"), "expected 0 to 2"),
    (None, VolumeSettings("last", gate=(2, 10)), "expected samples from 0 to 9"),
]


@pytest.mark.parametrize(("axes", "settings", "message"), WRONG)
def test_what_is_no_volume_is_refused_in_one_line(
    tmp_path: Path, axes: str | None, settings: VolumeSettings, message: str
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", samples(), photometric="minisblack")
    with pytest.raises(InputError, match=message) as error:
        open_volume(tmp_path / "a.tif", ReadSettings(axes=axes), settings)
    assert "\n" not in str(error.value)
    assert "a.tif" in str(error.value)


def test_a_frame_alone_is_no_volume(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", samples()[0])
    with pytest.raises(InputError, match="2 axes"):
        open_volume(tmp_path / "a.tif", ReadSettings(), LAST)


def test_what_is_too_large_for_memory_is_refused() -> None:
    lines = "samples of two lines of 2 x 400 px of 400 samples would take 2 MiB; .* add --largest-frame 2"
    with pytest.raises(InputError, match=lines):
        opened(Pages(np.zeros((2, 400, 400), np.int16), "z"), "yxd")
    with pytest.raises(InputError, match="a frame of 600 x 600 px of 2 samples would take 2 MiB; expected 1 at most"):
        opened(Pages(np.zeros((600, 600, 2), np.int16), "z"), "yxd")
