"""The linear equations of a step, and what a few steps lead to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.fft import dct
from scipy.linalg import null_space

from passes import texture, white
from sasnet_live.correspondence import Prior, refine
from sasnet_live.correspondence.displacement import (
    CREEP_TERMS,
    KNOTS,
    UNKNOWNS,
    WHOLE,
    DisplacementParts,
    creep_basis,
    down_the_frame,
    spline_basis,
)
from sasnet_live.correspondence.filters import locally_normalized, reduced
from sasnet_live.correspondence.priors import LinePrior
from sasnet_live.correspondence.refine import LEAST_LINE_INFORMATION, GradientNoise, NormalEquations, _without
from sasnet_live.scan import move_lines

LINES, WIDTH = 96, 256


def basis(width: int) -> np.ndarray:
    """(W, U)."""
    return np.concatenate([spline_basis(width), creep_basis(width)], 1)


def columns(lines: int, width: int) -> np.ndarray:
    """(n * W, U + n): the displacement at each px as a sum of all unknowns, written out."""
    splines, creep, down = spline_basis(width), creep_basis(width), down_the_frame(lines)
    rows = [
        np.concatenate([splines[x], down[y] * creep[x], np.eye(lines)[y]]) for y in range(lines) for x in range(width)
    ]
    return np.stack(rows)


def some_equations(lines: int, width: int, seed: int = 1) -> tuple[NormalEquations, np.ndarray, np.ndarray]:
    """Of random px, with the matrix (U + n, U + n) and the right-hand side (U + n,) of all unknowns written out."""
    curvature, gradient = np.random.default_rng(seed).random((2, lines, width))
    shared = np.linspace(-1, 3, lines)
    dense = columns(lines, width)
    matrix, right = dense.T @ (curvature.reshape(-1, 1) * dense) / 0.7, dense.T @ gradient.ravel() / 0.7
    return NormalEquations.of(curvature, gradient, shared, basis(width), 0.7), matrix, right


def test_equations_are_those_written_out() -> None:
    lines, width = 5, 20
    found, matrix, right = some_equations(lines, width)
    np.testing.assert_allclose(found.of_coefficients, matrix[:UNKNOWNS, :UNKNOWNS], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.coupling, matrix[UNKNOWNS:, :UNKNOWNS], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.gradient, right[:UNKNOWNS], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.line_gradient, right[UNKNOWNS:], rtol=1e-5)
    of_lines = matrix.diagonal()[UNKNOWNS:]
    np.testing.assert_allclose(found.of_lines, of_lines + LEAST_LINE_INFORMATION * of_lines.mean(), rtol=1e-5)
    np.testing.assert_allclose(found.shared, np.linspace(-1, 3, lines).clip(0) / 0.7)


def test_a_line_steps_to_where_its_own_px_want_it() -> None:
    found, matrix, right = some_equations(5, 20)
    step = np.random.default_rng(2).standard_normal(UNKNOWNS)
    expected = (right[UNKNOWNS:] - matrix[UNKNOWNS:, :UNKNOWNS] @ step) / matrix.diagonal()[UNKNOWNS:]
    np.testing.assert_allclose(found.line_steps(step), expected, rtol=3e-3, atol=1e-5)


def precision(lines: int, prior: LinePrior, slow_noise: float) -> np.ndarray:
    """(n, n) px^-2 of jitter and a random walk of unknown mean, from its powers among cosines."""
    eigenvalues = 4 * np.sin(np.pi * np.arange(1, lines) / (2 * lines)) ** 2
    powers = prior.jitter_px**2 + prior.walk_px**2 / slow_noise / eigenvalues
    cosines = dct(np.eye(lines), axis=0, norm="ortho")
    return cosines[1:].T @ np.diag(1 / powers) @ cosines[1:]


PRIORS = [LinePrior(jitter_px, walk_px, 1.0) for jitter_px in (0.003, 0.1, 1.6) for walk_px in (0.0005, 0.04, 0.25)]


@pytest.mark.parametrize("slow_noise", [0.1, 1.0, 6.0])
@pytest.mark.parametrize("prior", PRIORS, ids=str)
@pytest.mark.parametrize("lines", [5, 40])
def test_lines_are_eliminated_as_a_dense_solve_would(lines: int, prior: LinePrior, slow_noise: float) -> None:
    """Steps of mean 0 that make the lines most probable, under the px and under jitter and walk."""
    equations, _, _ = some_equations(lines, 20)
    at = np.random.default_rng(3).normal(0, 0.3, lines)
    at -= at.mean()
    of_prior = precision(lines, prior, slow_noise)
    matrix = np.diag(equations.of_lines) + of_prior
    free = null_space(np.ones((1, lines)))  # (n, n - 1), all directions that leave the mean
    right = np.concatenate([equations.coupling, (equations.line_gradient - of_prior @ at)[:, None]], 1)
    expected = free @ np.linalg.solve(free.T @ matrix @ free, free.T @ right)
    by_step, alone = equations.eliminated(at, prior, slow_noise)
    scale = np.abs(expected).max(0)
    assert by_step.shape == (lines, UNKNOWNS)
    np.testing.assert_allclose(by_step / scale[:-1], expected[:, :-1] / scale[:-1], atol=1e-6)
    np.testing.assert_allclose(alone / scale[-1], expected[:, -1] / scale[-1], atol=1e-6)
    np.testing.assert_allclose(alone.mean(), 0, atol=1e-9)
    np.testing.assert_allclose(by_step.mean(0), 0, atol=1e-9)


def test_a_constant_that_lines_stand_at_makes_no_difference() -> None:
    equations, _, _ = some_equations(12, 20)
    at = np.random.default_rng(4).normal(0, 0.3, 12)
    prior = LinePrior(0.1, 0.04, 1.0)
    for one, other in zip(equations.eliminated(at, prior, 1.0), equations.eliminated(at + 5, prior, 1.0), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_all_unknowns_at_once_or_the_lines_first_is_the_same(prior: LinePrior) -> None:
    """The step of the coefficients after eliminating the lines, and the lines that follow, solve the whole system."""
    lines, ridge = 12, 0.5 * np.eye(UNKNOWNS)
    equations, matrix, right = some_equations(lines, 40)
    free = null_space(np.ones((1, lines)))
    whole = np.block(
        [[ridge, np.zeros((UNKNOWNS, lines))], [np.zeros((lines, UNKNOWNS)), precision(lines, prior, 1.0)]]
    )
    whole = whole + matrix
    # The floor of each line's information.
    whole[UNKNOWNS:, UNKNOWNS:] += np.diag(equations.of_lines - matrix.diagonal()[UNKNOWNS:])
    into = np.block([[np.eye(UNKNOWNS), np.zeros((UNKNOWNS, lines - 1))], [np.zeros((lines, UNKNOWNS)), free]])
    expected = into @ np.linalg.solve(into.T @ whole @ into, into.T @ right)

    by_step, alone = equations.eliminated(np.zeros(lines), prior, 1.0)
    information = equations.of_coefficients - equations.coupling.T @ by_step
    np.testing.assert_allclose(information, information.T, atol=1e-6 * np.abs(information).max())
    step = np.linalg.solve(information + ridge, equations.gradient - equations.coupling.T @ alone)
    np.testing.assert_allclose(step, expected[:UNKNOWNS], atol=1e-4)
    np.testing.assert_allclose(alone - by_step @ step, expected[UNKNOWNS:], atol=1e-4)


def test_leaving_terms_out_gives_the_solution_of_all() -> None:
    rng = np.random.default_rng(2)
    root = rng.random((UNKNOWNS, 2 * UNKNOWNS))
    information, vector = root @ root.T, rng.random(UNKNOWNS)
    everything = np.linalg.solve(information + np.eye(UNKNOWNS), vector)
    profile, creep = slice(0, KNOTS), slice(KNOTS, None)
    for kept, out, count in ((profile, creep, CREEP_TERMS), (creep, profile, KNOTS)):
        of_kept, vector_of_kept = _without(information, vector, kept, out, np.eye(count))
        solution = np.linalg.solve(of_kept + np.eye(UNKNOWNS - count), vector_of_kept)
        np.testing.assert_allclose(solution, everything[kept], rtol=1e-8)


def test_the_noise_of_a_white_gradient_is_its_power() -> None:
    gradient = white(400, 300)
    noise = GradientNoise.of(gradient, 2000.0)
    assert noise.variance == pytest.approx(np.square(gradient).sum() / 2000, rel=0.1)
    assert noise.of_frequency.shape == (400,)
    np.testing.assert_allclose(noise.of_frequency, 1, atol=0.05)


def test_noise_that_neighbours_share_counts_for_more() -> None:
    """A sum over px has the variance that repeated draws show, and slow cosines of lines have most of it."""
    draws = [white(128, 200, seed) for seed in range(60)]
    along = [(draw[:, 1:] + draw[:, :-1]) / np.sqrt(2) for draw in draws]
    predicted = np.mean([GradientNoise.of(one, 1.0).variance for one in along])
    assert predicted == pytest.approx(np.var([one.sum() for one in along]), rel=0.45)
    assert predicted > 1.6 * np.square(along[0]).sum()
    down = (draws[0][1:] + draws[0][:-1]) / np.float32(np.sqrt(2))
    of_frequency = GradientNoise.of(down, 1.0).of_frequency
    assert of_frequency.mean() == pytest.approx(1, abs=0.02)
    assert of_frequency[0] == pytest.approx(1.8, abs=0.05)  # 2 but for Bartlett's weight
    assert of_frequency[-1] == pytest.approx(0.2, abs=0.05)


def still(lines: int = LINES) -> DisplacementParts:
    return DisplacementParts.initial(np.zeros(UNKNOWNS), np.zeros(lines))


def displaced(displacement: np.ndarray, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Passes of unit deviation; backward has to be moved by so much, if that changes little along the line."""
    target = texture(LINES, WIDTH)
    backward = move_lines(target, -displacement)
    return target + np.float32(noise) * white(LINES, WIDTH, 1), backward + np.float32(noise) * white(LINES, WIDTH, 2)


