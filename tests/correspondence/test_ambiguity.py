"""Displacements of the whole picture that fit better than the one found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from passes import texture, white
from sasnet_live.correspondence.ambiguity import fits_further, preferred
from sasnet_live.correspondence.displacement import UNKNOWNS, WHOLE, DisplacementParts, down_the_frame
from sasnet_live.scan import move_lines

LINES, WIDTH = 96, 256


def passes(shift_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Backward has to be moved to the right by so much."""
    target = texture(LINES, WIDTH)
    return target, move_lines(target, np.array(-shift_px))


def standing_at(shift_px: float) -> DisplacementParts:
    return DisplacementParts.initial(shift_px * WHOLE, np.zeros(LINES))


def put_right(shift_px: float, estimate: DisplacementParts, centre_px: int = 0) -> DisplacementParts:
    target, backward = passes(shift_px)
    return preferred(target, backward, estimate.moved(backward), estimate, centre_px, 25)


@pytest.mark.parametrize("off_px", [-0.6, 0.0, 0.4])
def test_what_is_right_to_a_px_stays(off_px: float) -> None:
    estimate = standing_at(4 + off_px)
    assert put_right(4.0, estimate) is estimate


@pytest.mark.parametrize("off_px", [-12.0, -3.0, 5.0, 16.0])
def test_what_is_off_as_a_whole_is_shifted(off_px: float) -> None:
    information = np.diag(np.arange(1.0, UNKNOWNS + 1))
    estimate = replace(standing_at(4 + off_px), information=information)
    better = put_right(4.0, estimate)
    np.testing.assert_allclose(better.coefficients, 4 * WHOLE, atol=0.1)
    # It tells as surely where it is.
    moved = better.coefficients - estimate.coefficients
    np.testing.assert_allclose(better.information_vector, information @ moved)


def test_a_shift_keeps_lines_where_they_are_right_to_each_other() -> None:
    target = texture(LINES, WIDTH)
    lines = 1.5 * np.sin(np.linspace(0, 6, LINES))
    lines -= lines.mean()
    backward = move_lines(target, -(6 + lines)[:, None])
    estimate = DisplacementParts.initial(np.zeros(UNKNOWNS), lines)
    better = preferred(target, backward, estimate.moved(backward), estimate, 0, 25)
    np.testing.assert_allclose(better.lines_px, lines)
    np.testing.assert_allclose(better.coefficients, 6 * WHOLE, atol=0.2)


@pytest.mark.parametrize("centre_px", [0, -40, 40])
def test_one_rigid_shift_is_taken_where_the_fit_went_astray(centre_px: int) -> None:
    """Off by 8 px as a whole, and with lines that are displaced against each other where they should not be."""
    lines = np.random.default_rng(1).normal(0, 1.5, LINES)
    estimate = DisplacementParts.initial((centre_px - 5) * WHOLE, lines - lines.mean())
    better = put_right(centre_px + 3.0, estimate, centre_px)
    np.testing.assert_allclose(better.coefficients, (centre_px + 3) * WHOLE, atol=0.15)
    assert not better.lines_px.any()


def test_noise_is_left_as_it_was_found() -> None:
    lines, width = 256, 512
    estimate = DisplacementParts.initial(np.zeros(UNKNOWNS), 0.5 * down_the_frame(lines))
    for seed in range(6):
        target, backward = white(lines, width, seed), white(lines, width, seed + 50)
        assert preferred(target, backward, estimate.moved(backward), estimate, 0, 25) is estimate


@pytest.mark.parametrize(
    ("shift_px", "centre_px", "further"),
    [(0, 0, False), (20, 0, False), (35, 0, True), (-60, 0, True), (90, 0, False), (90, 60, True), (-35, -20, False)],
)
def test_a_better_fit_is_seen_beyond_the_reach_and_within_the_widest(
    shift_px: float, centre_px: int, further: bool
) -> None:
    assert fits_further(*passes(shift_px), centre_px, 25, 75) == further


def test_noise_does_not_fit_further_away() -> None:
    assert not any(fits_further(white(64, 128, seed), white(64, 128, seed + 50), 0, 13, 39) for seed in range(30))
