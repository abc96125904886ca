"""Priors learned from what a frame says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dct, idct

from sasnet_live.correspondence.displacement import CREEP_TERMS, KNOTS
from sasnet_live.correspondence.priors import (
    BENDS_PX,
    CREEPS_PX,
    JITTER_PX,
    RISES_PX,
    WALK_PX,
    creep_prior,
    line_prior,
    most_probable,
    smoothness_prior,
    weakest_priors,
)


def wandering(lines: int, jitter_px: float, walk_px: float, seed: int = 3) -> np.ndarray:
    """(n,) px, mean 0."""
    steps = np.random.default_rng(seed).standard_normal((2, lines))
    q = jitter_px * steps[0] + (walk_px * steps[1]).cumsum()
    return q - q.mean()


@pytest.mark.parametrize(("jitter", "walk"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.2)])
def test_a_steady_scanner_is_told_from_a_shaky_one(jitter: float, walk: float) -> None:
    q = wandering(200, jitter, walk)
    seen = q + 0.1 * np.random.default_rng(4).standard_normal(200)
    prior = line_prior(seen, np.full(200, 0.01), np.ones(200))
    eigenvalues = 4 * np.sin(np.pi * np.arange(1, 200) / 400) ** 2
    power = np.concatenate([[0], prior.jitter_px**2 + prior.walk_px**2 / eigenvalues])
    estimate = idct(dct(seen, norm="ortho") * power / (power + 0.01), norm="ortho")
    assert np.square(estimate - q).mean() <= np.square(seen - q).mean() * 1.02
    assert prior.variance_px2 == pytest.approx(power.mean())
    if not jitter and not walk:
        assert np.abs(estimate - q).max() < 0.03


@pytest.mark.parametrize(("jitter", "walk"), [(0.4, WALK_PX[0]), (JITTER_PX[0], 0.1), (0.2, 0.04), (0.05, 0.25)])
def test_jitter_and_walk_are_those_of_the_lines(jitter: float, walk: float) -> None:
    """Within a candidate of the grid either way."""
    prior = line_prior(wandering(2000, jitter, walk), np.full(2000, 1e-6), np.ones(2000))
    assert abs(JITTER_PX.index(prior.jitter_px) - JITTER_PX.index(jitter)) <= 1
    assert abs(WALK_PX.index(prior.walk_px) - WALK_PX.index(walk)) <= 1


def test_lines_that_say_nothing_do_not_make_a_scanner_shaky() -> None:
    rng = np.random.default_rng(5)
    variances = np.where(np.arange(128) % 3 == 0, 25.0, 1e-4)
    seen = np.sqrt(variances) * rng.standard_normal(128)
    prior = line_prior(seen, variances, np.ones(128))
    assert prior.jitter_px <= 0.02
    assert prior.walk_px <= 0.005


def test_slow_noise_that_neighbours_share_is_not_taken_for_a_walk() -> None:
    rng = np.random.default_rng(6)
    # Each line shares half of its noise with the next.
    white = rng.standard_normal(257)
    seen = 0.1 * (white[1:] + white[:-1]) / np.sqrt(2)
    shape = 1 + np.cos(np.pi * np.arange(256) / 256)
    blind, told = (line_prior(seen, np.full(256, 0.01), noise) for noise in (np.ones(256), shape))
    assert told.walk_px == WALK_PX[0]
    assert told.variance_px2 < blind.variance_px2


@pytest.mark.parametrize(("wave_px", "noise_px", "at_most_px"), [(0.0, 0.5, 0.25), (2.0, 0.1, 0.12), (2.0, 0.02, 0.03)])
def test_the_prior_on_bending_is_learned(wave_px: float, noise_px: float, at_most_px: float) -> None:
    """A straight profile seen in noise comes out straight; a bent one seen clearly comes out bent."""
    truth = 5 + wave_px * np.sin(np.linspace(0, 9, KNOTS))
    information, squares = np.eye(KNOTS) / noise_px**2, []
    for seen in truth + noise_px * np.random.default_rng(3).standard_normal((20, KNOTS)):
        vector = information @ seen
        estimate = np.linalg.solve(information + smoothness_prior(information, vector), vector)
        squares.append(np.square(estimate - truth).mean())
    assert np.sqrt(np.mean(squares)) <= at_most_px


def test_what_a_frame_does_not_see_of_a_profile_goes_on_level() -> None:
    """No information at one end of the line: the profile keeps the value it has where it was last seen."""
    seen = np.array([0.0] * 4 + [1.0] * (KNOTS - 4))
    information = np.diag(1e3 * seen) + 1e-6 * np.eye(KNOTS)
    # Seen values lean a little, as noise makes them.
    vector = information @ (6 + 0.02 * np.arange(KNOTS))
    estimate = np.linalg.solve(information + smoothness_prior(information, vector), vector)
    assert np.abs(estimate[:4] - estimate[4]).max() < 0.15


def test_a_constant_profile_is_not_held_back() -> None:
    information = 1e-3 * np.eye(KNOTS)
    vector = information @ np.full(KNOTS, 40.0)
    prior = smoothness_prior(information, vector)
    np.testing.assert_allclose(prior @ np.ones(KNOTS), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.solve(information + prior, vector), 40, rtol=1e-6)


@pytest.mark.parametrize(("creep_px", "chosen"), [(0.0, CREEPS_PX[0]), (0.05, 0.05), (0.3, 0.2), (1.0, 0.8)])
def test_the_prior_is_as_wide_as_the_creep(creep_px: float, chosen: float) -> None:
    information = 1e5 * np.eye(CREEP_TERMS)
    prior = creep_prior(information, information @ np.full(CREEP_TERMS, creep_px))
    np.testing.assert_allclose(prior, np.eye(CREEP_TERMS) / chosen**2)


def test_a_creep_that_noise_may_have_made_is_not_believed() -> None:
    """The second candidate is as wide as what is seen, but that is within two deviations of noise."""
    information = 1e3 * np.eye(CREEP_TERMS)
    prior = creep_prior(information, information @ np.full(CREEP_TERMS, 0.06))
    assert prior[0, 0] == pytest.approx(CREEPS_PX[0] ** -2)


def test_the_most_probable_is_that_of_the_evidence_written_out() -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        roots = rng.standard_normal((6, 5, 5))
        precisions = roots @ roots.mT * rng.uniform(0.1, 10, (6, 1, 1)) + 0.1 * np.eye(5)
        information = 3 * np.eye(5)
        vector = 4 * rng.standard_normal(5)
        # The likelihood of seeing estimates of this information, whatever the coefficients are under the prior.
        seen = np.linalg.solve(information, vector)
        evidence = []
        for precision in precisions:
            covariance = np.linalg.inv(information) + np.linalg.inv(precision)
            evidence.append(-0.5 * seen @ np.linalg.solve(covariance, seen) - 0.5 * np.linalg.slogdet(covariance)[1])
        volumes = 0.5 * np.linalg.slogdet(precisions)[1]
        assert most_probable(information, vector, precisions, volumes) == int(np.argmax(evidence))


def test_the_weakest_priors_leave_profile_and_creep_free() -> None:
    weakest = weakest_priors()
    assert not weakest[:KNOTS, KNOTS:].any()
    np.testing.assert_allclose(weakest[KNOTS:, KNOTS:], np.eye(CREEP_TERMS) / CREEPS_PX[-1] ** 2)
    slope = np.arange(KNOTS)[2:-2]  # px along the middle of the line, where knots are evenly spaced
    middle = weakest[2 : KNOTS - 2, 2 : KNOTS - 2]
    assert slope @ middle @ slope < 2 * (np.ptp(slope) / RISES_PX[-1] ** 2 + slope @ slope / BENDS_PX[-1] ** 2)
