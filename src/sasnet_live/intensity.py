"""Intensities brought to unit scale, so that nothing depends on the units and the pedestal of a detector.

What follows is computed in float32, whose squares hold from 1e-19 to 1e19 and whose digits end at a ten-millionth of a
pedestal. A frame in [0, 1] of its own range meets neither limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Pixels = np.ndarray[Any, np.dtype[Any]]

FLOAT32 = np.finfo(np.float32)
LARGEST = float(FLOAT32.max) / 8  # rendered lines may overshoot measured ones
SATURATED_SHARE = 0.3  # of px at the top of the range, above which a frame is not trusted
FEWEST_STEPS = 4096  # of floating-point numbers across a frame's range; fewer, and they show where lines are moved


@dataclass(frozen=True)
class IntensityScale:
    """Where a frame's intensities begin and how far they reach: ``px = level + unit * value``, value in [0, 1].

    Attributes
    ----------
    level
        The lowest px: the structure of a frame keeps its digits beside a single px that is far above it.
    unit
        A power of two above the range, so that scaling rounds nothing.
    """

    level: float
    unit: float

    @property
    def pedestal(self) -> float:
        """The level as a value: what is missing below 0."""
        return self.level / self.unit

    @classmethod
    def of(cls, *passes: Pixels) -> IntensityScale | str:
        """The scale of a frame's passes, of any real dtype; or why there is none, in words."""
        lows, highs = [lines.min() for lines in passes], [lines.max() for lines in passes]
        if not np.isfinite([*lows, *highs]).all():
            return "the frame holds NaN or infinite values"
        low, high = float(min(lows)), float(max(highs))
        if max(abs(low), abs(high)) > LARGEST:
            return f"the frame has values beyond what float32 holds ({low:g} to {high:g})"
        span = high - low
        step = max(float(np.spacing(max(abs(low), abs(high)))), float(FLOAT32.smallest_subnormal))
        if 0 < span < FEWEST_STEPS * step:
            return f"a contrast of {span:g} at {high:g} is finer than what floating-point numbers resolve"
        return cls(low, math.ldexp(1.0, math.frexp(span)[1]) if span else 1.0)

    def to_values(self, px: Pixels) -> Pixels:
        """Px of any real dtype to float32 values, a new array in C order."""
        # What has 16 bits or fewer is exact in float32, also without its level.
        exact = np.float32 if px.dtype.itemsize <= 2 else np.float64
        values: Pixels = np.subtract(px, exact(self.level), out=np.empty(px.shape, exact), dtype=exact)
        values *= exact(1 / self.unit)
        return values.astype(np.float32, copy=False)

    def to_px(self, values: Pixels) -> Pixels:
        """Values to px, float64: what a large pedestal needs."""
        px: Pixels = np.multiply(values, self.unit, dtype=np.float64)
        px += self.level
        return px


def unusable(forward: Pixels, backward: Pixels, *, empty_is_fine: bool = False) -> str:
    """Why finite passes of any dtype cannot be registered; empty if they can."""
    for name, lines in (("forward", forward), ("backward", backward)):
        low, high = lines.min(), lines.max()
        if low < high:
            saturated = float((lines == high).mean())
            if saturated > SATURATED_SHARE:
                return f"{saturated:.0%} of the {name} pass is saturated at {float(high):g}"
        elif not empty_is_fine:
            return f"the {name} pass is constant ({float(high):g})"
    return ""
