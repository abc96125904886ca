"""The displacement to a fraction of a px: robust Gauss-Newton on the profile along the line and one value a line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.interpolate import BSpline
from torch import Tensor

from sasnet_live.scan import move_lines

from .lines import cosine_basis, line_prior

LARGEST_STEP_PX = 2.0
MARGIN_PX = 6
SAMPLED_LINES = 4  # every fourth line tells how noise is correlated along lines
BEND_PX = 2.0  # a priori deviation of the spline coefficients' second differences


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
    counts little), and solves for all K + n unknowns at once under two priors: the lines' (see `line_prior`) and a weak
    one against bending where there is no texture. The pull's own autocorrelation tells how noisy the estimates are.

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
    basis = spline_basis(width, knots, target.device)
    basis_in_float = basis.to(target)
    cosines, _ = cosine_basis(lines, target.device)
    bend = torch.diff(torch.eye(knots, dtype=torch.float64, device=target.device), n=2, dim=0)
    bend = bend.T @ bend / BEND_PX**2
    coefficients, q = start.coefficients, start.lines_px
    target_slope = _slope(target, px_per_sample)
    x = torch.arange(width, device=target.device)
    result = start
    noise = noise_shape = None
    for _ in range(steps):
        displacement = ((coefficients @ basis.T).to(target)[:, None] + q.to(target)[..., None]) / px_per_sample
        moved = move_lines(backward, displacement, "cubic")
        residual = target - moved
        slope = 0.5 * (target_slope + _slope(moved, px_per_sample))
        source = x - displacement
        margin = min(MARGIN_PX // px_per_sample, (width - 1) // 4)
        inside = (source > 0) & (source < width - 1) & (x >= margin) & (x < width - margin)
        weight = inside / (1 + (residual / robust_scale).square())
        weighted_slope = weight * slope
        curvature, pull = weighted_slope * slope, -weighted_slope * residual

        if noise is None or noise_shape is None:
            noise, noise_shape = _noise(pull, curvature)
        profile_curvature = basis.T @ (curvature.sum(1).double()[..., None] * basis)
        line_curvature = curvature.sum(2).double()
        coupling = (curvature @ basis_in_float).double().transpose(1, 2)  # (B, K, n)
        profile_pull, line_pull = (pull.sum(1).double() @ basis), pull.sum(2).double()

        known = noise[:, None, None] * bend
        known_pull = -(known @ coefficients[..., None])[..., 0]
        if prior is not None:
            information = noise[:, None, None] * prior[1]
            known = known + information
            known_pull = known_pull + (information @ (prior[0] - coefficients)[..., None])[..., 0]

        floor = 1e-3 * line_curvature.mean(-1, keepdim=True) + 1e-12
        profile_block = profile_curvature + known + 1e-9 * torch.eye(knots).to(known)
        profile_step = torch.linalg.solve(profile_block, profile_pull + known_pull)
        seen = q + (line_pull - (coupling.transpose(1, 2) @ profile_step[..., None])[..., 0]) / (line_curvature + floor)
        variance = noise[:, None] / (line_curvature + floor)
        power = line_prior(seen, variance, noise_shape)
        stiffness = noise[:, None] * noise_shape / power
        line_precision = (cosines.T * stiffness[:, None]) @ cosines

        # All unknowns at once: the lines are eliminated, the profile solved for, the lines put back in.
        line_block = torch.diag_embed(line_curvature + floor) + line_precision
        line_right = line_pull - (line_precision @ q[..., None])[..., 0]
        right = torch.cat([coupling.transpose(1, 2), line_right[..., None]], 2)
        eliminated = torch.cholesky_solve(right, torch.linalg.cholesky(line_block))
        own_curvature = profile_curvature - coupling @ eliminated[..., :-1]
        reduced_pull = profile_pull + known_pull - (coupling @ eliminated[..., -1:])[..., 0]
        ridge = 1e-6 * profile_curvature.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + 1e-12
        profile_step = torch.linalg.solve(own_curvature + known + ridge * torch.eye(knots).to(known), reduced_pull)
        line_step = eliminated[..., -1] - (eliminated[..., :-1] @ profile_step[..., None])[..., 0]
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


def _slope(images: Tensor, px_per_sample: int) -> Tensor:
    return torch.gradient(images, dim=-1)[0] / px_per_sample


def _noise(pull: Tensor, curvature: Tensor, reach: int = 8) -> tuple[Tensor, Tensor]:
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
    lines = pull.shape[1]
    k = torch.arange(lines, dtype=torch.float64, device=pull.device)
    shape = torch.ones(pull.shape[0], lines, dtype=torch.float64, device=pull.device)
    for lag in range(1, min(4, lines - 1) + 1):
        shared = (pull[:, lag:] * pull[:, :-lag]).sum((1, 2)).double() / power
        shape = shape + 2 * (1 - lag / 5) * shared[:, None] * torch.cos(torch.pi * k * lag / lines)
    return noise, shape.clamp_min(0.1)
