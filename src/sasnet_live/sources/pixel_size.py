"""The size of a px along both axes, from the two calibrations that Micro-Manager has of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Affine = tuple[float, ...]
"""Six numbers, (a, b, c, d, e, f): a px is (a, d) um wide and (b, e) um high on the stage. Empty where not known."""

SQUARE = 0.01
"""Part by which the sides of a square px may differ: calibrating a camera by moving the stage is not more exact."""


def pixel_size(size_um: float, affine: Sequence[float]) -> float | tuple[float, float]:
    """One number for square px, else (y, x), um; 0 where it is not known.

    Parameters
    ----------
    size_um
        `CMMCore.getPixelSizeUm`: one number for both axes.
    affine
        `CMMCore.getPixelSizeAffine`: believed only where its axes differ, because it is of 1 um where nobody set it.
    """
    if len(affine) != 6 or not all(math.isfinite(value) for value in affine):
        return size_um
    y, x = math.hypot(affine[1], affine[4]), math.hypot(affine[0], affine[3])
    if min(y, x) <= 0 or abs(y - x) <= SQUARE * max(y, x):
        return size_um
    return y, x


def affine_in(meta: Mapping[str, Any]) -> Affine:
    """The affine that the start of an acquisition tells of the first camera; empty if it is the default."""
    image: Mapping[str, Any] = next(iter(meta.get("image_infos") or ()), {})
    return tuple(image.get("pixel_size_affine") or ())
