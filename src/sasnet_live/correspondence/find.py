"""From two passes to their displacement: coarse search, then Gauss-Newton coarse to fine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sasnet_live.scan import move_lines

from .choice import either
from .coarse import coarse_search
from .confidence import ACCEPTED_CONFIDENCE, BEYOND, Evidence, confidence, evidence, strongest_doubt
from .displacement import DisplacementParts, fit_profile
from .filters import blur, coherence_filter, filtered, locally_normalized, reduced, unit_deviation
from .landscape import correlation
from .refine import refine
from .rival import fits_further, preferred
from .tails import tail_displacement
from .wide_delay import settled

KNOTS = 14
SHORTEST_LINE_PX = 16
PYRAMID_ROBUST_SCALE = 0.8
NEAR_PX = 0.5  # an error that confidence is about


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
        (B,) what electronics add: opposite tails of the passes, see `tails`, or whatever moves wide structure, see
        `wide_delay`.
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
        Largest displacement searched for either side of `centre_px`; by default a tenth of the line. Frames that are
        not trusted then, and fit better further away, are searched up to three times as far.
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
    reach = default_reach_px(target.shape[-1]) if reach_px is None else reach_px
    passes = locally_normalized(target), locally_normalized(backward)
    earlier = _Earlier(prior, None if start is None else start.lines_px, tail_px, transfer)
    if start is not None:
        return _found(*passes, start, reach, centre_px, TRACKING_STEPS, earlier)
    found = _found(*passes, _coarse(*passes, reach, centre_px), reach, centre_px, SEARCH_STEPS, earlier)
    doubtful = found.confidence < ACCEPTED_CONFIDENCE
    if not bool(doubtful.any()):
        return found
    widest = min(round(BEYOND * reach), target.shape[-1] // 2)
    further = doubtful & fits_further(*passes, centre_px, reach, widest)
    if not bool(further.any()):
        return found
    wide = _found(*passes, _coarse(*passes, widest, centre_px), widest, centre_px, SEARCH_STEPS, earlier)
    return either(further & (wide.confidence >= ACCEPTED_CONFIDENCE), wide, found)


class _Earlier(NamedTuple):
    """What is known of earlier frames, see `find_displacement`."""

    prior: tuple[Tensor, Tensor] | None
    lines_px: Tensor | None
    tail_px: tuple[float, float] | None
    transfer: Tensor | None


class _Steps(NamedTuple):
    """Stages (blur in px, reduction along the line, Gauss-Newton steps) before the filtered passes, and steps on them.

    What starts at an earlier frame's profile is nearer.
    """

    pyramid: tuple[tuple[float, int, int], ...]
    finest: int


SEARCH_STEPS = _Steps(((4.0, 4, 2), (2.5, 2, 2)), 2)
TRACKING_STEPS = _Steps(((4.0, 4, 1),), 1)


def _coarse(target: Tensor, backward: Tensor, reach: int, centre_px: int) -> DisplacementParts:
    coarse = coarse_search(target, backward, reach, centre_px)
    lines = coarse.lines_px.double()
    return DisplacementParts.initial(fit_profile(coarse.profile_px, KNOTS), lines - lines.mean(1, keepdim=True))


def _found(
    target: Tensor,
    backward: Tensor,
    begin: DisplacementParts,
    reach: int,
    centre_px: int,
    steps: _Steps,
    earlier: _Earlier,
) -> Correspondence:
    """The displacement near `begin`, of locally normalized passes, and what speaks for it."""
    fit = _fitted(target, backward, begin, steps, earlier)
    better = preferred(target, backward, fit.moved, fit.estimate, centre_px, reach)
    if better is not fit.estimate:
        fit = _fitted_again(target, backward, fit, better, earlier)
    tail, kept = tail_displacement(target, fit.moved)
    found = evidence((target, fit.moved), fit.filtered, fit.estimate, reach)
    tail = settled(tail, kept, found.wide_px, found.wide_deviation_px)
    if earlier.tail_px is not None:
        tail = tail + earlier.tail_px[1] * (earlier.tail_px[0] - tail)
    displacement = fit.estimate.displacement_px(target.shape[-1]) + tail[:, None, None]
    return Correspondence(displacement, fit.estimate, tail, fit.transfer, found)


class _Fit(NamedTuple):
    """An estimate, the backward lines moved by it, and what it was found on: coherence filter and filtered passes."""

    estimate: DisplacementParts
    moved: Tensor
    transfer: Tensor
    filtered: tuple[Tensor, Tensor]


def _fitted(
    target: Tensor,
    backward: Tensor,
    estimate: DisplacementParts,
    steps: _Steps,
    earlier: _Earlier,
) -> _Fit:
    """Gauss-Newton from this estimate on: on lines reduced and blurred less and less, then on filtered ones."""
    width = target.shape[-1]
    for sigma, reduction, count in steps.pyramid:
        if width // reduction < SHORTEST_LINE_PX:
            continue
        few_px = (reduced(images, reduction) for images in (target, backward))
        a, b = (locally_normalized(blur(images, sigma / reduction, 0.7)) for images in few_px)
        estimate = refine(
            a,
            b,
            estimate,
            steps=count,
            px_per_sample=reduction,
            prior=earlier.prior,
            usual_lines_px=earlier.lines_px,
            robust_scale=PYRAMID_ROBUST_SCALE,
        )
    transfer = earlier.transfer
    if transfer is None:
        transfer = coherence_filter(target, move_lines(backward, estimate.displacement_px(width), "cubic"))
    a, b = (unit_deviation(filtered(images, transfer)) for images in (target, backward))
    estimate = refine(a, b, estimate, steps=steps.finest, prior=earlier.prior, usual_lines_px=earlier.lines_px)
    return _Fit(estimate, move_lines(backward, estimate.displacement_px(width), "cubic"), transfer, (a, b))


def _fitted_again(target: Tensor, backward: Tensor, fit: _Fit, better: DisplacementParts, earlier: _Earlier) -> _Fit:
    """From where the whole picture fits better: the fit from there on, unless that leaves the whole picture worse.

    A frame displaced by more than was searched for is put near its place by the whole picture, and can be fitted there.
    Where the fine structure contradicts the whole picture, it would be drawn away again.
    """
    changed = (better.coefficients != fit.estimate.coefficients).any(1)
    if not bool(changed.any()):
        return fit
    whole = fit._replace(estimate=better, moved=move_lines(backward, better.displacement_px(target.shape[-1]), "cubic"))
    again = _fitted(target, backward, better, SEARCH_STEPS, earlier._replace(transfer=None))
    fits = correlation(target, again.moved) >= correlation(target, whole.moved)
    return either(changed & fits, again, either(changed, whole, fit))
