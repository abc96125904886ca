"""ThorImage's Experiment.xml, real but for its numbers, and raw or TIFF files beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sasnet_live.recordings import find_recordings, open_recording
from scanner_files import Array, check_written, frames, refused, run, two_photon

XML = """<?xml version="1.0"?>
<ThorImageExperiment>
  <Software version="4.1.2021.9131" />
  <Wavelengths><Wavelength name="ChanA" exposureTimeMS="0" /></Wavelengths>
  <ZStage name="ThorZPiezo" steps="1" stepSizeUM="10" enable="1" />
  <Timelapse timepoints="5" intervalSec="0" />
  <LSM name="ResonanceGalvo" scanMode="0" pixelX="12" pixelY="8" averageMode="0" averageNum="15" pixelSizeUM="1.307"
    frameRate="30" />
  <Streaming enable="1" frames="5" rawData="1" zFastEnable="0" flybackFrames="8" />
  <CaptureMode mode="1" />
  <ExperimentStatus value="Complete" />
  <RawData onlyEnabledChannels="1" />
</ThorImageExperiment>"""


def xml(folder: Path, channels: int = 1, **changed: str) -> Path:
    """Experiment.xml with some attributes changed, named ``ELEMENT_attribute``."""
    text = XML
    for name, value in changed.items():
        element, attribute = name.split("_")
        text, count = re.subn(rf'(<{element}\b[^>]*?\b{attribute}=")[^"]*', rf"\g<1>{value}", text)
        assert count == 1, name
    one = '<Wavelength name="ChanA" exposureTimeMS="0" />'
    text = text.replace(one, "".join(one.replace("ChanA", f"Chan{letter}") for letter in "ABCD"[:channels]))
    folder.mkdir(exist_ok=True)
    path = folder / "Experiment.xml"
    path.write_text(text)
    return path


def raw(path: Path, images: Array, name: str = "Image_0001_0001.raw") -> Path:
    (path.parent / name).write_bytes(images.astype("<u2").tobytes())
    return path


@pytest.mark.parametrize("given", ["XML", "folder"])
def test_a_stream_of_raw_frames(tmp_path: Path, given: str) -> None:
    data = frames(5)
    path = raw(xml(tmp_path / "mouse3"), data)
    written = check_written(run([path if given == "XML" else path.parent], tmp_path / "out"), data, "TYX")
    assert written.name == "mouse3_registered.ome.tiff"


def test_channels_of_a_frame_follow_each_other(tmp_path: Path) -> None:
    data = frames(5, 2)
    check_written(run([raw(xml(tmp_path / "in", 2), data)], tmp_path / "out"), data, "TCYX")


def test_detectors_that_were_off_are_left_out(tmp_path: Path) -> None:
    stored = frames(5, 4)
    path = raw(xml(tmp_path / "in", 2), stored)
    check_written(run([path], tmp_path / "out"), stored[:, :2], "TCYX")


def test_volumes_with_flyback(tmp_path: Path) -> None:
    stored = frames(3, 6)
    path = xml(
        tmp_path / "in", ZStage_steps="4", Streaming_zFastEnable="1", Streaming_flybackFrames="2", Streaming_frames="18"
    )
    report = run([raw(path, stored)], tmp_path / "out")
    check_written(report, stored[:, :4], "TZYX")
    assert any("2 frames of flyback after each volume of 4 are left out" in line for line in report.files[0].remarks)
    with open_recording(path) as stack:
        assert stack.layout.interval_s == pytest.approx(6 / 30)
        assert stack.layout.z_step_um == 10


def test_tiff_files_of_one_frame(tmp_path: Path) -> None:
    data = frames(3, 2, 2)
    path = xml(tmp_path / "in", 2, CaptureMode_mode="0", Timelapse_timepoints="3", ZStage_steps="2")
    for (t, z, c), image in ((index, data[index]) for index in np.ndindex(3, 2, 2)):
        name = f"Chan{'AB'[c]}_001_001_{z + 1:03}_{t + 1:03}.tif"
        tifffile.imwrite(path.parent / name, image, photometric="minisblack", metadata=None)
    tifffile.imwrite(path.parent / "ChanA_Preview.tif", data[0, 0, 0], photometric="minisblack")
    check_written(run([path.parent], tmp_path / "out"), data, "TZCYX")


def test_what_it_says_of_the_scan(tmp_path: Path) -> None:
    with open_recording(raw(xml(tmp_path / "in"), frames(5))) as stack:
        assert stack.scan.bidirectional is True
        assert stack.scan.microscope == "ThorImage 4.1.2021.9131 ResonanceGalvo"
        assert stack.layout.pixel_size_um == (1.307, 1.307)
        assert stack.layout.interval_s == pytest.approx(1 / 30)
    with open_recording(raw(xml(tmp_path / "mean", LSM_averageMode="1"), frames(5))) as stack:
        assert stack.layout.interval_s == pytest.approx(15 / 30)
    with open_recording(raw(xml(tmp_path / "one", LSM_scanMode="1"), frames(5))) as stack:
        assert stack.scan.bidirectional is False


def test_a_scan_that_was_stopped_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    data = frames(3)
    path = raw(xml(tmp_path / "in", ExperimentStatus_value="Stopped"), data)
    report = run([path], tmp_path / "out")
    check_written(report, data, "TYX")
    assert any("was stopped after 3 of 5 times" in line for line in report.files[0].remarks)


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no frames": (
        lambda path: (path.parent / "Image_0001_0001.raw").unlink(),
        "has no frames beside it; expected Image_",
    ),
    "fewer frames": (lambda path: raw(path, frames(3)), "3 of 5 frames are in its files; copy them again"),
    "no whole frame": (
        lambda path: (path.parent / "Image_0001_0001.raw").write_bytes(b"1" * 200),
        "Image_0001_0001.raw: truncated, its 200 bytes are 1 frames of 8x12 uint16 and 8 bytes",
    ),
    "no px": (lambda path: path.write_text(path.read_text().replace('pixelX="12"', 'pixelX=""')), "its pixelX is ;"),
    "too many px": (
        lambda path: path.write_text(path.read_text().replace('pixelX="12"', 'pixelX="99999999"')),
        "says that frames are 8x99999999 px",
    ),
    "frames without end": (
        lambda path: path.write_text(path.read_text().replace('frames="5"', 'frames="900000000"')),
        "it claims 900000000 times",
    ),
    "cut off": (lambda path: path.write_text(path.read_text()[:-30]), "damaged XML"),
    "no laser": (lambda path: path.write_text(re.sub("<LSM[^>]*>", "", path.read_text())), "describes no laser scan"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, case: str) -> None:
    spoil, message = SPOILT[case]
    path = raw(xml(tmp_path / "in"), frames(5))
    spoil(path)
    assert message in refused(run([path], tmp_path / "out"), tmp_path / "out")


def test_a_tiff_file_of_another_shape_is_named(tmp_path: Path) -> None:
    path = xml(tmp_path / "in", CaptureMode_mode="0", Timelapse_timepoints="1")
    tifffile.imwrite(path.parent / "ChanA_001_001_001_001.tif", frames(shape=(8, 16)), photometric="minisblack")
    line = refused(run([path], tmp_path / "out"), tmp_path / "out")
    assert "ChanA_001_001_001_001.tif: has frames of 8x16, Experiment.xml says 8x12" in line


def test_real_xml_and_a_real_frame(tmp_path: Path) -> None:
    """The frames of the real experiment are not at hand; its preview stands for each of the 120."""
    folder = two_photon() / "thorimage"
    image = tifffile.imread(folder / "ChanA_Preview.tif")
    assert image.shape == (512, 512)
    text = (folder / "Experiment.xml").read_text()
    (tmp_path / "Experiment.xml").write_text(text.replace('frames="120"', 'frames="3"', 1))
    data = np.stack([image, np.roll(image, 3, 0), np.roll(image, 5, 1)])
    path = raw(tmp_path / "Experiment.xml", data)
    with open_recording(path) as stack:
        assert stack.layout.letters == "T"
        assert stack.scan.bidirectional is True
        assert stack.layout.pixel_size_um == (1.307, 1.307)
    check_written(run([path], tmp_path / "out"), data, "TYX")


def test_a_real_folder_with_the_preview_alone(tmp_path: Path) -> None:
    found = find_recordings([two_photon() / "thorimage"])
    assert sorted(one.paths[0].name for one in found) == ["ChanA_Preview.tif", "Experiment.xml"]
    line = refused(run([two_photon() / "thorimage" / "Experiment.xml"], tmp_path / "out"), tmp_path / "out")
    assert "has no frames beside it; expected Image_0001_0001.raw, or ChanA_001_001_001_001.tif" in line
