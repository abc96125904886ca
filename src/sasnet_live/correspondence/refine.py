"""The displacement to a fraction of a px: robust Gauss-Newton on profile, creep and all lines together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import kernels
from .arrays import Floats
from .displacement import KNOTS, UNKNOWNS, WHOLE, DisplacementParts, creep_basis, down_the_frame, spline_basis
from .priors import LinePrior, creep_prior, line_prior, smoothness_prior, weakest_priors

LARGEST_STEP_PX = 2.0  # of one step: beyond, the linearized passes say nothing
MARGIN_PX = 6  # at both ends of a line that are not compared: what is beyond an end is not known
ROBUST_SCALE = 1.5  # residual, in deviations of the target, at which a px has half its weight
SAMPLED_LINES = 4  # every fourth line tells how noise is correlated along lines
HAC_PX, HAC_LINES = 8, 4  # reach of that correlation
LEAST_LINE_INFORMATION = 1e-3  # of the mean line's, that every line has


@dataclass(frozen=True)
class Prior:
    """What is known of a displacement beforehand.

    Attributes
    ----------
    information_vector, information
        Of the coefficients: (U,) px^-1, information times coefficients, and (U, U) px^-2.
    lines_px
        (n,) about which the lines scatter.
    """

    information_vector: Floats
    information: Floats
    lines_px: Floats

    @classmethod
    def none(cls, lines: int) -> Prior:
        """Nothing is known."""
        return cls(np.zeros(UNKNOWNS), np.zeros((UNKNOWNS, UNKNOWNS)), np.zeros(lines))


def refine(
    target: Floats,
    backward: Floats,
    start: DisplacementParts,
    *,
    steps: int,
    prior: Prior,
    px_per_sample: int = 1,
    robust_scale: float = ROBUST_SCALE,
) -> DisplacementParts:
    """Gauss-Newton steps on p, q and r together.

    Each step linearizes the moved backward pass, weights residuals by Cauchy's function (what the passes do not share
    counts little), and solves for all U + n unknowns at once under two priors, both learned from the frame, see
    `priors`. The gradient's own autocorrelation tells how noisy the estimates are.

    Parameters
    ----------
    target, backward
        (n, W) float32, comparable passes: locally normalized or coherence-filtered, of unit deviation.
    start
        Where to begin.
    px_per_sample
        Px that one sample of `target` and `backward` stands for, if they are reduced along the line.
    """
    basis = np.concatenate([spline_basis(target.shape[1]), creep_basis(target.shape[1])], 1)
    result, smooth, noise = start, weakest_priors(), None
    for _ in range(steps):
        curvature, gradient, shared = _linearized(target, backward, result, px_per_sample, robust_scale)
        if noise is None:
            noise = GradientNoise.of(gradient, float(curvature.sum(dtype=np.float64)))
        equations = NormalEquations.of(curvature, gradient, shared, basis, noise.variance)
        result, smooth = _stepped(equations, result, noise.of_frequency, smooth, prior)
    return result


def _linearized(
    target: Floats, backward: Floats, at: DisplacementParts, px_per_sample: int, robust_scale: float
) -> tuple[Floats, Floats, Floats]:
    """Curvature and gradient of each sample, (n, W), and the curvature of each line that both passes share, in px."""
    lines, width = target.shape
    profile, creep, q = (
        (part / px_per_sample).astype(np.float32) for part in (at.profile_px(width), at.creep_px(width), at.lines_px)
    )
    # Samples that come from beyond an end of the line say nothing; a sample counts where it does in all lines.
    source = np.arange(width) - profile
    least, most = source - q.max() - np.abs(creep), source - q.min() + np.abs(creep)
    margin = max(1, min(MARGIN_PX // px_per_sample, (width - 1) // 4))
    compared = ((least > 0) & (most < width - 1)).astype(np.float32)
    compared[:margin] = compared[width - margin :] = 0
    curvature, gradient = np.empty_like(target), np.empty_like(target)
    shared = np.empty(lines, np.float32)
    kernels.linearize(
        target, backward, profile, creep, q, down_the_frame(lines), compared, robust_scale, curvature, gradient, shared
    )
    if px_per_sample > 1:
        curvature *= np.float32(px_per_sample**-2)
        gradient *= np.float32(1 / px_per_sample)
        shared *= np.float32(px_per_sample**-2)
    return curvature, gradient, shared


@dataclass(frozen=True)
class GradientNoise:
    """Noise of the sums that the equations of a step are made of, robust to autocorrelation (HAC).

    Attributes
    ----------
    variance
        Of a summed gradient per unit of summed curvature.
    of_frequency
        (n,) how it spreads over the cosine frequencies of the lines, mean 1.
    """

    variance: float
    of_frequency: Floats

    @classmethod
    def of(cls, gradient: Floats, curvature: float) -> GradientNoise:
        """From each px's gradient (n, W) and the sum of all curvature.

        Newey & West 1987: filtered noise is correlated along the line, and lines that share forward neighbours or were
        blurred together are correlated down the frame; Bartlett weights keep the sums positive.
        """
        lines, width = gradient.shape
        along, down = np.zeros(min(HAC_PX, width - 1) + 1), np.zeros(min(HAC_LINES, lines - 1) + 1)
        kernels.autocorrelation(gradient, SAMPLED_LINES, along, down)
        lags = np.arange(1, len(along))
        factor = 1 + 2 * ((1 - lags / (HAC_PX + 1)) * along[1:]).sum() / (along[0] + 1e-20)
        variance = float(np.clip(factor, 0.5, 20)) * (down[0] + 1e-20) / (curvature + 1e-20)
        lags = np.arange(1, len(down))
        weights = 2 * (1 - lags / (HAC_LINES + 1)) * down[1:] / (down[0] + 1e-20)
        shape = 1 + np.cos(np.pi * np.outer(np.arange(lines), lags) / lines) @ weights
        return cls(variance, np.maximum(shape, 0.1))


@dataclass(frozen=True)
class NormalEquations:
    """For a step of the coefficients and of all lines together, in units of information.

    Attributes
    ----------
    of_coefficients
        (U, U) px^-2: what the passes tell of the coefficients if lines stand still.
    of_lines, shared
        (n,) px^-2, of each line if the profile stands still; and what both passes show of it.
    coupling
        (n, U) px^-2.
    gradient, line_gradient
        (U,) and (n,) px^-1: where to.
    """

    of_coefficients: Floats
    of_lines: Floats
    shared: Floats
    coupling: Floats
    gradient: Floats
    line_gradient: Floats

    @classmethod
    def of(cls, curvature: Floats, gradient: Floats, shared: Floats, basis: Floats, noise: float) -> NormalEquations:
        """From each px's curvature and gradient (n, W), the basis (W, U), and the noise of the gradient."""
        lines = len(curvature)
        down = down_the_frame(lines)
        grows = np.arange(UNKNOWNS) >= KNOTS  # terms that grow down the frame
        growth = np.where(grows, down[:, None], 1.0)  # (n, U)
        narrow = basis.astype(np.float32)
        coupling, of_gradient = ((of_px @ narrow) * growth / noise for of_px in (curvature, gradient))
        moments = np.stack([np.ones(lines), down, down**2]).astype(np.float32) @ curvature  # (3, W)
        blocks = [basis.T @ (column[:, None] * basis) / noise for column in moments.astype(np.float64)]
        power = grows[:, None].astype(int) + grows  # of y that two terms share
        of_coefficients = np.choose(power, blocks)
        # B-splines sum to 1 at each px: what all of them together take of a line is the line's own sum.
        of_lines = coupling[:, :KNOTS].sum(1)
        floor = LEAST_LINE_INFORMATION * of_lines.mean() + 1e-12
        return cls(
            of_coefficients,
            of_lines + floor,
            np.maximum(shared / noise, 0),
            coupling,
            of_gradient.sum(0),
            of_gradient[:, :KNOTS].sum(1),
        )

    def line_steps(self, step: Floats) -> Floats:
        """(n,) px that each line by itself asks for once the coefficients have taken (U,) px."""
        steps: Floats = (self.line_gradient - self.coupling @ step) / self.of_lines
        return steps

    def eliminated(self, lines_px: Floats, prior: LinePrior, slow_noise: float) -> tuple[Floats, Floats]:
        """What follows for lines that stand at (n,) px under a prior about 0: (n, U) and (n,).

        The lines move by the second less the first times the coefficients' step. A line is a random walk's place w and
        jitter of variance J. Without the jitter, w has the information ``o / (1 + J o)``, o that of the line, and a
        tridiagonal system; then the line is ``(w + J r) / (1 + J o)`` for a right-hand side r. The mean is held at 0.
        Noise that neighbouring lines share is stronger (`slow_noise`) in the slow walk than in jitter.
        """
        jitter, coupling = prior.jitter_px**2, slow_noise / prior.walk_px**2
        prior_gradient = self._prior_gradient(lines_px, jitter, coupling)
        right = np.concatenate(
            [self.coupling, (self.line_gradient - prior_gradient)[:, None], np.ones((len(lines_px), 1))], 1
        )
        share = 1 + jitter * self.of_lines
        walk = right / share[:, None]
        kernels.solve_tridiagonal(self.of_lines / share, coupling, walk)
        moved = (walk + jitter * right) / share[:, None]
        free, held = moved[:, :-1], moved[:, -1:]
        free = free - held * (free.sum(0) / held.sum())
        return free[:, :-1], free[:, -1]

    @staticmethod
    def _prior_gradient(lines_px: Floats, jitter: float, coupling: float) -> Floats:
        """(n,) px^-1, the prior's precision times the lines: ``(J + L^-1 / c)^-1 q``, about mean 0."""
        centred: Floats = lines_px - lines_px.mean()
        if not centred.any():
            return centred
        # (J + W)^-1 q with W = (c L)^-1: w = (1 + J c L)^-1 q is the walk's part, and the rest over J is the gradient.
        walk = centred[:, None].copy()
        kernels.solve_tridiagonal(np.ones(len(walk)), jitter * coupling, walk)
        gradient: Floats = (centred - walk[:, 0]) / jitter
        return gradient


