"""What displacements are like before a frame is seen, learned from the frame itself (empirical Bayes; MacKay 1992).

Three priors, each from a grid of candidates of which the one is taken that makes what the frame says most probable: how
much lines jitter and wander, how much the profile rises and bends along the line, how much it creeps down the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.fft import dct

from .arrays import Floats
from .displacement import CREEP_TERMS, KNOTS

JITTER_PX = (0.003, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # deviation of each line by itself
WALK_PX = (0.0005, 0.005, 0.015, 0.04, 0.1, 0.25)  # and of the step of a random walk from line to line
RISES_PX = (0.02, 0.1, 0.4, 1.5, 6.0)  # deviation of the profile's change over the space of one spline coefficient
BENDS_PX = (0.01, 0.03, 0.1, 0.3, 1.0)  # and of the change of that change
CREEPS_PX = (0.005, 0.05, 0.2, 0.8)  # deviations of each creep term; the first is as good as none
# Logarithm of how much less likely, before a frame is seen, each larger creep is than none: without it frames of 128
# lines of 128 px had errors 4 to 7 % larger than without any creep, with it as large.
CREEP_LESS_LIKELY = 5.0


@dataclass(frozen=True)
class LinePrior:
    """Displacements of lines, a random walk (drift) and independent jitter, with mean 0.

    Attributes
    ----------
    jitter_px, walk_px
        Deviations of each line by itself, and of the walk's step from line to line.
    variance_px2
        Mean over all lines.
    """

    jitter_px: float
    walk_px: float
    variance_px2: float


def line_prior(estimates: Floats, variances: Floats, noise_of_frequency: Floats) -> LinePrior:
    """The jitter and the walk that explain the line displacements as they were seen.

    Both are diagonal in the cosine basis, where estimates have expected power ``jitter^2 + walk^2 / lambda_k +
    noise_k``, lambda the eigenvalues of the Laplacian (Whittle likelihood). The prior that follows keeps noise out of
    the lines of a steady scanner and lets the lines of a shaky one move.

    Parameters
    ----------
    estimates, variances
        (n,) px and px^2: each line's displacement as seen by itself, and how noisy that is.
    noise_of_frequency
        (n,) power of the estimates' noise at each cosine frequency, mean 1: neighbouring lines share noise.
    """
    typical = float(np.median(variances))
    # A line without texture says nothing; it takes the value of the typical line rather than its own noise.
    trusted = estimates * np.minimum(typical / np.maximum(variances, 1e-12), 1)
    power = dct(trusted, norm="ortho")[1:] ** 2
    candidates = _line_powers(len(estimates))
    expected = candidates + typical * noise_of_frequency[1:]
    best = int(np.argmin((power / expected + np.log(expected)).sum(1)))
    jitter, walk = _line_grid()[best]
    return LinePrior(jitter, walk, float(candidates[best].sum()) / len(estimates))


def smoothness_prior(information: Floats, vector: Floats) -> Floats:
    """Precision (K, K), px^-2, of the spline coefficients: on the slope and on the bending of the profile.

    Where a line holds texture here and there only, a free spline swings between, and beyond, the places that say
    something.

    Parameters
    ----------
    information, vector
        (K, K) and (K,): the frame's log-likelihood of coefficients c is ``-c^T information c / 2 + vector^T c``.
    """
    candidates, log_volumes = _smoothness_candidates()
    best: Floats = candidates[most_probable(information, vector, candidates, log_volumes)]
    return best


def creep_prior(information: Floats, vector: Floats) -> Floats:
    """Precision (M, M), px^-2, of the creep terms, as `smoothness_prior`; seldom anything but none."""
    candidates, log_volumes = _creep_candidates()
    best: Floats = candidates[most_probable(information, vector, candidates, log_volumes)]
    return best


def most_probable(information: Floats, vector: Floats, precisions: Floats, log_priors: Floats) -> int:
    """The candidate under which a log-likelihood ``-c^T information c / 2 + vector^T c`` is most probable.

    Parameters
    ----------
    precisions
        (G, K, K) of Gaussian priors about 0.
    log_priors
        (G,) half the logarithm of each prior's determinant, and of how likely it is beforehand.
    """
    factor = np.linalg.cholesky(information + precisions)  # (G, K, K)
    explained = np.square(np.linalg.solve(factor, np.broadcast_to(vector[:, None], (*factor.shape[:2], 1)))).sum((1, 2))
    spread = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(1)
    return int(np.argmax(0.5 * explained - spread + log_priors))


@lru_cache(maxsize=1)
def _line_grid() -> list[tuple[float, float]]:
    return [(jitter, walk) for jitter in JITTER_PX for walk in WALK_PX]


@lru_cache(maxsize=16)
def _line_powers(lines: int) -> Floats:
    """(G, n - 1) expected power at each cosine frequency but the mean, px^2."""
    eigenvalues = 4 * np.sin(np.pi * np.arange(1, lines) / (2 * lines)) ** 2
    return np.stack([jitter**2 + walk**2 / eigenvalues for jitter, walk in _line_grid()])


@lru_cache(maxsize=1)
def _smoothness_candidates() -> tuple[Floats, Floats]:
    """(G, K, K) for each pair of deviations, and (G,) their volumes but for the constant, which none holds back."""
    # Coefficients of a clamped cubic spline stand for places (Greville) that crowd at the ends of the line.
    space = np.concatenate([[1 / 3, 2 / 3], np.ones(KNOTS - 5), [2 / 3, 1 / 3]])
    slope = np.diff(np.eye(KNOTS), axis=0) / space[:, None]
    between = 0.5 * (space[1:] + space[:-1])
    bending = np.diff(slope, axis=0) / between[:, None]
    rise = slope.T @ (space[:, None] * slope)
    bend = bending.T @ (between[:, None] * bending)
    candidates = np.stack([rise / a**2 + bend / b**2 for a in RISES_PX for b in BENDS_PX])
    return candidates, 0.5 * np.log(np.linalg.eigvalsh(candidates)[:, 1:]).sum(1)


@lru_cache(maxsize=1)
def _creep_candidates() -> tuple[Floats, Floats]:
    precisions = np.array(CREEPS_PX) ** -2.0
    candidates = precisions[:, None, None] * np.eye(CREEP_TERMS)
    less_likely = np.where(np.arange(len(precisions)) > 0, CREEP_LESS_LIKELY, 0.0)
    return candidates, 0.5 * CREEP_TERMS * np.log(precisions) - less_likely


def weakest_priors() -> Floats:
    """(U, U) precision to begin with, which leaves profile and creep as free as any candidate."""
    precision = np.zeros((KNOTS + CREEP_TERMS, KNOTS + CREEP_TERMS))
    precision[:KNOTS, :KNOTS] = _smoothness_candidates()[0][-1]
    precision[KNOTS:, KNOTS:] = _creep_candidates()[0][-1]
    return precision
