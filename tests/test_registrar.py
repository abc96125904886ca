"""The contract of `Registrar`: right on scans of every geometry, honest on everything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live import InputError, Registrar, ScanGeometry, split
from sasnet_live.correspondence import Correspondence
from sasnet_live.correspondence.filters import blurred
from sasnet_live.correspondence.tracker import Tracker
from sasnet_live.evaluation.datasets import open_dataset
from sasnet_live.metrics import ncc, ssim
from sasnet_live.network.inputs import RenderInputs
from sasnet_live.scan import merge, move_lines
from sasnet_live.simulation.levels import random_scanner
from sasnet_live.simulation.recording import record
from sasnet_live.simulation.scanner import SimulatedFrame, scan
from sasnet_live.simulation.vessels import vascular_scene

SIZE = 192


def simulated(
    seed: int = 0, level: str = "medium", geometry: ScanGeometry | None = None, height: int = SIZE
) -> SimulatedFrame:
    rng = np.random.default_rng(seed)
    geometry = geometry or ScanGeometry()
    lines, px = (height, SIZE) if geometry.line_axis == "rows" else (SIZE, height)
    scene = vascular_scene(rng, lines, px, samples_per_px=2)
    scanner = random_scanner(rng, level, px)  # type: ignore[arg-type]
    return scan(scene, scanner, rng, height=height, width=SIZE, geometry=geometry)


@pytest.mark.parametrize(
    "geometry",
    [
        ScanGeometry(),
        ScanGeometry(first="backward"),
        ScanGeometry(backward_mirrored=True, slow_axis="stepped"),
        ScanGeometry(line_axis="columns", slow_axis="interleaved"),
        ScanGeometry(crop=(7, 12)),
    ],
    ids=str,
)
def test_every_geometry_is_registered(geometry: ScanGeometry) -> None:
    frame = simulated(1, "easy", geometry)
    registration = Registrar("correspondence", geometry=geometry).register(frame.raw)
    assert registration.accepted, registration.reason
    assert registration.image.shape == geometry.frame_shape(frame.raw.shape)
    assert registration.image.dtype == frame.raw.dtype
    error = np.abs(registration.displacement_px - frame.displacement_px)[frame.textured].mean()
    assert error < 0.15
    forward, _ = split(frame.raw, geometry)
    kept, lines = split(registration.image, ScanGeometry(**{**vars(geometry), "crop": (0, 0)}))
    np.testing.assert_array_equal(kept, forward)
    assert registration.rendered is not None
    np.testing.assert_allclose(lines, registration.rendered, atol=0.51)


def test_network_renders_closer_to_the_truth_than_moving_alone() -> None:
    registrar = Registrar("lite", output="both", temporal=False)
    for level in ("easy", "medium", "hard"):
        frame = simulated(2, level)
        registration = registrar.register(frame.raw)
        assert registration.accepted
        assert registration.rendered is not None
        assert ncc(frame.truth, registration.rendered) > ncc(frame.truth, registration.warped)
        assert ssim(frame.truth, registration.rendered) > ssim(frame.truth, registration.warped)
        assert registration.warped_image is not None
        np.testing.assert_array_equal(registration.image[0::2], registration.warped_image[0::2])


def test_metrics_are_those_of_the_forward_pass_before_and_after() -> None:
    from sasnet_live.scan import forward_at_backward_lines

    frame = simulated(3)
    registration = Registrar("correspondence", output="warped").register(frame.raw)
    forward, backward = (lines.astype(np.float32) for lines in split(frame.raw, frame.geometry))
    target = forward_at_backward_lines(forward, len(backward), frame.geometry)
    figures = registration.metrics
    assert registration.rendered is None
    assert figures.ncc_before == pytest.approx(ncc(target, backward), abs=1e-4)
    assert figures.ncc_after == pytest.approx(ncc(target, registration.warped), abs=1e-4)
    assert figures.ssim_after == pytest.approx(ssim(target, registration.warped), abs=1e-4)
    assert figures.ncc_after > figures.ncc_before
    assert figures.displacement_px_mean == pytest.approx(registration.displacement_px.mean(), abs=1e-3)
    assert figures.elapsed_ms > 0


def test_lines_without_structure_are_doubtful_under_a_scanner_that_jitters() -> None:
    rng = np.random.default_rng(0)
    texture = blurred(rng.standard_normal((128, 256), np.float32), 6.0, 2.0)
    forward, backward = texture[0::2], texture[1::2].copy()
    backward = move_lines(backward, rng.normal(0, 1.2, (64, 1)), "lanczos")
    forward[56:] = backward[56:] = 0
    geometry = ScanGeometry()
    raw = 10 * merge(forward, backward, geometry) + rng.normal(0, 0.1, (128, 256))
    registration = Registrar("correspondence", geometry=geometry).register(raw.astype(np.float32))
    assert registration.accepted
    assert registration.line_confidence is not None
    assert registration.line_confidence.shape == (64,)
    textured, empty = np.split(registration.line_confidence, [56])
    assert np.median(textured) > 0.9
    assert np.median(empty) < 0.7
    assert registration.metrics.doubtful_lines == (registration.line_confidence < 0.5).sum()


def test_a_frame_passed_through_says_nothing_of_its_lines() -> None:
    registration = Registrar("correspondence").register(np.random.default_rng(1).random((64, 96), np.float32))
    assert not registration.accepted
    assert registration.line_confidence is None
    assert registration.metrics.doubtful_lines == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda rng: np.full((64, 96), 7, np.uint16), "constant"),
        (lambda rng: np.where(rng.random((64, 96)) < 0.01, np.nan, rng.random((64, 96))), "NaN"),
        (lambda rng: np.full((64, 96), np.inf), "infinite"),
        (lambda rng: rng.integers(0, 4096, (96, 192)).astype(np.uint16), "no structure"),
        (lambda rng: np.minimum(rng.integers(0, 200, (64, 96)), 99).astype(np.float32), "saturated"),
        (
            lambda rng: np.where(np.arange(64)[:, None] % 2, 0, rng.integers(0, 99, (64, 96))).astype(np.uint8),
            "backward pass is constant",
        ),
    ],
    ids=["constant", "nan", "infinite", "noise", "saturated", "blind backward"],
)
@pytest.mark.parametrize("model", ["correspondence", "lite"])
def test_what_cannot_be_registered_passes_through_unchanged(
    make: Callable[[np.random.Generator], np.ndarray], words: str, model: str
) -> None:
    raw = make(np.random.default_rng(0))
    registration = Registrar(model, output="both").register(raw)
    assert not registration.accepted
    assert words in registration.reason
    np.testing.assert_array_equal(registration.image, raw)
    np.testing.assert_array_equal(registration.warped_image, raw)
    assert registration.image.dtype == raw.dtype
    assert not registration.displacement_px.any()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (np.zeros((2, 64, 64), np.uint16), "(2, 64, 64)"),
        (np.zeros(64), "(64,)"),
        (np.zeros((64, 64), complex), "complex128"),
        (np.zeros((8, 64)), "8 lines"),
        (np.zeros((64, 20)), "20 px"),
        ([[1, 2], [3, 4]], "list"),
    ],
    ids=["three axes", "one axis", "complex", "few lines", "short lines", "a list"],
)
def test_wrong_frames_are_refused_in_one_line(raw: object, words: str) -> None:
    with pytest.raises(InputError, match="expected") as error:
        Registrar("correspondence").register(raw)  # type: ignore[arg-type]
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "light"}, "'lite'"),
        ({"model": "nowhere.safetensors"}, "nowhere.safetensors"),
        ({"output": "painted"}, "rendered, warped, both"),
        ({"precision": "int8"}, "fp32"),
        ({"device": "gpu"}, "cuda"),
        ({"search_px": 0}, "1 px"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as error:
        Registrar(**options)  # type: ignore[arg-type]
    assert words in str(error.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64, ">u2"])
def test_dtype_and_units_follow_the_input(dtype: object) -> None:
    raw = simulated(4, "easy").raw.astype(float)
    top = min(np.iinfo(dtype).max, 4000) if np.dtype(dtype).kind in "ui" else 1e-3  # type: ignore[arg-type]
    raw = (raw / raw.max() * 0.9 * top).astype(dtype)  # type: ignore[arg-type]
    original = raw.copy()
    registration = Registrar("lite").register(raw)
    assert registration.accepted, registration.reason
    assert registration.image.dtype == raw.dtype
    np.testing.assert_array_equal(raw, original)
    assert np.median(registration.image[1::2]) == pytest.approx(np.median(raw[0::2]), rel=0.25)


def test_integers_are_clipped_and_never_wrap() -> None:
    frame = simulated(5, "easy")
    scaled = frame.raw.astype(float)
    # The background at 0: what overshoots below would wrap to 65,535.
    raw = np.clip(scaled - np.percentile(scaled, 40), 0, 65535).astype(np.uint16)
    registration = Registrar("correspondence", output="warped").register(raw)
    assert registration.accepted
    assert registration.warped.min() < 0
    assert registration.image.max() <= raw.max() * 1.5


@pytest.mark.parametrize("first", ["forward", "backward"])
def test_an_unpaired_last_line_is_kept(first: str) -> None:
    geometry = ScanGeometry(first=first)  # type: ignore[arg-type]
    frame = simulated(6, "easy", geometry, height=SIZE + 1)
    for model in ("correspondence", "lite"):
        registration = Registrar(model, geometry=geometry).register(frame.raw)
        assert registration.accepted, registration.reason
        np.testing.assert_array_equal(registration.image[-1], frame.raw[-1])


def test_another_channel_is_moved_with_the_same_displacement() -> None:
    frame = simulated(7, "easy")
    registrar = Registrar("correspondence")
    found = registrar.register(frame.raw)
    other = (frame.raw // 3 + 20).astype(np.uint16)
    moved = registrar.apply(other, found)
    assert moved.accepted
    np.testing.assert_array_equal(moved.displacement_px, found.displacement_px)
    assert found.line_confidence is not None
    assert moved.line_confidence is not None
    np.testing.assert_array_equal(moved.line_confidence, found.line_confidence)
    assert ncc(moved.warped, found.warped) > 0.999
    with pytest.raises(InputError, match="expected"):
        registrar.apply(other[:-2], found)


def test_an_empty_channel_is_no_reason_to_refuse_it() -> None:
    registrar = Registrar("correspondence")
    found = registrar.register(simulated(7, "easy").raw)
    dark = np.full((SIZE, SIZE), 3, np.uint16)
    moved = registrar.apply(dark, found)
    assert (moved.accepted, moved.reason) == (True, "")
    np.testing.assert_array_equal(moved.image, dark)


def test_a_dim_channel_is_moved_in_every_frame() -> None:
    """Chance raises or lowers the NCC of a channel that shows next to nothing; its displacement is known."""
    frame, rng = simulated(7, "easy"), np.random.default_rng(0)
    registrar = Registrar("correspondence")
    found = registrar.register(frame.raw)
    signal = frame.raw / frame.raw.mean()
    for amplitude in (0.0, 0.1) * 6:
        other = rng.standard_normal((SIZE, SIZE)) + amplitude * signal
        assert registrar.apply(other, found).accepted


def test_temporal_state_is_kept_and_forgotten() -> None:
    rng = np.random.default_rng(8)
    scanner = random_scanner(rng, "hard", SIZE)
    frames = list(record(8, scanner, rng, 4, height=SIZE, width=SIZE))
    registrar = Registrar("correspondence")
    first = registrar.register(frames[0].raw)
    for frame in frames[1:]:
        registrar.register(frame.raw)
    again = registrar.register(frames[0].raw)
    assert not np.allclose(again.displacement_px, first.displacement_px, rtol=1e-5)
    registrar.reset()
    # Sums may differ in their last digit with where arrays lie in memory.
    np.testing.assert_allclose(registrar.register(frames[0].raw).displacement_px, first.displacement_px, rtol=1e-5)
    registrar.register(frames[1].raw)
    registrar.register(np.pad(frames[0].raw, ((0, 4), (0, 0)), mode="reflect"))  # another shape: forgotten
    np.testing.assert_allclose(registrar.register(frames[0].raw).displacement_px, first.displacement_px, rtol=1e-5)


def test_warming_up_leaves_no_trace() -> None:
    frame = simulated(9)
    registrar = Registrar("lite")
    expected = Registrar("lite").register(frame.raw)
    registrar.warm_up(frame.raw.shape, frame.raw.dtype)  # type: ignore[arg-type]
    np.testing.assert_allclose(registrar.register(frame.raw).displacement_px, expected.displacement_px, atol=1e-6)


@pytest.mark.parametrize("output", ["rendered", "warped"])
def test_warming_up_goes_the_whole_way(monkeypatch: pytest.MonkeyPatch, output: Any) -> None:
    registrar, shapes = Registrar("lite", output=output), []
    render = registrar._renderer.render

    def rendered(inputs: RenderInputs) -> Any:
        shapes.append(inputs.moved.shape)
        return render(inputs)

    monkeypatch.setattr(registrar._renderer, "render", rendered)
    registrar.warm_up((64, 96))
    assert shapes == ([(32, 96)] * 2 if output == "rendered" else [])


def test_describes_itself() -> None:
    described = Registrar("lite").describe()
    assert described["model"] == "lite"
    assert len(described["weights_sha256"]) == 64
    assert all(isinstance(value, str) for value in described.values())


def test_real_scans_warped_is_never_below_raw(real_pairs: list[Path]) -> None:
    """As a raw recording whose truth is hidden, and as full pairs; what is not accepted is unchanged."""
    for path in real_pairs:
        forward, backward = tifffile.imread(path).astype(np.float32)
        paired = np.empty((2 * len(forward), forward.shape[1]), np.float32)
        paired[0::2], paired[1::2] = forward, backward
        hidden = forward.copy()
        hidden[1::2] = backward[1::2]
        for raw, kind, truth in ((paired, "stepped", forward), (hidden, "interleaved", forward[1::2])):
            registrar = Registrar("lite", geometry=ScanGeometry(slow_axis=kind), output="both")  # type: ignore[arg-type]
            registration = registrar.register(raw)
            before, after = ncc(truth, raw[1::2]), ncc(truth, registration.warped)
            assert after >= before - 1e-6, (path.name, kind)
            if registration.accepted:
                assert ncc(truth, registration.rendered) >= before - 1e-3, (path.name, kind)


def wrong_by(px: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every displacement is found this far off, and believed."""
    find = Tracker.find

    def off(self: Tracker, target: np.ndarray, backward: np.ndarray) -> Correspondence:
        found = find(self, target, backward)
        return replace(found, tail_px=found.tail_px + px)

    monkeypatch.setattr(Tracker, "find", off)


