"""OME-TIFF sets: one recording over several files, whose XML is in one of them or in a companion file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.recordings import find_recordings, open_recording
from sasnet_live.reprocess import ReprocessSettings, reprocess
from scanner_files import Array, check_written, frames, make, refused, run

HEAD = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{}">'


def description(data: Array, names: list[str], own: str) -> str:
    """OME-XML of (T, C, Y, X) frames, one time a file."""
    blocks = "".join(
        f'<TiffData FirstT="{t}" FirstC="{c}" FirstZ="0" IFD="{c}" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:{t}</UUID></TiffData>'
        for t, name in enumerate(names)
        for c in range(data.shape[1])
    )
    sizes = f'SizeX="{data.shape[3]}" SizeY="{data.shape[2]}" SizeZ="1" SizeC="{data.shape[1]}" SizeT="{len(data)}"'
    return (
        HEAD.format(own) + f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" {sizes} '
        f'PhysicalSizeX="0.5" PhysicalSizeY="0.5">{blocks}</Pixels></Image></OME>'
    )


def pointer(to: str, own: str) -> str:
    return HEAD.format(own) + f'<BinaryOnly MetadataFile="{to}" UUID="urn:uuid:0"/></OME>'


def save(folder: Path, data: Array, companion: bool = False) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"set_{t}.ome.tif" for t in range(len(data))]
    xml = description(data, [path.name for path in paths], "0")
    texts = [xml] + [pointer(paths[0].name, str(t)) for t in range(1, len(data))]
    if companion:
        (folder / "set.companion.ome").write_text(xml)
        texts = [pointer("set.companion.ome", str(t)) for t in range(len(data))]
    for path, images, text in zip(paths, data, texts, strict=True):
        tifffile.imwrite(path, images, description=text, metadata=None, photometric="minisblack")
    return paths


@pytest.mark.parametrize("companion", [False, True], ids=["XML in the first", "companion file"])
@pytest.mark.parametrize("given", ["folder", "first", "last", "pattern"])
def test_a_set_is_one_recording(tmp_path: Path, companion: bool, given: str) -> None:
    data = frames(4, 2)
    paths = save(tmp_path / "in", data, companion)
    inputs = {
        "folder": [tmp_path / "in"],
        "first": paths[:1],
        "last": paths[-1:],
        "pattern": [tmp_path / "in" / "*.tif"],
    }
    report = run(inputs[given], tmp_path / "out")
    check_written(report, data, "TCYX")
    assert any("its set of 4 OME-TIFF files is read as one recording" in line for line in report.files[0].remarks)
    with open_recording(paths[0]) as stack:
        assert stack.layout.pixel_size_um == (0.5, 0.5)


def test_a_companion_file_is_an_input(tmp_path: Path) -> None:
    data = frames(3, 2)
    save(tmp_path / "in", data, companion=True)
    written = check_written(run([tmp_path / "in" / "set.companion.ome"], tmp_path / "out"), data, "TCYX")
    assert written.name == "set_registered.ome.tiff"


def test_each_file_by_itself_where_asked(tmp_path: Path) -> None:
    data = frames(3, 2)
    save(tmp_path / "in", data)
    assert len(find_recordings([tmp_path / "in"])) == 1
    report = run([tmp_path / "in" / "set_2.ome.tif"], tmp_path / "out", series="apart")
    check_written(report, data[2], "TYX")


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    paths = save(tmp_path / "in", frames(4, 2))
    paths[2].unlink()
    line = refused(run(paths[:1], tmp_path / "out"), tmp_path / "out")
    assert "names 4 files, of which 1 are not beside it (set_2.ome.tif); copy them there" in line


def test_what_is_whole_is_taken_where_asked(tmp_path: Path) -> None:
    data = frames(4, 2)
    paths = save(tmp_path / "in", data)
    paths[2].unlink()
    report = run(paths[:1], tmp_path / "out", allow_missing=True)
    check_written(report, data[:2], "TCYX")
    assert any("2 of 4 times are whole" in line for line in report.files[0].remarks)


SPOILT: dict[str, tuple[Callable[[str], str], str]] = {
    "a negative size": (lambda xml: xml.replace('SizeT="3"', 'SizeT="-3"'), "damaged OME-XML, its SizeT is -3"),
    "sizes without end": (lambda xml: xml.replace('SizeT="3"', 'SizeT="4999999"'), "claims 9999998 frames"),
    "another order": (lambda xml: xml.replace("XYCZT", "XYQQQ"), "its DimensionOrder is 'XYQQQ'"),
    "a file elsewhere": (lambda xml: xml.replace('"set_1', '"../set_1'), "(../set_1.ome.tif); copy them there"),
    "entities": (lambda xml: xml.replace("<OME", '<!DOCTYPE a [<!ENTITY b "c">]><OME', 1), "has a document type"),
    "broken off": (lambda xml: xml[:-40], "damaged XML"),
    "frames many times over": (
        lambda xml: xml.replace("<TiffData", '<TiffData PlaneCount="6"/>' * 400 + "<TiffData", 1),
        "it names frames many times over",
    ),
    "more images than there are": (lambda xml: xml.replace('IFD="1"', 'IFD="7"'), "3 of 6 frames are in its files"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_description_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    spoil, message = SPOILT[case]
    save(tmp_path / "in", frames(3, 2), companion=True)
    path = tmp_path / "in" / "set.companion.ome"
    path.write_text(spoil(path.read_text()))
    # Beside the file of the name that is asked for, one of this name must never be opened.
    tifffile.imwrite(tmp_path / "set_1.ome.tif", frames(2), photometric="minisblack")
    assert message in refused(run([path], tmp_path / "out"), tmp_path / "out")


def test_no_file_of_a_set_is_written_to(tmp_path: Path) -> None:
    paths = save(tmp_path / "in", frames(3, 1))
    before = {one: one.read_bytes() for one in paths}
    with pytest.raises(InputError, match="is an input and an output"):
        reprocess(paths[:1], paths[2], ReprocessSettings(overwrite=True), make_registrar=make)
    assert {one: one.read_bytes() for one in paths} == before


def test_a_pointer_to_nothing_leaves_a_file_by_itself(tmp_path: Path) -> None:
    data = frames(2, 1)
    paths = save(tmp_path / "in", data)
    paths[0].unlink()
    check_written(run(paths[1:], tmp_path / "out"), data[1, 0], "YX")
    with open_recording(paths[1]) as stack:
        np.testing.assert_array_equal(stack.read(), data[1, 0])
