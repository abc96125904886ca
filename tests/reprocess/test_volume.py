"""Recordings of A-lines: the displacement found on projections moves every sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from fake_registrar import SHIFT_PX, FakeRegistrar, expected
from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels, Registration, RegistrationMetrics
from sasnet_live.geometry import ScanGeometry
from sasnet_live.recordings import ReadSettings, VolumeSettings, volumes
from sasnet_live.reprocess import Progress, ReprocessReport, ReprocessSettings, reprocess
from sasnet_live.reprocess import volume as volume_run
from sasnet_live.reprocess.volume import move_samples
from sasnet_live.scan import merge, move_lines, split
from sasnet_live.settings import RegistrarSettings
from sasnet_live.sinks.ome_tiff import read_record

LINES, PX, DEPTH = 9, 24, 10
FIRST = VolumeSettings("first")


def samples(*leading: int, dtype: Any = np.int16, seed: int = 0) -> np.ndarray[Any, Any]:
    """(..., D, H, W)."""
    return np.random.default_rng(seed).integers(-3000, 3000, (*leading, DEPTH, LINES, PX)).astype(dtype)


def save(path: Path, data: np.ndarray[Any, Any], axes: str) -> Path:
    tifffile.imwrite(path, data, ome=True, metadata={"axes": axes}, photometric="minisblack")
    return path


def make(settings: RegistrarSettings) -> FakeRegistrar:
    return FakeRegistrar(settings.model, settings.output, settings.geometry)


def run(source: Path, volume: VolumeSettings = FIRST, **more: Any) -> ReprocessReport:
    options = {name: more.pop(name) for name in ("progress", "cancelled") if name in more}
    return reprocess(
        [source],
        source.with_name("out.ome.tiff"),
        ReprocessSettings(**{"volume": volume} | more),
        make_registrar=make,
        **options,
    )


def done(report: ReprocessReport) -> list[np.ndarray[Any, Any]]:
    assert [file.error for file in report.failed] == []
    return [tifffile.imread(path) for path in report.files[0].outputs]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks a volume, the last one with an unpaired line."""
    monkeypatch.setattr(volumes, "BLOCK_SAMPLES", 4 * PX * DEPTH)


CASES: list[tuple[tuple[int, ...], str]] = [((), "ZYX"), ((3,), "TZYX"), ((2, 2), "TCZYX")]


@pytest.mark.parametrize(("leading", "axes"), CASES)
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
def test_every_sample_is_moved_like_the_projection(
    tmp_path: Path, leading: tuple[int, ...], axes: str, dtype: Any
) -> None:
    """By a whole number of px, so that what is expected is a plain roll; type and sign are kept."""
    data = samples(*leading, dtype=dtype)
    report = run(save(tmp_path / "a.ome.tif", data, axes), registrar=RegistrarSettings(output="warped"))
    frames, moved, depth = done(report)
    assert moved.dtype == data.dtype
    assert frames.dtype == data.dtype
    wanted = expected(data, "warped")
    edge = slice(SHIFT_PX, None)  # a roll brings the end of a line to its start, a scanner does not
    np.testing.assert_array_equal(moved[..., edge], wanted[..., edge])
    np.testing.assert_array_equal(frames, expected(data.max(-3), "warped"))
    np.testing.assert_allclose(depth[..., edge], wanted.argmax(-3)[..., edge], atol=0.5)
    assert [path.name for path in report.files[0].outputs] == [
        "out_warped.ome.tiff",
        "out_volume.ome.tiff",
        "out_depth.ome.tiff",
    ]
    with tifffile.TiffFile(report.files[0].outputs[1]) as tiff:
        assert tiff.series[0].axes == axes
    assert sorted(path.name for path in tmp_path.iterdir() if "out_" not in path.name) == ["a.ome.tif"]


def test_a_projection_is_rendered_and_samples_are_not(tmp_path: Path) -> None:
    data = samples()
    frames, moved, _ = done(run(save(tmp_path / "a.ome.tif", data, "ZYX")))
    np.testing.assert_array_equal(frames, expected(data.max(0), "rendered"))
    np.testing.assert_array_equal(moved[:, :, SHIFT_PX:], expected(data, "warped")[:, :, SHIFT_PX:])


