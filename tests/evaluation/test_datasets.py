"""Data sets on tiny files in the layouts that their publishers use."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.evaluation.datasets import open_dataset
from sasnet_live.evaluation.images import read_image, read_pages, shrunk
from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import split

RASTER_PAIRS = Path(__file__).parents[3] / "shared" / "data" / "raster-pairs"
Image = np.ndarray[Any, np.dtype[Any]]


def _random(seed: int, shape: tuple[int, ...] = (12, 20)) -> Image:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def _write_pair(path: Path, seed: int) -> Image:
    pages = _random(seed, (2, 12, 20))
    tifffile.imwrite(path, pages, metadata={"axes": "CYX"})
    return pages


class TestPairs:
    def test_two_pages(self, tmp_path: Path) -> None:
        pages = _write_pair(tmp_path / "a.tif", 0)
        dataset = open_dataset(str(tmp_path))
        (case,) = dataset
        assert (case.name, case.level, case.geometry.slow_axis) == ("a", "pairs", "stepped")
        np.testing.assert_array_equal([case.forward, case.backward], pages)
        np.testing.assert_array_equal(case.target, pages[0])
        assert case.truth is None
        assert case.raw.shape == (24, 20)
        np.testing.assert_array_equal(case.raw[1::2], pages[1])

    def test_pages_written_one_by_one(self, tmp_path: Path) -> None:
        pages = _random(7, (2, 12, 20))
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            for page in pages:
                file.write(page)
        (case,) = open_dataset(str(tmp_path))
        np.testing.assert_array_equal([case.forward, case.backward], pages)

    def test_colours_become_brightness(self, tmp_path: Path) -> None:
        colour = np.zeros((2, 12, 20, 3), np.uint8)
        colour[0, ..., 1], colour[1] = 100, 50
        tifffile.imwrite(tmp_path / "x_forward.tif", colour[0], photometric="rgb")
        imagecodecs.imwrite(tmp_path / "x_backward.png", colour[1])
        (case,) = open_dataset(str(tmp_path))
        np.testing.assert_allclose(case.forward, 58.7, rtol=1e-5)
        np.testing.assert_allclose(case.backward, 50, rtol=1e-5)

    @pytest.mark.parametrize("suffix", [".tif", ".png"])
    def test_named_files(self, tmp_path: Path, suffix: str) -> None:
        images = {name: (100 * _random(i)).astype(np.uint8) for i, name in enumerate(("x_forward", "x_backward"))}
        for name, image in images.items():
            imagecodecs.imwrite(tmp_path / f"{name}{suffix}", image)
        (case,) = open_dataset(str(tmp_path))
        assert case.name == "x"
        np.testing.assert_array_equal(case.forward, images["x_forward"])
        np.testing.assert_array_equal(case.backward, images["x_backward"])

    def test_a_missing_half(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "x_forward.tif", _random(0))
        with pytest.raises(InputError, match=r"x_forward\.tif: has no counterpart; expected both x_forward and x_back"):
            open_dataset(str(tmp_path))

    def test_passes_of_different_shapes(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "x_forward.tif", _random(0))
        tifffile.imwrite(tmp_path / "x_backward.tif", _random(0, (12, 21)))
        with pytest.raises(InputError, match=r"x: the passes are \(12, 20\) and \(12, 21\)"):
            list(open_dataset(str(tmp_path)))

    def test_geometry_is_undone(self, tmp_path: Path) -> None:
        pages = _write_pair(tmp_path / "a.tif", 1)
        scan = ScanGeometry(line_axis="columns", backward_mirrored=True, crop=(1, 2), slow_axis="continuous")
        (case,) = open_dataset(str(tmp_path), "pairs", scan)
        np.testing.assert_array_equal(case.forward, pages[0].T[:, 1:-2])
        np.testing.assert_array_equal(case.backward, pages[1].T[:, ::-1][:, 1:-2])
        assert case.geometry == ScanGeometry(crop=(1, 2))
        for ours, expected in zip(split(case.raw, case.geometry), (case.forward, case.backward), strict=True):
            np.testing.assert_array_equal(ours, expected)

    def test_raster_pairs_hide_half_of_the_truth(self, tmp_path: Path) -> None:
        forward, backward = _write_pair(tmp_path / "a.tif", 2)
        dataset = open_dataset(str(tmp_path), "raster-pairs")
        assert dataset.levels == ("stepped", "interleaved")
        case = list(dataset)[1]
        np.testing.assert_array_equal(case.raw[0::2], forward[0::2])
        np.testing.assert_array_equal(case.raw[1::2], backward[1::2])
        np.testing.assert_array_equal(case.truth, forward[1::2])
        np.testing.assert_array_equal(case.target, forward[1::2])
        assert case.geometry.slow_axis == "interleaved"
        np.testing.assert_allclose(case.reference[0], (forward[0] + forward[2]) / 2, rtol=1e-6)

    @pytest.mark.skipif(not RASTER_PAIRS.is_dir(), reason="real scans (shared/data/raster-pairs) are not here")
    def test_the_real_scans(self) -> None:
        dataset = open_dataset(str(RASTER_PAIRS))
        assert len(dataset) == 20
        for case in dataset.select(limit=2):
            assert case.forward.dtype == case.backward.dtype == np.float32
            assert case.target.shape == case.backward.shape


class TestRaw:
    @pytest.mark.parametrize(
        "scan",
        [ScanGeometry(), ScanGeometry(line_axis="columns", first="backward", backward_mirrored=True, crop=(2, 1))],
    )
    def test_each_page_of_each_file(self, tmp_path: Path, scan: ScanGeometry) -> None:
        stack = (1000 * _random(3, (3, 13, 20))).astype(np.uint16)
        tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
        tifffile.imwrite(tmp_path / "zsingle.tif", stack[0])
        dataset = open_dataset(str(tmp_path), "auto", scan)
        assert [b.follows(a) for a, b in pairwise(dataset)] == [True, True, False]
        assert [entry.name for entry in dataset.entries] == ["stack-00000", "stack-00001", "stack-00002", "zsingle"]
        for case, raw in zip(dataset, (*stack, stack[0]), strict=True):
            for ours, expected in zip((case.forward, case.backward), split(raw, scan), strict=True):
                np.testing.assert_array_equal(ours, expected)
            # Whoever registers the frame gets it with the plain geometry that goes with it.
            np.testing.assert_array_equal(split(case.raw, case.geometry)[1], case.backward)

    def test_colour_pages_are_refused(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "a.tif", (255 * _random(4, (12, 20, 3))).astype(np.uint8), photometric="rgb")
        with pytest.raises(InputError, match=r"a\.tif"):
            open_dataset(str(tmp_path), "raw")


class TestSimulated:
    def test_the_test_split(self) -> None:
        dataset = open_dataset("or-pam-sim-4k", shape=(48, 96))
        assert len(dataset) == 432
        assert dataset.levels == ("easy", "medium", "hard")
        (case,) = dataset.select(["medium"], 1)
        assert case.level == "medium"
        assert case.truth is not None
        assert case.displacement_px is not None
        assert case.forward.shape == case.backward.shape == case.truth.shape == case.displacement_px.shape == (24, 96)
        assert case.textured is not None
        assert 0 < case.textured.mean() < 1
        (again,) = open_dataset("or-pam-sim-4k", shape=(48, 96)).select(["medium"], 1)
        np.testing.assert_array_equal(case.raw, again.raw)

    def test_one_scanner_and_its_recording(self) -> None:
        dataset = open_dataset("or-pam-sim-one", shape=(32, 64))
        assert dataset.levels == ("one-scanner", "recording")
        assert [len(dataset.select([level])) for level in dataset.levels] == [432, 118]
        first, second = dataset.select(["recording"], 2)
        assert not first.follows(None)
        assert second.follows(first)
        assert not first.follows(second)
        assert second.truth is not None
        # Asked for out of order, a frame of the recording is the same.
        entries = dataset.select(["recording"], 4).entries
        late = entries[3].load()
        np.testing.assert_array_equal(entries[1].load().raw, second.raw)
        np.testing.assert_array_equal(entries[3].load().raw, late.raw)
        strangers = dataset.select(["one-scanner"], 2)
        assert not any(b.follows(a) for a, b in pairwise(strangers))


class TestReg4k:
    def _layout(self, folder: Path) -> None:
        for sub, seed in (("forward", 0), ("backward", 1)):
            (folder / sub).mkdir(parents=True)
            for i in range(2):
                imagecodecs.imwrite(folder / sub / f"{i:04d}.png", (255 * _random(10 * i + seed)).astype(np.uint8))

    def test_folders_of_passes(self, tmp_path: Path) -> None:
        self._layout(tmp_path)
        dataset = open_dataset(str(tmp_path))
        assert [entry.name for entry in dataset.entries] == ["0000", "0001"]
        for i, case in enumerate(dataset):
            np.testing.assert_array_equal(case.backward, (255 * _random(10 * i + 1)).astype(np.uint8))

    def test_within_splits(self, tmp_path: Path) -> None:
        for name in ("train", "test"):
            self._layout(tmp_path / name)
        dataset = open_dataset(str(tmp_path))
        assert dataset.levels == ("test", "train")
        assert len(dataset.select(["test"])) == 2

    def test_a_missing_counterpart(self, tmp_path: Path) -> None:
        self._layout(tmp_path)
        (tmp_path / "backward" / "0001.png").unlink()
        with pytest.raises(InputError, match=r"0001.png: has no counterpart in .*backward"):
            open_dataset(str(tmp_path))


class TestFire:
    def _layout(self, folder: Path, size: int = 40) -> None:
        (folder / "Images").mkdir()
        (folder / "Ground Truth").mkdir()
        for name in ("A01", "S12"):
            for number in (1, 2):
                colour = (255 * _random(number, (size, size, 3))).astype(np.uint8)
                imagecodecs.imwrite(folder / "Images" / f"{name}_{number}.jpg", colour)
            marks = np.array([[10.0, 12, 13, 12], [30, 5, 33, 5]])
            np.savetxt(folder / "Ground Truth" / f"control_points_{name}_1_2.txt", marks)

    def test_images_and_points(self, tmp_path: Path) -> None:
        self._layout(tmp_path)
        dataset = open_dataset(str(tmp_path))
        assert dataset.levels == ("anatomical change", "large overlap")
        case = next(iter(dataset))
        assert case.name == "A01"
        assert case.forward.shape == (40, 40)
        assert case.points is not None
        np.testing.assert_array_equal(case.points.reference_xy, [[10, 12], [30, 5]])
        np.testing.assert_array_equal(case.points.moving_xy, [[13, 12], [33, 5]])

    def test_large_images_are_shrunk_with_their_points(self, tmp_path: Path) -> None:
        self._layout(tmp_path, 1600)
        case = next(iter(open_dataset(str(tmp_path))))
        assert case.forward.shape == (533, 533)
        assert case.points is not None
        assert case.points.original_px == 3
        # Original px 10 is the middle of the fourth block of three: 9, 10, 11.
        np.testing.assert_allclose(case.points.reference_xy[0], [3, 11 / 3])

    @pytest.mark.parametrize(("text", "message"), [("1 2 3\n", "has 3 columns; expected x1"), ("a b\n", "not a table")])
    def test_broken_points(self, tmp_path: Path, text: str, message: str) -> None:
        self._layout(tmp_path)
        (tmp_path / "Ground Truth" / "control_points_A01_1_2.txt").write_text(text)
        with pytest.raises(InputError, match=message):
            next(iter(open_dataset(str(tmp_path))))

    def test_a_missing_image(self, tmp_path: Path) -> None:
        self._layout(tmp_path)
        (tmp_path / "Images" / "A01_2.jpg").unlink()
        with pytest.raises(InputError, match=r"has no image A01_2; expected one for control_points_A01_1_2\.txt"):
            next(iter(open_dataset(str(tmp_path))))


class TestEuroSat:
    def test_single_images_are_scanned(self, tmp_path: Path) -> None:
        for name in ("Forest", "River"):
            (tmp_path / name).mkdir()
            for i in range(1, 4):
                imagecodecs.imwrite(tmp_path / name / f"{name}_{i}.jpg", (255 * _random(i, (64, 64, 3))).astype("u1"))
        dataset = open_dataset(str(tmp_path))
        assert len(dataset) == 6
        assert dataset.levels == ("easy", "medium", "hard")
        first, again = (next(iter(open_dataset(str(tmp_path)))) for _ in range(2))
        assert first.name == "Forest_1"
        assert first.truth is not None
        assert first.truth.shape == first.backward.shape == (32, 64)
        np.testing.assert_array_equal(first.raw, again.raw)


class TestSelection:
    def test_levels_and_limit(self) -> None:
        dataset = open_dataset("or-pam-sim-4k", shape=(32, 64))
        chosen = dataset.select(["hard", "easy"], 3)
        assert [entry.level for entry in chosen.entries] == ["hard"] * 3 + ["easy"] * 3
        names = [entry.name for entry in chosen.entries]
        assert len(set(names)) == 6
        assert len(dataset.select(limit=1000)) == 432

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"levels": ["extreme"]}, "no level 'extreme'; expected some of easy, medium, hard"),
            ({"limit": 0}, "limit of 0"),
        ],
    )
    def test_bad_selection(self, options: Any, message: str) -> None:
        with pytest.raises(InputError, match=message):
            open_dataset("or-pam-sim-4k").select(**options)


class TestBadFolders:
    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="nowhere: no such folder; expected a folder of images, or or-pam-sim-4k"):
            open_dataset(str(tmp_path / "nowhere"))

    def test_nothing_in_it(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"holds no \.tif"):
            open_dataset(str(tmp_path))
        with pytest.raises(InputError, match="nothing there reads as 'fire'"):
            open_dataset(str(tmp_path), "fire")

    def test_unknown_kind(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="kind is 'zarr'; expected one of auto"):
            open_dataset(str(tmp_path), "zarr")  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", ["a.tif", "a.png"])
    def test_not_an_image(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_bytes(b"not an image at all")
        with pytest.raises(InputError, match=f"{name}: cannot be read as an image"):
            read_pages(tmp_path / name)

    def test_several_pages_for_one_image(self, tmp_path: Path) -> None:
        _write_pair(tmp_path / "a.tif", 0)
        with pytest.raises(InputError, match="holds 2 pages; expected one image"):
            read_image(tmp_path / "a.tif")


def test_shrunk_keeps_the_mean() -> None:
    image = _random(9, (30, 47))
    small, px = shrunk(image, 16)
    assert (small.shape, px) == ((10, 15), 3.0)
    assert small.mean() == pytest.approx(image[:, :45].mean(), rel=1e-5)
    assert shrunk(image, 47)[1] == 1.0