def _stepped(
    equations: NormalEquations, at: DisplacementParts, noise_of_frequency: Floats, smooth: Floats, prior: Prior
) -> tuple[DisplacementParts, Floats]:
    """One step, and the prior (U, U) that the frame has chosen for profile and creep; `smooth` is the one so far."""
    coefficients, q = at.coefficients, at.lines_px
    # What earlier frames say counts like what this frame says.
    earlier = prior.information + 1e-9 * np.eye(UNKNOWNS)
    gradient = prior.information_vector - prior.information @ coefficients

    # The profile first, as if the lines stood still; then what each line says of itself tells what lines are like.
    step = np.linalg.solve(
        equations.of_coefficients + earlier + smooth, equations.gradient + gradient - smooth @ coefficients
    )
    variance = 1 / equations.of_lines
    lines = line_prior(q - prior.lines_px + equations.line_steps(step), variance, noise_of_frequency)

    # Then all unknowns at once: the lines are eliminated, the profile solved for, the lines put back in.
    by_step, alone = equations.eliminated(q - prior.lines_px, lines, float(noise_of_frequency[1]))
    information = equations.of_coefficients - equations.coupling.T @ by_step
    information = 0.5 * (information + information.T)
    vector = equations.gradient - equations.coupling.T @ alone + information @ coefficients
    ridge = 1e-6 * np.trace(equations.of_coefficients) / UNKNOWNS
    known = information + earlier + ridge * np.eye(UNKNOWNS)
    known_vector = vector + prior.information_vector + ridge * coefficients
    smooth = _priors_of_coefficients(known, known_vector, smooth)
    step = np.linalg.solve(known + smooth, known_vector) - coefficients
    coefficients = coefficients + step.clip(-LARGEST_STEP_PX, LARGEST_STEP_PX)
    q = q + (alone - by_step @ step).clip(-LARGEST_STEP_PX, LARGEST_STEP_PX)
    mean = q.mean()
    stepped = DisplacementParts(
        coefficients + WHOLE * mean,
        q - mean,
        information=information,
        information_vector=vector + information @ (WHOLE * mean),
        line_variance=1 / (1 / variance + 1 / lines.variance_px2),
        shared_line_variance=1 / (equations.shared + 1 / lines.variance_px2),
        precision=known + smooth,
    )
    return stepped, smooth


def _priors_of_coefficients(information: Floats, vector: Floats, so_far: Floats) -> Floats:
    """(U, U) the priors of profile and creep that make what is known most probable, one after the other."""
    profile, creep = slice(0, KNOTS), slice(KNOTS, None)
    chosen = np.zeros_like(so_far)
    chosen[creep, creep] = creep_prior(*_without(information, vector, creep, profile, so_far[profile, profile]))
    chosen[profile, profile] = smoothness_prior(*_without(information, vector, profile, creep, chosen[creep, creep]))
    return chosen


def _without(information: Floats, vector: Floats, kept: slice, out: slice, prior: Floats) -> tuple[Floats, Floats]:
    """Information and vector of the terms kept, whatever the others are under their prior."""
    across = information[kept, out]
    follows = np.linalg.solve(information[out, out] + prior, np.concatenate([across.T, vector[out, None]], 1))
    return information[kept, kept] - across @ follows[:, :-1], vector[kept] - across @ follows[:, -1]
