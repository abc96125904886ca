"""Smooth gain along the line, and the inputs of a renderer."""

from __future__ import annotations

import math

import pytest
import torch

from sasnet_live.geometry import ScanGeometry
from sasnet_live.network.gain import GAIN_RANGE, match_gain
from sasnet_live.network.inputs import render_inputs
from sasnet_live.scan import forward_at_backward_lines, move_lines

WIDTH = 240


def textured(lines: int = 40, seed: int = 0) -> torch.Tensor:
    return torch.rand((1, lines, WIDTH), generator=torch.Generator().manual_seed(seed)) ** 2


def planted() -> tuple[torch.Tensor, torch.Tensor]:
    """(W,) gain and offset along the line."""
    x = torch.arange(WIDTH) / WIDTH
    return 1.0 + 0.4 * (2 * math.pi * x).sin(), 0.3 * (2 * math.pi * x).cos()


def test_a_planted_gain_and_offset_are_recovered() -> None:
    target, (gain, offset) = textured(200), planted()
    moved = (target - offset) / gain
    error = (match_gain(target, moved) - target).abs().mean()
    assert error < 0.05 * target.std()
    assert error < 0.1 * (moved - target).abs().mean()


def test_equal_passes_stay_as_they_are() -> None:
    target = 500 + 80 * textured()
    torch.testing.assert_close(match_gain(target, target), target, rtol=1e-5, atol=1e-2)


def test_fine_detail_is_not_touched() -> None:
    """Each px column goes through one gain and one offset, and both are smooth along the line."""
    target, moved = textured(seed=0), textured(seed=1) + textured(seed=0)
    matched = match_gain(target, moved)
    centred = moved - moved.mean(1, keepdim=True)
    gain = (matched * centred).sum(1) / centred.square().sum(1)  # (1, W)
    offset = matched.mean(1) - gain * moved.mean(1)
    torch.testing.assert_close(matched, gain[:, None] * moved + offset[:, None], rtol=1e-4, atol=1e-4)
    assert gain.diff().abs().max() < 0.02


@pytest.mark.parametrize(("factor", "expected"), [(1000.0, GAIN_RANGE[1]), (-1.0, GAIN_RANGE[0])])
def test_the_gain_stays_in_its_range(factor: float, expected: float) -> None:
    moved = textured()
    matched = match_gain(factor * moved, moved)
    torch.testing.assert_close(matched.std(1) / moved.std(1), torch.full((1, WIDTH), expected), rtol=1e-3, atol=0)


def test_constant_lines_stay_finite() -> None:
    assert match_gain(textured(), torch.ones(1, 40, WIDTH)).isfinite().all()


@pytest.mark.parametrize("slow_axis", ["continuous", "stepped", "interleaved"])
def test_inputs_of_a_renderer(slow_axis: str) -> None:
    geometry = ScanGeometry(slow_axis=slow_axis)  # type: ignore[arg-type]
    forward, backward = textured(21), textured(20, seed=1)
    displacement = torch.full_like(backward, 2.5)
    inputs = render_inputs(forward, backward, displacement, geometry)
    torch.testing.assert_close(inputs.moved, move_lines(backward, displacement, "cubic"))
    torch.testing.assert_close(inputs.target, forward_at_backward_lines(forward, 20, geometry))
    torch.testing.assert_close(inputs.matched, match_gain(inputs.target, inputs.moved))
    # The target lies between its two neighbours.
    low, high = torch.minimum(inputs.earlier, inputs.later), torch.maximum(inputs.earlier, inputs.later)
    assert ((inputs.target >= low - 1e-6) & (inputs.target <= high + 1e-6)).all()
