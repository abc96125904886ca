"""What recordings say of their scan, and what is made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from sasnet_live.cli import app
from sasnet_live.errors import InputError
from sasnet_live.evaluation.adapters import raw_entries
from sasnet_live.recordings import ReadSettings, ScanFacts, open_recording
from sasnet_live.reprocess import ReprocessSettings, reprocess
from sasnet_live.sinks.ome_tiff import read_record
from sasnet_live.training.recordings import recorded_validation
from sasnet_live.training.settings import TrainingSettings
from scanner_files import Array, check_written, frames, make, refused, run

SETTINGS = """SI.VERSION_MAJOR = 2020
SI.hChannels.channelSave = 1
SI.hRoiManager.imagingFovUm = [-60 -40;60 -40;60 40;-60 40]
SI.hRoiManager.linePeriod = 6.3e-05
SI.hRoiManager.scanFrameRate = 30
SI.hScan2D.bidirectional = {}
SI.hScan2D.linePhase = -1.5e-06
SI.hStackManager.framesPerSlice = 4"""


def save(path: Path, data: Array, bidirectional: str = "true") -> Path:
    tifffile.imwrite(path, data, software=SETTINGS.format(bidirectional), metadata=None, photometric="minisblack")
    return path


def test_facts_go_into_the_output_and_its_record(tmp_path: Path) -> None:
    data = frames(4)
    written = check_written(run([save(tmp_path / "a.tif", data)], tmp_path / "out"), data, "TYX")
    record = read_record(written)
    assert record["scan.bidirectional"] == "yes"
    assert record["scan.line_phase_s"] == "-1.5e-06"
    assert record["scan.line_period_s"] == "6.3e-05"
    assert record["scan.microscope"] == "ScanImage 2020"
    with open_recording(written) as stack:
        assert stack.layout.pixel_size_um == (10.0, 10.0)
        assert stack.layout.interval_s == pytest.approx(1 / 30)
    with tifffile.TiffFile(written) as tiff:
        assert 'PhysicalSizeX="10' in tiff.ome_metadata


def test_an_output_knows_how_many_files_it_is_from(tmp_path: Path) -> None:
    for number in range(9):
        tifffile.imwrite(tmp_path / f"a_{number}.tif", frames(), photometric="minisblack")
    (written,) = run([tmp_path], tmp_path / "out").files[0].outputs
    assert read_record(written)["files"] == "9"
    assert read_record(written)["source"] == "a_0.tif"


def test_a_scan_of_one_way_is_refused_unless_it_is_wrong(tmp_path: Path) -> None:
    data = frames(4)
    path = save(tmp_path / "a.tif", data, "false")
    line = refused(run([path], tmp_path / "out"), tmp_path / "out")
    assert line.startswith(f"{path}: says that its lines were scanned one way only (ScanImage 2020)")
    assert line.endswith("add --treat-as-bidirectional if they went both ways")
    settings = ReprocessSettings(treat_as_bidirectional=True)
    check_written(reprocess([path], tmp_path / "out", settings, make_registrar=make), data, "TYX")


def test_a_file_that_does_not_say_is_taken(tmp_path: Path) -> None:
    data = frames(4)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack")
    check_written(run([tmp_path / "a.tif"], tmp_path / "out"), data, "TYX")
    with open_recording(tmp_path / "a.tif") as stack:
        assert stack.scan == ScanFacts()
        assert stack.scan.in_words() == {}


def test_nothing_is_trained_or_judged_on_a_scan_of_one_way(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", frames(20, shape=(64, 64)), "false")
    with pytest.raises(InputError, match=r"one way only .* take it out"):
        recorded_validation(TrainingSettings(recordings=(str(path),)), "explicit")
    with pytest.raises(InputError, match=r"one way only .* take it out"):
        raw_entries(tmp_path, None)


def test_a_series_is_one_recording_to_train_and_judge_on(tmp_path: Path) -> None:
    data = frames(20, shape=(64, 64))
    for number, image in enumerate(data):
        tifffile.imwrite(tmp_path / f"a_{number:03}.tif", image, photometric="minisblack")
    entries = raw_entries(tmp_path, None)
    assert [entry.name for entry in entries] == [f"a-{number:05d}" for number in range(20)]
    case = entries[7].load()
    np.testing.assert_array_equal(case.forward, data[7][::2])
    kept = recorded_validation(TrainingSettings(recordings=(str(tmp_path),)), "explicit")
    assert len(kept["recordings"]) == 2


def test_info_says_what_the_file_says(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", frames(4))
    result = CliRunner().invoke(app, ["info", str(path)])
    lines = dict(line.strip().split("  ", maxsplit=1) for line in result.stdout.splitlines())
    said = {name: value.strip() for name, value in lines.items()}
    assert said["format"] == "ScanImage TIFF"
    assert said["microscope"] == "ScanImage 2020"
    assert said["lines"] == "scanned both ways"
    assert said["line period"] == "63 µs"
    assert said["line phase"] == "-1.5 µs, as set in the microscope: its frames have it already"


def test_info_of_a_folder_describes_each_recording(tmp_path: Path) -> None:
    save(tmp_path / "one.tif", frames(4))
    for number in range(8):
        tifffile.imwrite(tmp_path / f"b_{number}.tif", frames(seed=number), photometric="minisblack")
    text = CliRunner().invoke(app, ["info", str(tmp_path)]).stdout
    assert "b_0.tif and 7 more" in text
    assert "ScanImage 2020" in text


def test_info_of_a_folder_says_what_cannot_be_read(tmp_path: Path) -> None:
    save(tmp_path / "one.tif", frames(4))
    (tmp_path / "two.tif").write_bytes(b"")
    text = CliRunner().invoke(app, ["info", str(tmp_path)]).stdout
    assert "ScanImage 2020" in text
    assert "two.tif: is empty" in text


def test_axes_of_a_series_may_be_said(tmp_path: Path) -> None:
    data = frames(8)
    for number, image in enumerate(data):
        tifffile.imwrite(tmp_path / f"b_{number}.tif", image, photometric="minisblack")
    check_written(run([tmp_path], tmp_path / "out", axes="ZYX"), data, "ZYX")
    with pytest.raises(InputError, match="axes 'TZYX' do not fit, the recording has 8 before YX"):
        open_recording(sorted(tmp_path.glob("*.tif")), ReadSettings(axes="TZYX"))
