"""The displacement to a fraction of a px: robust Gauss-Newton on the profile along the line and one value a line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.interpolate import BSpline
from torch import Tensor

from .bending import profile_prior, weakest_prior
from .interpolate import Lines
from .lines import line_prior, smoothness

LARGEST_STEP_PX = 2.0
MARGIN_PX = 6
SAMPLED_LINES = 4  # every fourth line tells how noise is correlated along lines


@dataclass(frozen=True)
class SeparableDisplacement:
    """``d(x, y) = p(x) + q(y)`` of B frames, px.

    Attributes
    ----------
    coefficients
        (B, K) float64, B-spline coefficients of p.
    lines_px
        (B, n) float64, q; mean 0.
    information
        (B, K, K) float64, px^-2: inverse covariance of the coefficients as this frame alone tells them.
    line_variance
        (B, n) px^2, of each q.
    """

    coefficients: Tensor
    lines_px: Tensor
    information: Tensor
    line_variance: Tensor

    @classmethod
    def initial(cls, coefficients: Tensor, lines_px: Tensor) -> SeparableDisplacement:
        """A place to begin, about which nothing is known."""
        knots = coefficients.shape[-1]
        nothing = coefficients.new_zeros(len(coefficients), knots, knots)
        return cls(coefficients, lines_px, nothing, torch.full_like(lines_px, torch.inf))

    def profile_px(self, width: int) -> Tensor:
        """(B, W) p along the line."""
        basis = spline_basis(width, self.coefficients.shape[-1], self.coefficients.device)
        profile: Tensor = self.coefficients @ basis.T
        return profile

    def displacement_px(self, width: int) -> Tensor:
        """(B, n, W) float32."""
        displacement: Tensor = self.profile_px(width)[:, None] + self.lines_px[..., None]
        return displacement.float()


@lru_cache(maxsize=16)
def spline_basis(width: int, knots: int, device: torch.device) -> Tensor:
    """(W, K) float64: K cubic B-splines on evenly spaced knots over a line."""
    # Kept for later calls, some of which differentiate: it must not be an inference tensor.
    with torch.inference_mode(False):
        return torch.from_numpy(_spline_columns(width, knots)).to(device)


def _spline_columns(width: int, knots: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    t = np.concatenate([[0] * 3, np.linspace(0, width - 1, knots - 2), [width - 1] * 3]).astype(float)
    columns = [BSpline(t, row, 3)(np.arange(width)) for row in np.eye(knots)]
    return np.stack(columns, 1)


def fit_spline(profile_px: Tensor, knots: int) -> Tensor:
    """(B, W) profile -> (B, K) coefficients, least squares."""
    basis = spline_basis(profile_px.shape[-1], knots, profile_px.device)
    coefficients: Tensor = torch.linalg.lstsq(basis, profile_px.double().T).solution.T
    return coefficients


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
    knots, (lines, width) = start.coefficients.shape[-1], target.shape[-2:]
    margin = min(MARGIN_PX // px_per_sample, (width - 1) // 4)
    compared = slice(margin, width - margin)
    x = torch.arange(width, device=target.device)
    whole_basis = spline_basis(width, knots, target.device)
    basis = whole_basis[compared]
    basis_in_float = basis.to(target)
    identity = torch.eye(knots, dtype=torch.float64, device=target.device)
    bend = weakest_prior(knots, target.device)
    target_rise = _rise(target, margin)
    target, backward_lines = target[..., compared], Lines.of(backward)
    coefficients, q = start.coefficients, start.lines_px
    result = start
    noise = noise_shape = None
    for _ in range(steps):
        position = x - (coefficients @ whole_basis.T) / px_per_sample  # (B, W), of lines not displaced themselves
        shift = q / px_per_sample
        moved = backward_lines.at(position.to(target)[:, None] - shift.to(target)[..., None])
        residual = target - moved[..., compared]
        slope = (target_rise + _rise(moved, margin)) * (0.25 / px_per_sample)
        # Px that come from beyond an end of the line say nothing; a px counts where it does in all lines.
        least, most = (position[:, compared] - part[:, None] for part in (shift.amax(1), shift.amin(1)))
        inside = ((least > 0) & (most < width - 1)).to(target)
        weight = inside[:, None] / (1 + (residual / robust_scale).square())
        weighted_slope = weight * slope
        curvature, pull = weighted_slope * slope, -weighted_slope * residual

        if noise is None or noise_shape is None:
            noise, noise_shape = _noise(pull, curvature, lines)
        # B-splines sum to 1 at each px: what all of them together take of a line is the line's own sum.
        coupling, line_pulls = ((of_px @ basis_in_float).double() for of_px in (curvature, pull))  # (B, n, K)
        profile_curvature = basis.T @ (curvature.sum(1).double()[..., None] * basis)
        line_curvature, line_pull, profile_pull = coupling.sum(2), line_pulls.sum(2), line_pulls.sum(1)

        # What earlier frames say counts like what this frame says.
        scale = noise[:, None, None]
        before_curvature = before_pull = torch.zeros((), dtype=torch.float64, device=target.device)
        if prior is not None:
            before_curvature = scale * prior[1]
            before_pull = (before_curvature @ (prior[0] - coefficients)[..., None])[..., 0]

        floor = 1e-3 * line_curvature.mean(-1, keepdim=True) + 1e-12
        line_curvature = line_curvature + floor
        stiffness = scale * bend
        profile_step = torch.linalg.solve(
            profile_curvature + before_curvature + stiffness + 1e-9 * identity,
            profile_pull + before_pull - (stiffness @ coefficients[..., None])[..., 0],
        )
        seen = q + (line_pull - (coupling @ profile_step[..., None])[..., 0]) / line_curvature
        variance = noise[:, None] / line_curvature
        power = line_prior(seen, variance, noise_shape)
        line_precision = smoothness(noise[:, None] * noise_shape / power)

        # All unknowns at once: the lines are eliminated, the profile solved for, the lines put back in.
        line_right = line_pull - (line_precision @ q[..., None])[..., 0]
        right = torch.cat([coupling, line_right[..., None]], 2)
        eliminated = torch.cholesky_solve(
            right, torch.linalg.cholesky(line_precision + torch.diag_embed(line_curvature))
        )
        of_profile, of_lines = eliminated[..., :-1], eliminated[..., -1:]
        own_curvature = profile_curvature - coupling.mT @ of_profile
        own_pull = profile_pull - (coupling.mT @ of_lines)[..., 0]
        ridge = 1e-6 * profile_curvature.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + 1e-12
        told_curvature = own_curvature + before_curvature + ridge * identity
        told_pull = own_pull + before_pull + (told_curvature @ coefficients[..., None])[..., 0]
        bend = profile_prior((told_curvature / scale).detach(), (told_pull / noise[:, None]).detach())
        profile_step = torch.linalg.solve(told_curvature + scale * bend, told_pull) - coefficients
        line_step = (of_lines - of_profile @ profile_step[..., None])[..., 0]
        coefficients = coefficients + profile_step.clamp(-LARGEST_STEP_PX, LARGEST_STEP_PX)
        q = q + line_step.clamp(-LARGEST_STEP_PX, LARGEST_STEP_PX)
        mean = q.mean(1, keepdim=True)
        coefficients, q = coefficients + mean, q - mean

        result = SeparableDisplacement(
            coefficients,
            q,
            (own_curvature / noise[:, None, None]).detach(),
            (1 / (1 / variance + 1 / power.mean(1, keepdim=True))).detach(),
        )
    return result


def _rise(images: Tensor, margin: int) -> Tensor:
    """From the px before to the px after, but for `margin` px at both ends."""
    width = images.shape[-1]
    return images[..., margin + 1 : width - margin + 1] - images[..., margin - 1 : width - margin - 1]


def _noise(pull: Tensor, curvature: Tensor, lines: int, reach: int = 8) -> tuple[Tensor, Tensor]:
    """Variance of a summed pull per unit of curvature (B,), and how it spreads over line frequencies (B, n).

    Newey & West 1987: filtered noise is correlated along the line, and lines that share forward neighbours or were
    blurred together are correlated down the frame; Bartlett weights keep the sums positive.
    """
    pull = pull.detach()
    power = pull.square().sum((1, 2)).double() + 1e-20
    some = pull[:, ::SAMPLED_LINES].contiguous()
    own = some.square().sum((1, 2)).double() + 1e-20
    factor = torch.ones_like(own)
    for lag in range(1, min(reach, pull.shape[2] - 1) + 1):
        shared = (some[..., lag:] * some[..., :-lag]).sum((1, 2)).double()
        factor = factor + 2 * (1 - lag / (reach + 1)) * shared / own
    noise = factor.clamp(0.5, 20) * power / (curvature.detach().sum((1, 2)).double() + 1e-20)
    k = torch.arange(lines, dtype=torch.float64, device=pull.device)
    shape = torch.ones(pull.shape[0], lines, dtype=torch.float64, device=pull.device)
    for lag in range(1, min(4, lines - 1) + 1):
        shared = (pull[:, lag:] * pull[:, :-lag]).sum((1, 2)).double() / power
        shape = shape + 2 * (1 - lag / 5) * shared[:, None] * torch.cos(torch.pi * k * lag / lines)
    return noise, shape.clamp_min(0.1)
