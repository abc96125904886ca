"""The displacement as one profile along the line and one value for each line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.interpolate import BSpline
from torch import Tensor


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