@pytest.mark.parametrize("px_per_sample", [1, 2])
@pytest.mark.parametrize("shift_px", [-1.7, 0.0, 0.4])
def test_a_shift_is_found_to_a_hundredth(shift_px: float, px_per_sample: int) -> None:
    passes = displaced(np.full((LINES, 1), shift_px))
    target, backward = (locally_normalized(reduced(images, px_per_sample)) for images in passes)
    prior = Prior.none(LINES)
    found = refine(target, backward, still(), steps=5, prior=prior, px_per_sample=px_per_sample)
    np.testing.assert_allclose(found.displacement_px(WIDTH)[:, 10:-10], shift_px, atol=0.05)
    assert abs(found.displacement_px(WIDTH)[:, 10:-10].mean() - shift_px) < 0.012
    assert abs(found.lines_px.mean()) < 1e-9


def test_profile_lines_and_creep_are_found_together() -> None:
    x, y = np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, LINES)[:, None]
    lines = np.random.default_rng(5).normal(0, 0.5, (LINES, 1))
    truth = 0.8 * np.sin(2 * x) + (lines - lines.mean()) + 0.6 * y * x
    target, backward = displaced(truth)
    found = refine(target, backward, still(), steps=6, prior=Prior.none(LINES))
    assert np.abs(found.displacement_px(WIDTH) - truth)[:, 12:-12].mean() < 0.08
    assert np.abs(found.lines_px - (lines - lines.mean())[:, 0]).mean() < 0.06
    np.testing.assert_allclose(found.creep_px(WIDTH), 0.6 * x, atol=0.1)


