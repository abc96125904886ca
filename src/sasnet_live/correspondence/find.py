"""From two passes to their displacement: coarse search, then Gauss-Newton coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from sasnet_live.threads import one_blas_thread

from .ambiguity import fits_further, preferred
from .arrays import Floats
from .coarse import coarse_search
from .confidence import ACCEPTED_CONFIDENCE, BEYOND, Evidence, evidence
from .correlogram import correlation, lines_apart
from .displacement import DisplacementParts
from .expectation import Expectation
from .filters import blurred, coherence_filter, filtered, locally_normalized, reduced
from .phase_delay import select_delay, tail_delay
from .refine import Prior, refine

SHORTEST_LINE_PX = 16
PYRAMID_ROBUST_SCALE = 0.8
PYRAMID_BLUR_LINES = 0.7


@dataclass(frozen=True)
class Correspondence:
    """The displacement between the passes of a frame, and what speaks for it.

    Attributes
    ----------
    parts
        Profile, lines and creep, with their uncertainty: what aligns fine structure.
    tail_px
        What electronics add: opposite tails of the passes, or whatever moves wide structure, see `phase_delay`.
    transfer
        (n, L // 2 + 1) the coherence filter that fine structure was compared through, see `filters`.
    evidence
        What the confidence is computed from.
    width
        Px of a line.
    frames
        That the evidence comes from: 1, or so many as were averaged.
    """

    parts: DisplacementParts
    tail_px: float
    transfer: Floats
    evidence: Evidence
    width: int
    frames: int = 1

    @cached_property
    def displacement_px(self) -> Floats:
        """(n, W) float32, ``registered(x) = backward(x - displacement(x))``: its parts and what electronics add."""
        return self.parts.displacement_px(self.width, self.tail_px)

    @property
    def confidence(self) -> float:
        """In [0, 1]."""
        return self.evidence.confidence


def default_reach_px(width: int) -> int:
    """Largest displacement searched for in lines of this many px, unless told: a tenth of the line."""
    return max(6, round(width / 10))


@one_blas_thread()
def find_displacement(
    target: Floats,
    backward: Floats,
    *,
    reach_px: int | None = None,
    centre_px: int = 0,
    expected: Expectation | None = None,
    transfer: Floats | None = None,
) -> Correspondence:
    """Find the displacement of backward lines against the forward pass.

    Parameters
    ----------
    target
        (n, W) float: the forward pass at the backward lines (`scan.forward_at_backward_lines`), any units.
    backward
        (n, W) the backward lines, any units.
    reach_px
        Largest displacement searched for either side of `centre_px`; by default a tenth of the line. Frames that are
        not trusted then, and fit better further away, are searched up to three times as far.
    expected
        What earlier frames of the same scanner say: begin there instead of searching.
    transfer
        (n, L // 2 + 1) the coherence filter of an earlier frame; by default that of this frame is worked out.
    """
    reach = default_reach_px(target.shape[1]) if reach_px is None else reach_px
    passes = _Normalized(locally_normalized(target), locally_normalized(backward), centre_px)
    if expected is not None:
        found = _found(passes, expected.start, reach, TRACKING_STEPS, expected.prior, transfer)
        tail = found.tail_px + expected.tail_weight * (expected.tail_px - found.tail_px)
        return replace(found, tail_px=tail)
    nothing = Prior.none(len(target))
    found = _found(passes, passes.searched(reach), reach, SEARCH_STEPS, nothing, transfer)
    if found.confidence >= ACCEPTED_CONFIDENCE:
        return found
    widest = min(round(BEYOND * reach), target.shape[1] // 2)
    if not fits_further(passes.target, passes.backward, centre_px, reach, widest):
        return found
    wide = _found(passes, passes.searched(widest), widest, SEARCH_STEPS, nothing, transfer)
    return wide if wide.confidence >= ACCEPTED_CONFIDENCE else found


class _Normalized(NamedTuple):
    """Locally normalized passes (n, W), and the displacement about which they are searched."""

    target: Floats
    backward: Floats
    centre_px: int

    def searched(self, reach: int) -> DisplacementParts:
        """The displacement to about a px."""
        return coarse_search(self.target, self.backward, reach, self.centre_px)


class _Steps(NamedTuple):
    """Stages (blur in px, reduction along the line, Gauss-Newton steps) before the filtered passes, and steps on them.

    What starts at an earlier frame's profile is nearer.
    """

    pyramid: tuple[tuple[float, int, int], ...]
    finest: int


SEARCH_STEPS = _Steps(((4.0, 4, 2), (2.5, 2, 2)), 2)
TRACKING_STEPS = _Steps(((4.0, 4, 1),), 1)


class _Fit(NamedTuple):
    """An estimate, the backward lines moved by it, and what it was found on: coherence filter and filtered passes."""

    estimate: DisplacementParts
    moved: Floats
    transfer: Floats
    filtered: tuple[Floats, Floats]


def _found(
    passes: _Normalized, begin: DisplacementParts, reach: int, steps: _Steps, prior: Prior, transfer: Floats | None
) -> Correspondence:
    """The displacement near `begin`, and what speaks for it."""
    target, backward, centre_px = passes
    fit = _fitted(passes, begin, steps, prior, transfer)
    better = preferred(target, backward, fit.moved, fit.estimate, centre_px, reach)
    if better is not fit.estimate:
        fit = _fitted_again(passes, fit, better, prior)
    every = lines_apart(len(target))
    some_filtered = fit.filtered[0][::every], fit.estimate.moved(fit.filtered[1], every)
    found = evidence((target[::every], fit.moved[::every]), some_filtered, fit.estimate, reach)
    tail = select_delay(tail_delay(target, fit.moved), found.wide)
    return Correspondence(fit.estimate, tail, fit.transfer, found, target.shape[1])


def _fitted(
    passes: _Normalized, estimate: DisplacementParts, steps: _Steps, prior: Prior, transfer: Floats | None
) -> _Fit:
    """Gauss-Newton from this estimate on: on lines reduced and blurred less and less, then on filtered ones."""
    target, backward, _ = passes
    for sigma, reduction, count in steps.pyramid:
        if target.shape[1] // reduction < SHORTEST_LINE_PX:
            continue
        few_px = (reduced(images, reduction) for images in (target, backward))
        a, b = (locally_normalized(blurred(images, PYRAMID_BLUR_LINES, sigma / reduction)) for images in few_px)
        estimate = refine(
            a, b, estimate, steps=count, prior=prior, px_per_sample=reduction, robust_scale=PYRAMID_ROBUST_SCALE
        )
    if transfer is None:
        transfer = coherence_filter(target, estimate.moved(backward))
    a, b = (filtered(images, transfer) for images in (target, backward))
    estimate = refine(a, b, estimate, steps=steps.finest, prior=prior)
    return _Fit(estimate, estimate.moved(backward), transfer, (a, b))


def _fitted_again(passes: _Normalized, fit: _Fit, better: DisplacementParts, prior: Prior) -> _Fit:
    """From where the whole picture fits better: the fit from there on, unless that leaves the whole picture worse.

    A frame displaced by more than was searched for is put near its place by the whole picture, and can be fitted there.
    Where the fine structure contradicts the whole picture, it would be drawn away again.
    """
    whole = fit._replace(estimate=better, moved=better.moved(passes.backward))
    again = _fitted(passes, better, SEARCH_STEPS, prior, None)
    fits = correlation(passes.target, again.moved) >= correlation(passes.target, whole.moved)
    return again if fits else whole
