"""What is judged is what is delivered: moved and rendered lines beside the forward pass, before either is used.

Moved lines must be no less like the forward pass than the raw ones were. Rendered lines are an estimate between two
measurements, the moved lines and the forward pass: they must be no less like either of the two than those are like each
other, and no less like the forward pass than the raw ones were. A figure that is not a number speaks against the lines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .metrics import compare, concordance, ncc
from .network.gain import match_gain
from .network.inputs import Lines, RenderInputs

WORSE = 0.002  # lost by NCC, SSIM or concordance, beyond which lines are not used: good renderings lose 0.0001 at most
CHANCE = 4.0  # NCCs of n px that share nothing differ by sqrt(2 / n); three times that
MOVED_ONLY = "moved, not rendered"  # what is said of a frame whose rendering was not used
NOT_FINITE = "its values are not finite"


@dataclass(frozen=True)
class Judgement:
    """Which lines may be delivered, and the figures of those that are.

    Attributes
    ----------
    moved, rendered
        Whether these lines may be delivered; `rendered` only where `moved` may.
    reason
        What speaks against the moved lines, or else against the rendered ones; empty if nothing does, or if a constant
        pass leaves nothing to compare with.
    ncc_before, ncc_after, ssim_before, ssim_after
        Of the raw lines and of those that are delivered, against the forward pass.
    """

    moved: bool
    rendered: bool
    reason: str
    ncc_before: float
    ncc_after: float
    ssim_before: float
    ssim_after: float


def judged(
    inputs: RenderInputs,
    backward: Lines,
    rendered: Lines | None,
    *,
    lines: int,
    pedestal: float = 0.0,
    known: bool = False,
) -> Judgement:
    """Judge the moved and the rendered lines of one frame.

    Parameters
    ----------
    inputs
        What was moved and what it is compared with, (n, W) each.
    backward
        (n, W) the raw backward lines.
    rendered
        (n, W); None where only moved lines are wanted.
    lines
        How many of the n, from the first, are judged: those with a forward partner.
    pedestal
        What was taken off all intensities.
    known
        The displacement was found on another channel, or on several frames: moved lines may be as much less alike as
        chance brings about, so that a dim channel is moved in every frame and not now and then.
    """
    wanted = inputs.moved if rendered is None else rendered
    compared = (inputs.target, backward, inputs.moved, inputs.matched, wanted)
    target, raw, moved, matched, wanted = (images[:lines] for images in compared)
    (before, after), (ssim_before, ssim_after) = compare(target, [raw, wanted], pedestal)
    of_moved = ncc(target, moved)
    unchanged = before, before, ssim_before, ssim_before
    if math.isnan(before):  # a pass is constant: the displacement is another channel's, and nothing is to be rendered
        if np.isfinite(moved).all():
            return Judgement(True, False, "", *unchanged)
        return Judgement(False, False, f"would be worse: {NOT_FINITE}", *unchanged)

    allowed = max(WORSE, CHANCE / math.sqrt(target.size)) if known else WORSE
    least = before
    if not of_moved >= before - allowed:
        # Where the passes differ much in brightness along the line, plain NCC tells more of that than of displacement.
        raw_matched = match_gain(inputs.target, backward)[:lines]
        least, at_equal_gain = (ncc(target, images) for images in (raw_matched, matched))
        if not at_equal_gain >= least - allowed:
            reason = f"would be worse: NCC {before:.3f} -> {of_moved:.3f}"
            return Judgement(False, False, reason, *unchanged)

    reason = ""
    if rendered is not None:
        concordances = (concordance(a, b) for a, b in ((target, matched), (target, wanted), (matched, wanted)))
        reason = _against_rendering(least, after, ssim_before, ssim_after, *concordances)
    if reason:
        ssim_moved = float(compare(target, [moved], pedestal).ssim[0])
        return Judgement(True, False, reason, before, of_moved, ssim_before, ssim_moved)
    return Judgement(True, rendered is not None, "", before, after, ssim_before, ssim_after)


def _against_rendering(
    least_ncc: float, of_ncc: float, least_ssim: float, of_ssim: float, least: float, forward: float, moved: float
) -> str:
    """What speaks against rendered lines; empty if nothing does."""
    figures = {
        "NCC": (least_ncc, of_ncc),
        "concordance with the forward pass": (least, forward),
        "concordance with the moved lines": (least, moved),
    }
    if not math.isnan(least_ssim):  # a frame of fewer lines than the window of SSIM has none
        figures["SSIM"] = (least_ssim, of_ssim)
    for name, (expected, came) in figures.items():
        if not math.isfinite(came):
            return f"{MOVED_ONLY}: {NOT_FINITE}"
        if not came >= expected - WORSE:
            return f"{MOVED_ONLY}: its {name} is {came:.3f}, and was {expected:.3f}"
    return ""
