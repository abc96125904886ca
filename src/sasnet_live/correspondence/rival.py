"""Fine structure against the whole picture: where the two disagree by more than a px, the whole picture is right.

Some signals differ in sign or phase between the passes at edges (an error signal, an amplitude, a slope), and their
fine structure then fits best at a displacement that leaves the picture as a whole apart.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .chance import significance
from .displacement import DisplacementParts, whole
from .filters import reduced
from .landscape import Comparison, correlation, lines_apart

CLEARLY_BETTER = 0.02  # in correlation of the whole picture
SMALLEST_SHIFT_PX = 1.0
FURTHER = 4.0  # deviations of chance, which the best of many displacements of mere noise does not reach
REDUCTION = 2  # px: the whole picture is compared on lines reduced by this factor


@torch.no_grad()
def preferred(
    target: Tensor, backward: Tensor, moved: Tensor, estimate: DisplacementParts, centre_px: int, reach_px: int
) -> DisplacementParts:
    """The estimate, or in frames where that is clearly better: the estimate shifted as a whole, or one rigid shift.

    Parameters
    ----------
    target, backward
        (B, n, W) locally normalized passes, all frequencies.
    moved
        The backward lines moved by the estimate.
    """
    # A first look is enough for nearly all frames.
    every = lines_apart(target.shape[1])
    few_target, few_moved = (reduced(images[:, ::every], REDUCTION) for images in (target, moved))
    shift, gain, _ = _rival(few_target, few_moved, max(2, reach_px // REDUCTION))
    if not bool(((gain > CLEARLY_BETTER / 2) & (shift.abs() > SMALLEST_SHIFT_PX / REDUCTION / 2)).any()):
        return estimate
    shift, gain, score = _rival(target, moved, reach_px)
    change = (gain > CLEARLY_BETTER) & (shift.abs() > SMALLEST_SHIFT_PX)
    rigid, rigid_score = _best_shift(target, backward, centre_px, reach_px)
    to_rigid = change & (rigid_score > score)
    coefficients = estimate.shifted(change * shift).coefficients
    coefficients = torch.where(to_rigid[:, None], whole(coefficients) * rigid.double()[:, None], coefficients)
    lines = torch.where(to_rigid[:, None], 0.0, estimate.lines_px)
    return replace(estimate.at(coefficients), lines_px=lines)


@torch.no_grad()
def fits_further(target: Tensor, backward: Tensor, centre_px: int, reach_px: int, widest_px: int) -> Tensor:
    """(B,) whether the passes as a whole fit better when displaced by more than `reach_px`, up to `widest_px`.

    And by more than chance: a search further away takes as long as the one before, and there is much noise to look at
    where a shutter is closed.

    Parameters
    ----------
    target, backward
        (B, n, W) locally normalized passes.
    """
    every = lines_apart(target.shape[1])
    few = (reduced(images[:, ::every], REDUCTION) for images in (target, backward))
    a, b = (images - images.mean(-1, keepdim=True) for images in few)
    centre, reach, widest = (length // REDUCTION for length in (centre_px, reach_px, widest_px))
    shifts = torch.arange(centre - widest, centre + widest + 1, device=target.device)
    landscape = Comparison.of(a, b, widest + abs(centre)).landscape(shifts)
    near = (shifts - centre).abs() <= reach
    found, place = landscape.masked_fill(near, -1).max(1)
    source = torch.arange(a.shape[-1], device=a.device) - shifts[place][:, None]
    recorded = ((source >= 0) & (source < a.shape[-1]))[:, None]
    moved = b.gather(2, source.clamp(0, a.shape[-1] - 1)[:, None].expand_as(b))
    by_chance = significance(a * recorded, moved * recorded) < FURTHER
    return (found > landscape[:, near].amax(1)) & ~by_chance


def _rival(target: Tensor, moved: Tensor, reach: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B,) each: the further shift that fits best, in samples, what correlation gains by it, and that correlation."""
    shift, score = _best_shift(target, moved, 0, reach)
    return shift, score - correlation(target, moved), score


def _best_shift(target: Tensor, images: Tensor, centre: int, reach: int) -> tuple[Tensor, Tensor]:
    """(B,) displacement of the highest correlation over lines, to a fraction of a sample, and that correlation (B,)."""
    shifts = torch.arange(centre - reach, centre + reach + 1, device=target.device)
    score = Comparison.of(target, images, reach + abs(centre)).landscape(shifts)
    best = score[:, 1:-1].argmax(1) + 1
    left, peak, right = (score.gather(1, (best + k)[:, None])[:, 0] for k in (-1, 0, 1))
    fraction = (0.5 * (left - right) / (left - 2 * peak + right - 1e-9)).clamp(-0.5, 0.5)
    return shifts[best] + fraction, peak - 0.25 * (left - right) * fraction
