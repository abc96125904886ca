"""How much a profile along the line rises and bends, learned from the frame itself.

Where a line holds texture here and there only, a free spline swings between, and beyond, the places that say something.
A prior on its slope and on its bending keeps it from that; how strong, the frame tells: of a grid of priors the one is
taken under which what the frame says of the profile is most probable (empirical Bayes; MacKay 1992).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

RISES_PX = (0.02, 0.1, 0.4, 1.5, 6.0)  # deviation of the profile's change over the space of one spline coefficient
BENDS_PX = (0.01, 0.03, 0.1, 0.3, 1.0)  # and of the change of that change


def profile_prior(curvature: Tensor, pull: Tensor) -> Tensor:
    """Precision (B, K, K), px^-2, of the spline coefficients before the frame is seen.

    Parameters
    ----------
    curvature, pull
        (B, K, K) and (B, K): the frame's log-likelihood of coefficients c is ``-c^T curvature c / 2 + pull^T c``.
    """
    candidates = _candidates(curvature.shape[-1], curvature.device)
    posterior = curvature[:, None] + candidates  # (B, G, K, K)
    factor, _ = torch.linalg.cholesky_ex(posterior)
    explained = torch.linalg.solve_triangular(factor, pull[:, None, :, None], upper=False).square().sum((2, 3))
    spread = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    evidence = 0.5 * explained - spread + _log_volumes(curvature.shape[-1], curvature.device)
    return candidates[evidence.nan_to_num(-torch.inf).argmax(1)]


def weakest_prior(knots: int, device: torch.device) -> Tensor:
    """(K, K) the prior to begin with, which leaves the profile as free as any."""
    return _candidates(knots, device)[-1]


@lru_cache(maxsize=4)
def _candidates(knots: int, device: torch.device) -> Tensor:
    """(G, K, K), one for each pair of deviations."""
    with torch.inference_mode(False):
        # Coefficients of a clamped cubic spline stand for places (Greville) that crowd at the ends of the line.
        ends = torch.tensor([1 / 3, 2 / 3], dtype=torch.float64)
        space = torch.cat([ends, torch.ones(knots - 5, dtype=torch.float64), ends.flip(0)])
        identity = torch.eye(knots, dtype=torch.float64)
        slope = torch.diff(identity, dim=0) / space[:, None]
        between = 0.5 * (space[1:] + space[:-1])
        bending = torch.diff(slope, dim=0) / between[:, None]
        rise = slope.T @ (space[:, None] * slope)
        bend = bending.T @ (between[:, None] * bending)
        return torch.stack([rise / a**2 + bend / b**2 for a in RISES_PX for b in BENDS_PX]).to(device)


@lru_cache(maxsize=4)
def _log_volumes(knots: int, device: torch.device) -> Tensor:
    """(G,) half the logarithm of each candidate's determinant, but for the constant profile, which none holds back."""
    with torch.inference_mode(False):
        stiffness: Tensor = torch.linalg.eigvalsh(_candidates(knots, device))
        return 0.5 * stiffness[:, 1:].log().sum(-1)
