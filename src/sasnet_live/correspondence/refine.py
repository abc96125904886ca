"""The displacement to a fraction of a px: robust Gauss-Newton on the profile along the line and one value a line."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .bending import profile_prior, weakest_prior
from .interpolate import Lines
from .lines import line_prior, smoothness
from .normal_equations import NormalEquations
from .pull_noise import PullNoise
from .separable import SeparableDisplacement, spline_basis

LARGEST_STEP_PX = 2.0
MARGIN_PX = 6


def refine(
    target: Tensor,
    backward: Tensor,
    start: SeparableDisplacement,
    *,
    steps: int,
    px_per_sample: int = 1,
    prior: tuple[Tensor, Tensor] | None = None,
    robust_scale: float = 1.5,
) -> SeparableDisplacement:
    """Gauss-Newton steps on p and q together.

    Each step linearizes the moved backward pass, weights residuals by Cauchy's function (what the passes do not share
    counts little), and solves for all K + n unknowns at once under two priors, both learned from the frame: the lines'
    (see `line_prior`) and the profile's (see `profile_prior`). The pull's own autocorrelation tells how noisy the
    estimates are.

    Parameters
    ----------
    target, backward
        (B, n, W) comparable passes: locally normalized or coherence-filtered, of unit deviation.
    start
        Where to begin.
    px_per_sample
        Px that one sample of `target` and `backward` stands for, if they are reduced along the line.
    prior
        Coefficients (B, K) px and their information (B, K, K) px^-2 from earlier frames.
    robust_scale
        Residual, in deviations of the target, at which a px has half its weight.
    """
    passes = _Passes.of(target, backward, start.coefficients.shape[-1], px_per_sample, robust_scale)
    bend = weakest_prior(start.coefficients.shape[-1], target.device)
    result, noise = start, None
    for _ in range(steps):
        curvature, pull = passes.linearized(result.coefficients, result.lines_px)
        if noise is None:
            noise = PullNoise.of(pull, curvature)
        equations = NormalEquations.of(curvature, pull, passes.basis, noise.variance)
        result, bend = _stepped(equations, result, noise.of_frequency, bend, prior)
    return result


def _stepped(
    equations: NormalEquations,
    at: SeparableDisplacement,
    noise_of_frequency: Tensor,
    bend: Tensor,
    earlier: tuple[Tensor, Tensor] | None,
) -> tuple[SeparableDisplacement, Tensor]:
    """One step, and the prior (B, K, K) that the frame has chosen for its profile; `bend` is the one so far."""
    coefficients, q = at.coefficients, at.lines_px
    identity = torch.eye(coefficients.shape[-1], dtype=torch.float64, device=coefficients.device)
    # What earlier frames say counts like what this frame says.
    information = 1e-9 * identity
    pull = torch.zeros_like(coefficients)
    if earlier is not None:
        expected, information = earlier
        pull = (information @ (expected - coefficients)[..., None])[..., 0]

    # The profile first, as if the lines stood still; then what each line says of itself tells what lines are like.
    profile_step = torch.linalg.solve(
        equations.of_profile + information + bend,
        equations.profile_pull + pull - (bend @ coefficients[..., None])[..., 0],
    )
    variance = 1 / equations.of_lines
    power = line_prior(q + equations.line_steps(profile_step), variance, noise_of_frequency)

    # Then all unknowns at once: the lines are eliminated, the profile solved for, the lines put back in.
    alone = equations.without_lines(smoothness(noise_of_frequency / power), q)
    ridge = 1e-6 * equations.of_profile.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    told = alone.information + information + ridge * identity
    told_pull = alone.pull + pull + (told @ coefficients[..., None])[..., 0]
    bend = profile_prior(told.detach(), told_pull.detach())
    profile_step = torch.linalg.solve(told + bend, told_pull) - coefficients
    coefficients = coefficients + profile_step.clamp(-LARGEST_STEP_PX, LARGEST_STEP_PX)
    q = q + alone.line_steps(profile_step).clamp(-LARGEST_STEP_PX, LARGEST_STEP_PX)
    mean = q.mean(1, keepdim=True)
    line_variance = 1 / (1 / variance + 1 / power.mean(1, keepdim=True))
    stepped = SeparableDisplacement(coefficients + mean, q - mean, alone.information.detach(), line_variance.detach())
    return stepped, bend


@dataclass(frozen=True)
class _Passes:
    """Two passes to be compared px by px, wherever the lines of one are moved.

    Attributes
    ----------
    target, rise
        (B, n, w) the forward pass and its differences, two px apart, but for a margin of px at both ends.
    backward
        All of the other pass.
    whole_basis, basis
        (W, K) and (w, K) float64.
    """

    target: Tensor
    rise: Tensor
    backward: Lines
    whole_basis: Tensor
    basis: Tensor
    margin: int
    px_per_sample: int
    robust_scale: float

    @classmethod
    def of(cls, target: Tensor, backward: Tensor, knots: int, px_per_sample: int, robust_scale: float) -> _Passes:
        width = target.shape[-1]
        margin = min(MARGIN_PX // px_per_sample, (width - 1) // 4)
        compared = slice(margin, width - margin)
        basis = spline_basis(width, knots, target.device)
        return cls(
            target[..., compared],
            _rise(target, margin),
            Lines.of(backward),
            basis,
            basis[compared],
            margin,
            px_per_sample,
            robust_scale,
        )

    def linearized(self, coefficients: Tensor, lines_px: Tensor) -> tuple[Tensor, Tensor]:
        """Curvature and pull of each px, (B, n, w): what it says of a small further displacement, weighted."""
        width = len(self.whole_basis)
        compared = slice(self.margin, width - self.margin)
        # Where lines are read that are not displaced themselves, (B, W).
        position = torch.arange(width, device=coefficients.device) - (
            coefficients @ self.whole_basis.T / self.px_per_sample
        )
        shift = lines_px / self.px_per_sample
        moved = self.backward.at(position.to(self.target)[:, None] - shift.to(self.target)[..., None])
        residual = self.target - moved[..., compared]
        slope = (self.rise + _rise(moved, self.margin)) * (0.25 / self.px_per_sample)
        # Px that come from beyond an end of the line say nothing; a px counts where it does in all lines.
        least, most = (position[:, compared] - part[:, None] for part in (shift.amax(1), shift.amin(1)))
        inside = ((least > 0) & (most < width - 1)).to(slope)
        weighted_slope = inside[:, None] / (1 + (residual / self.robust_scale).square()) * slope
        return weighted_slope * slope, -weighted_slope * residual


def _rise(images: Tensor, margin: int) -> Tensor:
    """From the px before to the px after, but for `margin` px at both ends."""
    width = images.shape[-1]
    return images[..., margin + 1 : width - margin + 1] - images[..., margin - 1 : width - margin - 1]
