"""PrairieView's XML and the TIFF files beside it; the XML is real or made after it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.recordings import find_recordings, open_recording
from sasnet_live.reprocess import ReprocessSettings, reprocess
from scanner_files import Array, check_written, frames, make, refused, run, two_photon

STATE = """
  <PVStateShard>
    <PVStateValue key="activeMode" value="{mode}" />
    <PVStateValue key="framePeriod" value="0.033" />
    <PVStateValue key="micronsPerPixel">
      <IndexedValue index="XAxis" value="1.5" /><IndexedValue index="YAxis" value="1.5" />
      <IndexedValue index="ZAxis" value="2" />
    </PVStateValue>
    <PVStateValue key="scanLinePeriod" value="6.3e-05" />
  </PVStateShard>"""
DEPTH = """<PVStateShard><PVStateValue key="positionCurrent"><SubindexedValues index="ZAxis">
  <SubindexedValue subindex="0" value="{}" /></SubindexedValues></PVStateValue></PVStateShard>"""


def file_name(cycle: int, channel: int, frame: int) -> str:
    return f"s_Cycle{cycle + 1:05}_Ch{channel + 1}_{frame + 1:06}.ome.tif"


def save(
    folder: Path,
    data: Array,
    kind: str = "TSeries Timed Element",
    *,
    mode: str = "ResonantGalvo",
    up_and_down: bool = False,
    paged: bool = False,
) -> Path:
    """Frames (cycle, frame, channel, Y, X) as PrairieView 5 writes them; `paged` as since 5.5, a file a cycle."""
    folder.mkdir(exist_ok=True)
    cycles = []
    for cycle, of_cycle in enumerate(data):
        rows = []
        for frame, images in enumerate(of_cycle):
            files = ""
            for channel, image in enumerate(images):
                name = file_name(cycle, channel, 0 if paged else frame)
                page = f' page="{frame + 1}"' if paged else ""
                files += f'<File channel="{channel + 1}" channelName="Ch{channel + 1}" filename="{name}"{page} />'
                if not paged:
                    tifffile.imwrite(folder / name, image, photometric="minisblack", metadata=None)
            back = up_and_down and cycle % 2
            depth = DEPTH.format(-2 * (len(of_cycle) - 1 - frame if back else frame)) if "ZSeries" in kind else ""
            time_s = cycle * 1.0 + frame * 0.033
            rows.append(
                f'<Frame relativeTime="{time_s}" absoluteTime="{time_s}" index="{frame + 1}">{files}{depth}</Frame>'
            )
        cycles.append(
            f'<Sequence type="{kind}" cycle="{cycle + 1}" bidirectionalZ="{up_and_down}">{"".join(rows)}</Sequence>'
        )
        if paged:
            for channel in range(data.shape[2]):
                path = folder / file_name(cycle, channel, 0)
                tifffile.imwrite(path, of_cycle[:, channel], photometric="minisblack", metadata=None)
    path = folder / "s.xml"
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n<PVScan version="5.8.64.800" date="1/1/2024 1:00:00 PM" notes="">'
        f"{STATE.format(mode=mode)}{''.join(cycles)}</PVScan>",
        encoding="utf-8-sig",  # as PrairieView does
    )
    return path


@pytest.mark.parametrize("given", ["XML", "folder", "pattern"])
def test_a_time_series_of_two_channels(tmp_path: Path, given: str) -> None:
    data = frames(1, 6, 2)
    path = save(tmp_path / "in", data)
    inputs = {"XML": path, "folder": path.parent, "pattern": path.parent / "*"}
    report = run([inputs[given]], tmp_path / "out")
    written = check_written(report, data[0], "TCYX")
    assert written.name == "s_registered.ome.tiff"


def test_cycles_of_a_time_series_follow_each_other(tmp_path: Path) -> None:
    data = frames(3, 4, 1)
    path = save(tmp_path / "in", data)
    check_written(run([path], tmp_path / "out"), data.reshape(12, *data.shape[-2:]), "TYX")


def test_images_of_one_file_are_told_by_their_page(tmp_path: Path) -> None:
    data = frames(2, 5, 2)
    path = save(tmp_path / "in", data, paged=True)
    check_written(run([path], tmp_path / "out"), data.reshape(10, 2, *data.shape[-2:]), "TCYX")


@pytest.mark.parametrize("up_and_down", [False, True], ids=["one way", "up and down"])
def test_volumes_are_tracked_over_time(tmp_path: Path, up_and_down: bool) -> None:
    data = frames(4, 3, 1)
    path = save(tmp_path / "in", data, "TSeries ZSeries Element", up_and_down=up_and_down)
    if up_and_down:
        data[1::2] = data[1::2, ::-1].copy()
    check_written(run([path], tmp_path / "out"), data[:, :, 0], "TZYX")
    with open_recording(path) as stack:
        assert stack.layout.z_step_um == 2.0
        assert stack.layout.interval_s == pytest.approx(1.0)


def test_what_it_says_of_the_scan(tmp_path: Path) -> None:
    with open_recording(save(tmp_path / "in", frames(1, 3, 1))) as stack:
        assert stack.scan.bidirectional is True
        assert stack.scan.line_period_s == 6.3e-5
        assert stack.scan.microscope == "PrairieView 5.8.64.800 ResonantGalvo"
        assert stack.layout.pixel_size_um == (1.5, 1.5)
        assert stack.layout.interval_s == pytest.approx(0.033)
    with open_recording(save(tmp_path / "galvo", frames(1, 3, 1), mode="Galvo")) as stack:
        assert stack.scan.bidirectional is None
        assert any("does not write whether lines went both ways" in line for line in stack.remarks)


REAL = {
    "SingleImage-09162014-1448-2961.xml": ("C", 0.171531877866041, "PrairieView 4.3.2.13 Galvo"),
    "TSeries-01252019-1046-1397.xml": ("T", 1.17879356364206, "PrairieView 5.4.64.500 Galvo"),
    "ZSeries-09252014-1411-508.xml": ("ZC", 1.37254901960784, "PrairieView 4.3.2.13 Galvo"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_xml_with_files_of_the_names_in_it(tmp_path: Path, name: str) -> None:
    axes, px, microscope = REAL[name]
    path = Path(shutil.copy(two_photon() / "prairieview_xml" / name, tmp_path / name))
    names = re.findall(r'filename="([^"]+)"', path.read_text("utf-8-sig"))
    data = frames(len(names))
    for file, image in zip(names, data, strict=True):
        tifffile.imwrite(tmp_path / file, image, photometric="minisblack", metadata=None)
    if axes.endswith("C"):
        data = data.reshape(-1, 2, *data.shape[-2:])
        data = data[0] if axes == "C" else data
    report = run([path], tmp_path / "out")
    check_written(report, data, f"{axes}YX")
    with open_recording(path) as stack:
        assert stack.layout.pixel_size_um == (px, px)
        assert stack.scan.microscope == microscope
        assert stack.layout.channel_names == (("Ch1", "Ch2") if "C" in axes else ())


def test_a_real_folder_without_the_files_names_what_is_missing(tmp_path: Path) -> None:
    path = two_photon() / "prairieview_xml" / "SingleImage-09162014-1448-2961.xml"
    line = refused(run([path], tmp_path / "out"), tmp_path / "out")
    assert "2 of its 2 files are not beside it (SingleImage-09162014-1448-2961_Cycle00001_CurrentSettings_Ch1_" in line


def test_xml_of_something_else_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    (found,) = find_recordings([two_photon() / "bruker_files"])
    assert {path.suffix for path in found.paths} == {".tif"}
    line = refused(run([two_photon() / "bruker_files" / "example_series.xml"], tmp_path / "out"), tmp_path / "out")
    assert "describes PVSavedMarkPointSeriesElements; expected PVScan" in line


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file is missing": (
        lambda path: (path.parent / file_name(0, 0, 3)).unlink(),
        "1 of its 6 files are not beside it (s_Cycle00001_Ch1_000004.ome.tif); copy them there",
    ),
    "a file is cut off": (
        lambda path: (path.parent / file_name(0, 0, 3)).write_bytes(
            (path.parent / file_name(0, 0, 3)).read_bytes()[:-20]
        ),
        "s_Cycle00001_Ch1_000004.ome.tif: truncated TIFF",
    ),
    "a file of another shape": (
        lambda path: tifffile.imwrite(path.parent / file_name(0, 0, 3), frames(shape=(8, 30))),
        "s_Cycle00001_Ch1_000004.ome.tif: has frames of 8x30 uint16",
    ),
    "the XML is cut off": (lambda path: path.write_bytes(path.read_bytes()[:-30]), "s.xml: damaged XML"),
    "raw data not converted": (
        lambda path: [
            (path.parent / file_name(0, 0, 3)).unlink(),
            (path.parent / "CYCLE_000001_RAWDATA_000001").touch(),
        ],
        "convert the raw data beside it with PrairieView's Image-Block Ripping Utility first",
    ),
    "a file elsewhere": (
        lambda path: path.write_text(path.read_text("utf-8-sig").replace('"s_Cycle00001_Ch1_000002', '"../x')),
        "damaged XML, it names the file '../x.ome.tif'",
    ),
    "a line scan": (
        lambda path: path.write_text(path.read_text("utf-8-sig").replace("TSeries Timed Element", "Linescan")),
        "is a Linescan; expected frames",
    ),
    "a channel is missing in a frame": (
        lambda path: path.write_text(
            re.sub(r'<File channel="1"([^>]+000002)', r'<File channel="2"\1', path.read_text("utf-8-sig"))
        ),
        "its frames have different channels (1, 2)",
    ),
    "entities": (
        lambda path: path.write_text(
            path.read_text("utf-8-sig").replace("<PVScan", '<!DOCTYPE a [<!ENTITY b "c">]><PVScan', 1)
        ),
        "has a document type",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, case: str) -> None:
    spoil, message = SPOILT[case]
    path = save(tmp_path / "in", frames(1, 6, 1))
    spoil(path)
    line = refused(run([path], tmp_path / "out"), tmp_path / "out")
    assert message in line


@pytest.mark.parametrize("name", [file_name(0, 0, 2), "s.xml"])
def test_no_file_of_a_recording_is_written_to(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / "in", frames(1, 6, 1))
    before = {one: one.read_bytes() for one in path.parent.iterdir()}
    if name == path.name:
        os.link(path, path.parent / "link.tif")
        name = "link.tif"
        before[path.parent / name] = path.read_bytes()
    settings = ReprocessSettings(overwrite=True)
    with pytest.raises(InputError, match="is an input and an output"):
        reprocess([path], path.parent / name, settings, make_registrar=make)
    assert {one: one.read_bytes() for one in path.parent.iterdir()} == before


def test_what_is_whole_is_taken_where_asked(tmp_path: Path) -> None:
    data = frames(1, 6, 1)
    path = save(tmp_path / "in", data)
    (path.parent / file_name(0, 0, 4)).unlink()
    report = run([path], tmp_path / "out", allow_missing=True)
    check_written(report, data[0, :4, 0], "TYX")
    assert any("4 of 6 times are whole" in line for line in report.files[0].remarks)


def test_a_last_volume_that_was_stopped_is_left_out(tmp_path: Path) -> None:
    data = frames(3, 4, 1)
    path = save(tmp_path / "in", data, "ZSeries")
    text = path.read_text("utf-8-sig")
    last = text.rindex("<Frame")
    path.write_text(text[:last] + text[text.index("</Frame>", last) + len("</Frame>") :])
    report = run([path], tmp_path / "out")
    check_written(report, data[:2, :, 0], "TZYX")
    assert any("its last z series has 3 of 4 depths and is left out" in line for line in report.files[0].remarks)
    assert np.array(report.files[0].frames) == 8
