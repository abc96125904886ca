"""Other data of a scan are moved by its stored displacement, as a second channel of it would have been."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live import cli
from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout
from sasnet_live.metrics import ncc
from sasnet_live.reprocess import ReprocessSettings, reprocess
from sasnet_live.reprocess.apply import ApplySettings, apply_displacement
from sasnet_live.reprocess.settings import SideOutputSettings
from sasnet_live.settings import RegistrarSettings
from sasnet_live.simulation import random_scanner, scan, vascular_scene
from sasnet_live.sinks.ome_tiff import OmeTiffWriter, frame_figures, partial_path, read_record

LINES, PX, TIMES = 65, 96, 3  # odd: the last line has no partner where the backward pass is first


def two_channels(path: Path, geometry: ScanGeometry) -> Pixels:
    """(T, C, H, W): the second channel is a darker picture of the same lines; the second scan is empty."""
    rng = np.random.default_rng(2)
    scene = vascular_scene(rng, LINES, PX)
    scanner = random_scanner(rng, "medium", PX)
    shape = (LINES, PX) if geometry.line_axis == "rows" else (PX, LINES)
    one = np.stack(
        [scan(scene, scanner, rng, height=shape[0], width=shape[1], geometry=geometry).raw for _ in range(TIMES)]
    )
    both = np.stack([one, one // 2 + 30], 1).astype(np.uint16)
    both[1] = 7
    save(path, both, "TCYX")
    return both


def save(path: Path, data: Pixels, axes: str) -> None:
    tifffile.imwrite(path, data, photometric="minisblack", metadata={"axes": axes}, ome=True)


def stored(tmp_path: Path, ending: str, geometry: ScanGeometry = ScanGeometry()) -> tuple[Pixels, Path]:
    """Both channels registered together, and the displacement of it."""
    data = two_channels(tmp_path / "both.tif", geometry)
    settings = ReprocessSettings(RegistrarSettings("correspondence", output="warped", geometry=geometry))
    path = tmp_path / f"d{ending}"
    done = reprocess(
        [tmp_path / "both.tif"], tmp_path / "both.ome.tif", settings, also=SideOutputSettings(displacement=path)
    )
    assert (done.files[0].error, done.files[0].accepted) == ("", TIMES - 1)
    return data, path


@pytest.mark.parametrize("first", ["forward", "backward"])
@pytest.mark.parametrize("ending", [".npz", ".h5", ".tif"])
def test_another_channel_comes_out_as_if_it_had_been_in_the_file(tmp_path: Path, ending: str, first: str) -> None:
    data, path = stored(tmp_path, ending, ScanGeometry(first=first))  # type: ignore[arg-type]
    save(tmp_path / "second.tif", data[:, 1], "TYX")
    done = apply_displacement(path, tmp_path / "second.tif", tmp_path / "moved.tif")
    together = tifffile.imread(tmp_path / "both.ome.tif")[:, 1]
    moved = tifffile.imread(tmp_path / "moved.tif")
    np.testing.assert_array_equal(moved, together)
    np.testing.assert_array_equal(moved[1], data[1, 1])
    assert not np.array_equal(moved[0], data[0, 1])
    assert (done.scans, done.moved) == (TIMES, TIMES - 1)
    assert done.passed_through == {"t 1": "the forward pass is constant (7)"}
    assert read_record(tmp_path / "moved.tif")["displacement.source"] == "both.tif"
    figures = list(frame_figures(tmp_path / "moved.tif"))
    assert [each["accepted"] for each in figures] == [True, False, True]


@pytest.mark.parametrize("geometry", [ScanGeometry("columns"), ScanGeometry(backward_mirrored=True, crop=(3, 2))])
def test_the_geometry_is_that_of_the_file(tmp_path: Path, geometry: ScanGeometry) -> None:
    data, path = stored(tmp_path, ".npz", geometry)
    save(tmp_path / "second.tif", data, "TCYX")
    apply_displacement(path, tmp_path / "second.tif", tmp_path / "moved.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "moved.tif"), tifffile.imread(tmp_path / "both.ome.tif"))


def test_axes_in_another_order_keep_their_meaning(tmp_path: Path) -> None:
    data, path = stored(tmp_path, ".npz")
    save(tmp_path / "second.tif", data.swapaxes(0, 1), "CTYX")
    apply_displacement(path, tmp_path / "second.tif", tmp_path / "moved.tif")
    together = tifffile.imread(tmp_path / "both.ome.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "moved.tif"), together.swapaxes(0, 1))


def test_one_displacement_moves_all_frames(tmp_path: Path) -> None:
    data, _ = stored(tmp_path, ".npz")
    save(tmp_path / "one.tif", data[:1, 0], "TYX")
    settings = ReprocessSettings(RegistrarSettings("correspondence", output="warped"))
    reprocess([tmp_path / "one.tif"], tmp_path / "one.ome.tif", settings, also=SideOutputSettings(tmp_path / "1.npz"))
    save(tmp_path / "all.tif", np.stack([data[0, 0]] * 4), "TYX")
    done = apply_displacement(tmp_path / "1.npz", tmp_path / "all.tif", tmp_path / "moved.tif")
    assert (done.moved, done.one_for_all) == (4, True)
    one = tifffile.imread(tmp_path / "one.ome.tif")
    for frame in tifffile.imread(tmp_path / "moved.tif"):
        np.testing.assert_array_equal(frame, one.reshape(frame.shape))


def test_rendered_lines_on_request(tmp_path: Path) -> None:
    data, path = stored(tmp_path, ".npz")
    save(tmp_path / "second.tif", data[:, 1], "TYX")
    settings = ApplySettings(RegistrarSettings("lite", output="rendered"))
    done = apply_displacement(path, tmp_path / "second.tif", tmp_path / "moved.tif", settings)
    assert done.moved == TIMES - 1
    assert read_record(tmp_path / "moved.tif")["model"] == "lite"


@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupted_one_is_gone_on_with(tmp_path: Path, after: int) -> None:
    data, path = stored(tmp_path, ".npz")
    save(tmp_path / "second.tif", data, "TCYX")

    def stop(done: int, total: int) -> None:
        if done == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply_displacement(path, tmp_path / "second.tif", tmp_path / "moved.tif", progress=stop)
    assert partial_path(tmp_path / "moved.tif").exists()
    with pytest.raises(InputError, match="--resume"):
        apply_displacement(path, tmp_path / "second.tif", tmp_path / "moved.tif")
    done = apply_displacement(path, tmp_path / "second.tif", tmp_path / "moved.tif", ApplySettings(resume=True))
    assert (done.moved, list(done.passed_through)) == (TIMES - 1, ["t 1"])
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "moved.tif"), tifffile.imread(tmp_path / "both.ome.tif"))


def _registered(path: Path, data: Pixels) -> None:
    path.write_bytes((path.parent / "both.ome.tif").read_bytes())


def _of_another_geometry(path: Path, data: Pixels) -> None:
    layout = Layout.stack((LINES, PX), np.dtype(np.uint16), ("t",), (TIMES,))
    with OmeTiffWriter(path, layout, record={"content": "raw", "geometry": str(ScanGeometry("columns"))}) as writer:
        for frame in data[:, 0]:
            writer.write(frame)


REFUSED: dict[str, tuple[Callable[[Path, Pixels], Any], str]] = {
    "another shape": (lambda path, data: save(path, data[:, 0, :-1], "TYX"), "has frames of 64 x 96 px; expected 65 x"),
    "fewer frames": (lambda path, data: save(path, data[:2, 0], "TYX"), "has 2 scans; expected 3"),
    "more frames": (lambda path, data: save(path, np.repeat(data[:, 0], 2, 0), "TYX"), "has 6 scans; expected 3"),
    "another geometry": (_of_another_geometry, "was recorded as"),
    "registered": (_registered, "is registered already"),
    "not there": (lambda path, data: None, "raw.tif"),
    "no TIFF": (lambda path, data: path.write_text("a poem"), "is not a TIFF"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_other_data_are_refused_in_a_line(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    data, path = stored(tmp_path, ".npz")
    write, words = REFUSED[what]
    write(tmp_path / "raw.tif", data)
    with pytest.raises(SystemExit) as ended:
        cli.main(["apply", str(path), str(tmp_path / "raw.tif"), "-o", str(tmp_path / "moved.tif")])
    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert len(lines) == 1
    assert words in lines[0]
    assert not (tmp_path / "moved.tif").exists()
    assert not list(tmp_path.glob("*.partial*"))


def test_the_command_says_what_was_not_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, path = stored(tmp_path, ".npz")
    save(tmp_path / "raw.tif", data[:, 1], "TYX")
    with pytest.raises(SystemExit) as ended:
        cli.main(["apply", str(path), str(tmp_path / "raw.tif"), "-o", str(tmp_path / "moved.ome.tif")])
    out, err = capsys.readouterr()
    assert ended.value.code == 0
    assert "t 1 passed through: the forward pass is constant (7)" in err
    assert "moved 2 of 3 frames" in out
    assert f"wrote {tmp_path / 'moved.ome.tif'}" in out


def test_another_real_signal_of_a_scan_is_moved_to_its_hidden_truth(tmp_path: Path, real_pairs: list[Path]) -> None:
    """Amplitude and topography of one probe; what electronics add differs, so that its own displacement is better."""
    passes = {
        name: tifffile.imread(real_pairs[0].with_name(f"pifm_{name}.tif")) for name in ("Amplitude", "Topography")
    }
    for name, (forward, backward) in passes.items():
        raw = forward.copy()
        raw[1::2] = backward[1::2]
        save(tmp_path / f"{name}.tif", raw[None], "TYX")
    geometry = ScanGeometry(slow_axis="interleaved")
    settings = ReprocessSettings(RegistrarSettings("correspondence", output="warped", geometry=geometry))
    also = SideOutputSettings(tmp_path / "d.npz")
    reprocess([tmp_path / "Amplitude.tif"], tmp_path / "registered.tif", settings, also=also)
    done = apply_displacement(tmp_path / "d.npz", tmp_path / "Topography.tif", tmp_path / "moved.tif")
    assert done.moved == 1
    truth, raw_lines = (lines[1::2] for lines in passes["Topography"])
    moved = tifffile.imread(tmp_path / "moved.tif").reshape(passes["Topography"][0].shape)[1::2]
    assert ncc(truth, raw_lines) < 0.7
    assert ncc(truth, moved) > 0.9


def test_an_input_is_never_written_to(tmp_path: Path) -> None:
    _, path = stored(tmp_path, ".tif")
    for output in (path, tmp_path / "both.tif"):
        with pytest.raises(InputError, match="is an input and an output"):
            apply_displacement(path, tmp_path / "both.tif", output, ApplySettings(overwrite=True))
