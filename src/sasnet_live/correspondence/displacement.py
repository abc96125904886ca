"""The displacement as a profile along the line, one value for each line, and a creep of the profile down the frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.polynomial.legendre import legvander
from scipy.interpolate import BSpline

from .arrays import Floats
from .kernels import move

KNOTS = 14  # splines of p: 10 had errors 5 to 11 % larger on simulated scanners, more gained nothing
CREEP_TERMS = 2  # Legendre polynomials of r: a third, or a second power of y, gained nothing
UNKNOWNS = KNOTS + CREEP_TERMS


@dataclass(frozen=True)
class DisplacementParts:
    """``d(x, y) = p(x) + q(y) + y r(x)``, px; y from -1 in the first line to 1 in the last.

    A scanner that warms up or creeps while a frame is recorded changes its profile from top to bottom: r. On simulated
    scanners that do, r's first Legendre polynomial along the line holds nearly all that p and q leave.

    Attributes
    ----------
    coefficients
        (U,) float64: `KNOTS` B-spline coefficients of p, then `CREEP_TERMS` of r.
    lines_px
        (n,) float64, q; mean 0.
    information
        (U, U) float64, px^-2: inverse covariance of the coefficients as this frame alone tells them.
    information_vector
        (U,) float64, px^-1: that information times the coefficients that this frame alone, under no prior, tells.
    line_variance
        (n,) px^2, of each q as the fit weighs lines.
    shared_line_variance
        (n,) px^2, of each q as far as both passes show it: what one of them shows alone is noise, and tells nothing.
    precision
        (U, U) float64, px^-2: inverse covariance of the coefficients as this frame, earlier ones and the priors tell
        them together.
    """

    coefficients: Floats
    lines_px: Floats
    information: Floats
    information_vector: Floats
    line_variance: Floats
    shared_line_variance: Floats
    precision: Floats

    @classmethod
    def initial(cls, coefficients: Floats, lines_px: Floats) -> DisplacementParts:
        """A place to begin, about which nothing is known."""
        unknown = np.full(len(lines_px), np.inf)
        nothing = np.zeros((UNKNOWNS, UNKNOWNS))
        return cls(coefficients, lines_px, nothing, np.zeros(UNKNOWNS), unknown, unknown, nothing)

    def profile_px(self, width: int) -> Floats:
        """(W,) p along the line."""
        profile: Floats = spline_basis(width) @ self.coefficients[:KNOTS]
        return profile

    def creep_px(self, width: int) -> Floats:
        """(W,) r along the line: what the last line has more of, and the first line less."""
        creep: Floats = creep_basis(width) @ self.coefficients[KNOTS:]
        return creep

    def variances_px2(self, width: int) -> tuple[Floats, Floats]:
        """(W,) each, of p and of r, as the equations of the fit tell them; infinite where nothing is known."""
        if not self.precision.any():
            return np.full(width, np.inf), np.full(width, np.inf)
        covariance = np.linalg.inv(self.precision)
        of_profile, of_creep = covariance[:KNOTS, :KNOTS], covariance[KNOTS:, KNOTS:]
        parts = ((spline_basis(width), of_profile), (creep_basis(width), of_creep))
        profile, creep = (np.einsum("xu,xu->x", basis @ of, basis) for basis, of in parts)
        return profile, creep

    def displacement_px(self, width: int, further_px: float = 0.0) -> Floats:
        """(n, W) float32, all of it displaced further by so much."""
        profile = (self.profile_px(width) + further_px).astype(np.float32)
        displacement: Floats = np.add.outer(self.lines_px.astype(np.float32), profile)
        down = down_the_frame(len(self.lines_px)).astype(np.float32)
        displacement += np.outer(down, self.creep_px(width).astype(np.float32))
        return displacement

    def moved(self, images: Floats, every: int = 1) -> Floats:
        """Lines (n, W) float32 moved by it; of so many lines each time the first, if fewer are enough."""
        some = images[::every]
        profile, creep, lines = (
            part.astype(np.float32)
            for part in (self.profile_px(images.shape[1]), self.creep_px(images.shape[1]), self.lines_px[::every])
        )
        out = np.empty(some.shape, np.float32)
        move(some, profile, creep, lines, down_the_frame(len(images))[::every], out)
        return out

    def shifted(self, shift_px: float) -> DisplacementParts:
        """Displaced further as a whole."""
        return self.at(self.coefficients + WHOLE * shift_px)

    def at(self, coefficients: Floats) -> DisplacementParts:
        """Somewhere else, as surely as here: at (U,) px."""
        moved_by = self.information @ (coefficients - self.coefficients)
        return replace(self, coefficients=coefficients, information_vector=self.information_vector + moved_by)


WHOLE = np.concatenate([np.ones(KNOTS), np.zeros(CREEP_TERMS)])
"""(U,) the coefficients of a displacement by 1 px everywhere: B-splines sum to 1 at each px."""


@lru_cache(maxsize=16)
def down_the_frame(lines: int) -> Floats:
    """(n,) float64, y of each line."""
    return _constant(np.linspace(-1, 1, lines))


@lru_cache(maxsize=16)
def creep_basis(width: int) -> Floats:
    """(W, M) float64: the first Legendre polynomials along the line but the constant, which lines have already."""
    return _constant(legvander(np.linspace(-1, 1, width), CREEP_TERMS)[:, 1:])


@lru_cache(maxsize=16)
def spline_basis(width: int) -> Floats:
    """(W, K) float64: K cubic B-splines on evenly spaced knots over a line."""
    t = np.concatenate([[0] * 3, np.linspace(0, width - 1, KNOTS - 2), [width - 1] * 3]).astype(float)
    return _constant(np.stack([BSpline(t, row, 3)(np.arange(width)) for row in np.eye(KNOTS)], 1))


def fit_profile(profile_px: Floats) -> Floats:
    """(W,) profile -> (U,) coefficients, least squares; no creep."""
    return np.concatenate([_fitting(len(profile_px)) @ profile_px, np.zeros(CREEP_TERMS)])


@lru_cache(maxsize=16)
def _fitting(width: int) -> Floats:
    """(K, W): times a profile, its least-squares coefficients.

    Not a least-squares solver: one was found to order columns by memory that nobody has set, so that its last digits
    differed from call to call, and with them the px of a frame.
    """
    return _constant(np.linalg.pinv(spline_basis(width)))


def _constant(values: Floats) -> Floats:
    """Shared by all callers, so that none may write to it."""
    values.flags.writeable = False
    return values
