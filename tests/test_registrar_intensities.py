"""Whatever numbers a detector gives: registered as the same frame in other units, or passed through with the reason."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pytest

from sasnet_live import Registrar, Registration
from sasnet_live.correspondence.tracker import Tracker
from sasnet_live.simulation.levels import random_scanner
from sasnet_live.simulation.scanner import SimulatedFrame, scan
from sasnet_live.simulation.vessels import vascular_scene

LINES, WIDTH = 128, 160
FLOATS = ("f4", "f8")
INTEGERS = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8")


@pytest.fixture(autouse=True)
def _nothing_is_warned_of() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@lru_cache
def frame() -> SimulatedFrame:
    rng = np.random.default_rng(1)
    scene = vascular_scene(rng, LINES, WIDTH, samples_per_px=2)
    return scan(scene, random_scanner(rng, "easy", WIDTH), rng, height=LINES, width=WIDTH)


def fractions() -> np.ndarray:
    """The frame, from 0 to 1."""
    raw = frame().raw.astype(np.float64)
    return (raw - raw.min()) / (raw.max() - raw.min())


@lru_cache
def expected() -> Registration:
    return Registrar("lite", precision="fp32").register(fractions())


@lru_cache
def alone() -> Registrar:
    """Takes every frame for the first."""
    return Registrar("lite", precision="fp32", output="both", temporal=False)


def registered(raw: np.ndarray) -> Registration:
    kept = raw.copy()
    result = alone().register(raw)
    np.testing.assert_array_equal(raw, kept)
    assert result.image.dtype == raw.dtype
    assert "\n" not in result.reason
    if not result.accepted:
        assert result.reason
        assert_passed_through(result, raw)
    return result


def assert_passed_through(result: Registration, raw: np.ndarray) -> None:
    """Unchanged, with a displacement of 0."""
    assert not result.accepted
    np.testing.assert_array_equal(result.image, raw)
    assert not result.displacement_px.any()
    assert result.displacement_px.shape == result.warped.shape
    assert result.metrics.displacement_px_mean == 0
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(result.warped, raw[1::2].astype(np.float32))


def assert_as_expected(result: Registration, level: float, contrast: float, rounding: float) -> None:
    """The same displacement, figures and picture as of the plain frame; `rounding` in units of the px."""
    assert result.accepted, result.reason
    assert result.reason == ""
    off = np.abs(result.displacement_px - frame().displacement_px)[frame().textured].mean()
    assert off < 0.1
    for name in ("ncc_before", "ncc_after"):
        assert getattr(result.metrics, name) == pytest.approx(getattr(expected().metrics, name), abs=0.004)
    image = (result.image.astype(np.float64) - level) / contrast
    # Noise of rounding in the input moves the displacement a little, and steep edges show it.
    assert np.sqrt(np.square(image - expected().image).mean()) < 0.005 + rounding / contrast
    np.testing.assert_array_equal(result.image[1::2].astype(np.float32), result.rendered.astype(result.image.dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("pedestal", [0.0, 1e2, -1e3])
@pytest.mark.parametrize("unit", [1e-40, 1e-20, 1.0, 1e19, 1e30])
def test_units_of_floating_point_frames_do_not_matter(unit: float, pedestal: float, dtype: str) -> None:
    """`pedestal` in contrasts of the frame."""
    raw = ((fractions() + pedestal) * unit).astype(dtype)
    rounding = unit * abs(pedestal) * 1e-6
    result = registered(raw)
    if unit == 1e-40:
        rounding += float(np.finfo(np.float32).smallest_subnormal)
    assert_as_expected(result, pedestal * unit, unit, rounding)


@pytest.mark.parametrize(("level", "contrast"), [(1e7, 100), (1e7, 1), (-1e9, 1), (1e12, 1), (1e30, 1e28)])
def test_a_small_contrast_on_a_large_pedestal(level: float, contrast: float) -> None:
    result = registered(fractions() * contrast + level)
    assert result.accepted, result.reason
    image = (result.image - level) / contrast
    assert np.abs(image - expected().image).max() < 0.002
    assert result.metrics.ncc_after == pytest.approx(expected().metrics.ncc_after, abs=1e-3)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("part", ["small", "whole", "on a pedestal", "below 0"])
def test_integers_of_every_width(part: str, dtype: str) -> None:
    limits = np.iinfo(dtype)
    low, high = {
        "small": (0, 100),
        "whole": (int(limits.min * 0.99), int(limits.max * 0.99)),
        "on a pedestal": (int(limits.max * 0.6), int(limits.max * 0.6) + min(limits.max // 3, 2000)),
        "below 0": (-100, 0),
    }[part]
    if low < limits.min:
        pytest.skip("unsigned")
    raw = (np.rint(fractions() * (high - low)).astype(object) + low).astype(dtype)
    result = registered(raw)
    if limits.bits == 64 and part == "on a pedestal":
        assert "finer than what floating-point numbers resolve" in result.reason
    else:
        assert_as_expected_counts(result, low, high - low)


def assert_as_expected_counts(result: Registration, level: int, contrast: int) -> None:
    assert result.accepted, result.reason
    off = np.abs(result.displacement_px - frame().displacement_px)[frame().textured].mean()
    assert off < 0.1
    image = (result.image.astype(np.longdouble) - level) / contrast
    assert np.sqrt(np.square(image - expected().image).mean()) < 0.005 + 1 / contrast


def test_steps_of_two_and_of_three() -> None:
    """Frames of 1 bit, as a threshold makes them."""
    raw = fractions() > 0.5
    result = registered(raw)
    assert result.image.dtype == bool
    assert not result.reason or not result.accepted
    registered(np.rint(fractions() * 2).astype(np.uint8))


@pytest.mark.parametrize("value", [1e9, 1e20, 1e30, 4e37, np.finfo(np.float32).max])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", FLOATS)
def test_one_pixel_beyond_all_measure(value: float, sign: int, dtype: str) -> None:
    for line in (40, 41):
        raw = fractions().astype(dtype)
        raw[line, 80] = sign * value
        registered(raw)


@pytest.mark.parametrize("value", [1e39, 1e100, 1e200, 1e300, np.finfo(np.float64).max])
def test_what_float32_does_not_hold_is_passed_through(value: float) -> None:
    raw = fractions()
    raw[41, 80] = value
    result = registered(raw)
    assert not result.accepted
    assert "beyond what float32 holds" in result.reason
    assert not registered(fractions() * value).accepted


@pytest.mark.parametrize("unit", [1e-44, 1e-50, 1e-200, 5e-324])
def test_what_is_too_faint_for_float32_is_passed_through(unit: float) -> None:
    assert not registered(fractions() * unit).accepted


def test_a_bright_pixel_does_not_cost_the_frame() -> None:
    raw = fractions()
    raw[41, 80] = 30
    result = registered(raw)
    assert result.accepted, result.reason
    off = np.abs(result.displacement_px - frame().displacement_px)[frame().textured].mean()
    assert off < 0.1


def test_frames_that_come_after_are_not_touched() -> None:
    registrar = Registrar("correspondence")
    first = registrar.register(fractions())
    raw = fractions()
    raw[40, 80] = 1e30
    result = registrar.register(raw)
    assert_passed_through(result, raw)
    assert not result.displacement_px.any()  # not that of the frame before, which was trusted
    after = registrar.register(fractions())
    assert after.accepted
    assert np.abs(after.displacement_px - first.displacement_px).mean() < 0.05


def test_equations_without_a_solution_are_the_frames_own_affair(monkeypatch: pytest.MonkeyPatch) -> None:
    def singular(self: Tracker, target: np.ndarray, backward: np.ndarray) -> None:
        np.linalg.cholesky(np.zeros((2, 2)))

    monkeypatch.setattr(Tracker, "find", singular)
    result = registered(fractions())
    assert result.reason == "no displacement can be computed from what it shows"
    assert result.metrics.ncc_before == pytest.approx(expected().metrics.ncc_before, abs=1e-4)


def test_a_confidence_that_is_not_a_number_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from sasnet_live.correspondence import Correspondence

    monkeypatch.setattr(Correspondence, "confidence", property(lambda self: math.nan))
    result = registered(fractions())
    assert result.reason.startswith("low confidence 0.00")
    assert result.metrics.confidence == 0


@pytest.mark.parametrize(("level", "contrast"), [(0.0, 1e25), (1e7, 1.0), (0.0, 1e-30), (0.0, 0.0)])
def test_other_channels_have_units_of_their_own(level: float, contrast: float) -> None:
    registrar = Registrar("lite", precision="fp32")
    found = registrar.register(fractions())
    other = fractions() * contrast + level
    moved = registrar.apply(other, found)
    assert moved.accepted, moved.reason
    assert moved.reason == ""
    np.testing.assert_array_equal(moved.displacement_px, found.displacement_px)
    np.testing.assert_allclose(moved.image, found.image * contrast + level, rtol=1e-12, atol=1e-5 * contrast)
    spoilt = other.copy()
    spoilt[41, 80] = 1e300
    assert_passed_through(registrar.apply(spoilt, found), spoilt)
