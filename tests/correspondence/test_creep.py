"""A profile that changes down the frame: its equations, and that it is found where there is one and only there."""

from __future__ import annotations

import pytest
import torch

from sasnet_live.correspondence import find_displacement
from sasnet_live.correspondence.creep import CREEPS_PX, creep_prior, without_creep, without_profile
from sasnet_live.correspondence.displacement import (
    CREEP_TERMS,
    DisplacementParts,
    creep_basis,
    down_the_frame,
    spline_basis,
    whole,
)
from sasnet_live.correspondence.filters import blur
from sasnet_live.correspondence.normal_equations import NormalEquations
from sasnet_live.scan import move_lines

CPU = torch.device("cpu")
KNOTS = 6


def columns(lines: int, width: int) -> torch.Tensor:
    """(n * W, U + n) float64: the displacement at each px as a sum of all unknowns, written out."""
    splines, creep = spline_basis(width, KNOTS, CPU), creep_basis(width, CPU)
    down = down_the_frame(lines, CPU)
    rows = [
        torch.cat([splines[x], down[y] * creep[x], torch.eye(lines, dtype=torch.float64)[y]])
        for y in range(lines)
        for x in range(width)
    ]
    return torch.stack(rows)


def test_equations_are_those_written_out() -> None:
    generator = torch.Generator().manual_seed(1)
    lines, width, unknowns = 5, 12, KNOTS + CREEP_TERMS
    curvature, pull = torch.rand(2, 1, lines, width, generator=generator, dtype=torch.float64)
    noise = torch.tensor([0.7], dtype=torch.float64)
    found = NormalEquations.of(curvature, pull, spline_basis(width, KNOTS, CPU), creep_basis(width, CPU), noise)
    dense = columns(lines, width)
    whole_matrix = dense.T @ (curvature.flatten()[:, None] * dense) / 0.7
    right = dense.T @ pull.flatten() / 0.7
    torch.testing.assert_close(found.of_profile[0], whole_matrix[:unknowns, :unknowns])
    torch.testing.assert_close(found.coupling[0], whole_matrix[unknowns:, :unknowns])
    torch.testing.assert_close(found.of_lines[0], whole_matrix.diagonal()[unknowns:], rtol=2e-3, atol=0)
    torch.testing.assert_close(found.profile_pull[0], right[:unknowns])
    torch.testing.assert_close(found.line_pull[0], right[unknowns:])


def test_eliminating_gives_the_solution_of_all_unknowns() -> None:
    generator = torch.Generator().manual_seed(2)
    unknowns = KNOTS + CREEP_TERMS
    root = torch.rand(1, unknowns, 2 * unknowns, generator=generator, dtype=torch.float64)
    curvature, pull = root @ root.mT, torch.rand(1, unknowns, generator=generator, dtype=torch.float64)
    bend, creep = (torch.eye(k, dtype=torch.float64)[None] for k in (KNOTS, CREEP_TERMS))
    all_at_once = torch.linalg.solve(curvature + torch.eye(unknowns, dtype=torch.float64), pull)
    information, told = without_creep(curvature, pull, creep)
    torch.testing.assert_close(torch.linalg.solve(information + bend, told), all_at_once[:, :KNOTS])
    information, told = without_profile(curvature, pull, bend)
    torch.testing.assert_close(torch.linalg.solve(information + creep, told), all_at_once[:, KNOTS:])


@pytest.mark.parametrize(("creep_px", "chosen"), [(0.0, CREEPS_PX[0]), (0.05, 0.05), (0.3, 0.2), (1.0, 0.8)])
def test_the_prior_is_as_wide_as_the_creep(creep_px: float, chosen: float) -> None:
    unknowns = KNOTS + CREEP_TERMS
    curvature = 1e5 * torch.eye(unknowns, dtype=torch.float64)[None]
    coefficients = torch.zeros(1, unknowns, dtype=torch.float64)
    coefficients[:, KNOTS:] = creep_px
    bend = torch.eye(KNOTS, dtype=torch.float64)[None]
    prior = creep_prior(curvature, (curvature @ coefficients[..., None])[..., 0], bend)
    assert float(prior[0, 0, 0]) == pytest.approx(chosen**-2)


@pytest.mark.parametrize("creep_px", [0.0, 1.0, -2.0])
def test_a_lag_that_grows_down_the_frame_is_found(creep_px: float) -> None:
    """Texture displaced by 3 px in the middle of the frame, by more or less at the corners."""
    lines, width = 96, 256
    white, *noise = torch.randn(3, 1, lines, width, generator=torch.Generator().manual_seed(3))
    texture = blur(white, 1.5, 1.0) + 4 * blur(white, 6.0, 1.0)
    down, along = down_the_frame(lines, CPU)[:, None], torch.linspace(-1, 1, width)
    stretch = creep_px * down
    displaced = move_lines(texture, -(3 + stretch * along).float()[None], "lanczos")
    # backward(u) = target(u + e(u)) is undone by backward(x - d(x)) with d(x) = e(x - d(x)); e is linear in u.
    displacement = ((3 + stretch * along) / (1 + 2 * stretch / (width - 1)))[None]
    found = find_displacement(texture + 0.1 * noise[0], displaced + 0.1 * noise[1])
    error = (found.displacement_px - displacement)[:, :, 16:-16].abs()
    assert float(error.mean()) < 0.03
    expected = creep_px * along.double()
    torch.testing.assert_close(found.parts.creep_px(width)[0], expected, rtol=0, atol=0.1)


def test_a_displacement_as_a_whole_moves_no_creep() -> None:
    parts = DisplacementParts.initial(
        torch.ones(1, KNOTS + CREEP_TERMS, dtype=torch.float64), torch.zeros(1, 4, dtype=torch.float64)
    )
    moved = parts.shifted(torch.tensor([2.5]))
    torch.testing.assert_close(moved.displacement_px(32), parts.displacement_px(32) + 2.5)
    assert float(whole(parts.coefficients).sum()) == KNOTS