GEOMETRIES = [
    ScanGeometry(),
    ScanGeometry(first="backward"),
    ScanGeometry(backward_mirrored=True, crop=(3, 2)),
    ScanGeometry(line_axis="columns"),
    ScanGeometry(line_axis="columns", first="backward", backward_mirrored=True, crop=(1, 2)),
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("lines", [9, 10])
def test_a_delta_lands_where_the_displacement_says(tmp_path: Path, geometry: ScanGeometry, lines: int) -> None:
    """In each backward line one A-line with one sample that is not 0, each at a depth of its own."""
    registrar = ByLine(geometry)
    shape = (DEPTH, lines, PX) if geometry.line_axis == "rows" else (DEPTH, PX, lines)
    data = np.zeros(shape, np.int16)
    _, backward = split(data, geometry)  # a view
    depths = [2 + line % 7 for line in range(backward.shape[1])]
    for line, depth in enumerate(depths):
        backward[depth, line, 9] = -1000 - line
    save(tmp_path / "a.ome.tif", data, "ZYX")
    report = reprocess(
        [tmp_path / "a.ome.tif"],
        tmp_path / "out.ome.tiff",
        ReprocessSettings(RegistrarSettings(output="warped", geometry=geometry), volume=FIRST),
        make_registrar=lambda _: registrar,
    )
    _, moved, depth_map = done(report)
    _, lines_moved = split(moved, replace(geometry, crop=(0, 0)))
    wanted = np.zeros_like(lines_moved)
    for line, depth in enumerate(depths):
        wanted[depth, line, 9 + ByLine.shift(line)] = -1000 - line
    np.testing.assert_array_equal(lines_moved, wanted)
    assert moved.shape[1:] == depth_map.shape == geometry.frame_shape(shape)


class ByLine(FakeRegistrar):
    """Displaces each backward line by a number of px of its own."""

    @staticmethod
    def shift(line: int) -> int:
        return line % 4 - 1

    def __init__(self, geometry: ScanGeometry) -> None:
        super().__init__("by line", "warped", geometry)

    def register(self, raw: Pixels) -> Registration:
        forward, backward = split(raw, self.geometry)
        displacement = np.repeat([[self.shift(line)] for line in range(len(backward))], backward.shape[1], axis=1)
        warped = move_lines(backward.astype(np.float32), displacement)
        image = merge(forward, warped.astype(raw.dtype), self.geometry)
        return Registration(image, None, warped, displacement.astype(np.float32), RegistrationMetrics(), True)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.float64])
