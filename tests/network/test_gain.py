"""Smooth gain along the line, and the inputs of a renderer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sasnet_live.geometry import ScanGeometry
from sasnet_live.network.gain import GAIN_RANGE, match_gain
from sasnet_live.network.inputs import render_inputs
from sasnet_live.scan import forward_at_backward_lines, move_lines

WIDTH = 240


def textured(lines: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((lines, WIDTH), np.float32) ** 2


def planted() -> tuple[np.ndarray, np.ndarray]:
    """(W,) gain and offset along the line."""
    x = np.arange(WIDTH, dtype=np.float32) / WIDTH
    return 1.0 + 0.4 * np.sin(2 * math.pi * x), 0.3 * np.cos(2 * math.pi * x)


def test_a_planted_gain_and_offset_are_recovered() -> None:
    target, (gain, offset) = textured(200), planted()
    moved = (target - offset) / gain
    error = np.abs(match_gain(target, moved) - target).mean()
    assert error < 0.05 * target.std()
    assert error < 0.1 * np.abs(moved - target).mean()


def test_equal_passes_stay_as_they_are() -> None:
    target = 500 + 80 * textured()
    np.testing.assert_allclose(match_gain(target, target), target, rtol=1e-5, atol=1e-2)


def test_fine_detail_is_not_touched() -> None:
    """Each px column goes through one gain and one offset, and both are smooth along the line."""
    target, moved = textured(seed=0), textured(seed=1) + textured(seed=0)
    matched = match_gain(target, moved)
    centred = moved - moved.mean(0)
    gain = (matched * centred).sum(0) / np.square(centred).sum(0)  # (W,)
    offset = matched.mean(0) - gain * moved.mean(0)
    np.testing.assert_allclose(matched, gain * moved + offset, rtol=1e-4, atol=1e-4)
    assert np.abs(np.diff(gain)).max() < 0.02


@pytest.mark.parametrize(("factor", "expected"), [(1000.0, GAIN_RANGE[1]), (-1.0, GAIN_RANGE[0])])
def test_the_gain_stays_in_its_range(factor: float, expected: float) -> None:
    moved = textured()
    matched = match_gain(factor * moved, moved)
    np.testing.assert_allclose(matched.std(0) / moved.std(0), expected, rtol=1e-3)


def test_constant_lines_stay_finite() -> None:
    assert np.isfinite(match_gain(textured(), np.ones((40, WIDTH), np.float32))).all()


@pytest.mark.parametrize("slow_axis", ["continuous", "stepped", "interleaved"])
def test_inputs_of_a_renderer(slow_axis: str) -> None:
    geometry = ScanGeometry(slow_axis=slow_axis)  # type: ignore[arg-type]
    forward, backward = textured(21), textured(20, seed=1)
    displacement = np.full_like(backward, 2.5)
    inputs = render_inputs(forward, backward, displacement, geometry)
    np.testing.assert_allclose(inputs.moved, move_lines(backward, displacement, "cubic"))
    np.testing.assert_allclose(inputs.target, forward_at_backward_lines(forward, 20, geometry))
    np.testing.assert_allclose(inputs.matched, match_gain(inputs.target, inputs.moved))
    # The target lies between its two neighbours.
    low, high = np.minimum(inputs.earlier, inputs.later), np.maximum(inputs.earlier, inputs.later)
    assert ((inputs.target >= low - 1e-6) & (inputs.target <= high + 1e-6)).all()
