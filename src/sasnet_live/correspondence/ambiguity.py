"""Displacements of the whole picture that may fit better than the one found.

Some signals differ in sign or phase between the passes at edges (an error signal, an amplitude, a slope), and their
fine structure then fits best at a displacement that leaves the picture as a whole apart. Where the two disagree by more
than a px, the whole picture is right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .arrays import Floats
from .correlogram import CrossSpectrum, correlation, lines_apart, significance
from .displacement import WHOLE, DisplacementParts
from .filters import reduced

CLEARLY_BETTER = 0.02  # in correlation of the whole picture
SMALLEST_SHIFT_PX = 1.0
FURTHER = 4.0  # deviations of chance, which the best of many displacements of mere noise does not reach
REDUCTION = 2  # px: the whole picture is compared on lines reduced by this factor


class _Shift(NamedTuple):
    """A displacement as a whole, in samples, and the correlation it leads to."""

    samples: float
    correlation: float


def preferred(
    target: Floats, backward: Floats, moved: Floats, estimate: DisplacementParts, centre_px: int, reach_px: int
) -> DisplacementParts:
    """The estimate, or where that is clearly better: the estimate shifted as a whole, or one rigid shift.

    Parameters
    ----------
    target, backward
        (n, W) locally normalized passes, all frequencies.
    moved
        The backward lines moved by the estimate.
    """
    # A first look is enough for nearly all frames.
    every = lines_apart(len(target))
    few_target, few_moved = (reduced(images[::every], REDUCTION) for images in (target, moved))
    first = _best_shift(few_target, few_moved, 0, max(2, reach_px // REDUCTION))
    gain = first.correlation - correlation(few_target, few_moved)
    if gain <= CLEARLY_BETTER / 2 or abs(first.samples) <= SMALLEST_SHIFT_PX / REDUCTION / 2:
        return estimate
    further = _best_shift(target, moved, 0, reach_px)
    gain = further.correlation - correlation(target, moved)
    if gain <= CLEARLY_BETTER or abs(further.samples) <= SMALLEST_SHIFT_PX:
        return estimate
    rigid = _best_shift(target, backward, centre_px, reach_px)
    if rigid.correlation > further.correlation:
        return replace(estimate.at(WHOLE * rigid.samples), lines_px=np.zeros_like(estimate.lines_px))
    return estimate.shifted(further.samples)


def fits_further(target: Floats, backward: Floats, centre_px: int, reach_px: int, widest_px: int) -> bool:
    """Whether the passes as a whole fit better when displaced by more than `reach_px`, up to `widest_px`.

    And by more than chance: a search further away takes as long as the one before, and there is much noise to look at
    where a shutter is closed.

    Parameters
    ----------
    target, backward
        (n, W) locally normalized passes.
    """
    every = lines_apart(len(target))
    a, b = (reduced(images[::every], REDUCTION) for images in (target, backward))
    a, b = (images - images.mean(1, keepdims=True) for images in (a, b))
    centre, reach, widest = (int(length / REDUCTION) for length in (centre_px, reach_px, widest_px))
    shifts = np.arange(centre - widest, centre + widest + 1)
    correlogram = CrossSpectrum.of(a, b, widest + abs(centre)).correlogram(shifts)
    near = np.abs(shifts - centre) <= reach
    best = int(np.where(near, -1, correlogram).argmax())
    if correlogram[best] <= correlogram[near].max():
        return False
    source = np.arange(a.shape[1]) - shifts[best]
    recorded = (source >= 0) & (source < a.shape[1])
    moved = b[:, source.clip(0, a.shape[1] - 1)]
    return significance(a * recorded, moved * recorded) >= FURTHER


def _best_shift(target: Floats, images: Floats, centre: int, reach: int) -> _Shift:
    """The displacement of the highest correlation over lines, to a fraction of a sample."""
    shifts = np.arange(centre - reach, centre + reach + 1)
    score = CrossSpectrum.of(target, images, reach + abs(centre)).correlogram(shifts)
    best = int(score[1:-1].argmax()) + 1
    left, peak, right = score[best - 1 : best + 2]
    fraction = float(np.clip(0.5 * (left - right) / (left - 2 * peak + right - 1e-9), -0.5, 0.5))
    return _Shift(float(shifts[best] + fraction), float(peak - 0.25 * (left - right) * fraction))
