"""What may be delivered: lines no worse than the raw ones, and renderings no further from what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from sasnet_live.correspondence.filters import blurred
from sasnet_live.judgement import MOVED_ONLY, judged
from sasnet_live.metrics import ncc, ssim
from sasnet_live.network.gain import match_gain
from sasnet_live.network.inputs import Lines, RenderInputs

LINES, WIDTH = 40, 128


def images(noise: float = 0.1, lines: int = LINES, seed: int = 0) -> tuple[RenderInputs, Lines, Lines]:
    """A frame whose moved lines are right, its raw backward lines, and what a perfect rendering would give."""
    rng = np.random.default_rng(seed)
    truth = blurred(rng.standard_normal((lines, WIDTH + 8), np.float32), 2.0, 2.0)
    truth = np.float32(0.3) + np.float32(0.2) * truth / truth.std()
    target, lines_as_moved = (
        truth[:, 4:-4] + np.float32(noise * 0.2) * rng.standard_normal((lines, WIDTH), np.float32) for _ in range(2)
    )
    moved = np.float32(0.7) * lines_as_moved + np.float32(0.1)
    raw = np.float32(0.7) * truth[:, :-8] + np.float32(0.1)
    inputs = RenderInputs(moved, match_gain(target, moved), target, target, target)
    return inputs, raw, truth[:, 4:-4].copy()


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5, 2.0])
def test_good_lines_pass_with_their_figures(noise: float) -> None:
    inputs, raw, truth = images(noise)
    verdict = judged(inputs, raw, truth, lines=LINES, pedestal=3.0)
    assert (verdict.moved, verdict.rendered, verdict.reason) == (True, True, "")
    assert verdict.ncc_before == pytest.approx(float(ncc(inputs.target, raw)), abs=1e-6)
    assert verdict.ncc_after == pytest.approx(float(ncc(inputs.target, truth)), abs=1e-6)
    assert verdict.ssim_after == pytest.approx(float(ssim(inputs.target + 3, truth + 3)), abs=1e-4)
    assert judged(inputs, raw, inputs.matched, lines=LINES).rendered  # nothing learned, nothing changed
    moved = judged(inputs, raw, None, lines=LINES)
    assert (moved.moved, moved.rendered, moved.reason) == (True, False, "")
    assert moved.ncc_after == pytest.approx(float(ncc(inputs.target, inputs.moved)), abs=1e-6)


def with_one(value: float) -> Callable[[Lines], Lines]:
    def spoilt(lines: Lines) -> Lines:
        lines = lines.copy()
        lines[3, 5] = value
        return lines

    return spoilt


SPOILT: dict[str, Callable[[Lines], Lines]] = {
    "one NaN": with_one(math.nan),
    "one infinity": with_one(math.inf),
    "one px of 1e30": with_one(1e30),
    "all NaN": lambda lines: lines * math.nan,
    "zeros": np.zeros_like,
    "its mean": lambda lines: lines.mean() + 0 * lines,
    "negated": lambda lines: -lines,
    "turned over about its mean": lambda lines: 2 * lines.mean() - lines,
    "a thousand times": lambda lines: 1000 * lines,
    "twice": lambda lines: 2 * lines,
    "a tenth of the contrast": lambda lines: lines.mean() + 0.1 * (lines - lines.mean()),
    "a pedestal": lambda lines: lines + 0.2,
    "displaced by 3 px": lambda lines: np.roll(lines, 3, -1),
    "mirrored": lambda lines: lines[:, ::-1],
    "lines exchanged": lambda lines: np.roll(lines, LINES // 2, 0),
    "smeared": lambda lines: blurred(lines, 8.0, 8.0),
    "noise": lambda lines: np.random.default_rng(1).random(lines.shape, np.float32),
    "noise added": lambda lines: (
        lines + np.float32(0.5) * np.random.default_rng(1).standard_normal(lines.shape, np.float32)
    ),
    "near overflow": lambda lines: 1e38 * lines,
}


@pytest.mark.parametrize("noise", [0.05, 0.5])
@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_rendering_costs_itself_and_not_the_frame(name: str, noise: float) -> None:
    inputs, raw, truth = images(noise)
    verdict = judged(inputs, raw, SPOILT[name](truth), lines=LINES)
    assert verdict.moved
    assert not verdict.rendered
    assert verdict.reason.startswith(f"{MOVED_ONLY}: its ")
    assert "\n" not in verdict.reason
    assert verdict.ncc_after == pytest.approx(float(ncc(inputs.target, inputs.moved)), abs=1e-6)
    assert verdict.ssim_after == pytest.approx(float(ssim(inputs.target, inputs.moved)), abs=1e-6)
    assert all(math.isfinite(figure) for figure in (verdict.ncc_before, verdict.ssim_before))


@pytest.mark.parametrize(
    "name", ["one NaN", "all NaN", "zeros", "displaced by 3 px", "negated", "noise", "lines exchanged"]
)
@pytest.mark.parametrize("rendered", [True, False])
def test_spoilt_moved_lines_cost_the_frame_however_well_it_is_rendered(name: str, rendered: bool) -> None:
    inputs, _, truth = images()
    moved = SPOILT[name](inputs.moved)
    raw = inputs.moved  # a scanner without lag
    spoilt = RenderInputs(moved, match_gain(inputs.target, moved), *[inputs.target] * 3)
    verdict = judged(spoilt, raw, truth if rendered else None, lines=LINES)
    assert not verdict.moved
    assert not verdict.rendered
    assert verdict.reason.startswith("would be worse: NCC ")
    assert verdict.ncc_after == verdict.ncc_before
    assert verdict.ssim_after == verdict.ssim_before


def test_lines_without_a_partner_are_not_judged() -> None:
    inputs, raw, truth = images()
    for lines in (raw, inputs.moved, truth):
        lines[-1] = 1e6
    assert judged(inputs, raw, truth, lines=LINES - 1).rendered


def test_frames_of_few_lines_have_no_ssim_and_are_judged_all_the_same() -> None:
    inputs, raw, truth = images(lines=8)
    verdict = judged(inputs, raw, truth, lines=8)
    assert verdict.rendered
    assert math.isnan(verdict.ssim_after)
    assert not judged(inputs, raw, -truth, lines=8).rendered


def test_a_constant_pass_is_moved_as_it_was_told_and_not_rendered() -> None:
    inputs, raw, truth = images()
    dark = np.zeros_like(raw)
    empty = RenderInputs(dark, dark, inputs.target, inputs.target, inputs.target)
    verdict = judged(empty, dark, truth, lines=LINES, known=True)
    assert (verdict.moved, verdict.rendered, verdict.reason) == (True, False, "")
    assert math.isnan(verdict.ncc_after)
    spoilt = RenderInputs(dark * math.nan, dark, inputs.target, inputs.target, inputs.target)
    assert not judged(spoilt, dark, truth, lines=LINES, known=True).moved


def test_chance_does_not_speak_against_a_displacement_that_is_known_from_elsewhere() -> None:
    moved = 0
    for seed in range(50):
        noise = np.random.default_rng(seed).random((3, LINES, WIDTH), np.float32)
        inputs = RenderInputs(noise[0], noise[0], noise[1], noise[1], noise[1])
        moved += judged(inputs, noise[2], None, lines=LINES, known=True).moved
    assert moved == 50
