"""How far a displacement may be off: standard deviations of its parts, in px."""

from __future__ import annotations

import numpy as np

from sasnet_live.frame import MeasuredDisplacement
from sasnet_live.threads import one_blas_thread

from .find import Correspondence

EXCESS, MODEL_PX = 6.0, 0.02
"""Measured against predicted variance of profile and creep, and what is not modelled: on simulated frames of three
sizes and levels the squared error is then 0.3 to 2.8 times the variance; `docs/benchmark_deviation.py` prints it. The
equations of the fit take the noise of px for all there is, and know nothing of what the passes do not share."""


@one_blas_thread()
def measured_displacement(found: Correspondence, *, unpaired: bool = False) -> MeasuredDisplacement:
    """The displacement in its parts, what electronics add in the profile, with their deviations.

    Parameters
    ----------
    unpaired
        Whether the last line has no forward partner, and is not moved.
    """
    of_profile, of_creep = found.parts.variances_px2(found.width)
    single = np.float32
    return MeasuredDisplacement(
        profile_px=(found.parts.profile_px(found.width) + found.tail_px).astype(single),
        lines_px=found.parts.lines_px.astype(single),
        creep_px=found.parts.creep_px(found.width).astype(single),
        profile_deviation_px=np.sqrt(EXCESS * of_profile + MODEL_PX**2).astype(single),
        line_deviation_px=found.evidence.line_deviation_px.astype(single),
        creep_deviation_px=np.sqrt(EXCESS * of_creep).astype(single),
        unpaired=unpaired,
    )
