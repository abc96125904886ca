"""Rendering without invention: what was there stays, in place and in contrast; nothing appears that was not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sasnet_live import Registrar, move_lines
from sasnet_live.simulation.levels import random_scanner
from sasnet_live.simulation.scanner import SimulatedFrame, scan
from sasnet_live.simulation.vessels import Scene, vascular_scene

SIZE = 256


def scanned(scene: Scene, level: str, seed: int) -> SimulatedFrame:
    """The same scanner and the same noise for the same seed, whatever the scene."""
    scanner = random_scanner(np.random.default_rng(seed), level, SIZE)  # type: ignore[arg-type]
    return scan(scene, scanner, np.random.default_rng(7), height=SIZE, width=SIZE)


@pytest.mark.parametrize("level", ["easy", "medium"])
@pytest.mark.parametrize("amplitude", [0.35, -0.25], ids=["bright", "dark"])
def test_small_features_that_training_never_saw_survive(level: str, amplitude: float) -> None:
    """Round spots of sigma 2 px, planted at random: what they change in the output is what they change in the truth."""
    registrar = Registrar("lite", temporal=False)
    for seed in range(2):
        scene = vascular_scene(np.random.default_rng(seed), SIZE, SIZE, samples_per_px=2)
        rng = np.random.default_rng(100 + seed)
        height, width = scene.image.shape
        y, x = np.mgrid[:height, :width]
        spots = np.zeros_like(scene.image)
        for _ in range(14):
            at = rng.uniform(60, height - 60), rng.uniform(60, width - 60)
            spots += np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * (2.0 * scene.samples_per_px) ** 2))
        planted = replace(scene, image=(scene.image + amplitude * spots).clip(0).astype(np.float32))
        without, with_spots = (scanned(s, level, seed) for s in (scene, planted))
        rendered = [registrar.register(frame.raw).rendered for frame in (without, with_spots)]
        assert rendered[0] is not None
        assert rendered[1] is not None
        true_change, change = with_spots.truth - without.truth, rendered[1] - rendered[0]
        strength = np.abs(true_change).max()
        inside = np.abs(true_change) > 0.3 * strength
        contrast = (true_change * change)[inside].sum() / np.square(true_change)[inside].sum()
        assert contrast == pytest.approx(1, abs=0.2)
        elsewhere = np.abs(true_change) < 0.02 * strength
        assert change[elsewhere].std() < 0.02 * strength


def test_nothing_appears_in_empty_tissue() -> None:
    """A scene with vessels in its left half only: the right half stays as smooth as its truth."""
    scene = vascular_scene(np.random.default_rng(3), SIZE, SIZE, samples_per_px=2)
    image = scene.image.copy()
    half = image.shape[1] // 2
    image[:, half:] = np.median(image)
    frame = scanned(replace(scene, image=image), "medium", 3)
    registration = Registrar("lite", temporal=False).register(frame.raw)
    assert registration.accepted
    assert registration.rendered is not None
    contrast = np.percentile(frame.truth, 99) - np.percentile(frame.truth, 1)
    right = np.s_[:, SIZE // 2 + 30 : -10]
    error = (registration.rendered - frame.truth)[right]
    assert np.abs(error - error.mean()).max() < 0.2 * contrast
    assert error.std() < 0.03 * contrast


@pytest.mark.parametrize("width_px", [1.0, 1.5, 3.0, 6.0])
@pytest.mark.parametrize("displacement_px", [-7.3, 0.5, 3.4])
def test_moving_keeps_the_integral_across_a_vessel(width_px: float, displacement_px: float) -> None:
    """Of a vessel anywhere between px, moved as `Registration.warped` is by a displacement that is known."""
    x = np.arange(SIZE)
    for centre in np.linspace(80, 81, 11):
        line = 1000 * np.exp(-((x - centre) ** 2) / (2 * width_px**2))[None]
        moved = move_lines(line, np.float64(displacement_px), "cubic")  # type: ignore[arg-type]
        assert moved.sum() == pytest.approx(line.sum(), rel=0.01)
        assert (moved * x).sum() / moved.sum() == pytest.approx(centre + displacement_px, abs=0.02)


@pytest.mark.parametrize("width_px", [3.0, 6.0])
@pytest.mark.parametrize("displacement_px", [-3.7, 2.2])
def test_registering_keeps_the_integral_across_single_vessels(width_px: float, displacement_px: float) -> None:
    """Sparse, straight vessels, with nothing between them that would tell the profile; the whole registrar."""
    rng = np.random.default_rng([int(width_px), int(10 * displacement_px) + 100])
    x, lines = np.arange(SIZE), np.repeat(rng.uniform(0.5, 1.5, (SIZE // 8, 1)), 8, 0)
    centres = np.array([52.0, 118.0, 203.0]) + rng.uniform(-6, 6, 3)

    def passes(shift_px: float) -> np.ndarray:
        return 200 + 1000 * lines * np.exp(-((x - centres[:, None] - shift_px) ** 2) / (2 * width_px**2)).sum(0)

    raw = passes(0.0)
    raw[1::2] = passes(-displacement_px)[1::2]
    registration = Registrar("correspondence", output="warped").register(raw + rng.normal(0, 5, raw.shape))
    assert registration.accepted, registration.reason
    measured = move_lines(passes(-displacement_px)[1::2], registration.displacement_px.astype(float), "cubic")
    for centre in centres:
        across = np.abs(x - centre) < 3.5 * width_px + 5
        kept = (measured - 200)[:, across].sum() / (passes(0.0)[1::2] - 200)[:, across].sum()
        assert kept == pytest.approx(1, abs=0.01)
