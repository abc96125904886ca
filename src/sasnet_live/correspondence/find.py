"""From two passes to their displacement: coarse search, then Gauss-Newton coarse to fine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sasnet_live.scan import move_lines

from .coarse import coarse_search
from .confidence import Evidence, confidence, evidence, strongest_doubt
from .displacement import DisplacementParts, fit_profile
from .filters import blur, coherence_filter, filtered, locally_normalized, reduced, unit_deviation
from .refine import refine
from .rival import preferred
from .tails import tail_displacement

KNOTS = 14
SHORTEST_LINE_PX = 16
# (blur in px, reduction along the line, Gauss-Newton steps) of the stages before the coherence-weighted one.
PYRAMID = ((4.0, 4, 2), (2.5, 2, 2))
FINEST_STEPS = 2
# What starts at an earlier frame's profile is nearer.
TRACKING_PYRAMID = ((4.0, 4, 1),)
TRACKING_FINEST_STEPS = 1
PYRAMID_ROBUST_SCALE = 0.8
NEAR_PX = 0.5  # an error that confidence is about
TAIL_TOLERANCE = 0.97  # passes that become less alike by moving them by the tails' share differ by more than tails


@dataclass(frozen=True)
class Correspondence:
    """The displacement between the passes of B frames, and what speaks for it.

    Attributes
    ----------
    displacement_px
        (B, n, W) float32, ``registered(x) = backward(x - displacement(x))``: its parts and the tails' share.
    parts
        Profile, lines and creep, with their uncertainty: what aligns fine structure.
    tail_px
        (B,) what the opposite electronic tails of the passes add, see `tails`.
    transfer
        (B, n, L // 2 + 1) the coherence filter that fine structure was compared through, see `filters`.
    evidence
        What the confidence is computed from.
    """

    displacement_px: Tensor
    parts: DisplacementParts
    tail_px: Tensor
    transfer: Tensor
    evidence: Evidence

    @property
    def confidence(self) -> Tensor:
        """(B,) in [0, 1]."""
        return confidence(self.evidence)

    @property
    def line_confidence(self) -> Tensor:
        """(B, n) in [0, 1]: the frame's, times the probability that noise leaves the line within half a px."""
        within = torch.erf(NEAR_PX / (math.sqrt(2) * self.evidence.line_deviation_px))
        return self.confidence[:, None] * within

    @property
    def doubt(self) -> str:
        """What speaks most against the displacement of a single frame, in words."""
        return strongest_doubt(self.evidence)


def default_reach_px(width: int) -> int:
    """Largest displacement searched for in lines of this many px, unless told: a tenth of the line."""
    return max(6, round(width / 10))


def find_displacement(
    target: Tensor,
    backward: Tensor,
    *,
    reach_px: int | None = None,
    centre_px: int = 0,
    start: DisplacementParts | None = None,
    prior: tuple[Tensor, Tensor] | None = None,
    tail_px: tuple[float, float] | None = None,
    transfer: Tensor | None = None,
) -> Correspondence:
    """Find the displacement of backward lines against the forward pass.

    Parameters
    ----------
    target
        (B, n, W) float: the forward pass at the backward lines (`scan.forward_at_backward_lines`), any units.
    backward
        (B, n, W) the backward lines, any units.
    reach_px
        Largest displacement searched for either side of `centre_px`; by default a tenth of the line.
    start
        Begin here instead of searching: at what frames of the same scanner just before have in common. Lines are
        taken to scatter about its lines.
    prior
        What earlier frames tell of the coefficients: (B, K + M) px^-1, information times coefficients, and that
        information (B, K + M, K + M) px^-2.
    tail_px
        The tails' share of the displacement in earlier frames, px, and its weight in [0, 1] against this frame's.
    transfer
        (B, n, L // 2 + 1) the coherence filter of an earlier frame; by default that of this frame is worked out.

    Returns
    -------
    Correspondence
        Differentiable with respect to both passes through the Gauss-Newton steps (the coarse search is not).
    """
    width = target.shape[-1]
    reach = default_reach_px(width) if reach_px is None else reach_px
    target, backward = locally_normalized(target), locally_normalized(backward)
    if start is None:
        coarse = coarse_search(target, backward, reach, centre_px)
        lines = coarse.lines_px.double()
        estimate = DisplacementParts.initial(fit_profile(coarse.profile_px, KNOTS), lines - lines.mean(1, keepdim=True))
    else:
        estimate = start

    usual = None if start is None else start.lines_px
    for sigma, reduction, steps in PYRAMID if start is None else TRACKING_PYRAMID:
        if width // reduction < SHORTEST_LINE_PX:
            continue
        few_px = (reduced(images, reduction) for images in (target, backward))
        a, b = (locally_normalized(blur(images, sigma / reduction, 0.7)) for images in few_px)
        estimate = refine(
            a,
            b,
            estimate,
            steps=steps,
            px_per_sample=reduction,
            prior=prior,
            usual_lines_px=usual,
            robust_scale=PYRAMID_ROBUST_SCALE,
        )

    if transfer is None:
        transfer = coherence_filter(target, move_lines(backward, estimate.displacement_px(width), "cubic"))
    a, b = (unit_deviation(filtered(images, transfer)) for images in (target, backward))
    steps = FINEST_STEPS if start is None else TRACKING_FINEST_STEPS
    estimate = refine(a, b, estimate, steps=steps, prior=prior, usual_lines_px=usual)
    displacement = estimate.displacement_px(width)
    moved = move_lines(backward, displacement, "cubic")
    better = preferred(target, backward, moved, estimate, centre_px, reach)
    if better is not estimate:
        estimate, displacement = better, better.displacement_px(width)
        moved = move_lines(backward, displacement, "cubic")
    tail, kept = tail_displacement(target, moved)
    tail = tail * (kept > TAIL_TOLERANCE)
    if tail_px is not None:
        tail = tail + tail_px[1] * (tail_px[0] - tail)
    found = evidence((target, moved), (a, b), estimate, reach)
    return Correspondence(displacement + tail[:, None, None], estimate, tail, transfer, found)
