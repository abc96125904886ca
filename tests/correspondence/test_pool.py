"""Means of passes over frames, where no frame shows its displacement alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from sasnet_live.correspondence import ACCEPTED_CONFIDENCE
from sasnet_live.correspondence.pool import FramePool
from sasnet_live.correspondence.tracker import Tracker
from sasnet_live.registrar import Registrar

LINES, WIDTH = 64, 192
LAG_PX = 5.0

Floats = np.ndarray[Any, np.dtype[Any]]


def scene(seed: int, slide: tuple[float, float] = (0.0, 0.0), number: int = 0) -> Floats:
    """(2 LINES, WIDTH) blobs, brighter than 0, moved by `number` times the slide."""
    moved = ndimage.shift(everything(seed), (slide[0] * number, slide[1] * number), order=1, mode="grid-wrap")
    return moved[: 2 * LINES, :WIDTH]


@lru_cache(maxsize=8)
def everything(seed: int) -> Floats:
    wide = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((3 * LINES, 2 * WIDTH)), 2.5)
    return np.maximum(wide / wide.std(), 0)


def starved(
    seed: int, frames: int, slide: tuple[float, float] = (0.0, 0.0), lag_px: float = LAG_PX, show: int = 0
) -> Iterator[Floats]:
    """Raw frames (2 LINES, WIDTH) uint16 of half a photon a px, most of it background."""
    rng = np.random.default_rng(seed)
    for number in range(frames):
        mean = 0.35 + 0.25 * scene(show, slide, number)
        # backward(x - d) shows what lies at x.
        mean[1::2] = ndimage.shift(mean[1::2], (0, -lag_px), order=1, mode="nearest")
        yield rng.poisson(mean).astype(np.uint16)


def passes(raw: Floats) -> tuple[Floats, Floats]:
    return raw[0::2].astype(np.float32), raw[1::2].astype(np.float32)


@pytest.mark.parametrize("slide", [(0.0, 0.0), (0.4, -0.5)])
def test_a_recording_of_few_photons_is_registered_by_what_its_frames_share(slide: tuple[float, float]) -> None:
    registrar = Registrar("correspondence", device="cpu")
    found = [registrar.register(raw) for raw in starved(1, 24, slide)]
    late = found[18:]
    assert not any(one.evidence_frames == 1 for one in found), "a frame was accepted alone: it tests nothing"
    assert all(one.accepted for one in late)
    assert all(one.evidence_frames > 4 for one in late)
    for one in late:
        assert np.abs(one.displacement_px[:, 24:-24].mean() - LAG_PX) < 0.5


def test_frames_that_suffice_are_not_averaged() -> None:
    rng = np.random.default_rng(2)
    raw = (100 * scene(3) + rng.standard_normal((2 * LINES, WIDTH))).clip(0).astype(np.uint16)
    raw[1::2] = np.roll(raw[1::2], -4, axis=1)
    registrar = Registrar("correspondence", device="cpu")
    assert [registrar.register(raw).evidence_frames for _ in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(("kind", "frames"), [("electronic", 30), ("photons", 100), ("stripes", 30)])
def test_noise_shows_nothing_however_many_frames_of_it_are_averaged(kind: str, frames: int) -> None:
    rng = np.random.default_rng(4)
    registrar = Registrar("correspondence", device="cpu")
    for _ in range(frames):
        raw = rng.standard_normal((2 * LINES, WIDTH)) if kind == "electronic" else rng.poisson(0.5, (2 * LINES, WIDTH))
        if kind == "stripes":
            raw = raw + rng.standard_normal((2 * LINES, 1))
        assert not registrar.register(raw.astype(np.float32)).accepted


def test_passes_of_two_scenes_are_never_registered() -> None:
    registrar = Registrar("correspondence", device="cpu")
    for one, other in zip(starved(5, 40, show=5), starved(6, 40, show=6), strict=True):
        one[1::2] = other[1::2]
        assert not registrar.register(one).accepted


@pytest.mark.parametrize(
    ("later", "before"),
    [
        (starved(8, 6, show=9), "another scene"),
        (starved(8, 6, lag_px=LAG_PX - 14), "a scanner that jumped"),
    ],
    ids=["scene", "scanner"],
)
def test_no_frame_is_registered_by_evidence_of_before(later: Iterator[Floats], before: str) -> None:
    tracker = Tracker()
    for raw in starved(7, 24):
        found = tracker.find(*passes(raw))
    assert found.frames > 1, "it tests nothing"
    for number, raw in enumerate(later):
        found = tracker.find(*passes(raw))
        assert tracker.pool.frames == number + 1, before
        assert found.frames == 1 or found.frames <= number + 1


@pytest.mark.parametrize("slide", [(0.0, 0.0), (1.0, 0.0), (0.0, -2.0), (1.5, 2.5)])
def test_a_mean_follows_the_scene(slide: tuple[float, float]) -> None:
    rng, noise = np.random.default_rng(11), 1.0
    pool = FramePool()
    for number in range(16):
        shown = scene(12, (2 * slide[0], slide[1]), number)
        target, backward = passes(shown + noise * rng.standard_normal(shown.shape))
        if not pool.frames:
            pool = FramePool.of(target, backward)
        assert number == 0 or pool.add(target, backward)
    assert pool.target is not None
    np.testing.assert_allclose(pool.velocity, slide, atol=0.5)
    inside = np.s_[16:-16, 32:-32]
    clean = passes(shown)[0][inside]
    assert (
        np.corrcoef(pool.target[inside].ravel(), clean.ravel())[0, 1]
        > 1.15 * (np.corrcoef(target[inside].ravel(), clean.ravel())[0, 1])
    )


def test_a_resumed_recording_goes_on_with_the_same_mean() -> None:
    frames = list(starved(13, 26))
    straight, resumed = (Registrar("correspondence", device="cpu") for _ in range(2))
    for raw in frames[:20]:
        straight.register(raw)
    resumed.load_state(straight.save_state())
    for raw in frames[20:]:
        one, other = straight.register(raw), resumed.register(raw)
        assert one.evidence_frames == other.evidence_frames
        np.testing.assert_array_equal(one.image, other.image)
    assert one.evidence_frames > 1


def test_nothing_is_added_to_no_frame() -> None:
    with pytest.raises(ValueError, match=r"FramePool\.of"):
        FramePool().add(*passes(np.zeros((2 * LINES, WIDTH), np.float32)))


def test_without_a_temporal_state_frames_stay_alone() -> None:
    registrar = Registrar("correspondence", device="cpu", temporal=False)
    assert not any(registrar.register(raw).accepted for raw in starved(1, 24))


def test_the_confidence_of_a_mean_is_that_of_its_displacement() -> None:
    tracker = Tracker()
    found = [tracker.find(*passes(raw)) for raw in starved(14, 24)]
    assert all(one.confidence >= ACCEPTED_CONFIDENCE for one in found if one.frames > 1)
