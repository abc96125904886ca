"""The displacement as a sum of profile, lines and creep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from passes import texture
from sasnet_live.correspondence import KNOTS
from sasnet_live.correspondence.displacement import (
    CREEP_TERMS,
    UNKNOWNS,
    WHOLE,
    DisplacementParts,
    creep_basis,
    down_the_frame,
    fit_profile,
    spline_basis,
)
from sasnet_live.scan import move_lines


def parts(lines: int = 12, seed: int = 0) -> DisplacementParts:
    rng = np.random.default_rng(seed)
    return DisplacementParts.initial(rng.normal(0, 2, UNKNOWNS), rng.normal(0, 1, lines))


def test_splines_sum_to_one_and_fit_a_smooth_profile() -> None:
    np.testing.assert_allclose(spline_basis(300).sum(1), 1)
    profile = 3 * np.sin(np.linspace(0, 3, 300))
    coefficients = fit_profile(profile)
    assert coefficients.shape == (UNKNOWNS,)
    assert np.abs(spline_basis(300) @ coefficients[:KNOTS] - profile).max() < 0.02
    assert not coefficients[KNOTS:].any()


def test_a_displacement_is_the_sum_of_its_parts() -> None:
    one = parts()
    y = np.linspace(-1, 1, 12)[:, None]
    expected = one.profile_px(50) + one.lines_px[:, None] + y * one.creep_px(50)
    displacement = one.displacement_px(50)
    assert displacement.dtype == np.float32
    np.testing.assert_allclose(displacement, expected, atol=1e-5)
    np.testing.assert_allclose(one.displacement_px(50, 2.5), expected + 2.5, atol=1e-5)


def test_creep_is_none_in_the_middle_of_the_frame_and_of_the_line() -> None:
    assert creep_basis(101).shape == (101, CREEP_TERMS)
    assert creep_basis(101)[50, 0] == 0
    np.testing.assert_allclose(creep_basis(101).mean(0), 0, atol=0.02)
    assert down_the_frame(21)[10] == 0


def test_a_displacement_as_a_whole_moves_no_creep() -> None:
    one = replace(parts(4), coefficients=np.ones(UNKNOWNS))
    moved = one.shifted(2.5)
    np.testing.assert_allclose(moved.displacement_px(32), one.displacement_px(32) + 2.5, rtol=1e-6)
    assert WHOLE.sum() == KNOTS


def test_a_displacement_that_is_put_elsewhere_tells_so() -> None:
    rng = np.random.default_rng(1)
    root, own = rng.standard_normal((UNKNOWNS, UNKNOWNS)), rng.standard_normal(UNKNOWNS)
    information = root @ root.T + np.eye(UNKNOWNS)
    one = replace(parts(), information=information, information_vector=information @ own)
    moved = np.linalg.solve(information, one.shifted(2.5).information_vector)
    np.testing.assert_allclose(moved - own, 2.5 * WHOLE, atol=1e-8)


@pytest.mark.parametrize("every", [1, 3])
def test_lines_are_moved_as_move_lines_would(every: int) -> None:
    one, images = parts(12), texture(12, 96)
    kept = images.copy()
    moved = one.moved(images, every)
    expected = move_lines(images, one.displacement_px(96), "cubic")[::every]
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved, expected, atol=0.1)
    assert np.abs(moved - expected).mean() < 0.01
    np.testing.assert_array_equal(images, kept)


@pytest.mark.parametrize("shared", [spline_basis, creep_basis, down_the_frame])
def test_what_all_callers_share_cannot_be_written_to(shared: object) -> None:
    with pytest.raises(ValueError, match="read-only"):
        shared(20)[0] = 1  # type: ignore[operator]
