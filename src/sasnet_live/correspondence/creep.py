"""How much the profile changes down the frame, learned from the frame itself: seldom anything at all."""

from __future__ import annotations

import torch
from torch import Tensor

from .displacement import CREEP_TERMS

CREEPS_PX = (0.005, 0.05, 0.2, 0.8)  # deviations of each creep term; the first is as good as none
LESS_LIKELY = 5.0  # logarithm of how much less likely, before a frame is seen, each of the others is than the first


def creep_prior(curvature: Tensor, pull: Tensor, bend: Tensor) -> Tensor:
    """Precision (B, M, M), px^-2, of the creep terms before the frame is seen.

    Of a few deviations the one is taken under which what the frame says is most probable, as in `profile_prior`; but
    for the smallest they need more than chance to be chosen. Without that, frames of 128 lines of 128 px had errors 4
    to 7 % larger than without any creep; with it, as large.

    Parameters
    ----------
    curvature, pull
        (B, U, U) and (B, U): the frame's log-likelihood of profile and creep.
    bend
        (B, K, K) the precision that the profile has.
    """
    information, told = without_profile(curvature, pull, bend)
    precisions = torch.tensor(CREEPS_PX, dtype=torch.float64, device=pull.device).pow(-2)
    identity = torch.eye(CREEP_TERMS, dtype=torch.float64, device=pull.device)
    factor, _ = torch.linalg.cholesky_ex(information[:, None] + precisions[:, None, None] * identity)  # (B, G, M, M)
    explained = torch.linalg.solve_triangular(factor, told[:, None, :, None], upper=False).square().sum((2, 3))
    spread = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    evidence = 0.5 * explained - spread + 0.5 * CREEP_TERMS * precisions.log()
    evidence[:, 1:] -= LESS_LIKELY
    best = precisions[evidence.nan_to_num(-torch.inf).argmax(1)]
    return best[:, None, None] * identity


def without_profile(curvature: Tensor, pull: Tensor, bend: Tensor) -> tuple[Tensor, Tensor]:
    """(B, M, M) and (B, M): what is told of the creep, whatever the profile is under its prior."""
    knots = curvature.shape[-1] - CREEP_TERMS
    return _eliminated(curvature, pull, slice(knots, None), slice(0, knots), bend)


def without_creep(curvature: Tensor, pull: Tensor, creep: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K, K) and (B, K): what is told of the profile, whatever the creep is under its prior."""
    knots = curvature.shape[-1] - CREEP_TERMS
    return _eliminated(curvature, pull, slice(0, knots), slice(knots, None), creep)


def _eliminated(curvature: Tensor, pull: Tensor, kept: slice, out: slice, prior: Tensor) -> tuple[Tensor, Tensor]:
    across = curvature[:, kept, out]
    follows = torch.linalg.solve(curvature[:, out, out] + prior, torch.cat([across.mT, pull[:, out, None]], 2))
    return (
        curvature[:, kept, kept] - across @ follows[..., :-1],
        pull[:, kept] - (across @ follows[..., -1:])[..., 0],
    )
