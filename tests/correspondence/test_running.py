"""The running estimate carries what frames tell, and nothing of how smooth they were taken to be."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sasnet_live.correspondence import RunningEstimate
from sasnet_live.correspondence.displacement import CREEP_TERMS, DisplacementParts, whole
from sasnet_live.correspondence.lines_mean import LinesMean

UNKNOWNS = 6 + CREEP_TERMS


def frame(seed: int, *, rank: int = UNKNOWNS) -> DisplacementParts:
    """What a frame might tell: random information of this rank, and coefficients that a prior has pulled to 0."""
    generator = torch.Generator().manual_seed(seed)
    seen = torch.randn(1, UNKNOWNS, rank, dtype=torch.float64, generator=generator)
    information = 100 * seen @ seen.mT
    own = torch.randn(1, UNKNOWNS, dtype=torch.float64, generator=generator)
    start = DisplacementParts.initial(0.1 * own, torch.zeros(1, 4, dtype=torch.float64))
    return replace(start, information=information, told=(information @ own[..., None])[..., 0])


def expected(running: RunningEstimate) -> Tensor:
    assert running.prior is not None
    told, information = running.prior
    return torch.linalg.solve(information, told)


def test_what_steady_frames_tell_adds_up() -> None:
    running = RunningEstimate(shift_px=0.0, shape_px=0.0)
    frames = [frame(seed) for seed in range(4)]
    for one in frames:
        running.update(one, 0.9, 0.0)
    assert running.prior is not None
    torch.testing.assert_close(running.prior[0], sum(one.told for one in frames))
    torch.testing.assert_close(running.prior[1], sum(one.information for one in frames))


def test_the_same_frame_again_and_again_leaves_its_own_coefficients_however_they_were_smoothed() -> None:
    running, one = RunningEstimate(), frame(5)
    for _ in range(10):
        running.update(one, 0.9, 0.0)
    own = torch.linalg.solve(one.information, one.told)
    torch.testing.assert_close(expected(running), own)
    assert float((one.coefficients - own).abs().max()) > 0.5


def test_covariance_grows_from_frame_to_frame_by_what_the_profile_may_change() -> None:
    running, one = RunningEstimate(shift_px=0.2, shape_px=0.03), frame(6)
    running.update(one, 0.9, 0.0)
    assert running.prior is not None
    shift = whole(one.coefficients)
    change = 0.2**2 * torch.outer(shift, shift) + 0.03**2 * torch.eye(UNKNOWNS, dtype=torch.float64)
    torch.testing.assert_close(torch.linalg.inv(running.prior[1]), torch.linalg.inv(one.information) + change)


def test_coefficients_that_no_frame_has_seen_stay_unknown() -> None:
    running = RunningEstimate()
    for _ in range(3):
        running.update(frame(7, rank=2), 0.9, 0.0)
    assert running.prior is not None
    assert int((torch.linalg.eigvalsh(running.prior[1][0]) > 1e-6).sum()) == 2


def test_a_displacement_that_is_put_elsewhere_tells_so() -> None:
    one = frame(8)
    moved = one.shifted(torch.tensor([2.5]))
    own, own_moved = (torch.linalg.solve(parts.information, parts.told) for parts in (one, moved))
    torch.testing.assert_close(own_moved - own, 2.5 * whole(own).expand_as(own))


def test_what_lines_have_in_common_is_expected_and_what_they_do_not_is_not() -> None:
    generator = torch.Generator().manual_seed(9)
    creep = torch.linspace(-0.5, 0.5, 64, dtype=torch.float64)[None]
    wander = [0.05 * torch.randn(1, 64, dtype=torch.float64, generator=generator).cumsum(1) for _ in range(12)]
    creeping, wandering = LinesMean(), LinesMean()
    for of_frame in wander:
        scatter = of_frame - of_frame.mean()
        creeping.update(creep + 0.1 * scatter)
        wandering.update(scatter)
    usual = float(torch.cat(wander).sub(torch.cat(wander).mean(1, keepdim=True)).square().mean().sqrt())
    assert float((creeping.expected_px - creep).abs().max()) < 0.1
    assert float(wandering.expected_px.square().mean().sqrt()) < 0.3 * usual


def test_nothing_is_expected_of_lines_before_the_fourth_frame() -> None:
    running = RunningEstimate()
    creep = torch.linspace(-0.5, 0.5, 16, dtype=torch.float64)[None]
    expected_px = []
    for count in range(1, 6):
        running.update(replace(frame(count), lines_px=creep), 0.9, 0.0)
        assert running.start is not None
        expected_px.append(float(running.start.lines_px.abs().max()))
    assert expected_px[:3] == [0.0, 0.0, 0.0]
    assert min(expected_px[3:]) > 0.4


def test_lines_of_long_ago_are_forgotten() -> None:
    lines, creep = LinesMean(), torch.linspace(-0.5, 0.5, 16, dtype=torch.float64)[None]
    for sign in (1.0, -1.0):
        for _ in range(60):
            lines.update(sign * creep)
    torch.testing.assert_close(lines.expected_px, -creep, atol=0.05, rtol=0)
