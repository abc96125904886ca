"""ScanImage's files: channels, depths, volumes, flyback, series over several files, and what they say of the scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live.recordings import find_recordings, open_recording
from scanner_files import Array, check_written, frames, refused, run, two_photon

MODERN = {
    "SI.VERSION_MAJOR": "2020",
    "SI.hChannels.channelSave": "1",
    "SI.hFastZ.enable": "false",
    "SI.hFastZ.discardFlybackFrames": "false",
    "SI.hFastZ.numDiscardFlybackFrames": "0",
    "SI.hFastZ.numFramesPerVolume": "[]",
    "SI.hFastZ.numVolumes": "1",
    "SI.hRoiManager.imagingFovUm": "[-60 -40;60 -40;60 40;-60 40]",
    "SI.hRoiManager.linePeriod": "6.3e-05",
    "SI.hRoiManager.scanFrameRate": "30",
    "SI.hRoiManager.scanVolumeRate": "6",
    "SI.hScan2D.bidirectional": "true",
    "SI.hScan2D.linePhase": "1.5e-06",
    "SI.hStackManager.framesPerSlice": "1",
    "SI.hStackManager.numSlices": "1",
    "SI.hStackManager.stackZStepSize": "5",
}


def save(path: Path, images: Array, first: int | None = 1, *, big: bool = True, **changed: str) -> Path:
    """Images as ScanImage writes them since 2016, with the numbers of their frames."""
    settings = {**MODERN, **{name.replace("__", "."): value for name, value in changed.items()}}
    software = "\n".join(f"{name} = {value}" for name, value in settings.items())
    with tifffile.TiffWriter(path, bigtiff=big) as tiff:
        for number, image in enumerate(images):
            text = "epoch = [2020 1 1 0 0 0]" + (f"\nframeNumbers = {first + number}" if first else "")
            tiff.write(
                image, software=software, description=text, metadata=None, contiguous=False, photometric="minisblack"
            )
    return path


VOLUMES: dict[str, tuple[dict[str, str], tuple[int, ...], str, int]] = {
    "frames in a row": ({"SI.hStackManager.framesPerSlice": "6"}, (6,), "TYX", 0),
    "until it was stopped": ({"SI.hStackManager.framesPerSlice": "Inf"}, (6,), "TYX", 0),
    "two channels": ({"SI.hChannels.channelSave": "[1;3]", "SI.hStackManager.framesPerSlice": "4"}, (4, 2), "TCYX", 0),
    "depth by depth": (
        {"SI.hStackManager.numSlices": "3", "SI.hStackManager.framesPerSlice": "1"}, (3,), "ZYX", 0,
    ),
    "fast z": (
        {"SI.hFastZ.enable": "true", "SI.hStackManager.numSlices": "4", "SI.hFastZ.numVolumes": "3"},
        (3, 4), "TZYX", 0,
    ),
    "fast z, flyback": (
        {
            "SI.hFastZ.enable": "true", "SI.hStackManager.numSlices": "4", "SI.hFastZ.numVolumes": "3",
            "SI.hFastZ.numFramesPerVolume": "5", "SI.hFastZ.discardFlybackFrames": "true",
            "SI.hFastZ.numDiscardFlybackFrames": "1",
        },
        (3, 4), "TZYX", 1,
    ),
    "fast z, flyback, two channels": (
        {
            "SI.hFastZ.enable": "true", "SI.hStackManager.numSlices": "3", "SI.hFastZ.numVolumes": "4",
            "SI.hFastZ.discardFlybackFrames": "true", "SI.hFastZ.numDiscardFlybackFrames": "2",
            "SI.hChannels.channelSave": "[1;2]",
        },
        (4, 3, 2), "TZCYX", 2,
    ),
    "as programs call it since 2020": (
        {
            "SI.hStackManager.enable": "true", "SI.hStackManager.stackMode": "'fast'",
            "SI.hStackManager.actualNumSlices": "3", "SI.hStackManager.actualNumVolumes": "2",
            "SI.hStackManager.numFramesPerVolumeWithFlyback": "4", "SI.hFastZ.enable": "true",
        },
        (2, 3), "TZYX", 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", VOLUMES)
def test_frames_are_where_the_settings_say(tmp_path: Path, case: str) -> None:
    changed, sizes, axes, flyback = VOLUMES[case]
    data = frames(*sizes)
    stored = data
    if flyback:
        at = axes.index("Z")
        back = frames(*sizes[:at], flyback, *sizes[at + 1 :], seed=1)
        stored = np.concatenate([data, back], axis=at)
    path = save(tmp_path / "a.tif", stored.reshape(-1, *data.shape[-2:]), None, **changed)
    report = run([path], tmp_path / "out")
    check_written(report, data, axes)
    said = [line for line in report.files[0].remarks if "flyback" in line]
    assert len(said) == (flyback > 0)


def test_several_frames_at_each_depth(tmp_path: Path) -> None:
    data = frames(2, 5)  # depth, frame
    changed = {"SI.hStackManager.numSlices": "2", "SI.hStackManager.framesPerSlice": "5"}
    path = save(tmp_path / "a.tif", data.reshape(-1, *data.shape[-2:]), None, **changed)
    check_written(run([path], tmp_path / "out"), data.swapaxes(0, 1), "TZYX")


@pytest.mark.parametrize("numbered", [True, False], ids=["numbered frames", "names only"])
@pytest.mark.parametrize("big", [True, False], ids=["BigTIFF", "TIFF"])
def test_a_series_over_several_files_is_one_recording(tmp_path: Path, numbered: bool, big: bool) -> None:
    data = frames(10)
    changed = {"SI.hStackManager.framesPerSlice": "10"}
    for number, part in enumerate((slice(0, 4), slice(4, 8), slice(8, 10)), 1):
        first = part.start + 1 if numbered else None
        save(tmp_path / f"m1_{number:05}.tif", data[part], first, big=big, **changed)
    report = run([tmp_path], tmp_path / "out")
    written = check_written(report, data, "TYX")
    assert written.name == "m1_registered.ome.tiff"
    assert not any("truncated" in line or "asked for" in line for line in report.files[0].remarks)


def test_a_file_of_a_series_alone_is_not_truncated(tmp_path: Path) -> None:
    data = frames(4)
    path = save(tmp_path / "m1_00001.tif", data, **{"SI.hStackManager.framesPerSlice": "10"})
    report = run([path], tmp_path / "out")
    check_written(report, data, "TYX")
    assert any("10 images were asked for" in line for line in report.files[0].remarks)


def test_a_volume_may_go_over_the_end_of_a_file(tmp_path: Path) -> None:
    data = frames(3, 4)
    changed = {"SI.hFastZ.enable": "true", "SI.hStackManager.numSlices": "4", "SI.hFastZ.numVolumes": "3"}
    flat = data.reshape(-1, *data.shape[-2:])
    save(tmp_path / "a_00001.tif", flat[:6], 1, **changed)
    save(tmp_path / "a_00002.tif", flat[6:], 7, **changed)
    check_written(run([tmp_path], tmp_path / "out"), data, "TZYX")


@pytest.mark.parametrize("big", [True, False], ids=["BigTIFF", "TIFF"])
def test_runs_that_begin_anew_are_recordings_of_their_own(tmp_path: Path, big: bool) -> None:
    changed = {"SI.hStackManager.framesPerSlice": "3"}
    for number in (1, 2):
        save(tmp_path / f"trial_{number:05}.tif", frames(3, seed=number), 1, big=big, **changed)
    assert [one.name for one in find_recordings([tmp_path])] == ["trial_00001", "trial_00002"]


def test_a_file_that_is_missing_in_a_series_is_said(tmp_path: Path) -> None:
    data = frames(9)
    for number in (1, 3):
        part = data[3 * number - 3 : 3 * number]
        changed = {"SI.hStackManager.framesPerSlice": "9"}
        save(tmp_path / f"m_{number:05}.tif", part, 3 * number - 2, **changed)
    report = run([tmp_path], tmp_path / "out")
    check_written(report, np.concatenate([data[:3], data[6:]]), "TYX")
    assert any("in the names of its series 2 are missing" in line for line in report.files[0].remarks)
    assert any("9 images were asked for when it was recorded, 6 are here" in line for line in report.files[0].remarks)


def test_a_volume_that_is_not_whole_is_left_out_and_said(tmp_path: Path) -> None:
    data = frames(2, 4)
    changed = {"SI.hFastZ.enable": "true", "SI.hStackManager.numSlices": "4", "SI.hFastZ.numVolumes": "9"}
    flat = np.concatenate([data.reshape(-1, *data.shape[-2:]), frames(3, seed=2)])
    report = run([save(tmp_path / "a.tif", flat, **changed)], tmp_path / "out")
    check_written(report, data, "TZYX")
    assert any("the last 3 images are less than a whole volume of 4" in line for line in report.files[0].remarks)


@pytest.mark.parametrize(("images", "depths"), [(17, 1), (20, 2), (29, 2), (7, 1)])
def test_a_stack_that_was_stopped_is_read_depth_by_depth(tmp_path: Path, images: int, depths: int) -> None:
    """Ten frames at a depth, five depths asked for: what follows the last whole depth is left out."""
    data = frames(images)
    changed = {"SI.hStackManager.numSlices": "5", "SI.hStackManager.framesPerSlice": "10"}
    report = run([save(tmp_path / "a.tif", data, **changed)], tmp_path / "out")
    each = min(10, images)
    whole = data[: each * depths].reshape(depths, each, *data.shape[-2:]).swapaxes(0, 1)
    check_written(report, whole[:, 0] if depths == 1 else whole, "TYX" if depths == 1 else "TZYX")
    assert any(f"{depths} of 5 depths are whole" in line for line in report.files[0].remarks)


def test_less_than_one_volume_is_refused(tmp_path: Path) -> None:
    changed = {"SI.hFastZ.enable": "true", "SI.hStackManager.numSlices": "4", "SI.hFastZ.numVolumes": "9"}
    path = save(tmp_path / "a.tif", frames(3), **changed)
    message = refused(run([path], tmp_path / "out"), tmp_path / "out")
    assert "holds 3 images; expected 4 or more" in message


def test_a_cut_off_file_of_a_series_is_refused_by_name(tmp_path: Path) -> None:
    save(tmp_path / "a_00001.tif", frames(4))
    path = save(tmp_path / "a_00002.tif", frames(4), 5)
    path.write_bytes(path.read_bytes()[:-300])
    message = refused(run([tmp_path], tmp_path / "out"), tmp_path / "out")
    assert "a_00002.tif" in message
    assert "truncated" in message


def test_depths_stay_where_they_are_after_a_file_that_is_cut_off(tmp_path: Path) -> None:
    """What comes after it would be taken for other depths."""
    data = frames(4, 3)
    flat = data.reshape(-1, *data.shape[-2:])
    changed = {"SI.hFastZ.enable": "true", "SI.hStackManager.numSlices": "3", "SI.hFastZ.numVolumes": "4"}
    paths = [save(tmp_path / f"a_{n:05}.tif", flat[4 * n : 4 * n + 4], 4 * n + 1, **changed) for n in range(3)]
    paths[1].write_bytes(paths[1].read_bytes()[:-100])
    report = run([tmp_path], tmp_path / "out", allow_missing=True)
    check_written(report, data[: report.files[0].frames // 3], "TZYX")
    assert report.files[0].frames == 6  # 7 whole images are two volumes
    assert any("a_00001.tif: is damaged or cut off" in line for line in report.files[0].remarks)


def test_another_shape_in_a_series_joined_by_hand_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a_00001.tif", frames(4))
    save(tmp_path / "a_00002.tif", frames(4, shape=(8, 16)), 5)
    message = refused(run([tmp_path], tmp_path / "out", series="join"), tmp_path / "out")
    assert "has frames of 8x16 uint16, a_00001.tif of 8x12 uint16" in message


def test_axes_of_the_user_are_those_of_the_file(tmp_path: Path) -> None:
    data = frames(6)
    changed = {"SI.hFastZ.enable": "true", "SI.hStackManager.numSlices": "3", "SI.hFastZ.numVolumes": "2"}
    check_written(run([save(tmp_path / "a.tif", data, **changed)], tmp_path / "out", axes="TYX"), data, "TYX")


def test_what_it_says_of_the_scan(tmp_path: Path) -> None:
    changed = {"SI.hFastZ.enable": "true", "SI.hStackManager.numSlices": "4", "SI.hFastZ.numVolumes": "2"}
    with open_recording(save(tmp_path / "a.tif", frames(8), **changed)) as stack:
        assert stack.scan.bidirectional is True
        assert stack.scan.line_phase_s == 1.5e-6
        assert stack.scan.line_period_s == 6.3e-5
        assert stack.scan.microscope == "ScanImage 2020"
        assert stack.layout.pixel_size_um == (10.0, 10.0)
        assert stack.layout.z_step_um == 5.0
        assert stack.layout.interval_s == pytest.approx(1 / 6)


OLDER: dict[str, tuple[str, tuple[int, ...], Any]] = {
    "scanimage.SI4": (
        "scanimage.SI4.channelsSave = [1;2]\nscanimage.SI4.fastZEnable = 1\nscanimage.SI4.stackNumSlices = 3\n"
        "scanimage.SI4.fastZNumVolumes = 2\nscanimage.SI4.versionMajor = 4.2\nscanimage.SI4.bidirectionalAcq = 1",
        (2, 3, 2),
        True,
    ),
    "scanimage.SI": (
        "frameNumbers = 1\nscanimage.SI.hChannels.channelSave = [1;2]\nscanimage.SI.hFastZ.enable = true\n"
        "scanimage.SI.hStackManager.numSlices = 3\nscanimage.SI.hFastZ.numVolumes = 2\n"
        "scanimage.SI.hScan2D.bidirectional = false",
        (2, 3, 2),
        False,
    ),
}


@pytest.mark.parametrize("version", OLDER)
def test_settings_of_before_2016_are_in_the_description(tmp_path: Path, version: str) -> None:
    text, sizes, bidirectional = OLDER[version]
    data = frames(*sizes)
    tifffile.imwrite(
        tmp_path / "a.tif",
        data.reshape(-1, *data.shape[-2:]),
        description=text,
        metadata=None,
        photometric="minisblack",
    )
    with open_recording(tmp_path / "a.tif") as stack:
        assert stack.layout.letters == "TZC"
        assert stack.scan.bidirectional is bidirectional
        np.testing.assert_array_equal(np.stack(list(stack.frames())).reshape(data.shape), data)


def test_a_real_recording_of_3_8(tmp_path: Path) -> None:
    path = two_photon() / "scanimage" / "Blank-IPA_1s_16r_032.tif"
    with tifffile.TiffFile(path) as tiff:
        data = np.stack([page.asarray() for page in tiff.pages])
    assert data.shape == (30, 64, 64)
    check_written(run([path], tmp_path / "out"), data, "TYX")
    with open_recording(path) as stack:
        assert stack.scan.bidirectional is True
        assert stack.scan.line_period_s == pytest.approx(1.92e-3)
        assert stack.scan.microscope == "ScanImage 3.8"
        assert stack.layout.interval_s == pytest.approx(1 / 8.138, rel=1e-3)
