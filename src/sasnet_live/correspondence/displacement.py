"""The displacement as a profile along the line, one value for each line, and a creep of the profile down the frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.polynomial.legendre import legvander
from scipy.interpolate import BSpline
from torch import Tensor

CREEP_TERMS = 2


@dataclass(frozen=True)
class DisplacementParts:
    """``d(x, y) = p(x) + q(y) + y r(x)`` of B frames, px; y from -1 in the first line to 1 in the last.

    A scanner that warms up or creeps while a frame is recorded changes its profile from top to bottom: r. On simulated
    scanners that do, r's first Legendre polynomial along the line holds nearly all that p and q leave.

    Attributes
    ----------
    coefficients
        (B, K + M) float64: K B-spline coefficients of p, then M = `CREEP_TERMS` of r.
    lines_px
        (B, n) float64, q; mean 0.
    information
        (B, K + M, K + M) float64, px^-2: inverse covariance of the coefficients as this frame alone tells them.
    told
        (B, K + M) float64, px^-1: that information times the coefficients that this frame alone, under no prior, tells.
    line_variance
        (B, n) px^2, of each q as the fit weighs lines.
    shared_line_variance
        (B, n) px^2, of each q as far as both passes show it: what one of them shows alone is noise, and tells nothing.
    """

    coefficients: Tensor
    lines_px: Tensor
    information: Tensor
    told: Tensor
    line_variance: Tensor
    shared_line_variance: Tensor

    @classmethod
    def initial(cls, coefficients: Tensor, lines_px: Tensor) -> DisplacementParts:
        """A place to begin, about which nothing is known."""
        unknowns = coefficients.shape[-1]
        nothing = coefficients.new_zeros(len(coefficients), unknowns, unknowns)
        unknown = torch.full_like(lines_px, torch.inf)
        return cls(coefficients, lines_px, nothing, torch.zeros_like(coefficients), unknown, unknown)

    @property
    def profile_information(self) -> Tensor:
        """(B, K, K) the part of the information that belongs to p."""
        return self.information[:, :-CREEP_TERMS, :-CREEP_TERMS]

    def profile_px(self, width: int) -> Tensor:
        """(B, W) p along the line."""
        splines = self.coefficients[:, :-CREEP_TERMS]
        profile: Tensor = splines @ spline_basis(width, splines.shape[-1], splines.device).T
        return profile

    def creep_px(self, width: int) -> Tensor:
        """(B, W) r along the line: what the last line has more of, and the first line less."""
        terms = self.coefficients[:, -CREEP_TERMS:]
        creep: Tensor = terms @ creep_basis(width, terms.device).T
        return creep

    def displacement_px(self, width: int) -> Tensor:
        """(B, n, W) float32."""
        down = down_the_frame(self.lines_px.shape[1], self.lines_px.device)
        separable = self.profile_px(width)[:, None] + self.lines_px[..., None]
        displacement: Tensor = separable + down[:, None] * self.creep_px(width)[:, None]
        return displacement.float()

    def shifted(self, shift_px: Tensor) -> DisplacementParts:
        """Displaced further as a whole, by (B,) px."""
        return self.at(self.coefficients + whole(self.coefficients) * shift_px.double()[:, None])

    def at(self, coefficients: Tensor) -> DisplacementParts:
        """Somewhere else, as surely as here: at (B, K + M) px."""
        moved_by = self.information @ (coefficients - self.coefficients)[..., None]
        return replace(self, coefficients=coefficients, told=self.told + moved_by[..., 0])


def whole(coefficients: Tensor) -> Tensor:
    """(K + M,) the coefficients of a displacement by 1 px everywhere: B-splines sum to 1 at each px."""
    shift = torch.ones_like(coefficients[0])
    shift[-CREEP_TERMS:] = 0
    return shift


def down_the_frame(lines: int, device: torch.device) -> Tensor:
    """(n,) float64, y of each line."""
    return torch.linspace(-1, 1, lines, dtype=torch.float64, device=device)


@lru_cache(maxsize=16)
def creep_basis(width: int, device: torch.device) -> Tensor:
    """(W, M) float64: the first Legendre polynomials along the line but the constant, which lines have already."""
    with torch.inference_mode(False):
        columns = legvander(np.linspace(-1, 1, width), CREEP_TERMS)[:, 1:]
        return torch.from_numpy(columns).to(device)


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


def fit_profile(profile_px: Tensor, knots: int) -> Tensor:
    """(B, W) profile -> (B, K + M) coefficients, least squares; no creep."""
    splines: Tensor = profile_px.double() @ _fitting(profile_px.shape[-1], knots, profile_px.device)
    return torch.nn.functional.pad(splines, (0, CREEP_TERMS))


@lru_cache(maxsize=16)
def _fitting(width: int, knots: int, device: torch.device) -> Tensor:
    """(W, K) float64: a profile times it are its least-squares coefficients.

    Not `torch.linalg.lstsq`: on a CPU it orders columns by memory that nobody has set, so that its last digits differ
    from call to call, and with them the px of a frame.
    """
    with torch.inference_mode(False):
        return torch.from_numpy(np.ascontiguousarray(np.linalg.pinv(_spline_columns(width, knots)).T)).to(device)
