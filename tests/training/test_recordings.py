"""Training on raw recordings without truth."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.simulation.dataset import SimulatedPairs
from sasnet_live.training import recordings
from sasnet_live.training.data import Sample, SimulatedSource
from sasnet_live.training.recordings import MixedSource, random_part, recorded_samples, recorded_validation
from sasnet_live.training.settings import TrainingSettings

RNG = np.random.default_rng


def write(path: Path, frames: np.ndarray, photometric: str = "minisblack") -> None:
    tifffile.imwrite(path, frames, photometric=photometric)


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    """Three raw frames of a simulated scanner."""
    pairs = SimulatedPairs(height=64, width=96)
    return np.stack([pairs.load_pair("train", index).raw for index in (0, 1, 2)])


def settings_for(*paths: Path, **others: object) -> TrainingSettings:
    return TrainingSettings(
        height=32,
        width=64,
        recordings=tuple(str(path) for path in paths),
        **others,  # type: ignore[arg-type]
    )


def test_samples_of_a_recording(tmp_path: Path, raw: np.ndarray) -> None:
    write(tmp_path / "a.tif", raw)
    settings = settings_for(tmp_path / "a.tif")
    samples = list(islice(recorded_samples(settings, "explicit", RNG(0)), 4))
    again = list(islice(recorded_samples(settings, "explicit", RNG(0)), 4))
    for sample, same in zip(samples, again, strict=True):
        assert sample.images.shape == (5, 16, 64)
        np.testing.assert_array_equal(sample.images, same.images)
        np.testing.assert_array_equal(sample.images[4], sample.images[1])  # the forward pass stands in for the truth
    kept = recorded_validation(settings, "explicit")["recordings"]
    assert [sample.images.shape for sample in kept] == [(5, 32, 96)]  # the first frame, whole


@pytest.mark.parametrize(
    "geometry",
    [
        ScanGeometry("columns"),
        ScanGeometry(first="backward"),
        ScanGeometry(crop=(10, 6)),
        ScanGeometry("rows", "forward", True),
    ],
)
def test_recordings_of_any_geometry(tmp_path: Path, raw: np.ndarray, geometry: ScanGeometry) -> None:
    write(tmp_path / "a.tif", raw.swapaxes(1, 2) if geometry.line_axis == "columns" else raw)
    settings = settings_for(tmp_path / "a.tif", geometry=geometry)
    assert next(recorded_samples(settings, "explicit", RNG(0))).images.shape == (5, 16, 64)
    (kept,) = recorded_validation(settings, "explicit")["recordings"]
    assert kept.images.shape == (5, 32, 96 - sum(geometry.crop))


def test_frames_to_validate_on_are_not_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted through all files, so that files of one frame can be trained on, too."""
    paths = [tmp_path / f"{k}.tif" for k in range(20)]
    for k, path in enumerate(paths):
        write(path, np.full((1 + (k == 0) * 4, 32, 64), k, np.uint16))
    seen: list[float] = []

    def remembered(raw: np.ndarray, *_: object, **__: object) -> Sample:
        seen.append(float(raw[0, 0]))
        return Sample(RNG(0).random((5, 16, 64)).astype(np.float16))

    monkeypatch.setattr(recordings, "make_sample", remembered)
    kept = {}
    for part in ("choose", "judge"):
        recorded_validation(settings_for(*paths), "explicit", part=part)  # type: ignore[arg-type]
        kept[part] = set(seen)
        seen.clear()
    for _ in islice(recorded_samples(settings_for(*paths), "explicit", RNG(0)), 300):
        pass
    assert kept == {"choose": {0, 12}, "judge": {4}}  # frames 0 and 16, and 8, of the 24
    assert set(seen) == set(range(20)) - {4, 12}  # frame 0 is one of five that show a 0


def test_too_few_frames_to_judge_by_are_refused(tmp_path: Path, raw: np.ndarray) -> None:
    write(tmp_path / "a.tif", np.concatenate([raw, raw]))
    with pytest.raises(InputError, match=r"a\.tif: 6 frames came; expected more than 8"):
        recorded_validation(settings_for(tmp_path / "a.tif"), "explicit", part="judge")