def test_a_registration_that_would_be_worse_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = simulated(21)
    wrong_by(25, monkeypatch)
    result = Registrar("correspondence").register(frame.raw)
    assert not result.accepted
    assert result.reason.startswith("would be worse: NCC")
    np.testing.assert_array_equal(result.image, frame.raw)


def test_brightness_along_the_line_does_not_speak_against_a_good_displacement() -> None:
    """Moved rightly, this pass has the lower NCC, for its brightness differs; with its gain matched, the higher."""
    pytest.importorskip("skimage")
    dataset = open_dataset("other-scanner", geometry=ScanGeometry(), shape=(512, 512)).select(["medium"])
    case = next(case for case in dataset if case.name == "fundus-2")
    found = Registrar("correspondence").register(case.raw)
    assert ncc(case.forward, found.warped) < ncc(case.forward, case.backward)
    assert found.accepted, found.reason
    assert found.metrics.ncc_after > 0.9
    assert case.textured is not None
    assert np.abs(found.displacement_px - case.displacement_px)[case.textured].mean() < 0.25


@pytest.mark.parametrize(
    ("geometry", "search_px", "message"),
    [
        (ScanGeometry(), 49, "search_px is 49, but the lines are 96 px long; expected at most half of that, 48 px"),
        (ScanGeometry(crop=(10, 10)), 39, "search_px is 39, but the lines are 76 px long"),
        (ScanGeometry(line_axis="columns"), 40, "search_px is 40, but the lines are 64 px long"),
        (ScanGeometry(line_offset=49), None, "line_offset is 49, but the lines are 96 px long"),
        (ScanGeometry(line_offset=-5000), None, "line_offset is -5000"),
        (ScanGeometry(crop=(300, 300)), None, r"32 px without the crop \(300, 300\)"),
    ],
)
def test_what_does_not_fit_the_lines_is_refused(geometry: ScanGeometry, search_px: float | None, message: str) -> None:
    raw = np.random.default_rng(0).integers(0, 999, (64, 96)).astype(np.uint16)
    registrar = Registrar("correspondence", geometry=geometry, search_px=search_px)
    for call in (lambda: registrar.register(raw), lambda: registrar.warm_up((64, 96))):
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize("search_px", [0, -1, float("nan"), float("inf")])
def test_a_search_that_is_no_length_is_refused(search_px: float) -> None:
    with pytest.raises(InputError, match="search_px is"):
        Registrar("correspondence", search_px=search_px)


@pytest.mark.parametrize("line_offset", [0, 48, -48])
def test_half_a_line_is_searched(line_offset: int) -> None:
    raw = np.random.default_rng(0).integers(0, 999, (64, 96)).astype(np.uint16)
    registration = Registrar("correspondence", geometry=ScanGeometry(line_offset=line_offset), search_px=48).register(
        raw
    )
    assert np.isfinite(registration.metrics.confidence)