def test_samples_move_as_lines_do(monkeypatch: pytest.MonkeyPatch, dtype: Any) -> None:
    """Rounded to the nearest and clipped; block by block as the whole; the input is not modified."""
    rng = np.random.default_rng(3)
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "ui" else None
    low, high = (-1e6, 1e6) if limits is None else (limits.min, limits.max)
    block = rng.uniform(low, high, (10, PX, 6)).astype(dtype)
    kept = block.copy()
    displacement = rng.uniform(-4, 4, (5, PX)).astype(np.float32)
    whole = move_samples(block, displacement, 0, ScanGeometry())
    assert whole.dtype == block.dtype
    monkeypatch.setattr(volume_run, "PART_SAMPLES", 2 * 10 * PX)
    np.testing.assert_array_equal(move_samples(block, displacement, 0, ScanGeometry()), whole)
    parts = [move_samples(block[n : n + 4], displacement, n, ScanGeometry()) for n in (0, 4, 8)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    np.testing.assert_array_equal(block, kept)
    for depth in range(6):
        moved = move_lines(block[1::2, :, depth].astype(np.float64), displacement, "cubic")
        wanted = moved if limits is None else np.rint(moved).clip(low, high)
        slack = 1 if limits is not None else 1e-6
        np.testing.assert_allclose(whole[depth, 1::2].astype(np.float64), wanted, atol=slack)
    np.testing.assert_array_equal(whole[:, ::2], block.transpose(2, 0, 1)[:, ::2])


def test_what_is_not_registered_stays_to_the_bit(tmp_path: Path) -> None:
    """Also a NaN, which does not spread."""
    data = np.full((DEPTH, LINES, PX), 7, np.float32)
    data[3, 1, 5] = np.nan
    _, moved, depth = done(run(save(tmp_path / "a.ome.tif", data, "ZYX"), volume=VolumeSettings("first", gate=(4, 9))))
    np.testing.assert_array_equal(moved, data)
    assert np.isnan(depth).all()


def test_channels_move_with_the_one_that_is_aligned(tmp_path: Path) -> None:
    data = samples(2)
    data[0] = 5  # nothing in it to register
    source = save(tmp_path / "a.ome.tif", data, "CZYX")
    _, moved, _ = done(run(source, align_on=1))
    np.testing.assert_array_equal(moved[1, :, 1::2, SHIFT_PX:], data[1, :, 1::2, :-SHIFT_PX])
    _, moved, _ = done(run(source, align_on=0, overwrite=True))
    np.testing.assert_array_equal(moved, data)


def test_the_record_says_what_was_done(tmp_path: Path) -> None:
    settings = VolumeSettings(
        "first", envelope=True, band_mhz=(20, 80), sampling_mhz=250, gate=(1, 9), sound_speed=1500
    )
    report = run(save(tmp_path / "a.ome.tif", samples(), "ZYX"), settings)
    frames, _, depth = done(report)
    assert frames.dtype == depth.dtype == np.float32
    projection, volume, depths = (read_record(path) for path in report.files[0].outputs)
    for record in (projection, volume, depths):
        assert record["volume.gate"] == "(1, 9)"
        assert record["volume.envelope"] == "True"
        assert record["volume.band_mhz"] == "(20, 80)"
    assert "nothing else" in volume["samples"]
    assert "um" in depths["depth"]
    assert 1 * 6 <= np.nanmin(depth) <= np.nanmax(depth) <= 8 * 6
    with tifffile.TiffFile(report.files[0].outputs[1]) as tiff:
        assert 'PhysicalSizeZ="6.0"' in (tiff.ome_metadata or "")


class Ended(Exception):
    """A run that is killed."""


@pytest.mark.parametrize("written", [3, DEPTH + 4, 2 * DEPTH])
def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int) -> None:
    """Whatever the page of the volume at which it ended: the outputs are those of a run that did not stop."""
    source = save(tmp_path / "a.ome.tif", samples(3), "TZYX")
    whole = done(run(source))
    pages = 0
    write = volume_run.OmeTiffWriter.write

    def some(self: Any, *args: Any, **options: Any) -> None:
        nonlocal pages
        if "_volume" in self.path.name:
            if pages == written:
                raise Ended
            pages += 1
        write(self, *args, **options)

    monkeypatch.setattr(volume_run.OmeTiffWriter, "write", some)
    report = run(source, overwrite=True)
    assert "Ended" in report.files[0].error
    # The outputs of the first run are replaced when those of another are whole.
    for path in tmp_path.glob("out_*.ome.tiff"):
        path.unlink()
    monkeypatch.setattr(volume_run.OmeTiffWriter, "write", write)
    assert len(list(tmp_path.glob("*.partial"))) >= 2
    report = run(source, resume=True)
    for found, wanted in zip(done(report), whole, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert report.files[0].resumed_at == written // DEPTH
    assert not list(tmp_path.glob("*.partial*"))


def test_a_run_goes_on_after_its_projections_are_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save(tmp_path / "a.ome.tif", samples(3), "TZYX")
    close = volume_run.OmeTiffWriter.close

    def fails(self: Any) -> Path:
        if "_volume" in self.path.name:
            raise OSError(28, "No space left on device")
        return close(self)

    monkeypatch.setattr(volume_run.OmeTiffWriter, "close", fails)
    report = run(source)
    assert report.files[0].error.startswith(f"{source}: No space left on device; make room")
    monkeypatch.setattr(volume_run.OmeTiffWriter, "close", close)
    report = run(source, resume=True)
    done(report)
    assert report.files[0].resumed_at == 3
    assert report.files[0].frames == report.files[0].accepted == 3
    report = run(source, FIRST, resume=True)
    assert report.files[0].resumed_at == 3


def test_a_disk_that_is_full_is_said_and_leaves_no_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    source = save(tmp_path / "a.ome.tif", samples(2), "TZYX")
    monkeypatch.setattr(volume_run.Scratch, "write", full)
    report = run(source)
    assert "No space left on device; make room" in report.files[0].error
    assert {path.name for path in tmp_path.iterdir()} <= {"a.ome.tif", "out_rendered.ome.tiff.partial"}


def test_a_run_with_other_settings_does_not_go_on(tmp_path: Path) -> None:
    source = save(tmp_path / "a.ome.tif", samples(), "ZYX")
    done(run(source))
    report = run(source, VolumeSettings("first", gate=(0, 5)), resume=True)
    assert "made with another volume.gate; add --overwrite" in report.files[0].error


def test_bad_axes_are_an_error_of_the_file(tmp_path: Path) -> None:
    source = save(tmp_path / "a.ome.tif", samples(), "ZYX")
    report = run(source, VolumeSettings(), reading=ReadSettings(axes="DYXC"))
    assert report.files[0].error.startswith(f"{source}: axes DYXC came; expected Y, X and D")
    report = run(source, VolumeSettings("first", gate=(0, 99)))
    assert "expected samples from 0 to 10" in report.files[0].error
    with pytest.raises(InputError, match="which axis they lie along"):
        ReprocessSettings(volume=VolumeSettings(gate=(0, 9)))


def test_progress_counts_volumes(tmp_path: Path) -> None:
    steps: list[Progress] = []
    done(run(save(tmp_path / "a.ome.tif", samples(3), "TZYX"), progress=steps.append))
    assert [(step.done, step.total) for step in steps] == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_the_projection_of_the_moved_volume_is_the_moved_projection(tmp_path: Path) -> None:
    """Within what interpolation does: a maximum of moved samples and a moved maximum differ where depths do."""
    y, x, z = np.meshgrid(np.arange(LINES), np.arange(PX), np.arange(DEPTH), indexing="ij")
    smooth = 1000 * np.exp(-0.5 * ((x - 11 - 0.3 * y) / 3) ** 2 - 0.5 * ((z - 5) / 2) ** 2)
    volume = np.round(smooth).astype(np.int16)
    displacement = np.full((LINES // 2, PX), 0.4, np.float32)
    moved = move_samples(volume, displacement, 0, ScanGeometry())
    frame = volume.max(-1)
    wanted = frame.astype(np.float64)
    wanted[1::2] = move_lines(frame[1::2].astype(np.float32), displacement, "cubic")
    np.testing.assert_allclose(moved.max(0), wanted, atol=1)
