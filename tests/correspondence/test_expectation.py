"""The running estimate carries what frames tell, and nothing of how smooth they were taken to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sasnet_live.correspondence import Expectation, RunningEstimate, expectation
from sasnet_live.correspondence.displacement import UNKNOWNS, WHOLE, DisplacementParts
from sasnet_live.correspondence.expectation import LEAST_JUMP_PX, LinesMean


def frame(seed: int, *, rank: int = UNKNOWNS) -> DisplacementParts:
    """What a frame might tell: random information of this rank, and coefficients that a prior has pulled to 0."""
    rng = np.random.default_rng(seed)
    seen, own = rng.standard_normal((UNKNOWNS, rank)), rng.standard_normal(UNKNOWNS)
    information = 100 * seen @ seen.T
    start = DisplacementParts.initial(0.1 * own, np.zeros(4))
    return replace(start, information=information, information_vector=information @ own)


def known(at: np.ndarray, deviation_px: float = 0.01) -> DisplacementParts:
    """A frame that tells its coefficients this well."""
    information = np.eye(UNKNOWNS) / deviation_px**2
    start = DisplacementParts.initial(at, np.zeros(4))
    return replace(start, information=information, information_vector=information @ at)


def expected(running: RunningEstimate) -> Expectation:
    assert running.expected is not None
    return running.expected


def after(*frames: DisplacementParts) -> RunningEstimate:
    running = RunningEstimate()
    for one in frames:
        running.update(one, 0.9, 0.0)
    return running


def still(monkeypatch: pytest.MonkeyPatch, shift_px: float = 0.0, shape_px: float = 0.0) -> None:
    """A scanner that changes by so much from frame to frame."""
    monkeypatch.setattr(expectation, "SHIFT_PX", shift_px)
    monkeypatch.setattr(expectation, "SHAPE_PX", shape_px)


def test_nothing_is_expected_of_the_first_frame() -> None:
    assert RunningEstimate().expected is None


def test_what_steady_frames_tell_adds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    still(monkeypatch)
    frames = [frame(seed) for seed in range(4)]
    prior = expected(after(*frames)).prior
    np.testing.assert_allclose(prior.information_vector, sum(one.information_vector for one in frames), rtol=1e-9)
    np.testing.assert_allclose(prior.information, sum(one.information for one in frames), rtol=1e-9)


def test_the_same_frame_again_and_again_leaves_its_own_coefficients_however_they_were_smoothed() -> None:
    one = frame(5)
    prior = expected(after(*[one] * 10)).prior
    own = np.linalg.solve(one.information, one.information_vector)
    np.testing.assert_allclose(np.linalg.solve(prior.information, prior.information_vector), own, rtol=1e-6)
    assert np.abs(one.coefficients - own).max() > 0.5


def test_covariance_grows_from_frame_to_frame_by_what_the_profile_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    still(monkeypatch, 0.2, 0.03)
    one = frame(6)
    change = 0.2**2 * np.outer(WHOLE, WHOLE) + 0.03**2 * np.eye(UNKNOWNS)
    covariance = np.linalg.inv(expected(after(one)).prior.information)
    np.testing.assert_allclose(covariance, np.linalg.inv(one.information) + change, rtol=1e-5, atol=1e-9)


def test_coefficients_that_no_frame_has_seen_stay_unknown() -> None:
    prior = expected(after(*[frame(7, rank=2)] * 3)).prior
    assert (np.linalg.eigvalsh(prior.information) > 1e-6).sum() == 2


def test_the_next_frame_begins_where_the_last_one_was() -> None:
    first, last = frame(1), frame(2)
    start = expected(after(first, last)).start
    np.testing.assert_array_equal(start.coefficients, last.coefficients)
    assert not start.information.any()


def test_tails_are_averaged_over_ten_frames() -> None:
    running, weights = RunningEstimate(), []
    for k in range(30):
        running.update(frame(k), 0.9, float(k))
        weights.append(expected(running).tail_weight)
        assert expected(running).tail_px == k
    # As a mean of all frames so far has it, and after ten as one that forgets.
    np.testing.assert_allclose(weights[:9], [k / (k + 1) for k in range(1, 10)])
    np.testing.assert_allclose(weights[9:], 10 / 11)


def test_the_usual_correlation_follows_slowly() -> None:
    running = RunningEstimate()
    running.update(frame(1), 0.8, 0.0)
    assert expected(running).correlation == 0.8
    running.update(frame(2), 0.3, 0.0)
    assert 0.6 < expected(running).correlation < 0.8
    for _ in range(40):
        running.update(frame(3), 0.3, 0.0)
    assert expected(running).correlation == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("shift_px", [-3.0, 0.0, 0.3, 1.5, 8.0])
def test_a_jump_is_a_surprise_and_a_drift_is_not(shift_px: float) -> None:
    running = after(known(np.zeros(UNKNOWNS)))
    surprise = expected(running).surprise(known(shift_px * WHOLE))
    assert (surprise >= 1) == (abs(shift_px) > 2 * LEAST_JUMP_PX)
    assert surprise == pytest.approx(expected(running).surprise(known(-shift_px * WHOLE)), rel=1e-6)


def test_what_a_frame_hardly_sees_is_no_surprise() -> None:
    running = after(known(np.zeros(UNKNOWNS)))
    assert expected(running).surprise(known(50 * WHOLE, deviation_px=1.5)) == 0


def test_what_lines_have_in_common_is_expected_and_what_they_do_not_is_not() -> None:
    rng = np.random.default_rng(9)
    creep = np.linspace(-0.5, 0.5, 64)
    wander = [0.05 * rng.standard_normal(64).cumsum() for _ in range(12)]
    creeping, wandering = LinesMean(), LinesMean()
    for of_frame in wander:
        scatter = of_frame - of_frame.mean()
        creeping.update(creep + 0.1 * scatter)
        wandering.update(scatter)
    usual = np.std(wander, axis=1).mean()
    assert np.abs(creeping.expected_px(64) - creep).max() < 0.1
    assert np.sqrt(np.square(wandering.expected_px(64)).mean()) < 0.3 * usual


def test_nothing_is_expected_of_lines_before_the_fourth_frame() -> None:
    running = RunningEstimate()
    creep = np.linspace(-0.5, 0.5, 16)
    largest = []
    for count in range(1, 6):
        running.update(replace(frame(count), lines_px=creep), 0.9, 0.0)
        now = expected(running)
        np.testing.assert_array_equal(now.prior.lines_px, now.start.lines_px)
        largest.append(np.abs(now.start.lines_px).max())
    assert largest[:3] == [0.0, 0.0, 0.0]
    assert min(largest[3:]) > 0.4


def test_lines_of_long_ago_are_forgotten() -> None:
    lines, creep = LinesMean(), np.linspace(-0.5, 0.5, 16)
    for sign in (1.0, -1.0):
        for _ in range(60):
            lines.update(sign * creep)
    np.testing.assert_allclose(lines.expected_px(16), -creep, atol=0.05)
