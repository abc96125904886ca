"""Damaged and hostile TIFF files: one line that names the file, in bounded time and memory, whatever they claim."""

from __future__ import annotations

import logging
import os
import random
import re
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.layout import Layout
from sasnet_live.recordings.settings import ReadSettings
from sasnet_live.recordings.tiff import TiffStack
from sasnet_live.sinks.ome_tiff import OmeTiffWriter

SHORT, LONG, FLOAT, DOUBLE, ASCII, RATIONAL = 3, 4, 11, 12, 2, 5
MANY = 2**20
"""Bytes; reading a file of some kB may take 30 times as much."""


def ramp(*shape: int, dtype: Any = np.uint16) -> np.ndarray[Any, Any]:
    return np.arange(np.prod(shape), dtype=np.int64).reshape(shape).astype(dtype)


def written(data: np.ndarray[Any, Any], **options: Any) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, data, photometric="minisblack", **options)


def pages_apart(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for frame in ramp(5, 16, 24):
            writer.write(frame, contiguous=False, metadata=None)


def our_own(path: Path) -> None:
    layout = Layout.stack((16, 24), np.dtype(np.uint16), "t", (5,), pixel_size_um=(0.5, 0.25))
    with OmeTiffWriter(path, layout, record={"output": "rendered"}) as writer:
        for frame in ramp(5, 16, 24):
            writer.write(frame, figures={"ncc_before": 0.5, "accepted": True})


KINDS: dict[str, Callable[[Path], None]] = {
    "plain": written(ramp(5, 16, 24), metadata=None),
    "with a shape": written(ramp(5, 16, 24)),
    "one directory": written(ramp(5, 16, 24), truncate=True),
    "ImageJ": written(ramp(5, 16, 24), imagej=True, metadata={"axes": "TYX", "unit": "um"}, resolution=(4.0, 2.0)),
    "OME": written(ramp(5, 16, 24), ome=True, metadata={"axes": "TYX"}),
    "BigTIFF": written(ramp(5, 16, 24), bigtiff=True),
    "big-endian": written(ramp(5, 16, 24), byteorder=">", metadata=None),
    "tiles": written(ramp(5, 16, 32), tile=(16, 16)),
    "deflate": written(ramp(5, 16, 24), compression="zlib", metadata=None),
    "strips": written(ramp(5, 16, 24), rowsperstrip=3, compression="zlib", predictor=True),
    "pages apart": pages_apart,
    "our own": our_own,
}


@pytest.fixture(params=KINDS)
def valid(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "valid.tif"
    KINDS[request.param](path)
    return path


def tag_at(path: Path, code: int, page: int = 0) -> tuple[int, str]:
    """Where a page's directory entry for a tag begins, and the byte order."""
    with tifffile.TiffFile(path) as tiff:
        return tiff.pages[page].aspage().tags[code].offset, tiff.byteorder


def patch(path: Path, code: int, type_: int, count: int, value: bytes, page: int = 0) -> None:
    """Replace a directory entry of a classic TIFF; a value that is longer than 4 bytes goes to the end of the file."""
    at, order = tag_at(path, code, page)
    content = bytearray(path.read_bytes())
    if len(value) > 4:
        content += value
        value = struct.pack(order + "I", len(content) - len(value))
    content[at : at + 12] = struct.pack(order + "HHI", code, type_, count) + value.ljust(4, b"\0")
    path.write_bytes(content)


def describe(path: Path, text: str) -> None:
    patch(path, 270, ASCII, len(text) + 1, text.encode() + b"\0\0\0\0\0")


def refusal(path: Path, **options: Any) -> str:
    """The one line that a file is refused with."""
    with pytest.raises(InputError) as caught, TiffStack(path, ReadSettings(**options)) as stack:
        list(stack.frames())
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message


def frames_or_refusal(path: Path, **options: Any) -> list[np.ndarray[Any, Any]]:
    message = f"{path}: "
    frames = []
    try:
        with TiffStack(path, ReadSettings(**options)) as stack:
            frames = list(stack.frames())
    except InputError as error:
        message = str(error)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return frames


@pytest.fixture
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 30 * MANY
    finally:
        tracemalloc.stop()


def links(path: Path) -> tuple[list[int], list[int], str]:
    """Positions of the directories, of the pointer behind each, and the format of a pointer."""
    with tifffile.TiffFile(path) as tiff:
        kind = tiff.tiff
        at = [page.offset for page in tiff.pages]
        counts = [struct.unpack(kind.tagnoformat, path.read_bytes()[o : o + kind.tagnosize])[0] for o in at]
        return at, [o + kind.tagnosize + n * kind.tagsize for o, n in zip(at, counts, strict=True)], kind.offsetformat


@pytest.mark.parametrize(("from_", "back"), [(0, 0), (1, 0), (4, 0), (4, 2), (4, 4)])
@pytest.mark.parametrize("allow_missing", [False, True])
def test_directories_in_a_circle(valid: Path, from_: int, back: int, allow_missing: bool) -> None:
    at, behind, pointer = links(valid)
    from_, back = min(from_, len(at) - 1), min(back, len(at) - 1)
    content = bytearray(valid.read_bytes())
    struct.pack_into(pointer, content, behind[from_], at[back])
    valid.write_bytes(content)
    assert "go round in a circle" in refusal(valid, allow_missing=allow_missing)


@pytest.mark.parametrize("length", [99, 100, 101, 250])
def test_a_long_circle(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp(length, 8, 8), metadata=None)
    at, behind, pointer = links(path)
    content = bytearray(path.read_bytes())
    struct.pack_into(pointer, content, behind[-1], at[length // 2])
    path.write_bytes(content)
    assert "go round in a circle" in refusal(path)


@pytest.mark.parametrize("ome", [False, True])
def test_a_pyramid_of_itself(tmp_path: Path, ome: bool) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, ome=ome) as writer:
        writer.write(ramp(32, 32), subifds=2, photometric="minisblack")
        writer.write(ramp(16, 16), subfiletype=1, photometric="minisblack")
        writer.write(ramp(8, 8), subfiletype=1, photometric="minisblack")
    with TiffStack(path) as stack:
        np.testing.assert_array_equal(stack.read(), ramp(32, 32))
    first = links(path)[0][0]
    patch(path, 330, LONG, 2, struct.pack("<2I", first, first))
    assert "go round in a circle" in refusal(path)


@pytest.mark.parametrize(
    "header", [b"II*\0", b"MM\0*", b"II+\0", b"II*\0\x08\0\0\0", b"II*\0\0\0\0\0", b"II+\0\x08\0\0\0"]
)
def test_headers_alone(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(header)
    assert "truncated TIFF, no image can be read" in refusal(path)


WILD = [(SHORT, 0), (SHORT, 2), (LONG, 2**28), (LONG, 2**32 - 1), (FLOAT, 1), (99, 1)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("BigTIFF", "our own")])
def test_wild_types_and_counts(tmp_path: Path, kind: str) -> None:
    """Any tag of the first page, with any type and count: frames, or one line."""
    path = tmp_path / "a.tif"
    KINDS[kind](path)
    content = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        codes = [tag.code for tag in tiff.pages.first.tags]
    for code in codes:
        for type_, count in WILD:
            path.write_bytes(content)
            patch(path, code, type_, count, b"\x07\0\0\0")
            frames_or_refusal(path)
            frames_or_refusal(path, allow_missing=True)


def test_wild_counts_of_bigtiff(tmp_path: Path, little_memory: None) -> None:
    path = tmp_path / "a.tif"
    KINDS["BigTIFF"](path)
    content = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        places = [tag.offset for tag in tiff.pages.first.tags]
    for at in places:
        for count in (0, 2**40, 2**63, 2**64 - 1):
            path.write_bytes(content[: at + 4] + struct.pack("<Q", count) + content[at + 12 :])
            frames_or_refusal(path)
    at = links(path)[0][0]
    path.write_bytes(content[:at] + struct.pack("<Q", 2**64 - 1) + content[at + 8 :])
    refusal(path)


DESCRIPTIONS = {
    "JSON cut short": '{"shape": [5, 16',
    "JSON nested": '{"shape": ' + "[" * 100000,
    "shape of words": '{"shape": ["a", "b"]}',
    "shape of nothing": '{"shape": [0, 16, 24]}',
    "shape below 0": '{"shape": [-5, -16, 24]}',
    "shape of 1e18": '{"shape": [1000000000, 1000000000, 16, 24]}',
    "ImageJ frames of words": "ImageJ=1.11a\nimages=5\nframes=many\n",
    "ImageJ frames below 0": "ImageJ=1.11a\nimages=5\nframes=-5\n",
    "ImageJ 1e9 frames": "ImageJ=1.11a\nimages=1000000000\nframes=1000000000\n",
    "OME cut short": '<?xml version="1.0"?><OME><Image><Pixels SizeT="5"</OME>',
    "OME without sizes": "<OME><Image><Pixels></Pixels></Image></OME>",
}


@pytest.mark.parametrize("allow_missing", [False, True])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_wild_descriptions(
    tmp_path: Path, kind: str, compression: str | None, allow_missing: bool, little_memory: None
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp(5, 16, 24), compression=compression)
    describe(path, DESCRIPTIONS[kind])
    found = frames_or_refusal(path, allow_missing=allow_missing)
    for frame, expected in zip(found, ramp(5, 16, 24), strict=False):
        np.testing.assert_array_equal(frame, expected)


RESOLUTIONS: list[tuple[int, int, int, bytes]] = [
    # tag, type, count, value
    (282, FLOAT, 1, struct.pack("<f", 4e4)),
    (282, DOUBLE, 1, struct.pack("<d", 4e4)),
    (282, SHORT, 1, struct.pack("<H", 400)),
    (282, LONG, 2, struct.pack("<2I", 400, 1)),
    (282, RATIONAL, 2, struct.pack("<4I", 400, 1, 400, 1)),
    (282, RATIONAL, 1, struct.pack("<2I", 400, 0)),
    (282, RATIONAL, 1, struct.pack("<2I", 0, 1)),
    (282, ASCII, 4, b"400\0"),
    (282, RATIONAL, 0, b""),
    (283, FLOAT, 2, struct.pack("<2f", 4e4, 1)),
    (296, SHORT, 2, struct.pack("<2H", 3, 3)),
    (296, ASCII, 3, b"cm\0"),
    (296, FLOAT, 1, struct.pack("<f", 3)),
    (296, SHORT, 1, struct.pack("<H", 77)),
    (296, SHORT, 0, b""),
]


@pytest.mark.parametrize(("code", "type_", "count", "value"), RESOLUTIONS)
@pytest.mark.parametrize("imagej", [False, True])
def test_resolution_that_makes_no_sense(
    tmp_path: Path, code: int, type_: int, count: int, value: bytes, imagej: bool
) -> None:
    """A good file all the same: its calibration is not known."""
    path = tmp_path / "a.tif"
    options: dict[str, Any] = {"imagej": True, "metadata": {"axes": "TYX", "unit": "furlong"}} if imagej else {}
    tifffile.imwrite(path, ramp(5, 16, 24), resolution=(4e4, 2e4), resolutionunit=3, **options)
    patch(path, code, type_, count, value)
    with TiffStack(path) as stack:
        # Two whole numbers are as good as a fraction, and a unit of 3.0 as one of 3.
        assert stack.layout.pixel_size_um in (None, pytest.approx((0.5, 25.0)), pytest.approx((0.5, 0.25)))
        np.testing.assert_array_equal(list(stack.frames()), ramp(5, 16, 24))


@pytest.mark.parametrize("size", ["1e-30", "1e30", "nan", "inf", "-1", "wide"])
def test_pixel_sizes_that_no_microscope_has(tmp_path: Path, size: str) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, ramp(5, 16, 24), ome=True, metadata={"axes": "TYX", "PhysicalSizeX": 0.125})
    describe(path, str(tifffile.tiffcomment(path)).replace("0.125", size))
    with TiffStack(path) as stack:
        assert stack.layout.pixel_size_um is None
        assert stack.layout.frames == 5


OME_CLAIMS = {
    "times": ('SizeT="5"', 'SizeT="200000000"'),
    "times x depths": ('SizeT="5" SizeC="1" SizeZ="1"', 'SizeT="3000000" SizeC="1" SizeZ="3000000"'),
    "planes": ('PlaneCount="5"', 'PlaneCount="2000000000"'),
    "pixels": ('SizeX="24"', 'SizeX="24000000000"'),
    "below 0": ('SizeT="5"', 'SizeT="-5"'),
    "words": ('SizeT="5"', 'SizeT="many"'),
    "a number of 5000 digits": ('SizeT="5"', f'SizeT="{"9" * 5000}"'),
    "planes named again and again": (
        '<TiffData IFD="0" PlaneCount="5"/>',
        '<TiffData IFD="0" PlaneCount="1000"/>' * 1000,
    ),
    "axes within axes": (
        "</OME>",
        '<StructuredAnnotations><XMLAnnotation ID="Annotation:1" Namespace="openmicroscopy.org/omero/dimension/modulo">'
        '<Value><Modulo><ModuloAlongT Type="lifetime" Start="0" End="1e12" Step="1"/></Modulo></Value></XMLAnnotation>'
        "</StructuredAnnotations></OME>",
    ),
    "entities": (
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<?xml version="1.0"?><!DOCTYPE o [<!ENTITY a "aaaaaaaaaa">'
        + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(12))
        + "]>",
    ),
}


@pytest.mark.parametrize("allow_missing", [False, True])
@pytest.mark.parametrize("claim", OME_CLAIMS)
def test_claims_of_ome_are_compared_with_the_file(
    tmp_path: Path, claim: str, allow_missing: bool, little_memory: None
) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, ramp(5, 16, 24), ome=True, metadata={"axes": "TYX"})
    xml = str(tifffile.tiffcomment(path))
    old, new = OME_CLAIMS[claim]
    if claim == "times x depths":
        xml = xml.replace('SizeT="5"', 'SizeT="3000000"').replace('SizeZ="1"', 'SizeZ="3000000"')
    else:
        assert old in xml
        xml = xml.replace(old, new)
    describe(path, xml)
    found = frames_or_refusal(path, allow_missing=allow_missing)
    if claim != "entities":  # what is not used does no harm
        assert not found


def test_claims_of_depths_that_are_tiles_of_nothing(tmp_path: Path, little_memory: None) -> None:
    """More strips than any file of this size could name."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp(24, 1), compression="zlib", metadata=None, rowsperstrip=1)
    patch(path, 257, LONG, 1, struct.pack("<I", 2**26))
    assert "no frame of it is whole" in refusal(path, allow_missing=True)


BOMBS = {
    "height and width": {256: 32768, 257: 32768, 278: 32768},
    "width": {256: 2**30},
    "height": {257: 2**31, 278: 2**31},
    "one that no address reaches": {256: 2**32 - 1, 257: 2**32 - 1, 278: 2**32 - 1},
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("compression", ["zlib", "lzw", "packbits", "zstd", "lzma"])
def test_frames_beyond_the_limit_of_memory(tmp_path: Path, bomb: str, compression: str, little_memory: None) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((300, 300), np.uint16), compression=compression, metadata=None)
    for code, value in BOMBS[bomb].items():
        patch(path, code, LONG, 1, struct.pack("<I", value))
    message = refusal(path)
    assert re.search(
        r"takes \d+ MiB unpacked; expected 256 at most: .* add --largest-frame \d+ \(in napari: .*\)$", message
    )


def test_tiles_beyond_the_limit_of_memory(tmp_path: Path, little_memory: None) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp(16, 16), tile=(16, 16), compression="zlib", metadata=None)
    for code in (322, 323):
        patch(path, code, LONG, 1, struct.pack("<I", 2**20))
    assert "MiB unpacked" in refusal(path)


def test_the_limit_of_memory_is_an_option(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    data = np.zeros((3, 1024, 1024), np.uint16)
    tifffile.imwrite(path, data, compression="zlib", photometric="minisblack")
    assert "takes 2 MiB unpacked; expected 1.5 at most" in refusal(path, largest_mib=1.5)
    with TiffStack(path, ReadSettings(largest_mib=2)) as stack:
        np.testing.assert_array_equal(list(stack.frames()), data)


def test_a_cut_anywhere_is_found(valid: Path) -> None:
    """From the file alone: what tifffile logs does not matter, nor who listens."""
    with TiffStack(valid) as stack:
        frames = list(stack.frames())
        assert not stack.remarks
    content = valid.read_bytes()
    rng = random.Random(7)
    logging.getLogger("tifffile").disabled = True
    try:
        # Not the last bytes: behind the last value there may be padding.
        for length in sorted({0, 1, 4, 8, len(content) - 20, *(rng.randrange(len(content) - 20) for _ in range(60))}):
            valid.write_bytes(content[:length])
            assert re.search(r"truncated|is empty|is not a TIFF|damaged", refusal(valid))
            # And what is whole of it is right.
            for frame, expected in zip(frames_or_refusal(valid, allow_missing=True), frames, strict=False):
                np.testing.assert_array_equal(frame, expected)
    finally:
        logging.getLogger("tifffile").disabled = False


@pytest.mark.parametrize("kind", ["one directory", "ImageJ"])
def test_what_is_whole_of_a_stack_in_one_piece(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp(5, 64, 80), truncate=True, imagej=kind == "ImageJ", metadata={"axes": "TYX"})
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    assert "2 of 5 frames are whole" in refusal(path)
    np.testing.assert_array_equal(frames_or_refusal(path, allow_missing=True), ramp(5, 64, 80)[:2])


LEFT_OUT = {
    "OME": lambda path: (
        written(ramp(5, 16, 24), ome=True, metadata={"axes": "TYX"})(path),
        describe(path, re.sub(r'(SizeT|PlaneCount)="5"', r'\1="2"', str(tifffile.tiffcomment(path)))),
    ),
    "OME with the plane count": lambda path: (
        written(ramp(5, 16, 24), ome=True, metadata={"axes": "TYX"})(path),
        describe(path, str(tifffile.tiffcomment(path)).replace('SizeT="5"', 'SizeT="2"')),
    ),
    "ImageJ": lambda path: (
        written(ramp(5, 16, 24), imagej=True, metadata={"axes": "TYX"})(path),
        describe(path, "ImageJ=1.11a\nimages=2\nframes=2\nhyperstack=true\n"),
    ),
}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_images_that_are_left_out_are_said(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.tif"
    LEFT_OUT[kind](path)
    with TiffStack(path) as stack:
        assert stack.layout.sizes == (2,)
        np.testing.assert_array_equal(list(stack.frames()), ramp(5, 16, 24)[:2])
        assert stack.remarks == (f"{path}: 3 of its 5 images are left out: its metadata name 2",)


def test_metadata_that_are_not_used_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, ramp(2, 3, 16, 24), ome=True, metadata={"axes": "TCYX"}, photometric="minisblack")
    describe(path, str(tifffile.tiffcomment(path)).replace("</Image>", "</Picture>"))
    with TiffStack(path) as stack:
        assert (stack.layout.axes, stack.layout.sizes) == (("t",), (6,))
        assert len(stack.remarks) == 1
        assert "its OME-XML does not describe" in stack.remarks[0]


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"ome": True}])
@pytest.mark.parametrize("tag", [257, 258, 259])
def test_a_page_stored_otherwise_is_not_read_as_the_first(tmp_path: Path, options: dict[str, Any], tag: int) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp(5, 16, 24), metadata={"axes": "TYX"}, **options)
    patch(path, tag, SHORT, 1, struct.pack("<H", {257: 8, 258: 8, 259: 5}[tag]), page=2)
    message = refusal(path)
    assert re.search("different ways|different shapes|damaged|truncated", message)


def test_strips_that_lie_apart_in_a_later_page(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp(3, 16, 24), rowsperstrip=8, photometric="minisblack")
    with tifffile.TiffFile(path) as tiff:
        first, second = tiff.pages[2].dataoffsets
    content = bytearray(path.read_bytes())
    half = second - first
    content[first : second + half] = content[second : second + half] + content[first:second]
    path.write_bytes(content)
    patch(path, 273, LONG, 2, struct.pack("<2I", second, first), page=2)
    assert np.array_equal(frames_or_refusal(path), ramp(3, 16, 24))


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_parts_that_were_never_written(tmp_path: Path, tile: tuple[int, int] | None) -> None:
    """A tile without place or length, which tifffile reads as zeros, is missing."""
    path = tmp_path / "a.tif"
    options: dict[str, Any] = {"compression": "zlib", "photometric": "minisblack"}
    tifffile.imwrite(path, ramp(3, 32, 32) + 1, tile=tile, rowsperstrip=16, **options)
    codes = (324, 325) if tile else (273, 279)
    with tifffile.TiffFile(path) as tiff:
        counts = [tiff.pages[1].aspage().tags[code].count for code in codes]
    for code, count in zip(codes, counts, strict=True):
        patch(path, code, LONG, count, bytes(4 * count), page=1)
    assert "2 of 3 frames are whole" in refusal(path)
    assert np.array_equal(frames_or_refusal(path, allow_missing=True), ramp(3, 32, 32)[:1] + 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tif")
    assert "is not a regular file" in refusal(tmp_path / "a.tif")
    (tmp_path / "b.tif").symlink_to(tmp_path / "nowhere.tif")
    assert "no such file" in refusal(tmp_path / "b.tif")


def mutant(content: bytes, rng: random.Random) -> bytes:
    """Bytes replaced, taken away, or by a number that is often a limit."""
    changed = bytearray(content)
    numbers = (0, 1, 2, 255, 65535, 2**31 - 1, 2**32 - 1, 2**63, len(content), 8, rng.randrange(len(content)))
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(changed))
        width = rng.choice((1, 2, 4, 8))
        if rng.random() < 0.1:
            del changed[at : at + width]
        else:
            number = rng.choice(numbers) % 256**width
            changed[at : at + width] = number.to_bytes(width, "big" if content[:1] == b"M" else "little")
    return bytes(changed)


def test_mutants(valid: Path) -> None:
    rng = random.Random(f"{valid.stat().st_size}")
    content = valid.read_bytes()
    for _ in range(40):
        valid.write_bytes(mutant(content, rng))
        frames_or_refusal(valid)
        frames_or_refusal(valid, allow_missing=True)
