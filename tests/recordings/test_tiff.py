"""Reading stacks: every kind of TIFF, and every kind of file that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.recordings.settings import ReadSettings
from sasnet_live.recordings.tiff import TiffStack


def ramp(*shape: int, dtype: Any = np.uint16) -> np.ndarray[Any, Any]:
    return np.arange(np.prod(shape), dtype=np.int64).reshape(shape).astype(dtype)


AXES: list[tuple[tuple[int, ...], dict[str, Any], str, tuple[int, ...]]] = [
    # shape, options of tifffile.imwrite, axes and sizes expected
    ((6, 8), {}, "", ()),
    ((5, 6, 8), {}, "t", (5,)),
    ((5, 6, 8), {"metadata": {"axes": "TYX"}}, "t", (5,)),
    ((5, 6, 8), {"metadata": {"axes": "ZYX"}}, "z", (5,)),
    ((5, 6, 8), {"metadata": None}, "t", (5,)),
    ((5, 6, 8), {"imagej": True, "metadata": {"axes": "TYX"}}, "t", (5,)),
    ((5, 2, 6, 8), {"imagej": True, "metadata": {"axes": "TCYX"}}, "tc", (5, 2)),
    ((2, 3, 4, 6, 8), {"imagej": True, "metadata": {"axes": "TZCYX"}}, "tzc", (2, 3, 4)),
    ((5, 2, 6, 8), {"ome": True, "metadata": {"axes": "TCYX"}}, "tc", (5, 2)),
    ((2, 4, 3, 6, 8), {"ome": True, "metadata": {"axes": "TCZYX"}}, "tcz", (2, 4, 3)),
    ((4, 2, 6, 8), {"ome": True, "metadata": {"axes": "CTYX"}}, "ct", (4, 2)),
    ((3, 4, 6, 8), {}, "t", (12,)),
    ((3, 4, 6, 8), {"metadata": {"axes": "QTYX"}}, "t", (12,)),
    ((3, 4, 6, 8), {"metadata": {"axes": "TIYX"}}, "t", (12,)),
]


VARIANTS: list[dict[str, Any]] = [{}, {"bigtiff": True}, {"byteorder": ">"}, {"compression": "zlib"}]


@pytest.mark.parametrize(
    ("shape", "options", "axes", "sizes", "variant"),
    # ImageJ files come in one variant only.
    [(*case, variant) for case in AXES for variant in (VARIANTS[:1] if "imagej" in case[1] else VARIANTS)],
)
def test_axes_and_every_frame(
    tmp_path: Path, shape: tuple[int, ...], options: dict[str, Any], axes: str, sizes: Any, variant: dict[str, Any]
) -> None:
    data = ramp(*shape)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack", **options, **variant)
    with TiffStack(tmp_path / "a.tif") as stack:
        layout = stack.layout
        assert (layout.axes, layout.sizes) == (tuple(axes), sizes)
        assert (layout.frame_shape, layout.dtype) == ((6, 8), np.uint16)
        frames = np.stack(list(stack.frames()))
    np.testing.assert_array_equal(frames, data.reshape(-1, 6, 8))
    assert frames.dtype.isnative


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32", "float64"])
def test_data_types(tmp_path: Path, dtype: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", ramp(3, 6, 8, dtype=dtype), photometric="minisblack")
    with TiffStack(tmp_path / "a.tif") as stack:
        assert stack.layout.dtype == dtype
        np.testing.assert_array_equal(stack.read({"t": 2}), ramp(3, 6, 8, dtype=dtype)[2])


def test_one_directory_for_all_frames(tmp_path: Path) -> None:
    """As ImageJ writes stacks above 4 GB."""
    data = ramp(7, 6, 8)
    tifffile.imwrite(tmp_path / "a.tif", data, truncate=True, metadata={"axes": "TYX"})
    with TiffStack(tmp_path / "a.tif") as stack:
        assert stack.layout.sizes == (7,)
        np.testing.assert_array_equal(stack.read({"t": 5}), data[5])


def test_positions(tmp_path: Path) -> None:
    data = ramp(3, 4, 6, 8)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for position in data:
            writer.write(position, metadata={"axes": "TYX"})
    with TiffStack(tmp_path / "a.ome.tif") as stack:
        assert ("".join(stack.layout.axes), stack.layout.sizes) == ("pt", (3, 4))
        np.testing.assert_array_equal(stack.read({"p": 2, "t": 1}), data[2, 1])


def test_pages_of_one_size_without_metadata_are_times(tmp_path: Path) -> None:
    data = ramp(4, 6, 8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for frame in data:
            writer.write(frame, contiguous=False, metadata=None)
    with TiffStack(tmp_path / "a.tif") as stack:
        assert ("".join(stack.layout.axes), stack.layout.sizes) == ("t", (4,))
        np.testing.assert_array_equal(stack.read({"t": 3}), data[3])


CALIBRATION: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {
            "ome": True,
            "metadata": {
                "axes": "TCYX",
                "PhysicalSizeX": 250.0,
                "PhysicalSizeXUnit": "nm",
                "PhysicalSizeY": 0.5,
                "PhysicalSizeYUnit": "µm",
                "TimeIncrement": 40.0,
                "TimeIncrementUnit": "ms",
                "Channel": {"Name": ["532 nm", "558 nm"]},
            },
        },
        {"pixel_size_um": (0.5, 0.25), "interval_s": 0.04, "channel_names": ("532 nm", "558 nm")},
    ),
    (
        {
            "imagej": True,
            "resolution": (4.0, 2.0),
            "metadata": {"axes": "TCYX", "unit": "um", "finterval": 0.04},
        },
        {"pixel_size_um": (0.5, 0.25), "interval_s": 0.04},
    ),
    (
        {"resolution": (40000.0, 20000.0), "resolutionunit": "CENTIMETER", "metadata": {"axes": "TCYX"}},
        {"pixel_size_um": (0.5, 0.25)},
    ),
    ({"metadata": {"axes": "TCYX"}}, {"pixel_size_um": None, "interval_s": None, "channel_names": ()}),
]


@pytest.mark.parametrize(("options", "expected"), CALIBRATION)
def test_calibration(tmp_path: Path, options: dict[str, Any], expected: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", ramp(3, 2, 6, 8), photometric="minisblack", **options)
    with TiffStack(tmp_path / "a.tif") as stack:
        for name, value in expected.items():
            assert getattr(stack.layout, name) == (pytest.approx(value) if value else value), name


def _write(data: Any, **options: Any) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, data, **options)


def _cut(keep: float, **options: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        tifffile.imwrite(path, ramp(5, 64, 80), **options)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])

    return make


def _separate_pages_cut(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for frame in ramp(5, 64, 80):
            writer.write(frame, contiguous=False, metadata=None)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.7)])


def _frames_missing(path: Path) -> None:
    """OME metadata name more frames than there are, as an acquisition that was aborted leaves them."""
    tifffile.imwrite(path, ramp(3, 64, 80), ome=True, metadata={"axes": "TYX"})
    text = tifffile.tiffcomment(path).replace('SizeT="3"', 'SizeT="9"').replace('PlaneCount="3"', 'PlaneCount="9"')
    tifffile.tiffcomment(path, text.encode())


def _mixed_shapes(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        writer.write(ramp(2, 6, 8), metadata=None)
        writer.write(ramp(7, 8), metadata=None)


def _codec_missing(path: Path) -> None:
    tifffile.imwrite(path, ramp(5, 6, 8), compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for page in tiff.pages:
            page.tags["Compression"].overwrite(34999)  # type: ignore[union-attr]


BAD = {
    "not a TIFF": (lambda path: path.write_bytes(b"%PDF-1.7 no picture"), "is not a TIFF file", "convert it"),
    "text": (lambda path: path.write_text("a,b\n1,2\n"), "is not a TIFF file", "convert it"),
    "empty": (lambda path: path.touch(), "is empty", "copy or export it again"),
    "header only": (lambda path: path.write_bytes(b"II*\0"), "truncated", "again"),
    "truncated in the data": (_cut(0.5), "truncated", "copy it again"),
    "truncated BigTIFF": (_cut(0.5, bigtiff=True), "truncated", "copy it again"),
    "truncated compressed": (_cut(0.5, compression="zlib"), "truncated", "copy it again"),
    "truncated ImageJ": (_cut(0.9, imagej=True), "truncated", "copy it again"),
    "truncated chain of pages": (_separate_pages_cut, "truncated", "copy it again"),
    "frames missing": (_frames_missing, "3 of 9 frames", "copy it again"),
    "RGB": (_write(ramp(6, 8, 3, dtype="uint8"), photometric="rgb"), "colour image (RGB)", "split the channels"),
    "RGBA": (
        _write(ramp(6, 8, 4, dtype="uint8"), photometric="rgb", extrasamples=["unassalpha"]),
        "colour image (RGBA)",
        "split the channels",
    ),
    "RGB planes": (
        _write(ramp(3, 6, 8, dtype="uint8"), photometric="rgb", planarconfig="separate"),
        "colour image (RGB)",
        "split the channels",
    ),
    "complex": (_write(ramp(6, 8, dtype="complex64")), "complex64", "save the magnitude"),
    "bilevel": (_write(np.zeros((6, 8), bool)), "bool", "expected integers or real numbers"),
    "1-D": (_write(ramp(100)), "one-dimensional", "reshape"),
    "mixed shapes": (_mixed_shapes, "different shapes", "file of its own"),
    "codec missing": (_codec_missing, "compressed", "save it uncompressed"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_say_what_is_wrong_in_one_line(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    make, what, remedy = BAD[kind]
    path = tmp_path / "bad file.tif"
    make(path)
    with pytest.raises(InputError) as caught:
        TiffStack(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert what in message
    assert remedy in message
    assert "\n" not in message
    assert capfd.readouterr().err == ""


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.tif: no such file"):
        TiffStack(tmp_path / "none.tif")
    with pytest.raises(InputError, match="is a folder"):
        TiffStack(tmp_path)


def test_damage_that_only_reading_finds(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp(5, 64, 80), compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[1].dataoffsets[0]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 40)
    with TiffStack(path) as stack:
        stack.read({"t": 0})
        with pytest.raises(InputError, match=r"a\.tif: page 1 cannot be read.*copy or export it again"):
            stack.read({"t": 1})


MISSING: list[tuple[Callable[[Path], None], int]] = [
    (_cut(0.5), 2),
    (_cut(0.5, bigtiff=True), 2),
    (_separate_pages_cut, 3),
    (_frames_missing, 3),
]


@pytest.mark.parametrize(("make", "usable"), MISSING)
def test_what_is_whole_of_a_truncated_file(tmp_path: Path, make: Callable[[Path], None], usable: int) -> None:
    make(tmp_path / "a.tif")
    with TiffStack(tmp_path / "a.tif", ReadSettings(allow_missing=True)) as stack:
        assert ("".join(stack.layout.axes), stack.layout.sizes) == ("t", (usable,))
        np.testing.assert_array_equal(list(stack.frames()), ramp(5, 64, 80)[:usable])


def test_only_whole_steps_of_the_first_axis_are_used(tmp_path: Path) -> None:
    """An acquisition of two channels that was cancelled between them: seven frames of eight."""
    data = ramp(7, 64, 80)
    tifffile.imwrite(tmp_path / "a.ome.tif", data, photometric="minisblack", ome=True, metadata={"axes": "TYX"})
    text = str(tifffile.tiffcomment(tmp_path / "a.ome.tif")).replace('SizeT="7"', 'SizeT="4"')
    text = text.replace('SizeC="1"', 'SizeC="2"').replace('PlaneCount="7"', 'PlaneCount="8"')
    tifffile.tiffcomment(tmp_path / "a.ome.tif", text.encode())
    with pytest.raises(InputError, match="7 of 8 frames are whole"):
        TiffStack(tmp_path / "a.ome.tif")
    with TiffStack(tmp_path / "a.ome.tif", ReadSettings(allow_missing=True)) as stack:
        assert ("".join(stack.layout.axes), stack.layout.sizes) == ("tc", (3, 2))
        np.testing.assert_array_equal(list(stack.frames()), data[:6])


def test_nothing_whole_at_all(tmp_path: Path) -> None:
    _cut(0.1)(tmp_path / "a.tif")
    with pytest.raises(InputError, match="no frame of it is whole"):
        TiffStack(tmp_path / "a.tif", ReadSettings(allow_missing=True))


def test_plain_imagej_stack_is_a_time_series(tmp_path: Path) -> None:
    options = {"imagej": True, "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", ramp(5, 6, 8), metadata={"axes": "ZYX", "hyperstack": False}, **options)
    tifffile.imwrite(tmp_path / "b.tif", ramp(5, 6, 8), metadata={"axes": "ZYX"}, **options)
    for name, axes in (("a.tif", "t"), ("b.tif", "z")):
        with TiffStack(tmp_path / name) as stack:
            assert stack.layout.axes == (axes,)


def test_axes_told_by_the_user(tmp_path: Path) -> None:
    data = ramp(2, 5, 6, 8)
    tifffile.imwrite(tmp_path / "a.tif", data, metadata={"axes": "ZTYX"})
    for axes in ("TCYX", "tc"):
        with TiffStack(tmp_path / "a.tif", ReadSettings(axes=axes)) as stack:
            assert ("".join(stack.layout.axes), stack.layout.sizes) == ("tc", (2, 5))
            np.testing.assert_array_equal(stack.read({"t": 1, "c": 3}), data[1, 3])
    for axes in ("TYX", "TZCYX", "TQYX", "YX", ""):
        with pytest.raises(
            InputError, match=r"do not fit, the file has 2 x 5 before YX; give one letter of P, T, Z, C"
        ):
            TiffStack(tmp_path / "a.tif", ReadSettings(axes=axes))


def test_times_mislabelled_as_channels(tmp_path: Path) -> None:
    """As tifffile writes a stack for ImageJ unless told what its axes are."""
    tifffile.imwrite(tmp_path / "a.tif", ramp(65, 6, 8), imagej=True)
    with pytest.raises(InputError, match=r"its 65 frames are channels of one scan; .* --axes TYX"):
        TiffStack(tmp_path / "a.tif")
    with TiffStack(tmp_path / "a.tif", ReadSettings(axes="TYX")) as stack:
        assert ("".join(stack.layout.axes), stack.layout.sizes) == ("t", (65,))


def test_axes_that_are_not_there(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", ramp(5, 6, 8))
    with TiffStack(tmp_path / "a.tif") as stack, pytest.raises(InputError, match="has no axis Z"):
        stack.read({"z": 0})
