"""The scanner's truth is what it says, for every way of storing a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import forward_at_backward_lines, move_lines, split
from sasnet_live.simulation.scanner import LEVELS, ScannerSettings, SimulatedFrame, random_scanner, scan
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


def _inside(frame: SimulatedFrame) -> np.ndarray:
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


def test_so_is_the_lead_of_a_feedback_loop(scene: Scene) -> None:
    leading = replace(MOVING, lead_forward_px=0.7, lead_backward_px=0.5)
    frame, plain = _scan(scene, leading, ScanGeometry()), _scan(scene, MOVING, ScanGeometry())
    assert np.median(frame.displacement_px - plain.displacement_px) == pytest.approx(-1.2, rel=0.05)
    # The centroid of a spot tells the same, whatever the filters do to its shape.
    spot = np.zeros((40, 300), np.float32)
    spot[:, 140:160] = np.hanning(20)
    settings = ScannerSettings(lag_px=3.0, lead_forward_px=0.7, lead_backward_px=0.5, black_level=0.3, amplitude=0.3)
    stepped = ScanGeometry(slow_axis="stepped")
    frame = scan(
        Scene(spot, 1.0, (0.0, 0.0)), settings, np.random.default_rng(0), height=32, width=300, geometry=stepped
    )
    lines = [lines.astype(float)[0] - 0.3 * 65535 for lines in split(frame.raw, stepped)]
    centre = [np.average(np.arange(300), weights=line) for line in lines]
    assert centre[0] - centre[1] == pytest.approx(frame.displacement_px[0, 150], abs=0.02)


def test_same_seed_same_bytes(scene: Scene) -> None:
    settings = random_scanner(np.random.default_rng(1), "hard", 200)
    one, same, other = (_scan(scene, settings, ScanGeometry(), seed) for seed in (5, 5, 6))
    assert one.raw.tobytes() == same.raw.tobytes()
    assert one.displacement_px.tobytes() == same.displacement_px.tobytes()
    assert one.raw.tobytes() != other.raw.tobytes()


def test_truth_is_on_the_grid_of_the_forward_pass(scene: Scene) -> None:
    """Forward neighbours, interpolated, show the truth: same mapping, same appearance, lines a px or less away."""
    settings = replace(
        MOVING,
        gain_forward=(0.2, 0.3, -0.1),
        gain_backward=(-0.3, 0.2),
        tail_forward=(0.3, 2.0),
        tail_backward=(0.1, 3.0),
        gamma_backward=1.4,
        offset_backward=(0.05,),
    )
    for slow_axis in ("continuous", "interleaved"):
        frame = _scan(scene, settings, ScanGeometry(slow_axis=slow_axis))  # type: ignore[arg-type]
        between = forward_at_backward_lines(frame.forward_truth, len(frame.truth), frame.geometry)
        assert np.corrcoef(between[:-1].ravel(), frame.truth[:-1].ravel())[0, 1] > 0.98
        assert between.mean() == pytest.approx(frame.truth.mean(), rel=0.02)
    stepped = _scan(scene, settings, ScanGeometry(slow_axis="stepped"))
    np.testing.assert_allclose(
        stepped.truth, stepped.forward_truth[: len(stepped.truth)], atol=2e-3 * stepped.full_scale
    )


@pytest.mark.parametrize("first", ["forward", "backward"])
def test_noise_free_forward_lines_are_the_forward_truth(scene: Scene, first: str) -> None:
    frame = _scan(scene, MOVING, ScanGeometry(first=first, backward_mirrored=True))  # type: ignore[arg-type]
    forward, _ = split(frame.raw, frame.geometry)
    np.testing.assert_allclose(forward, frame.forward_truth, atol=0.51)


def test_mirrored_and_turned_frames_hold_the_same_lines(scene: Scene) -> None:
    settings = random_scanner(np.random.default_rng(2), "medium", 200)
    plain = _scan(scene, settings, ScanGeometry())
    for geometry in (ScanGeometry(backward_mirrored=True), ScanGeometry(line_axis="columns")):
        other = _scan(scene, settings, geometry)
        for one, two in zip(split(plain.raw, plain.geometry), split(other.raw, geometry), strict=True):
            np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(plain.displacement_px, other.displacement_px)


def test_crop_drops_px_of_the_same_scan(scene: Scene) -> None:
    plain, cropped = (_scan(scene, MOVING, ScanGeometry(slow_axis="stepped", crop=crop)) for crop in ((0, 0), (9, 14)))
    np.testing.assert_array_equal(plain.raw, cropped.raw)
    np.testing.assert_allclose(plain.displacement_px[:, 9:-14], cropped.displacement_px)
    np.testing.assert_allclose(plain.truth[:, 9:-14], cropped.truth)


def test_the_tail_points_along_the_scan(scene: Scene) -> None:
    spot = np.zeros((40, 300), np.float32)
    spot[:, 149:152] = 1.0
    line = Scene(spot, 1.0, (0.0, 0.0))
    settings = ScannerSettings(lag_px=0.0, tail_forward=(0.6, 5.0), tail_backward=(0.6, 5.0), black_level=0.0)
    frame = scan(
        line, settings, np.random.default_rng(0), height=32, width=300, geometry=ScanGeometry(slow_axis="stepped")
    )
    forward, backward = (lines.astype(float)[0] for lines in split(frame.raw, frame.geometry))
    assert forward[155:165].sum() > 10 * forward[135:145].sum()
    assert backward[135:145].sum() > 10 * backward[155:165].sum()
    x = np.arange(300)
    centre = [np.average(x, weights=lines) for lines in (forward, backward)]
    assert centre[0] - centre[1] == pytest.approx(np.median(frame.displacement_px), abs=0.1)


def test_levels_grow_in_lag_noise_and_change_of_appearance(scene: Scene) -> None:
    lag, noise, look = {}, {}, {}
    for level in LEVELS:
        scanners = [random_scanner(np.random.default_rng(seed), level, 512) for seed in range(40)]
        lag[level] = np.mean([abs(s.lag_px) for s in scanners])
        noise[level] = np.mean([s.electronic_noise for s in scanners])
        look[level] = np.mean([np.abs(np.subtract(s.gain_forward, s.gain_backward)).sum() for s in scanners])
        assert {np.sign(s.lag_px) for s in scanners} == {-1.0, 1.0}
        half = random_scanner(np.random.default_rng(0), level, 256)
        assert half.lag_px == pytest.approx(random_scanner(np.random.default_rng(0), level, 512).lag_px / 2)
    assert [round(lag[level]) for level in LEVELS] == pytest.approx([3, 8, 16], abs=1)
    assert noise["easy"] < noise["medium"] < noise["hard"]
    assert look["easy"] < look["medium"] < look["hard"]


def test_wide_scanners_reach_both_ends() -> None:
    scanners = [random_scanner(np.random.default_rng(seed), "wide", 512) for seed in range(400)]
    lags = np.array([s.lag_px for s in scanners])
    noise = np.array([s.electronic_noise for s in scanners])
    assert lags.min() < -30
    assert lags.max() > 30
    assert (np.abs(lags) < 2).sum() > 20
    assert noise.min() < 0.002
    assert noise.max() > 0.1
    for name in ("hum_amplitude", "spike_rate", "streak_rate", "noise_memory", "offset_wander", "lead_forward_px"):
        assert any(getattr(s, name) > 0 for s in scanners)
    assert any(s.detail_backward < 0 for s in scanners)
    assert any(s.saturation < 0.7 for s in scanners)


@pytest.mark.parametrize("level", ["easy", "hard", "wide"])
def test_random_scanners_never_turn_back_within_a_line(scene: Scene, level: str) -> None:
    for seed in range(60):
        width = (96, 256, 1024)[seed % 3]
        settings = random_scanner(np.random.default_rng(seed), level, width)  # type: ignore[arg-type]
        frame = scan(scene, settings, np.random.default_rng(seed), height=6, width=width)
        assert np.isfinite(frame.truth).all()
        assert np.isfinite(frame.displacement_px).all()


def test_each_noise_shows_and_the_truth_is_free_of_it(scene: Scene) -> None:
    quiet = _scan(scene, MOVING, ScanGeometry())
    for noise in (
        {"pulse_noise": 0.1},
        {"line_gain_noise": 0.1},
        {"shot_noise": 0.05},
        {"electronic_noise": 0.02},
        {"electronic_noise": 0.02, "noise_memory": 0.9},
        {"line_offset_noise": 0.02},
        {"offset_wander": 0.05},
        {"hum_amplitude": 0.02},
        {"spike_rate": 0.01},
        {"streak_rate": 0.3},
    ):
        frame = _scan(scene, replace(MOVING, **noise), ScanGeometry())  # type: ignore[arg-type]
        assert (frame.raw != quiet.raw).mean() > 0.005, noise
        np.testing.assert_array_equal(frame.truth, quiet.truth)
        np.testing.assert_array_equal(frame.displacement_px, quiet.displacement_px)


def test_digitizer_and_saturation(scene: Scene) -> None:
    twelve = _scan(scene, replace(MOVING, bits=12, amplitude=1.5), ScanGeometry())
    assert twelve.full_scale == 4095
    assert twelve.raw.max() == 4095
    assert twelve.truth.max() <= 4095
    assert not twelve.textured[twelve.truth >= 4095].any()
    clipped = _scan(scene, replace(MOVING, saturation=0.5), ScanGeometry())
    assert clipped.raw.max() == round(0.5 * 65535)


def test_textured_is_where_the_truth_slopes_and_was_recorded(scene: Scene) -> None:
    frame = _scan(scene, replace(MOVING, lag_px=12.0), ScanGeometry())
    slope = np.abs(np.gradient(frame.truth, axis=1))
    assert slope[frame.textured].mean() > 3 * slope[~frame.textured].mean()
    source = np.arange(frame.truth.shape[1]) - frame.displacement_px
    assert not frame.textured[source < 0].any()
    assert 0.1 < frame.textured.mean() < 0.9


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"fast_axis": "polygon"}, "sinusoidal"),
        ({"bits": 8}, "12 or 16"),
        ({"electronic_noise": -0.1}, "electronic_noise"),
        ({"lag_px": float("nan")}, "lag_px"),
        ({"noise_memory": 1.0}, "noise_memory"),
        ({"tail_forward": (-0.1, 2.0)}, "tail_forward"),
        ({"tail_backward": (1.2, 2.0)}, "at most 1"),
        ({"ripple_forward": ((float("inf"), 1.0, 0.0),)}, "ripple_forward"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        ScannerSettings(**wrong)  # type: ignore[arg-type]


def test_scans_that_cannot_be_are_refused(scene: Scene) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="at least 2 lines"):
        scan(scene, MOVING, rng, height=1, width=100)
    with pytest.raises(InputError, match="8 px after the crop"):
        scan(scene, MOVING, rng, height=10, width=30, geometry=ScanGeometry(crop=(20, 5)))
    with pytest.raises(InputError, match="turns back"):
        scan(scene, ScannerSettings(ripple_backward=((10.0, 5.0, 0.0),)), rng, height=10, width=100)
    with pytest.raises(InputError, match="level"):
        random_scanner(rng, "extreme", 100)  # type: ignore[arg-type]
