"""The part of the displacement that hides in the passes' electronic tails.

A detector that rings or decays leaves a tail behind every structure, along the scan direction: to the right in forward
lines, to the left in backward lines. Matching fine structure aligns the sharp fronts and leaves the tails apart; the
content's centroids, which is what a displacement is about here, are then still off by both tails' mean length. The
phase between aligned passes tells: a tail delays low frequencies and not high ones. With a tail of weight a and length
tau, ``k(w) = 1 - a + a / (1 + i w tau)``, opposite in the two passes, the phase is ``2 arg k(w) - w d0`` and the
missing displacement ``d0 + 2 a tau``.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .filters import power_over_lines

LENGTHS_PX = (0.3, 0.5, 0.8, 1.2, 1.8, 2.6, 3.6, 5.0)
WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0)
USUAL_CENTROID_PX = 0.8
LARGEST_CENTROID_PX = 3.0
HIGHEST_FREQUENCY = 0.5  # of Nyquist
SPECTRAL_BINS = 5


@torch.no_grad()
def tail_displacement(target: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
    """What is missing of the displacement after fine structure is aligned.

    Cross-spectra along the line are summed over lines; lengths and weights of the tail are tried on a grid, each with
    its best remaining shift, and averaged by their likelihood (phase variance ``(1 - c^2) / (2 n c^2)`` at coherence c,
    n lines) times a prior for short tails.

    Parameters
    ----------
    target, moved
        (B, n, W) aligned, locally normalized passes.

    Returns
    -------
    tail, kept
        (B,) px, to be added to the displacement, and (B,) the part of the passes' correlation that moving by it leaves.
    """
    lines, width = target.shape[-2:]
    taper = torch.hann_window(width, dtype=target.dtype, device=target.device)
    a, b = (torch.fft.rfft(images * taper) for images in (target, moved))
    shared = (a * b.conj()).sum(1)
    spectra = torch.stack([power_over_lines(a), power_over_lines(b), shared.real, shared.imag], 1)
    spectra = F.avg_pool1d(spectra, SPECTRAL_BINS, stride=1, padding=SPECTRAL_BINS // 2, count_include_pad=False)
    power_a, power_b, real, imaginary = spectra.unbind(1)
    coherence = (real.square() + imaginary.square()) / (power_a * power_b + 1e-20)
    coherence = (coherence - 1 / lines).clamp(0, 0.995)
    frequency = 2 * math.pi * torch.arange(coherence.shape[-1], device=target.device) / width
    used = (frequency > 2.5 * 2 * math.pi / width) & (frequency < HIGHEST_FREQUENCY * math.pi)
    # A Hann taper of the line and the averaging leave about 2.5 bins that tell the same.
    weight = used * 2 * lines / 2.5 * coherence / (1 - coherence)  # (B, F)
    phase = torch.atan2(imaginary, real)

    tail_phase, centroid = _tails(width, target.dtype, target.device)
    unexplained = phase[:, None] - tail_phase  # (B, G, F)
    stiffness = (weight * frequency.square()).sum(-1) + 1e-9
    shift = -(unexplained * (weight * frequency)[:, None]).sum(-1) / stiffness[:, None]  # (B, G)
    misfit = ((unexplained + shift[..., None] * frequency).square() * weight[:, None]).sum(-1)
    cost = misfit + (centroid / USUAL_CENTROID_PX).square()
    cost = cost.masked_fill(centroid > LARGEST_CENTROID_PX, torch.inf)
    likelihood = torch.softmax(-0.5 * cost, -1)
    tail = (likelihood * (shift + centroid)).sum(-1)
    turn = tail[:, None] * frequency
    further = (shared.real * turn.cos() - shared.imag * turn.sin()).sum(-1)
    return tail, further / shared.real.sum(-1).clamp_min(1e-20)


@lru_cache(maxsize=8)
def _tails(width: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """(G, F) phase that each tail of the grid leaves at each frequency, and (G,) its two centroids' distance in px."""
    with torch.inference_mode(False):
        frequency = 2 * math.pi * torch.arange(width // 2 + 1, dtype=dtype, device=device) / width
        grid = torch.meshgrid(frequency.new_tensor(LENGTHS_PX), frequency.new_tensor(WEIGHTS), indexing="ij")
        length, weight = (axis.reshape(-1, 1) for axis in grid)
        # arg k(w) = -atan2(a w tau / (1 + w^2 tau^2), 1 - a + a / (1 + w^2 tau^2))
        lorentz = weight / (1 + (frequency * length).square())
        return -2 * torch.atan2(lorentz * frequency * length, 1 - weight + lorentz), 2 * (length * weight)[:, 0]
