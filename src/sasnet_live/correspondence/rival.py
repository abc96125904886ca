"""Fine structure against the whole picture: where the two disagree by more than a px, the whole picture is right.

Some signals differ in sign or phase between the passes at edges (an error signal, an amplitude, a slope), and their
fine structure then fits best at a displacement that leaves the picture as a whole apart.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sasnet_live.scan import move_lines

from .refine import SeparableDisplacement

CLEARLY_BETTER = 0.02  # in correlation of the whole picture
SMALLEST_SHIFT_PX = 1.0


@torch.no_grad()
def preferred(
    target: Tensor, backward: Tensor, estimate: SeparableDisplacement, centre_px: int, reach_px: int
) -> SeparableDisplacement:
    """The estimate, or in frames where that is clearly better: the estimate shifted as a whole, or one rigid shift.

    Parameters
    ----------
    target, backward
        (B, n, W) locally normalized passes, all frequencies.
    """
    width = target.shape[-1]
    moved = move_lines(backward, estimate.displacement_px(width), "linear")
    shift, better = _best_shift(target, moved, 0, reach_px)
    rigid, rigid_score = _best_shift(target, backward, centre_px, reach_px)
    own = _correlation(target, moved)
    change = (better > own + CLEARLY_BETTER) & (shift.abs() > SMALLEST_SHIFT_PX)
    to_rigid = change & (rigid_score > better)
    if not bool(change.any()):
        return estimate
    coefficients = estimate.coefficients + (change * shift).double()[:, None]
    coefficients = torch.where(to_rigid[:, None], rigid.double()[:, None], coefficients)
    lines = torch.where(to_rigid[:, None], 0.0, estimate.lines_px)
    return replace(estimate, coefficients=coefficients, lines_px=lines)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((1, 2)) / ((a.square().sum((1, 2)) * b.square().sum((1, 2))).sqrt() + 1e-12)


def _best_shift(target: Tensor, images: Tensor, centre_px: int, reach_px: int) -> tuple[Tensor, Tensor]:
    """(B,) displacement in px, to a fraction of one, of the highest correlation summed over lines, and that (B,)."""
    width = target.shape[-1]
    spectrum = torch.fft.rfft(target, 2 * width) * torch.fft.rfft(images, 2 * width).conj()
    shifts = torch.arange(centre_px - reach_px, centre_px + reach_px + 1, device=target.device)
    score = torch.fft.irfft(spectrum.sum(1), 2 * width)[:, shifts % (2 * width)]
    energy = (target.square().sum((1, 2)) * images.square().sum((1, 2))).sqrt()[:, None] + 1e-12
    score = score / energy * (width / (width - shifts.abs()))
    best = score[:, 1:-1].argmax(1) + 1
    left, peak, right = (score.gather(1, (best + k)[:, None])[:, 0] for k in (-1, 0, 1))
    fraction = 0.5 * (left - right) / (left - 2 * peak + right - 1e-9)
    return shifts[best] + fraction.clamp(-0.5, 0.5), peak
