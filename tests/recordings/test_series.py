"""Recordings of one frame a file: found by names that count up, joined and kept apart by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from sasnet_live.recordings import ReadSettings, find_recordings, open_recording
from sasnet_live.recordings.settings import FEWEST_IN_SERIES
from sasnet_live.registrar import Registrar
from scanner_files import Array, check_written, frames, refused, run, two_photon


def save_each(folder: Path, data: Array, name: str = "scan_{:04}.tif", first: int = 1) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / name.format(first + number) for number in range(len(data))]
    for path, image in zip(paths, data, strict=True):
        tifffile.imwrite(path, image, photometric="minisblack")
    return paths


def test_names_that_count_up_are_one_recording(tmp_path: Path) -> None:
    data = frames(FEWEST_IN_SERIES + 4)
    save_each(tmp_path / "in", data, "scan{}.tif")  # 10 comes after 9, not after 1
    report = run([tmp_path / "in"], tmp_path / "out")
    written = check_written(report, data, "TYX")
    assert written.name == "scan_registered.ome.tiff"
    (remark,) = report.files[0].remarks
    assert "11 more files whose names count up are read as one recording (12 T); --series apart" in remark


def test_fewer_are_pictures_unless_joined(tmp_path: Path) -> None:
    data = frames(FEWEST_IN_SERIES - 1)
    save_each(tmp_path / "in", data)
    assert len(find_recordings([tmp_path / "in"])) == FEWEST_IN_SERIES - 1
    check_written(run([tmp_path / "in"], tmp_path / "out", series="join"), data, "TYX")


def test_series_are_kept_apart_where_asked(tmp_path: Path) -> None:
    data = frames(FEWEST_IN_SERIES)
    save_each(tmp_path / "in", data)
    report = run([tmp_path / "in"], tmp_path / "out", series="apart")
    assert [file.frames for file in report.files] == [1] * FEWEST_IN_SERIES
    assert report.failed == ()


def test_channels_and_depths_are_read_from_names(tmp_path: Path) -> None:
    data = frames(3, 2, 4)
    folder = tmp_path / "in"
    folder.mkdir()
    for (t, c, z), image in ((index, data[index]) for index in np.ndindex(3, 2, 4)):
        tifffile.imwrite(folder / f"mouse7_t{t:03}_Ch{c + 1}_z{z}.tif", image, photometric="minisblack")
    check_written(run([folder], tmp_path / "out"), data.swapaxes(1, 2), "TZCYX")


def test_two_series_and_a_stack_in_one_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    save_each(folder, frames(FEWEST_IN_SERIES), "a_{:03}.tif")
    save_each(folder, frames(FEWEST_IN_SERIES, seed=1), "b_{:03}.tif")
    tifffile.imwrite(folder / "stack_1.tif", frames(3), photometric="minisblack", metadata={"axes": "TYX"})
    found = find_recordings([folder])
    assert [(one.name, len(one.paths)) for one in found] == [("a", 8), ("b", 8), ("stack_1", 1)]


def test_numbers_that_are_missing_are_said(tmp_path: Path) -> None:
    data = frames(FEWEST_IN_SERIES + 2)
    paths = save_each(tmp_path / "in", data)
    paths[3].unlink()
    report = run([tmp_path / "in"], tmp_path / "out")
    check_written(report, np.delete(data, 3, axis=0), "TYX")
    assert any("in the names of its series 4 are missing" in line for line in report.files[0].remarks)


def test_names_that_leave_places_empty_are_no_series(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for t, c in np.ndindex(5, 2):
        if (t, c) != (4, 1):
            tifffile.imwrite(folder / f"t{t}_Ch{c}.tif", frames()[:, :], photometric="minisblack")
    assert len(find_recordings([folder])) == 9


DAMAGE = {
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-50]), "truncated TIFF"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "no TIFF": (lambda path: path.write_bytes(b"something else"), "is not a TIFF file"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_member_is_named(tmp_path: Path, case: str) -> None:
    damage, message = DAMAGE[case]
    paths = save_each(tmp_path / "in", frames(FEWEST_IN_SERIES + 1))
    damage(paths[4])
    line = refused(run([tmp_path / "in"], tmp_path / "out"), tmp_path / "out")
    assert line.startswith(str(paths[4]))
    assert message in line


@pytest.mark.parametrize("case", DAMAGE)
def test_what_comes_before_a_damaged_member_is_taken_where_asked(tmp_path: Path, case: str) -> None:
    data = frames(FEWEST_IN_SERIES + 1)
    paths = save_each(tmp_path / "in", data)
    DAMAGE[case][0](paths[4])
    report = run([tmp_path / "in"], tmp_path / "out", allow_missing=True)
    check_written(report, data[:4], "TYX")
    assert any("scan_0005.tif: is damaged or cut off" in line for line in report.files[0].remarks)
    assert any("4 of 9 times are whole" in line for line in report.files[0].remarks)


def test_a_member_of_another_shape_is_named(tmp_path: Path) -> None:
    paths = save_each(tmp_path / "in", frames(4))
    tifffile.imwrite(paths[2], frames(shape=(8, 20)), photometric="minisblack")
    line = refused(run([tmp_path / "in"], tmp_path / "out", series="join"), tmp_path / "out")
    assert "scan_0003.tif: has frames of 8x20 uint16, scan_0001.tif of 8x12 uint16; expected one kind" in line


def test_a_member_with_two_frames_is_named(tmp_path: Path) -> None:
    paths = save_each(tmp_path / "in", frames(4))
    tifffile.imwrite(paths[2], frames(2), photometric="minisblack")
    line = refused(run([tmp_path / "in"], tmp_path / "out", series="join"), tmp_path / "out")
    assert "scan_0003.tif: holds 2 frames, scan_0001.tif one" in line


def test_stacks_are_joined_along_time_by_hand(tmp_path: Path) -> None:
    data = frames(7)
    folder = tmp_path / "in"
    folder.mkdir()
    for name, part in (("a_1.tif", data[:3]), ("a_2.tif", data[3:])):
        tifffile.imwrite(folder / name, part, photometric="minisblack", metadata={"axes": "TYX"})
    check_written(run([folder], tmp_path / "out", series="join"), data, "TYX")


def test_stacks_are_joined_up_to_one_that_is_cut_off(tmp_path: Path) -> None:
    data = frames(9)
    folder = tmp_path / "in"
    folder.mkdir()
    for number, part in enumerate((data[:3], data[3:6], data[6:])):
        tifffile.imwrite(folder / f"a_{number}.tif", part, photometric="minisblack", metadata={"axes": "TYX"})
    path = folder / "a_1.tif"
    path.write_bytes(path.read_bytes()[:-400])  # directories of the last frames are at the end
    report = run([folder], tmp_path / "out", series="join", allow_missing=True)
    kept = report.files[0].frames
    assert 3 < kept < 6
    check_written(report, data[:kept], "TYX")


def test_an_output_is_never_one_of_the_members(tmp_path: Path) -> None:
    save_each(tmp_path, frames(FEWEST_IN_SERIES), "{}.tif")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(Exception, match="is an input and an output"):
        run([tmp_path], tmp_path / "3.tif")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_one_opens_files_in_the_order_that_is_given(tmp_path: Path) -> None:
    data = frames(3)
    paths = save_each(tmp_path / "in", data)
    with open_recording(paths, ReadSettings(series="join")) as stack:
        assert len(stack) == 3
        np.testing.assert_array_equal(np.stack(list(stack.frames())), data)


def test_real_files_of_one_frame_register_as_the_stack_of_them_does(tmp_path: Path) -> None:
    """The twelve files are the first twelve frames of the stack, and the same displacement is found to the last bit."""
    folder = two_photon()
    (found,) = find_recordings([folder / "bruker_files"])
    assert len(found.paths) == 12
    with open_recording(folder / "photon_starved_256.tif") as stack:
        first = [stack.frame(number) for number in range(12)]
    registrars = [Registrar(model="correspondence") for _ in range(2)]
    with open_recording(found.paths) as series:
        assert series.layout.letters == "T"
        for raw, other in zip(first, series.frames(), strict=True):
            np.testing.assert_array_equal(raw, other)
            one, two = (registrar.register(frame) for registrar, frame in zip(registrars, (raw, other), strict=True))
            assert one.accepted == two.accepted
            assert one.reason == two.reason
            np.testing.assert_array_equal(one.displacement_px, two.displacement_px)


def test_real_files_of_one_frame_are_written_as_one_stack(tmp_path: Path) -> None:
    folder = two_photon()
    data = tifffile.imread(folder / "photon_starved_256.tif")[:12]
    check_written(run([folder / "bruker_files"], tmp_path / "out"), data, "TYX")
