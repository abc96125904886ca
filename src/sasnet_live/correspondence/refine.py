"""The displacement to a fraction of a px: robust Gauss-Newton on the profile along the line and one value a line."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .bending import profile_prior, weakest_prior
from .creep import CREEPS_PX, creep_prior, without_creep
from .displacement import CREEP_TERMS, DisplacementParts, creep_basis, down_the_frame, spline_basis, whole
from .interpolate import Lines
from .lines import line_prior, smoothness
from .normal_equations import NormalEquations
from .pull_noise import PullNoise

LARGEST_STEP_PX = 2.0
MARGIN_PX = 6


def refine(
    target: Tensor,
    backward: Tensor,
    start: DisplacementParts,
    *,
    steps: int,
    px_per_sample: int = 1,
    prior: tuple[Tensor, Tensor] | None = None,
    usual_lines_px: Tensor | None = None,
    robust_scale: float = 1.5,
) -> DisplacementParts:
    """Gauss-Newton steps on p, q and r together.

    Each step linearizes the moved backward pass, weights residuals by Cauchy's function (what the passes do not share
    counts little), and solves for all U + n unknowns at once under two priors, both learned from the frame: the lines'
    (see `line_prior`) and the profile's (see `profile_prior` and `creep_prior`). The pull's own autocorrelation tells
    how noisy the estimates are.

    Parameters
    ----------
    target, backward
        (B, n, W) comparable passes: locally normalized or coherence-filtered, of unit deviation.
    start
        Where to begin.
    px_per_sample
        Px that one sample of `target` and `backward` stands for, if they are reduced along the line.
    prior
        What earlier frames tell of the U = K + M coefficients: (B, U) px^-1, information times coefficients, and that
        information (B, U, U) px^-2.
    usual_lines_px
        (B, n) the lines of earlier frames, about which this frame's scatter; by default 0.
    robust_scale
        Residual, in deviations of the target, at which a px has half its weight.
    """
    knots = start.coefficients.shape[-1] - CREEP_TERMS
    passes = _Passes.of(target, backward, knots, px_per_sample, robust_scale)
    smooth = torch.eye(knots + CREEP_TERMS, dtype=torch.float64, device=target.device) / CREEPS_PX[-1] ** 2
    smooth[:knots, :knots] = weakest_prior(knots, target.device)
    usual = torch.zeros_like(start.lines_px) if usual_lines_px is None else usual_lines_px
    result, noise = start, None
    for _ in range(steps):
        curvature, pull, shared = passes.linearized(result.coefficients, result.lines_px)
        if noise is None:
            noise = PullNoise.of(pull, curvature)
        equations = NormalEquations.of(curvature, pull, passes.splines, passes.creep, noise.variance)
        told_of_lines = (shared.double() / noise.variance[:, None]).clamp_min(0)
        result, smooth = _stepped(equations, result, usual, told_of_lines, noise.of_frequency, smooth, prior)
    return result


def _stepped(
    equations: NormalEquations,
    at: DisplacementParts,
    usual_lines: Tensor,
    told_of_lines: Tensor,
    noise_of_frequency: Tensor,
    smooth: Tensor,
    earlier: tuple[Tensor, Tensor] | None,
) -> tuple[DisplacementParts, Tensor]:
    """One step, and the prior (B, U, U) that the frame has chosen for profile and creep; `smooth` is the one so far.

    `told_of_lines` (B, n), px^-2, is what both passes show of each line: its noise tells nothing, though it has slopes.
    """
    coefficients, q = at.coefficients, at.lines_px
    identity = torch.eye(coefficients.shape[-1], dtype=torch.float64, device=coefficients.device)
    # What earlier frames say counts like what this frame says.
    information = 1e-9 * identity
    pull = torch.zeros_like(coefficients)
    if earlier is not None:
        told_earlier, information = earlier
        pull = told_earlier - (information @ coefficients[..., None])[..., 0]

    # The profile first, as if the lines stood still; then what each line says of itself tells what lines are like.
    profile_step = torch.linalg.solve(
        equations.of_profile + information + smooth,
        equations.profile_pull + pull - (smooth @ coefficients[..., None])[..., 0],
    )
    variance = 1 / equations.of_lines
    power = line_prior(q - usual_lines + equations.line_steps(profile_step), variance, noise_of_frequency)

    # Then all unknowns at once: the lines are eliminated, the profile solved for, the lines put back in.
    alone = equations.without_lines(smoothness(noise_of_frequency / power), q - usual_lines)
    ridge = 1e-6 * equations.of_profile.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    told = alone.information + information + ridge * identity
    told_alone = alone.pull + (alone.information @ coefficients[..., None])[..., 0]
    told_pull = alone.pull + pull + (told @ coefficients[..., None])[..., 0]
    smooth = _smoothness_of_profile(told.detach(), told_pull.detach(), smooth)
    profile_step = torch.linalg.solve(told + smooth, told_pull) - coefficients
    coefficients = coefficients + profile_step.clamp(-LARGEST_STEP_PX, LARGEST_STEP_PX)
    q = q + alone.line_steps(profile_step).clamp(-LARGEST_STEP_PX, LARGEST_STEP_PX)
    mean = q.mean(1, keepdim=True)
    known = 1 / power.mean(1, keepdim=True)
    stepped = DisplacementParts(
        coefficients + whole(coefficients) * mean,
        q - mean,
        information=alone.information.detach(),
        told=(told_alone + (alone.information @ (whole(coefficients) * mean)[..., None])[..., 0]).detach(),
        line_variance=(1 / (1 / variance + known)).detach(),
        shared_line_variance=(1 / (told_of_lines + known)).detach(),
    )
    return stepped, smooth


def _smoothness_of_profile(told: Tensor, pull: Tensor, so_far: Tensor) -> Tensor:
    """(B, U, U) the priors of profile and creep that make what the frame says most probable, one after the other."""
    knots = told.shape[-1] - CREEP_TERMS
    chosen = torch.zeros_like(told)
    chosen[:, knots:, knots:] = creep_prior(told, pull, so_far[..., :knots, :knots])
    chosen[:, :knots, :knots] = profile_prior(*without_creep(told, pull, chosen[:, knots:, knots:]))
    return chosen


@dataclass(frozen=True)
class _Passes:
    """Two passes to be compared px by px, wherever the lines of one are moved.

    Attributes
    ----------
    target, rise
        (B, n, w) the forward pass and its differences, two px apart, but for a margin of px at both ends.
    backward
        All of the other pass.
    whole_splines, whole_creep, splines, creep
        (W, K), (W, M), and (w, K), (w, M) of the px that are compared, float64.
    """

    target: Tensor
    rise: Tensor
    backward: Lines
    whole_splines: Tensor
    whole_creep: Tensor
    splines: Tensor
    creep: Tensor
    margin: int
    px_per_sample: int
    robust_scale: float

    @classmethod
    def of(cls, target: Tensor, backward: Tensor, knots: int, px_per_sample: int, robust_scale: float) -> _Passes:
        width = target.shape[-1]
        margin = min(MARGIN_PX // px_per_sample, (width - 1) // 4)
        compared = slice(margin, width - margin)
        splines, creep = spline_basis(width, knots, target.device), creep_basis(width, target.device)
        return cls(
            target[..., compared],
            _rise(target, margin),
            Lines.of(backward),
            splines,
            creep,
            splines[compared],
            creep[compared],
            margin,
            px_per_sample,
            robust_scale,
        )

    def linearized(self, coefficients: Tensor, lines_px: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Curvature and pull of each px, (B, n, w): what it says of a small further displacement, weighted.

        Third, (B, n): the curvature of each line that both passes share, product of slopes instead of their square.
        """
        width, knots = self.whole_splines.shape
        compared = slice(self.margin, width - self.margin)
        profile, creep, shift = (
            values / self.px_per_sample
            for values in (
                coefficients[:, :knots] @ self.whole_splines.T,
                coefficients[:, knots:] @ self.whole_creep.T,
                lines_px,
            )
        )
        position = torch.arange(width, device=coefficients.device) - profile  # (B, W), of lines that stand still
        down = down_the_frame(shift.shape[1], shift.device).to(self.target)
        of_line = torch.addcmul(shift.to(self.target)[..., None], down[:, None], creep.to(self.target)[:, None])
        moved = self.backward.at(position.to(self.target)[:, None] - of_line)
        residual = self.target - moved[..., compared]
        moved_rise = _rise(moved, self.margin)
        slope = (self.rise + moved_rise) * (0.25 / self.px_per_sample)
        # Px that come from beyond an end of the line say nothing; a px counts where it does in all lines.
        least, most = (position - part[:, None] for part in (shift.amax(1), shift.amin(1)))
        inside = ((least - creep.abs() > 0) & (most + creep.abs() < width - 1))[:, compared].to(slope)
        weight = inside[:, None] / (1 + (residual / self.robust_scale).square())
        shared = (weight * self.rise * moved_rise).sum(-1) * (0.5 / self.px_per_sample) ** 2
        weighted_slope = weight * slope
        return weighted_slope * slope, -weighted_slope * residual, shared.detach()


def _rise(images: Tensor, margin: int) -> Tensor:
    """From the px before to the px after, but for `margin` px at both ends."""
    width = images.shape[-1]
    return images[..., margin + 1 : width - margin + 1] - images[..., margin - 1 : width - margin - 1]
