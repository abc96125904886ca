"""Damaged files among good ones: each is named in one line, the others are done, and what is left out is said."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from fake_registrar import FakeRegistrar
from sasnet_live import cli
from sasnet_live.errors import InputError
from sasnet_live.layout import Layout
from sasnet_live.plugin.readers.reader import get_reader
from sasnet_live.recordings.tiff import TiffStack
from sasnet_live.settings import RegistrarSettings
from sasnet_live.sinks.ome_tiff import OmeTiffWriter, frame_figures, read_record

HOSTILE = Path(__file__).resolve().parents[2] / "shared" / "hostile"


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(settings: RegistrarSettings) -> FakeRegistrar:
        return FakeRegistrar(settings.model, settings.output, settings.geometry)

    monkeypatch.setattr(RegistrarSettings, "make", make)


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def frames(count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 4000, (count, 16, 24)).astype(np.uint16)


def good(path: Path, **options: object) -> Path:
    tifffile.imwrite(path, frames(), photometric="minisblack", **({"metadata": {"axes": "TYX"}} | options))
    return path


def our_own(path: Path) -> Path:
    layout = Layout.stack((16, 24), np.dtype(np.uint16), "t", (5,))
    with OmeTiffWriter(path, layout, record={"output": "rendered"}) as writer:
        for number, frame in enumerate(frames()):
            writer.write(frame, figures={"number": number})
    return path


def circle(path: Path) -> None:
    good(path, metadata=None)
    with tifffile.TiffFile(path) as tiff:
        behind, first = tiff.pages.next_page_offset, tiff.pages.first.offset
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, behind, first)
    path.write_bytes(content)


def replaced(old: bytes, new: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        good(path, ome=True)
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new.ljust(len(old))[: len(old)]))

    return make


DAMAGED: dict[str, Callable[[Path], object]] = {
    "4 bytes": lambda path: path.write_bytes(b"II*\0"),
    "3 bytes": lambda path: path.write_bytes(b"II*"),
    "nothing": lambda path: path.touch(),
    "BigTIFF of 10 bytes": lambda path: path.write_bytes(b"II+\0\x08\0\0\0\0\0"),
    "directory past the end": lambda path: path.write_bytes(b"II*\0\xff\xff\xff\x7f"),
    "2**64 tags": lambda path: path.write_bytes(b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 2**64 - 1)),
    "description of 4 GB": lambda path: path.write_bytes(
        b"II*\0" + struct.pack("<IHHHII", 8, 1, 270, 2, 2**32 - 1, 8) + bytes(4)
    ),
    "JSON": lambda path: good(path, description='{"shape": [5, 16', metadata=None),
    "deep JSON": lambda path: good(path, description='{"shape": ' + "[" * 50000, metadata=None),
    "record in JSON": lambda path: good(path, description='{"record": 7, "shape": {}}', metadata=None),
    "circle": circle,
    "sizes in words": replaced(b'SizeT="5"', b'SizeT="x"'),
}


def test_a_folder_with_one_damaged_file_of_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, make in enumerate(DAMAGED.values()):
        make(folder / f"{number}.tif")
    for name in "az":
        good(folder / f"{name}.tif")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.tif")
    code, _, err = command(capsys, "reprocess", folder, "-o", tmp_path / "out")
    assert code == 1
    assert "Traceback" not in err
    complaints = [line for line in err.splitlines() if line.startswith("sasnet-live: ")]
    for number in range(len(DAMAGED)):
        assert sum(f"{folder / f'{number}.tif'}: " in line for line in complaints) == 1, number
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a_registered.ome.tiff",
        "z_registered.ome.tiff",
    ]


@pytest.mark.parametrize("kind", DAMAGED)
def test_info_and_the_reader_of_napari(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.tif"
    DAMAGED[kind](path)
    assert read_record(path) == {}
    assert get_reader(str(path)) is None
    code, out, err = command(capsys, "info", path)
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"sasnet-live: {re.escape(str(path))}: [^\n]+\n", err)


def test_samples_that_brought_it_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = sorted(HOSTILE.glob("*.tif"))
    if not samples:
        pytest.skip(f"no {HOSTILE.name}/ beside the project: it is not part of it")
    code, _, err = command(capsys, "reprocess", *samples, "-o", tmp_path)
    assert code == 1
    assert "Traceback" not in err
    for path in samples:
        done = (tmp_path / f"{path.name.split('.')[0]}_registered.ome.tiff").exists()
        assert done or any(line.startswith(f"sasnet-live: {path}: ") for line in err.splitlines()), path.name
        with pytest.raises(SystemExit) as ended:
            cli.main(["info", str(path)])
        assert ended.value.code in (0, 2)


def test_our_own_file_that_was_damaged_is_named_in_napari(tmp_path: Path) -> None:
    path = our_own(tmp_path / "a.ome.tiff")
    content = path.read_bytes()
    with tifffile.TiffFile(path) as tiff:
        last = tiff.pages[4].tags[273].offset
    path.write_bytes(content[:last] + struct.pack("<HHII", 273, 4, 1, 2**32 - 1) + content[last + 12 :])
    reader = get_reader(str(path))
    assert reader is not None
    with pytest.raises(InputError, match=r"a\.ome\.tiff: truncated TIFF, 4 of 5 frames are whole"):
        reader(str(path))


def test_figures_that_were_damaged_do_not_cost_the_frames(tmp_path: Path) -> None:
    path = our_own(tmp_path / "a.ome.tiff")
    path.write_bytes(path.read_bytes().replace(b'{"number": 2}', b'{"number": ??'))
    assert list(frame_figures(path)) == [{"number": 0}, {"number": 1}, {}, {"number": 3}, {"number": 4}]
    reader = get_reader(str(path))
    assert reader is not None
    [(image, meta, _)] = reader(str(path))
    np.testing.assert_array_equal(image, frames())
    assert len(meta["metadata"]["sasnet_live"]["frames"]) == 5


@pytest.mark.parametrize("axes", ["t", "tc", ""])
def test_a_long_recording_is_read_in_napari_where_it_is_looked_at(
    tmp_path: Path, axes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dask", reason="dask comes with napari")
    monkeypatch.setattr("sasnet_live.plugin.readers.reader.IN_MEMORY_BYTES", 0)
    sizes = {"t": (4,), "tc": (2, 2), "": ()}[axes]
    layout = Layout.stack((16, 24), np.dtype(np.uint16), axes, sizes)
    raw = frames(4)[: layout.frames]
    with OmeTiffWriter(tmp_path / "a.ome.tiff", layout, record={"output": "rendered"}) as writer:
        for frame in raw:
            writer.write(frame)
    asked = []
    read = TiffStack.read
    monkeypatch.setattr(TiffStack, "read", lambda stack, index=None: asked.append(index) or read(stack, index))
    reader = get_reader(str(tmp_path / "a.ome.tiff"))
    assert reader is not None
    [(image, _, _)] = reader(str(tmp_path / "a.ome.tiff"))
    expected = raw.reshape(*sizes, 16, 24)
    assert asked == []
    assert (image.shape, image.dtype) == (expected.shape, expected.dtype)
    last = (-1,) * len(sizes)
    np.testing.assert_array_equal(np.asarray(image[last]), expected[last])
    assert len(asked) == 1
    np.testing.assert_array_equal(np.asarray(image), expected)
    np.testing.assert_array_equal(np.asarray(image[..., 3:5, ::2]), expected[..., 3:5, ::2])


def test_images_left_out_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.ome.tif"
    replaced(b'SizeT="5"', b'SizeT="2"')(path)
    said = "3 of its 5 images are left out: its metadata name 2"
    code, _, err = command(capsys, "reprocess", path, "-o", tmp_path / "out")
    assert code == 0
    assert f"sasnet-live: {path}: {said}" in err.splitlines()
    code, out, _ = command(capsys, "info", path)
    assert code == 0
    assert re.search(rf"^note +{said}$", out, re.MULTILINE)


def test_the_limit_of_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((2, 1024, 1024), np.uint16), compression="zlib", photometric="minisblack")
    arguments = ("reprocess", path, "-o", tmp_path / "out", "--largest-frame")
    code, _, err = command(capsys, *arguments, 1)
    assert (code, "takes 2 MiB unpacked; expected 1 at most" in err) == (1, True)
    assert "add --largest-frame 2" in err
    assert command(capsys, "info", path, "--largest-frame", 1)[0] == 2
    assert command(capsys, "info", path, "--largest-frame", 2)[0] == 0
    assert command(capsys, *arguments, 2)[0] == 0
