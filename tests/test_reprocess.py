"""Reprocessing recordings: axes, channels, data types, state, many files, interruption and resumption."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from fake_registrar import FakeRegistrar, expected
from sasnet_live.errors import InputError
from sasnet_live.files import OutputLock
from sasnet_live.frame import Frame, Registration, RegistrationMetrics
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout
from sasnet_live.reprocess import Progress, ReprocessReport, ReprocessSettings, reprocess
from sasnet_live.reprocess.file import REPLAYED_FRAMES, FrameRegistrar
from sasnet_live.settings import RegistrarSettings
from sasnet_live.sinks.ome_tiff import frame_figures, partial_path, read_record
from sasnet_live.sinks.recording import OmeTiffSink

SHAPE = (8, 12)


def recording(*leading: int, dtype: Any = np.uint16, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(1, 200, (*leading, *SHAPE)).astype(dtype)


def save(path: Path, data: np.ndarray[Any, Any], **options: Any) -> Path:
    tifffile.imwrite(path, data, photometric="minisblack", **options)
    return path


def make(settings: RegistrarSettings) -> FrameRegistrar:
    return FakeRegistrar(settings.model, settings.output, settings.geometry)


def run(*args: Any, **options: Any) -> ReprocessReport:
    options.setdefault("make_registrar", make)
    return reprocess(*args, **options)


def only_done(report: ReprocessReport) -> ReprocessReport:
    assert [file.error for file in report.failed] == []
    return report


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


CASES: list[tuple[tuple[int, ...], str]] = [
    ((), "YX"),
    ((4,), "TYX"),
    ((4,), "ZYX"),
    ((3, 2), "TCYX"),
    ((2, 3), "CTYX"),
    ((2, 3, 2), "TZCYX"),
    ((2, 2, 3), "TCZYX"),
]


@pytest.mark.parametrize(("leading", "axes"), CASES)
def test_axes_in_are_axes_out(tmp_path: Path, leading: tuple[int, ...], axes: str) -> None:
    data = recording(*leading)
    source = save(tmp_path / "a.ome.tif", data, ome=True, metadata={"axes": axes})
    report = only_done(run([source], tmp_path / "out.ome.tiff"))
    with tifffile.TiffFile(tmp_path / "out.ome.tiff") as tiff:
        assert tiff.series[0].axes == axes
        np.testing.assert_array_equal(tiff.asarray(), expected(data))
    channels = leading[axes.index("C")] if "C" in axes else 1
    assert report.files[0].frames == report.files[0].accepted == int(np.prod(leading)) // channels
    assert report.files[0].ncc_before == pytest.approx(0.5)
    assert report.files[0].ncc_after == pytest.approx(0.9)


@pytest.mark.parametrize("align_on", [1, "1", "b"])
def test_displacement_of_one_channel_moves_the_others(tmp_path: Path, align_on: int | str) -> None:
    data = recording(3, 2)
    data[:, 0] = 7  # nothing to register here: only the other channel can tell
    source = save(tmp_path / "a.ome.tif", data, ome=True, metadata={"axes": "TCYX", "Channel": {"Name": ["a", "b"]}})
    report = only_done(run([source], tmp_path / "out.tif", ReprocessSettings(align_on=align_on)))
    assert report.files[0].accepted == 3
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), expected(data))


@pytest.mark.parametrize("align_on", [2, -1, "c"])
def test_no_such_channel(tmp_path: Path, align_on: int | str) -> None:
    source = save(
        tmp_path / "a.ome.tif", recording(3, 2), ome=True, metadata={"axes": "TCYX", "Channel": {"Name": ["a", "b"]}}
    )
    report = run([source], tmp_path / "out.tif", ReprocessSettings(align_on=align_on))
    assert f"{source}: has no channel {align_on!r} to align on; it has 2 (0 to 1: a, b)" in report.files[0].error
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.tif"]


def test_both_outputs_are_two_files(tmp_path: Path) -> None:
    data = recording(3)
    source = save(tmp_path / "a.tif", data, metadata={"axes": "TYX"})
    report = only_done(run([source], tmp_path / "out.ome.tiff", ReprocessSettings(RegistrarSettings(output="both"))))
    assert [path.name for path in report.files[0].outputs] == ["out_rendered.ome.tiff", "out_warped.ome.tiff"]
    for kind in ("rendered", "warped"):
        path = tmp_path / f"out_{kind}.ome.tiff"
        np.testing.assert_array_equal(tifffile.imread(path), expected(data, kind))
        assert read_record(path)["output"] == kind


TYPES = [
    # input, asked for, written
    ("uint8", None, "uint8"),
    ("uint16", None, "uint16"),
    ("int16", None, "int16"),
    ("float32", None, "float32"),
    ("float64", None, "float64"),
    ("uint16", "float32", "float32"),
    ("float32", "uint16", "uint16"),
    ("uint16", "uint8", "uint8"),
    ("int64", "float32", "float32"),
]


@pytest.mark.parametrize(("given", "asked", "written"), TYPES)
def test_data_types(tmp_path: Path, given: str, asked: str | None, written: str) -> None:
    data = recording(2, dtype=given)
    source = save(tmp_path / "a.tif", data, metadata={"axes": "TYX"})
    only_done(run([source], tmp_path / "out.tif", ReprocessSettings(dtype=asked)))
    out = tifffile.imread(tmp_path / "out.tif")
    assert out.dtype == written
    np.testing.assert_array_equal(out, expected(data).astype(written))


@pytest.mark.parametrize(
    ("leading", "axes", "states"),
    [
        ((4,), "TYX", [1, 2, 3, 4]),
        ((3,), "ZYX", [1, 1, 1]),
        ((2, 3), "TZYX", [1, 2] * 3),
        ((2, 3), "ZTYX", [1, 2, 3] * 2),
    ],
)
def test_temporal_state_is_kept_along_time_only(
    tmp_path: Path, leading: tuple[int, ...], axes: str, states: list[int]
) -> None:
    source = save(tmp_path / "a.ome.tif", recording(*leading), ome=True, metadata={"axes": axes})
    only_done(run([source, save(tmp_path / "b.tif", recording(2), metadata={"axes": "TYX"})], tmp_path / "out"))
    first = [figures["confidence"] for figures in frame_figures(tmp_path / "out" / "a_registered.ome.tiff")]
    assert first == states
    second = [figures["confidence"] for figures in frame_figures(tmp_path / "out" / "b_registered.ome.tiff")]
    assert second == [1, 2]


def test_positions_have_their_own_state_and_stay_images(tmp_path: Path) -> None:
    data = recording(2, 3)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for position in data:
            writer.write(position, photometric="minisblack", metadata={"axes": "TYX"})
    only_done(run([tmp_path / "a.ome.tif"], tmp_path / "out.ome.tif"))
    with tifffile.TiffFile(tmp_path / "out.ome.tif") as tiff:
        np.testing.assert_array_equal(np.stack([series.asarray() for series in tiff.series]), expected(data))
    states = [figures["confidence"] for figures in frame_figures(tmp_path / "out.ome.tif")]
    assert states == [1, 2, 3, 1, 2, 3]


def test_calibration_is_carried_over_and_what_was_done_is_recorded(tmp_path: Path) -> None:
    source = save(
        tmp_path / "a.tif",
        recording(2),
        imagej=True,
        resolution=(4.0, 2.0),
        metadata={"axes": "TYX", "unit": "um", "finterval": 0.5},
    )
    geometry = ScanGeometry(slow_axis="stepped")
    only_done(run([source], tmp_path / "out.ome.tif", ReprocessSettings(RegistrarSettings(geometry=geometry))))
    from sasnet_live.recordings.tiff import TiffStack

    with TiffStack(tmp_path / "out.ome.tif") as stack:
        assert stack.layout.pixel_size_um == pytest.approx((0.5, 0.25))
        assert stack.layout.interval_s == pytest.approx(0.5)
    record = read_record(tmp_path / "out.ome.tif")
    assert record["source"] == "a.tif"
    assert record["model"] == "default"
    assert record["weights_sha256"] == "0" * 64
    assert record["geometry.slow_axis"] == "stepped"
    assert record["software"].startswith("SASNet Live")


def test_cropped_turnaround_is_not_written(tmp_path: Path) -> None:
    data = recording(3)
    source = save(tmp_path / "a.tif", data, metadata={"axes": "TYX"})
    only_done(
        run([source], tmp_path / "out.tif", ReprocessSettings(RegistrarSettings(geometry=ScanGeometry(crop=(2, 3)))))
    )
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), expected(data[..., 2:-3]))


def test_metrics_table_has_a_row_a_scan(tmp_path: Path) -> None:
    data = recording(2, 3, 2)
    data[1, 2] = 5
    source = save(tmp_path / "a.ome.tif", data, ome=True, metadata={"axes": "TZCYX"})
    report = only_done(run([source], tmp_path / "out.tif", metrics=tmp_path / "m.csv"))
    assert report.files[0].accepted == 5
    table = rows(tmp_path / "m.csv")
    assert [(row["z"], row["t"]) for row in table] == [
        ("0", "0"),
        ("0", "1"),
        ("1", "0"),
        ("1", "1"),
        ("2", "0"),
        ("2", "1"),
    ]
    assert [row["accepted"] for row in table] == ["true"] * 5 + ["false"]
    assert table[-1]["reason"] == "constant frame"
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif")[1, 2], data[1, 2])


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    good = [save(folder / f"{name}.tif", recording(3, seed=i), metadata={"axes": "TYX"}) for i, name in enumerate("ac")]
    (folder / "b.tif").write_bytes(good[0].read_bytes()[:300])
    report = run([folder], tmp_path / "out", metrics=tmp_path / "m.csv")
    assert [bool(file.error) for file in report.files] == [False, True, False]
    assert f"{folder / 'b.tif'}: truncated" in report.failed[0].error
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a_registered.ome.tiff",
        "c_registered.ome.tiff",
    ]
    assert [row["file"] for row in rows(tmp_path / "m.csv")] == ["a.tif"] * 3 + ["c.tif"] * 3


def test_file_that_fails_midway_stays_partial_and_out_of_the_table(tmp_path: Path) -> None:
    class Broken(FakeRegistrar):
        def register(self, raw: Any) -> Any:
            if len(self.registered) == 2:
                raise MemoryError("no memory")
            return super().register(raw)

    source = save(tmp_path / "a.tif", recording(4), metadata={"axes": "TYX"})
    report = run([source], tmp_path / "out.tif", metrics=tmp_path / "m.csv", make_registrar=lambda _: Broken())
    assert report.files[0].error == f"{source}: MemoryError: no memory"
    assert isinstance(report.files[0].exception, MemoryError)
    assert not (tmp_path / "out.tif").exists()
    assert len(list(frame_figures(partial_path(tmp_path / "out.tif")))) == 2
    assert rows(tmp_path / "m.csv") == []


def test_inputs_by_pattern_and_folder_leave_out_our_own_outputs(tmp_path: Path) -> None:
    for name in ("b.tif", "a.tiff"):
        save(tmp_path / name, recording(2), metadata={"axes": "TYX"})
    (tmp_path / "notes.txt").write_text("not an image")
    assert len(only_done(run([tmp_path / "*.tif*"], tmp_path)).files) == 2
    again = only_done(run([tmp_path], tmp_path, ReprocessSettings(overwrite=True)))
    assert [file.path.name for file in again.files] == ["a.tiff", "b.tif"]


@pytest.mark.parametrize("how", ["by name", "by pattern", "folder"])
def test_our_registered_files_are_left_out_and_reported_however_they_are_given(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    raw = save(folder / "raw.tif", recording(2), metadata={"axes": "TYX"})
    ours = [folder / "innocent.tif", folder / "other.ome.tiff"]
    for path in ours:
        only_done(run([raw], path))
    inputs = {"by name": [raw, *ours], "by pattern": [folder / "*.tif*"], "folder": [folder]}[how]
    report = only_done(run(inputs, tmp_path / "out"))
    assert [file.path for file in report.files] == [raw]
    assert sorted(report.left_out) == ours
    assert "\n" not in report.left_out_in_words
    assert f"{report.left_out[0]} and 1 more: registered by this program already" in report.left_out_in_words
    again = only_done(run(inputs, tmp_path / "all", ReprocessSettings(include_registered=True)))
    assert (len(again.files), again.left_out, again.left_out_in_words) == (3, (), "")


def test_nothing_but_registered_files_is_refused(tmp_path: Path) -> None:
    raw = save(tmp_path / "raw.tif", recording(2), metadata={"axes": "TYX"})
    only_done(run([raw], tmp_path / "ours.tif"))
    with pytest.raises(
        InputError, match=r"ours.tif: registered by this program already; give raw recordings, or --incl"
    ):
        run([tmp_path / "ours.tif"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_raw_recording_of_a_live_session_is_not_left_out(tmp_path: Path) -> None:
    """Its record says, too, which registrar ran beside it."""
    live = OmeTiffSink(tmp_path / "live.ome.tiff", "raw", record=lambda: {"model": "lite", "output": "rendered"})
    live.open(Layout((8, 10), np.dtype(np.uint16)))
    for image in recording(2)[:, :8, :10]:
        lines = image[1::2].astype(np.float32)
        live.write(Frame(image), Registration(image, None, lines, 0 * lines, RegistrationMetrics(), True))
    live.close()
    report = only_done(run([tmp_path], tmp_path / "out"))
    assert [file.path.name for file in report.files] == ["live.ome.tiff"]


def _two_of_one_name(tmp_path: Path) -> list[Path]:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
    return [save(tmp_path / folder / "a.tif", recording(2)) for folder in ("x", "y")]


def _occupied(tmp_path: Path, name: str) -> list[Path]:
    (tmp_path / name).write_bytes(b"precious")
    return [save(tmp_path / "a.tif", recording(2))]


REFUSED: dict[str, tuple[Callable[[Path], list[Any]], str, str]] = {
    "no input": (lambda _: [], "out", "no input given"),
    "missing": (lambda tmp: [tmp / "none.tif"], "out", "none.tif: no such file or folder"),
    "no match": (lambda tmp: [tmp / "*.tif"], "out", "no file matches"),
    "empty folder": (lambda tmp: [tmp], "out", "holds no recording"),
    "one file for two": (_two_of_one_name, "out.tif", "one file for 2 inputs; give a folder"),
    "same names": (_two_of_one_name, "out", "would both be written to"),
    "output exists": (lambda tmp: _occupied(tmp, "out.tif"), "out.tif", "is there already; add --overwrite"),
    "partial exists": (lambda tmp: _occupied(tmp, "out.tif.partial"), "out.tif", "add --resume to go on"),
    "onto itself": (lambda tmp: [save(tmp / "out.tif", recording(2))], "out.tif", "is an input and an output"),
    "another format": (lambda tmp: [save(tmp / "a.tif", recording(2))], "out.png", "only OME-TIFF is written"),
    "folder is a file": (lambda tmp: _occupied(tmp, "out"), "out", "cannot be written to"),
    "folder cannot be made": (lambda tmp: _occupied(tmp, "out"), "out/deeper/a.tif", "cannot be written to"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_before_any_work(tmp_path: Path, case: str) -> None:
    inputs, output, message = REFUSED[case]
    given = inputs(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def no_work(_: RegistrarSettings) -> FrameRegistrar:
        raise AssertionError("work was begun")

    with pytest.raises(InputError) as caught:
        run(given, tmp_path / output, make_registrar=no_work)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def _alias(kind: str, source: Path, name: Path) -> Path:
    """Another name of a file."""
    if kind == "same":
        source.rename(name)
        return name
    if kind == "folder link":
        source.rename(name)
        (name.parent / "link").symlink_to(name.parent)
        return name.parent / "link" / name.name
    (os.link if kind == "hard" else os.symlink)(source, name)
    return source


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("kind", ["same", "hard", "soft", "folder link"])
@pytest.mark.parametrize("written", ["out.ome.tiff", "out.ome.tiff.partial", "m.csv", "m.csv.partial"])
@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}])
def test_an_input_is_never_written_to(tmp_path: Path, kind: str, written: str, options: dict[str, bool]) -> None:
    source = _alias(kind, save(tmp_path / "raw.tif", recording(3), metadata={"axes": "TYX"}), tmp_path / written)
    before = source.read_bytes()
    with pytest.raises(InputError) as caught:
        run([source], tmp_path / "out.ome.tiff", ReprocessSettings(**options), metrics=tmp_path / "m.csv")
    assert "is an input and an output" in str(caught.value)
    assert "choose another name for the output" in str(caught.value)
    assert "overwrite" not in str(caught.value)
    assert source.read_bytes() == before


@pytest.mark.parametrize("locked", ["out_rendered.tif", "out_warped.tif", "m.csv"])
def test_a_second_run_on_any_of_the_outputs_touches_none(tmp_path: Path, locked: str) -> None:
    pytest.importorskip("fcntl", reason="locking is left to the system on Windows")
    source = save(tmp_path / "a.tif", recording(3), metadata={"axes": "TYX"})
    for name in ("out_rendered.tif", "out_warped.tif", "m.csv"):
        (tmp_path / name).write_text("of an earlier run")
        (tmp_path / f"{name}.partial").write_text("of an earlier run")
    settings = ReprocessSettings(RegistrarSettings(output="both"), overwrite=True)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with OutputLock([tmp_path / locked]), pytest.raises(InputError, match="another process is writing"):
        run([source], tmp_path / "out.tif", settings, metrics=tmp_path / "m.csv")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "uint61"}, "dtype is 'uint61'"),
        ({"dtype": "complex64"}, "complex64 cannot be written"),
        ({"overwrite": True, "resume": True}, "exclude each other"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ReprocessSettings(**options)


@pytest.mark.parametrize(
    ("shape", "geometry", "message"),
    [
        ((3, 1, 40), ScanGeometry(), "frames of 1 x 40 have 1 line along rows"),
        ((40, 1), ScanGeometry(line_axis="columns"), "have 1 line along columns"),
        ((3, 8, 12), ScanGeometry(crop=(6, 5)), "leaves nothing of lines of 12 px; use a smaller --crop"),
    ],
)
def test_axis_too_short_to_split(tmp_path: Path, shape: Any, geometry: ScanGeometry, message: str) -> None:
    source = save(tmp_path / "a.tif", np.ones(shape, np.uint16), metadata=None)
    report = run([source], tmp_path / "out.tif", ReprocessSettings(RegistrarSettings(geometry=geometry)))
    assert message in report.files[0].error
    assert str(source) in report.files[0].error
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


class Interruption(BaseException):
    """Stands for Ctrl-C."""


def stop_after(scans: int) -> Callable[[Progress], None]:
    def progress(step: Progress) -> None:
        if step.done == scans:
            raise Interruption

    return progress


@pytest.mark.parametrize("output", ["rendered", "both"])
@pytest.mark.parametrize(("leading", "axes"), [((12,), "TYX"), ((6, 2), "TCYX"), ((6, 2), "CTYX"), ((6, 2), "TZYX")])
@pytest.mark.parametrize("after", [0, 1, 5])
def test_resume_gives_what_an_uninterrupted_run_gives(
    tmp_path: Path, output: Any, leading: tuple[int, ...], axes: str, after: int
) -> None:
    if axes == "CTYX":
        leading = leading[::-1]
    source = save(tmp_path / "a.ome.tif", recording(*leading), ome=True, metadata={"axes": axes})
    settings = ReprocessSettings(RegistrarSettings(output=output))
    only_done(run([source], tmp_path / "whole.tif", settings, metrics=tmp_path / "whole.csv"))
    with pytest.raises(Interruption):
        run([source], tmp_path / "out.tif", settings, metrics=tmp_path / "out.csv", progress=stop_after(after))
    assert not list(tmp_path.glob("out*.tif"))
    assert not (tmp_path / "out.csv").exists()
    seen: list[int] = []
    report = only_done(
        run(
            [source],
            tmp_path / "out.tif",
            replace(settings, resume=True),
            metrics=tmp_path / "out.csv",
            progress=lambda step: seen.append(step.done),
        )
    )
    assert seen == list(range(after, report.files[0].frames + 1))
    assert report.files[0].resumed_at == after
    for whole in tmp_path.glob("whole*.tif"):
        resumed = whole.with_name(whole.name.replace("whole", "out"))
        np.testing.assert_array_equal(tifffile.imread(resumed), tifffile.imread(whole))
        assert list(frame_figures(resumed)) == list(frame_figures(whole))
    assert rows(tmp_path / "out.csv") == rows(tmp_path / "whole.csv")
    assert not list(tmp_path.glob("*.partial"))


def test_resume_registers_a_few_frames_again_for_the_running_estimate(tmp_path: Path) -> None:
    data = recording(20)
    data[:, 0, 0] = np.arange(20)
    source = save(tmp_path / "a.tif", data, metadata={"axes": "TYX"})
    with pytest.raises(Interruption):
        run([source], tmp_path / "out.tif", progress=stop_after(15))
    registrar = FakeRegistrar("default")
    only_done(run([source], tmp_path / "out.tif", ReprocessSettings(resume=True), make_registrar=lambda _: registrar))
    assert registrar.registered == list(range(15 - REPLAYED_FRAMES, 20))


def test_resume_with_other_settings_is_refused(tmp_path: Path) -> None:
    source = save(tmp_path / "a.tif", recording(4), metadata={"axes": "TYX"})
    with pytest.raises(Interruption):
        run([source], tmp_path / "out.tif", progress=stop_after(2))
    before = partial_path(tmp_path / "out.tif").read_bytes()
    other = ReprocessSettings(RegistrarSettings(model="full", geometry=ScanGeometry(first="backward")), resume=True)
    report = run([source], tmp_path / "out.tif", other)
    assert "begun with other settings (model was default, now full; geometry.first was forward, now backward)" in (
        report.files[0].error
    )
    assert partial_path(tmp_path / "out.tif").read_bytes() == before


def test_resume_leaves_what_is_done_as_it_is(tmp_path: Path) -> None:
    sources = [save(tmp_path / f"{name}.tif", recording(4), metadata={"axes": "TYX"}) for name in "ab"]
    only_done(run(sources[:1], tmp_path / "out"))
    done = tmp_path / "out" / "a_registered.ome.tiff"
    before = done.stat().st_mtime_ns
    resumed = ReprocessSettings(resume=True)
    report = only_done(run(sources, tmp_path / "out", resumed, metrics=tmp_path / "m.csv"))
    assert done.stat().st_mtime_ns == before
    assert [(file.frames, file.resumed_at) for file in report.files] == [(4, 4), (4, 0)]
    assert [row["file"] for row in rows(tmp_path / "m.csv")] == ["a.tif"] * 4 + ["b.tif"] * 4
    other = run(sources, tmp_path / "out", ReprocessSettings(RegistrarSettings(model="full"), resume=True))
    assert len(other.failed) == 2
    assert "made with another model; add --overwrite" in other.failed[0].error


def test_cancel_keeps_the_partial_file(tmp_path: Path) -> None:
    source = save(tmp_path / "a.tif", recording(4), metadata={"axes": "TYX"})
    answers = iter([False, False, True])
    report = run([source], tmp_path / "out.tif", cancelled=lambda: next(answers))
    assert report.cancelled
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.tif", "out.tif.partial"]


def test_input_is_not_touched(tmp_path: Path) -> None:
    source = save(tmp_path / "a.tif", recording(4), metadata={"axes": "TYX"})
    before = source.read_bytes()
    only_done(run([source], tmp_path / "out.tif"))
    assert source.read_bytes() == before


KILLED = """
    import sys
    from fake_registrar import FakeRegistrar
    from sasnet_live.reprocess import reprocess

    def say(step):
        print(step.done, flush=True)

    source, target, metrics = sys.argv[1:]
    reprocess([source], target, metrics=metrics, progress=say, make_registrar=lambda s: FakeRegistrar("default"))
"""


def test_killed_process_is_resumed_at_the_very_frame(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(1, 200, (400, 64, 64)).astype(np.uint16)
    source = save(tmp_path / "a.tif", data, metadata={"axes": "TYX"})
    command = [sys.executable, "-c", textwrap.dedent(KILLED), source, tmp_path / "out.tif", tmp_path / "m.csv"]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 30:
            pass
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "out.tif").exists()
    assert not (tmp_path / "m.csv").exists()
    there = len(list(frame_figures(partial_path(tmp_path / "out.tif"))))
    assert 30 <= there < 400
    report = only_done(run([source], tmp_path / "out.tif", ReprocessSettings(resume=True), metrics=tmp_path / "m.csv"))
    assert report.files[0].resumed_at == there
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), expected(data))
    assert [row["t"] for row in rows(tmp_path / "m.csv")] == [str(i) for i in range(400)]