def test_what_is_told_of_the_coefficients_is_where_they_are() -> None:
    """The frame's own solution is near the one under priors where it tells much, and its errors are as it says."""
    target, backward = displaced(np.full((LINES, 1), 0.5), 0.3)
    found = refine(target, backward, still(), steps=5, prior=Prior.none(LINES))
    own = np.linalg.solve(found.information, found.information_vector)
    deviation = np.sqrt(np.linalg.inv(found.information).diagonal())
    # The true profile is 0.5 px and no creep.
    assert (np.abs(own - 0.5 * WHOLE) < 4 * deviation + 0.02).all()
    assert np.median(deviation[:KNOTS]) < 0.15
    np.testing.assert_allclose(found.information, found.information.T)


@pytest.mark.parametrize("weight", [0.1, 1e8])
def test_what_earlier_frames_say_counts_as_much_as_they_know(weight: float) -> None:
    target, backward = displaced(np.full((LINES, 1), 0.5))
    prior = replace(Prior.none(LINES), information=weight * np.eye(UNKNOWNS), information_vector=0.9 * weight * WHOLE)
    found = refine(target, backward, still(), steps=5, prior=prior)
    mean = found.displacement_px(WIDTH)[:, 10:-10].mean()
    assert mean == pytest.approx(0.9 if weight > 1e6 else 0.5, abs=0.03)
    # What this frame alone tells is not what earlier frames told.
    alone = np.linalg.solve(found.information, found.information_vector)
    assert np.median(alone[2 : KNOTS - 2]) == pytest.approx(0.5, abs=0.05)


