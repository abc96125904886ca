"""What the displacement of lines is like from line to line, learned from the frame itself.

A line's displacement is drift (a random walk down the frame) plus jitter (independent). Both are diagonal in the cosine
basis, where the observed line estimates have expected power ``jitter^2 + walk^2 / lambda_k + noise_k``; jitter and walk
are taken where that explains the observed powers best (empirical Bayes; Whittle likelihood). The prior that follows
keeps noise out of the lines of a steady scanner and lets the lines of a shaky one move.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

JITTER_PX = (0.003, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
WALK_PX = (0.0005, 0.005, 0.015, 0.04, 0.1, 0.25)


@lru_cache(maxsize=16)
def cosine_basis(length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Orthonormal DCT-II basis (length, length), rows by frequency, and the Laplacian's eigenvalues (length,)."""
    # Kept for later calls, some of which differentiate: no inference tensors.
    with torch.inference_mode(False):
        k = torch.arange(length, dtype=torch.float64)
        basis = torch.cos(math.pi * k[:, None] * (k[None] + 0.5) / length) * math.sqrt(2 / length)
        basis[0] /= math.sqrt(2)
        return basis.to(device), (4 * torch.sin(math.pi * k / (2 * length)) ** 2).to(device)


def smoothness(powers: Tensor) -> Tensor:
    """(B, n) one stiffness for each cosine frequency -> (B, n, n): ``C^T diag(powers) C``, C the cosine basis.

    What is diagonal among cosines depends on i - j and on i + j + 1 alone among lines (mirror images at both ends), so
    an inverse Fourier transform does for what would be a product of two matrices.
    """
    lines = powers.shape[-1]
    of_distance = torch.fft.irfft(F.pad(powers, (0, 1)), 2 * lines)  # even, period 2 n
    by_sum = of_distance.unfold(-1, lines, 1)[:, 1:]
    by_difference = torch.cat([of_distance[:, 1:lines].flip(-1), of_distance[:, :lines]], -1).unfold(-1, lines, 1)
    matrix: Tensor = by_difference.flip(1) + by_sum
    return matrix


def line_prior(estimates: Tensor, variances: Tensor, noise_shape: Tensor) -> Tensor:
    """Variance of each cosine coefficient of the line displacements, the best of a grid of jitter and walk.

    Parameters
    ----------
    estimates, variances
        (B, n) px and px^2: each line's displacement as seen by itself, and how noisy that is.
    noise_shape
        (B, n) power of the estimates' noise at each cosine frequency, mean 1: neighbouring lines share noise.

    Returns
    -------
    (B, n) px^2. The mean's is tiny: the mean displacement belongs to the profile.
    """
    basis, eigenvalues = cosine_basis(estimates.shape[-1], estimates.device)
    typical = variances.median(-1, keepdim=True).values
    # A line without texture says nothing; it takes the value of the typical line rather than its own noise.
    trusted = estimates * (typical / variances.clamp_min(1e-12)).clamp(0, 1)
    power = (trusted @ basis.T).square()
    jitter, walk = (torch.tensor(a, dtype=torch.float64, device=basis.device) for a in (JITTER_PX, WALK_PX))
    jitter, walk = (a.reshape(-1) for a in torch.meshgrid(jitter, walk, indexing="ij"))
    drift = walk[:, None] ** 2 / eigenvalues.clamp_min(eigenvalues[1] if len(eigenvalues) > 1 else 1.0)
    candidates = jitter[:, None] ** 2 + drift
    expected = candidates + (typical * noise_shape)[:, None]
    fit = -(power[:, None] / expected + expected.log())[..., 1:].sum(-1)
    prior = candidates[fit.argmax(-1)]
    return torch.cat([torch.full_like(prior[:, :1], 1e-8), prior[:, 1:]], 1)