def test_validation_reads_no_more_frames_than_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.tif", np.zeros((400, 32, 64), np.uint8))
    made: list[object] = []

    def counted(raw: np.ndarray, *_: object, **__: object) -> Sample | None:
        made.append(raw)
        return None if len(made) == 1 else Sample(np.ones((5, 16, 64), np.float16))

    monkeypatch.setattr(recordings, "make_sample", counted)
    groups = recorded_validation(settings_for(tmp_path / "a.tif"), "explicit", 6)
    assert (len(groups["recordings"]), len(made)) == (6, 7)  # one said nothing, another took its place


def test_simulated_and_recorded_samples_are_mixed(tmp_path: Path, raw: np.ndarray) -> None:
    write(tmp_path / "a.tif", raw)
    for share, without_truth in ((0.0, 6), (1.0, 0)):
        source = MixedSource(settings_for(tmp_path / "a.tif", simulated_share=share), SimulatedSource(0, 32, 64))
        samples = list(islice(source(0), 6))
        assert sum(np.array_equal(sample.images[4], sample.images[1]) for sample in samples) == without_truth
    both = MixedSource(settings_for(tmp_path / "a.tif", simulated_share=0.5), SimulatedSource(0, 32, 64))
    kinds = [np.array_equal(sample.images[4], sample.images[1]) for sample in islice(both(0), 16)]
    assert 2 < sum(kinds) < 14


@pytest.mark.parametrize(("lines", "width"), [(10, 20), (32, 64), (40, 80), (100, 64)])
def test_parts_have_the_size_asked_for(lines: int, width: int) -> None:
    frame = np.arange(32 * 64).reshape(32, 64) % 997
    sample = Sample(np.broadcast_to(frame, (5, 32, 64)).astype(np.float16))
    parts = [random_part(sample, lines, width, RNG(seed)) for seed in range(5)]
    assert {part.images.shape for part in parts} == {(5, lines, width)}
    for part in parts:
        assert set(np.unique(part.images)) <= set(np.unique(sample.images))
        assert (part.images == part.images[:1]).all()  # the images of a sample stay together


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((1, 64, 96), np.uint16), "1 frame came; expected 2 or more, one of them to validate on"),
        (np.zeros((4, 20, 96), np.uint16), "has 20 lines of 96 px; expected at least 22 lines of 32 px"),
        (np.zeros((4, 64, 30), np.uint16), "has 64 lines of 30 px"),
        (np.zeros((4, 64, 96), np.uint16), "no frame shows anything; check that these are raw scans"),
        (np.zeros((4, 64, 96, 3), np.uint8), "RGB"),
    ],
)
def test_recordings_that_cannot_be_trained_on(tmp_path: Path, frames: np.ndarray, message: str) -> None:
    path = tmp_path / "a.tif"
    write(path, frames, "rgb" if frames.ndim == 4 else "minisblack")
    with pytest.raises(InputError, match=message) as caught:
        recorded_validation(settings_for(path), "explicit")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recording_whose_other_frames_are_empty_does_not_hang(tmp_path: Path, raw: np.ndarray) -> None:
    frames = np.zeros((6, 64, 96), np.uint16)
    frames[0] = raw[0]  # only the one to validate on shows anything
    write(tmp_path / "a.tif", frames)
    assert recorded_validation(settings_for(tmp_path / "a.tif"), "explicit")
    with pytest.raises(InputError, match="500 frames in a row show nothing"):
        next(recorded_samples(settings_for(tmp_path / "a.tif"), "explicit", RNG(0)))


def test_empty_parts_of_a_frame_are_passed_over(tmp_path: Path, raw: np.ndarray) -> None:
    frames = np.zeros((4, 64, 96), np.uint16)
    frames[:, :, 90:] = raw[0, :, :6]
    write(tmp_path / "a.tif", frames)
    for sample in islice(recorded_samples(settings_for(tmp_path / "a.tif"), "explicit", RNG(0)), 5):
        assert sample.images[1].astype(float).std() > 0.01