def test_lines_scatter_about_those_of_earlier_frames() -> None:
    """Of lines without texture nothing is known but that."""
    usual = 0.6 * down_the_frame(LINES)
    target, backward = displaced(usual[:, None])
    target[-20:], backward[-20:] = 0, 0
    prior = replace(Prior.none(LINES), lines_px=usual)
    blind, told = (refine(target, backward, still(), steps=5, prior=of) for of in (Prior.none(LINES), prior))
    errors = [
        np.abs(found.lines_px - found.lines_px[:-20].mean() - usual + usual[:-20].mean()) for found in (blind, told)
    ]
    assert errors[1][-20:].max() < 0.05
    assert errors[1][-20:].mean() < errors[0][-20:].mean()


def test_lines_that_one_pass_shows_alone_are_the_less_certain() -> None:
    """Under a scanner that jitters, so that a line has to be known by itself."""
    target, backward = displaced(np.random.default_rng(6).normal(0, 0.5, (LINES, 1)))
    target[:30] = white(30, WIDTH, 7)
    found = refine(target, backward, still(), steps=5, prior=Prior.none(LINES))
    of_alone, of_both = np.split(np.sqrt(found.shared_line_variance), [30])
    assert np.median(of_alone) > 1.5 * np.median(of_both)
    assert (found.shared_line_variance > 0).all()


def test_a_step_is_limited() -> None:
    """Beyond 2 px, the linearized passes say nothing."""
    target, backward = displaced(np.full((LINES, 1), 9.0))
    found = refine(target, backward, still(), steps=1, prior=Prior.none(LINES))
    assert np.abs(found.displacement_px(WIDTH)).max() < 6.1  # of profile, lines and creep 2 px each


def test_what_is_refined_is_not_modified() -> None:
    target, backward = displaced(np.zeros((LINES, 1)))
    start, prior = still(), Prior.none(LINES)
    copies = target.copy(), backward.copy()
    refine(target, backward, start, steps=2, prior=prior)
    np.testing.assert_array_equal(target, copies[0])
    np.testing.assert_array_equal(backward, copies[1])
    assert not start.coefficients.any()
    assert not start.lines_px.any()
    assert not prior.information.any()
