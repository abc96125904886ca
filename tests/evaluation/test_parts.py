"""The error of a displacement, divided into its parts."""

from __future__ import annotations

import numpy as np
import pytest

from sasnet_live.evaluation.parts import FEWEST_PX, error_parts, line_errors

LINES, WIDTH = 40, 64


def displacement(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A truth, an error of the profile (W,) and one of the lines (n,) of mean 0."""
    rng = np.random.default_rng(seed)
    profile = 0.3 * np.sin(np.linspace(0, 5, WIDTH)) + 0.5
    lines = rng.normal(0, 0.2, LINES)
    return rng.normal(0, 4, (LINES, WIDTH)), profile, lines - lines.mean()


@pytest.mark.parametrize(("of_profile", "of_lines"), [(1, 0), (0, 1), (1, 1)])
def test_each_part_gets_its_own_error(of_profile: int, of_lines: int) -> None:
    truth, profile, lines = displacement()
    error = of_profile * profile + of_lines * lines[:, None]
    parts = error_parts(truth + error, truth, np.ones(truth.shape, bool))
    assert parts.total == pytest.approx(np.abs(error).mean())
    assert parts.profile == pytest.approx(of_profile * np.abs(profile).mean(), abs=1e-9)
    assert parts.lines == pytest.approx(of_lines * np.abs(lines).mean(), abs=1e-9)
    assert parts.rest == pytest.approx(0, abs=1e-9)


def test_what_is_not_separable_is_the_rest() -> None:
    truth, *_ = displacement()
    error = np.outer(np.linspace(-1, 1, LINES), np.linspace(-1, 1, WIDTH))
    parts = error_parts(truth + error, truth, np.ones(truth.shape, bool))
    assert parts.rest == pytest.approx(parts.total)
    assert max(parts.profile, parts.lines) < 1e-9


def test_holes_in_the_texture_do_not_mix_the_parts() -> None:
    truth, profile, lines = displacement()
    textured = np.random.default_rng(1).random(truth.shape) < 0.3
    found = np.where(textured, truth + profile + lines[:, None], 1e6)
    parts = error_parts(found, truth, textured)
    assert parts.rest < 0.01 * parts.total
    of_lines = line_errors(found, truth, textured)
    seen = textured.sum(1) >= FEWEST_PX
    assert 0 < seen.sum() < LINES
    assert np.isnan(of_lines[~seen]).all()
    mean = (lines * textured.sum(1)).sum() / textured.sum()
    np.testing.assert_allclose(of_lines[seen], lines[seen] - mean, atol=0.01)


def test_no_texture_no_figure() -> None:
    truth, *_ = displacement()
    assert np.isnan(error_parts(truth, truth, np.zeros(truth.shape, bool))).all()
