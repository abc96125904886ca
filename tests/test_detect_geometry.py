"""The geometry is read off a frame, whatever it is, and what a frame cannot tell is said to be unsure."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from sasnet_live.correspondence.detect import detect_geometry
from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import merge
from sasnet_live.simulation import ScannerSettings, SimulatedFrame, random_scanner, scan, vascular_scene

LINES, PIXELS = 192, 256


def frame(geometry: ScanGeometry, level: str = "medium", seed: int = 0, lag_px: float | None = None) -> SimulatedFrame:
    rng = np.random.default_rng(seed)
    scanner: ScannerSettings = random_scanner(rng, level, PIXELS)  # type: ignore[arg-type]
    if lag_px is not None:
        scanner = ScannerSettings(lag_px=lag_px, fast_axis="triangular", electronic_noise=0.02)
    shape = (LINES, PIXELS) if geometry.line_axis == "rows" else (PIXELS, LINES)
    scene = vascular_scene(np.random.default_rng(seed + 50), LINES, PIXELS)
    return scan(scene, scanner, rng, height=shape[0], width=shape[1], geometry=geometry)


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
@pytest.mark.parametrize(
    ("axis", "first", "mirrored"), list(product(("rows", "columns"), ("forward", "backward"), (False, True)))
)
def test_every_geometry_is_found(axis: str, first: str, mirrored: bool, level: str) -> None:
    geometry = ScanGeometry(axis, first, mirrored)  # type: ignore[arg-type]
    for seed in (1, 2):
        simulated = frame(geometry, level, seed)
        kept = simulated.raw.copy()
        found = detect_geometry(simulated.raw)
        assert found.geometry.line_axis == axis
        assert found.geometry.backward_mirrored == mirrored
        assert found.displacement_px == pytest.approx(simulated.displacement_px.mean(), abs=0.6)
        assert found.geometry.line_offset == 0
        if mirrored:
            assert "first" in found.unsure  # the other first pass is the mirrored scene
        else:
            assert found.geometry.first == first
        assert not {"line_axis", "backward_mirrored"} & set(found.unsure)
        assert np.array_equal(simulated.raw, kept)


@pytest.mark.parametrize("lag_px", [-45.0, 45.0])
@pytest.mark.parametrize("first", ["forward", "backward"])
def test_an_offset_beyond_the_usual_search_is_found(lag_px: float, first: str) -> None:
    simulated = frame(ScanGeometry(first=first), lag_px=lag_px)  # type: ignore[arg-type]
    found = detect_geometry(simulated.raw)
    assert found.geometry.line_offset == pytest.approx(simulated.displacement_px.mean(), abs=1.5)
    assert found.geometry.first == first
    assert found.confidence > 0.5


@pytest.mark.parametrize("slow_axis", ["stepped", "interleaved"])
def test_a_slow_axis_in_steps_does_not_tell_the_first_pass(slow_axis: str) -> None:
    known = ScanGeometry(first="backward", slow_axis=slow_axis)  # type: ignore[arg-type]
    found = detect_geometry(frame(known).raw, known)
    assert found.sureness["first"] == 0
    assert found.geometry == known


def test_crop_is_kept_and_used() -> None:
    known = ScanGeometry(crop=(10, 4), backward_mirrored=True)
    found = detect_geometry(frame(known).raw, ScanGeometry(crop=(10, 4)))
    assert found.geometry == known


def test_noise_is_not_a_finding() -> None:
    found = detect_geometry(np.random.default_rng(0).normal(100, 10, (128, 128)))
    assert set(found.unsure) >= {"line_axis", "backward_mirrored", "line_offset"}
    assert found.confidence < 0.5
    assert found.doubt


def test_a_frame_whose_passes_agree_does_not_tell_the_line_axis() -> None:
    simulated = frame(ScanGeometry(), lag_px=0.0)
    agreeing = merge(simulated.forward_truth, simulated.truth, ScanGeometry())
    assert "line_axis" in detect_geometry(agreeing).unsure


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (np.zeros((64, 64)), "empty"),
        (np.full((64, 64), np.nan), "NaN"),
        (np.ones((3, 64, 64)), "expected one frame"),
        (np.ones((8, 64)), "too small"),
        (np.ones((64, 64), complex), "of numbers"),
    ],
)
def test_what_is_no_frame_is_refused(raw: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        detect_geometry(raw)
