"""The scanner's truth is what it says, for every way of storing a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sasnet_live.scan import ScanGeometry, move_lines, split
from sasnet_live.simulation.scanner import ScannerSettings, SimulatedFrame, random_scanner, scan
from sasnet_live.simulation.vessels import Scene, vascular_scene

GEOMETRIES = [
    ScanGeometry(),
    ScanGeometry(first="backward"),
    ScanGeometry(slow_axis="stepped"),
    ScanGeometry(slow_axis="stepped", first="backward"),
    ScanGeometry(slow_axis="interleaved"),
    ScanGeometry(backward_mirrored=True),
    ScanGeometry(line_axis="columns"),
    ScanGeometry(line_axis="columns", backward_mirrored=True, first="backward"),
    ScanGeometry(crop=(9, 14)),
    ScanGeometry(crop=(5, 0), backward_mirrored=True, slow_axis="interleaved"),
]

# Every kind of motion at once, and a detector that changes nothing.
MOVING = ScannerSettings(
    lag_px=7.0,
    hysteresis_px=2.5,
    hysteresis_skew=0.5,
    overshoot_px=1.0,
    ripple_forward=((0.8, 2.0, 0.4),),
    ripple_backward=((0.6, 3.0, 1.7), (0.2, 5.0, 0.0)),
    creep_px=1.5,
    creep_rate=3.0,
    lag_creep_px=0.8,
    jitter_px=0.3,
    wander_px=0.5,
)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return vascular_scene(np.random.default_rng(3), 131, 200, samples_per_px=3.0, psf_px=1.6)


def _scan(scene: Scene, settings: ScannerSettings, geometry: ScanGeometry, seed: int = 0) -> SimulatedFrame:
    shape = {"height": 131, "width": 200} if geometry.line_axis == "rows" else {"height": 200, "width": 131}
    return scan(scene, settings, np.random.default_rng(seed), geometry=geometry, **shape)


def _inside(frame: SimulatedFrame, settings_reach_px: float = 16.0) -> np.ndarray:
    """Columns whose source lies well inside the recorded line."""
    width = frame.truth.shape[1]
    source = np.arange(width) - frame.displacement_px
    return (source > 4) & (source < width - 5)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("lag_px", [-7.0, 7.0])
@pytest.mark.parametrize("fast_axis", ["sinusoidal", "triangular"])
def test_backward_pass_moved_by_the_displacement_is_the_truth(
    scene: Scene, geometry: ScanGeometry, lag_px: float, fast_axis: str
) -> None:
    frame = _scan(scene, replace(MOVING, lag_px=lag_px, fast_axis=fast_axis), geometry)  # type: ignore[arg-type]
    _, backward = split(frame.raw.astype(np.float32), geometry)
    moved = move_lines(backward, frame.displacement_px)
    inside = _inside(frame)
    contrast = frame.truth.std()
    error = np.sqrt(np.mean((moved - frame.truth)[inside] ** 2)) / contrast
    before = np.sqrt(np.mean((backward - frame.truth)[inside] ** 2)) / contrast
    assert inside.mean() > 0.8
    assert np.sign(np.median(frame.displacement_px)) == np.sign(lag_px)
    assert error < 0.01
    assert before > 0.5
    # A displacement wrong by a tenth of a px would show.
    wrong = move_lines(backward, frame.displacement_px + 0.1)
    assert np.sqrt(np.mean((wrong - frame.truth)[inside] ** 2)) / contrast > 2 * error


def test_the_tails_centroids_are_in_the_displacement(scene: Scene) -> None:
    tailed = replace(MOVING, tail_forward=(0.4, 2.0), tail_backward=(0.4, 2.0))
    shift = _scan(scene, tailed, ScanGeometry()).displacement_px - _scan(scene, MOVING, ScanGeometry()).displacement_px
    beta = np.exp(-1 / 2.0)
    centroid = 0.4 * beta / (1 - beta)
    assert np.median(shift) == pytest.approx(2 * centroid, rel=0.05)


def test_same_seed_same_bytes(scene: Scene) -> None:
    settings = random_scanner(np.random.default_rng(1), "hard", 200)
    one, same, other = (_scan(scene, settings, ScanGeometry(), seed) for seed in (5, 5, 6))
    assert one.raw.tobytes() == same.raw.tobytes()
    assert one.displacement_px.tobytes() == same.displacement_px.tobytes()
    assert one.raw.tobytes() != other.raw.tobytes()
