"""How noisy the pull of the passes on each other is: read from its own autocorrelation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SAMPLED_LINES = 4  # every fourth line tells how noise is correlated along lines
REACH_PX, REACH_LINES = 8, 4


@dataclass(frozen=True)
class PullNoise:
    """Noise of the sums that the equations of a step are made of.

    Attributes
    ----------
    variance
        (B,) of a summed pull per unit of summed curvature.
    of_frequency
        (B, n) how it spreads over the cosine frequencies of the lines, mean 1.
    """

    variance: Tensor
    of_frequency: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, pull: Tensor, curvature: Tensor) -> PullNoise:
        """From each px's pull and curvature, (B, n, w).

        Newey & West 1987: filtered noise is correlated along the line, and lines that share forward neighbours or were
        blurred together are correlated down the frame; Bartlett weights keep the sums positive.
        """
        batch, lines, width = pull.shape
        power = _product(pull, pull) + 1e-20
        some = pull[:, ::SAMPLED_LINES].contiguous()
        own = _product(some, some) + 1e-20
        factor = torch.ones_like(own)
        for lag in range(1, min(REACH_PX, width - 1) + 1):
            shared = _product(some[..., lag:], some[..., :-lag])
            factor = factor + 2 * (1 - lag / (REACH_PX + 1)) * shared / own
        variance = factor.clamp(0.5, 20) * power / (curvature.sum((1, 2)).double() + 1e-20)
        k = torch.arange(lines, dtype=torch.float64, device=pull.device)
        shape = torch.ones(batch, lines, dtype=torch.float64, device=pull.device)
        for lag in range(1, min(REACH_LINES, lines - 1) + 1):
            shared = _product(pull[:, lag:], pull[:, :-lag]) / power
            shape = shape + 2 * (1 - lag / (REACH_LINES + 1)) * shared[:, None] * torch.cos(torch.pi * k * lag / lines)
        return cls(variance, shape.clamp_min(0.1))


def _product(a: Tensor, b: Tensor) -> Tensor:
    """(B,) float64, sum of the products of (B, n, w): without a copy where lines lie one after the other."""
    product: Tensor = torch.linalg.vecdot(a.flatten(1), b.flatten(1)).double()
    return product
