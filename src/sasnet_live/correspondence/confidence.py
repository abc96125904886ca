"""How surely a displacement is right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import erf, expit

from .arrays import Floats
from .correlogram import CrossSpectrum, correlation, significance
from .displacement import KNOTS, DisplacementParts
from .filters import reduced
from .phase_delay import LARGE_PX, WideDelay, wide_delay

ACCEPTED_CONFIDENCE = 0.5  # from which on a displacement is used; below, frames pass through unchanged
NEAR_PX = 0.5  # an error that confidence is about
SHARED = 0.22  # correlation of slopes that chance does not reach in many samples
SIGNIFICANT = 4.6  # deviations of chance that passes which share nothing do not reach, though a displacement is fitted
LEVELS_COUNT = 0.5  # of the correlation of the filtered passes, whose wide structure agrees more easily than slopes
STRAIN = 0.07  # twice the largest of real scans; what is fitted to noise has more
ENOUGH_PX = 2**15  # of a pass; in fewer, wide noise agrees by chance
DETAIL = 0.22  # correlation of slopes over 2 px below which noise hides fine structure
NOISY = 0.6  # the most confidence that such noise leaves
COARSE_PX, FINE_PX = 4, 2  # px that are averaged along the line
UNKNOWN_PX = 0.6  # deviation of what wide structure says, above which such noise leaves none
APART_PX = 5.0  # between wide and fine structure; no signal is known that is further apart and was measured well
BEYOND_LEVEL = 0.9  # a displacement out of reach that fits as well as this, relative, may be the true one
BEYOND = 3.0  # displacements are looked at up to this many times the reach
UNEVEN = 2.0  # the most that a correlation is raised by where a displacement leaves the poorer part of the lines
LINE_EXCESS, LINE_MODEL_PX = 1.5, 0.02  # measured against predicted variance of single lines, and what is not modelled
DECISIVE = 0.5  # value of a ground below which a frame is not accepted, whatever the others
OWN = 0.2  # correlation of an image with itself, displaced, down to which a peak is wide


@dataclass(frozen=True)
class Evidence:
    """What speaks for the displacement of a frame.

    Only what varies along the line tells a displacement, so slopes are compared: of the coherence-filtered passes, and
    of the whole picture over a few px. Some signals share their fine structure and some do not (edges that shine in one
    pass and are dark in the other), and in wide vessels under much noise no slope stands out, but the filtered passes
    agree. Of the three comparisons the one that agrees best counts, the last with half its correlation or less.

    Attributes
    ----------
    correlation
        Of the aligned, filtered passes.
    shared
        The best of the three.
    significance
        Agreement of the whole picture over a few px, in standard deviations of what chance brings about. The
        filtered passes have no say in it: in noise, the filter lets through what happens to agree.
    ambiguity
        The best correlation at a wrong displacement within reach, as a part of the found one's: near 1 on periodic
        content, where the displacement may be off by a period.
    beyond
        The same outside the reach of the search: above 1, the passes are displaced by more than was looked for.
    wide
        What is to be added to the displacement for wide structure to be aligned.
    detail
        Correlation of slopes over 2 px: near 0 where noise hides fine structure.
    strain
        Range of the profile, as a part of the line.
    deviation_px
        Expected root-mean-square error of the displacement where there is texture, from the curvature and the
        noise of the fit.
    line_deviation_px
        (n,) the part of it that belongs to each line.
    """

    correlation: float
    shared: float
    significance: float
    ambiguity: float
    beyond: float
    wide: WideDelay
    detail: float
    strain: float
    deviation_px: float
    line_deviation_px: Floats

    @property
    def confidence(self) -> float:
        """In [0, 1]: the probability, roughly, that the displacement is within half a px on average.

        At most 0.6 or so where noise hides fine structure: the displacement may be right, but hardly anything shows it.
        """
        # What fine structure does not show, wide structure has to.
        hidden = NOISY * float(expit(20 * (UNKNOWN_PX - self.wide.deviation_px)))
        shown = hidden + (1 - hidden) * float(expit(60 * (self.detail - DETAIL)))
        return min(math.prod(self._grounds().values()), shown)

    @property
    def line_confidence(self) -> Floats:
        """(n,) in [0, 1]: the frame's, times the probability that noise leaves the line within half a px."""
        within: Floats = erf(NEAR_PX / (math.sqrt(2) * self.line_deviation_px))
        return self.confidence * within

    @property
    def doubt(self) -> str:
        """What speaks most against the displacement, in words."""
        grounds = self._grounds()
        # What comes first may be what makes the others fail: without shared structure, they judge noise.
        decisive = (doubt for doubt, value in grounds.items() if value < DECISIVE)
        return next(decisive, min(grounds, key=grounds.__getitem__))

    def _grounds(self) -> dict[str, float]:
        """In [0, 1] each, by the doubt that a low value means.

        Levels and slopes of the logistic curves were set on frames of all levels of noise, unrelated passes and noise
        of many kinds, drawn apart from those of `docs/benchmark_confidence.py`, but for STRAIN and ENOUGH_PX, which
        were set with its impostors in view.
        """
        apart = abs(self.wide.px)
        apart += 2 * self.wide.deviation_px if apart > LARGE_PX else 0
        grounds = {
            "the passes share no structure that stands out of the noise": 30 * (self.shared - SHARED),
            "periodic content, the displacement may be off by a period": 25 * (0.85 - self.ambiguity),
            "a displacement beyond the search range fits better": 40 * (BEYOND_LEVEL - self.beyond),
            "the passes share no more than chance may bring about": 3 * (self.significance - SIGNIFICANT),
            "too little texture along the lines": 12 * (0.5 - self.deviation_px),
            "the displacement found changes more along the line than a scanner's": 150 * (STRAIN - self.strain),
            "fine structure lies too far from wide structure": 6 * (APART_PX - apart),
        }
        return {doubt: float(expit(value)) for doubt, value in grounds.items()}


def evidence(
    aligned: tuple[Floats, Floats], filtered: tuple[Floats, Floats], estimate: DisplacementParts, reach_px: int
) -> Evidence:
    """Compare the passes at the displacement found with how they compare at wrong ones.

    Parameters
    ----------
    aligned
        Forward and moved backward pass, (m, W) each, locally normalized: some of the lines are enough.
    filtered
        The same two, coherence-filtered.
    estimate
        Of all n lines.
    reach_px
        Of the search.
    """
    lines, width = len(estimate.lines_px), filtered[0].shape[1]
    comparison = CrossSpectrum.of(*filtered, _limit(width, reach_px))
    by_filtered = _peaks(comparison.slopes, reach_px)
    fine = [reduced(images, FINE_PX) for images in aligned]
    a, b = (np.diff(reduced(images, COARSE_PX // FINE_PX), axis=1) for images in fine)
    coarse_reach = max(2, reach_px // COARSE_PX)
    by_whole = _peaks(CrossSpectrum.of(a, b, _limit(a.shape[1], coarse_reach)), coarse_reach, (a, b))
    by_level = _peaks(comparison, reach_px)
    # Content of a short period shows in the filtered passes themselves; their slopes' noise would hide it.
    if by_level.found > SHARED:
        by_filtered = by_filtered._replace(ambiguity=max(by_filtered.ambiguity, by_level.ambiguity))
    counts = LEVELS_COUNT * min(1.0, math.sqrt(lines * width / ENOUGH_PX))
    candidates = (by_filtered, by_whole, by_level._replace(found=counts * by_level.found))
    best = max(candidates, key=lambda peaks: peaks.found)
    profile = estimate.profile_px(width)
    taper = _taper_where_recorded(profile)[: a.shape[1]]
    return Evidence(
        correlation=by_level.found,
        shared=best.found,
        significance=significance(a, b),
        ambiguity=best.ambiguity,
        beyond=max(peaks.beyond if peaks.found >= SHARED else 0.0 for peaks in candidates),
        wide=wide_delay(CrossSpectrum.of(taper * a, taper * b, 0), len(a), COARSE_PX),
        detail=correlation(*(np.diff(images, axis=1) for images in fine)),
        strain=float(np.ptp(profile)) / width,
        deviation_px=_deviation(estimate),
        line_deviation_px=np.sqrt(LINE_EXCESS * estimate.shared_line_variance + LINE_MODEL_PX**2),
    )


def _taper_where_recorded(profile: Floats) -> Floats:
    """(W // 4,) Hann window over the px of a line that are moved to from within the line, of a profile (W,)."""
    source = np.arange(len(profile)) - profile
    recorded = ((source >= 0) & (source <= len(profile) - 1))[COARSE_PX // 2 :: COARSE_PX].astype(np.float32)
    place = recorded.cumsum() / (recorded.sum() + 1)
    taper: Floats = recorded * np.sin(np.pi * place).astype(np.float32) ** 2
    return taper


def _limit(width: int, reach: int) -> int:
    """Samples up to which displacements are looked at."""
    return max(reach + 1, min(width // 2, round(BEYOND * reach)))


class _Peaks(NamedTuple):
    """Correlation where the passes were put, and the best elsewhere within and beyond reach, relative."""

    found: float
    ambiguity: float
    beyond: float


def _peaks(comparison: CrossSpectrum, reach: int, passes: tuple[Floats, Floats] | None = None) -> _Peaks:
    """Peaks of a correlogram; if the two compared passes are given, scaled by what each displacement leaves of them."""
    limit = _limit(comparison.width, reach)
    shifts = np.arange(-limit, limit + 1)
    correlogram = comparison.correlogram(shifts)
    if passes is not None:
        correlogram = correlogram * _unevenness(np.square(passes[0]).sum(0), np.square(passes[1]).sum(0), shifts)
    peak = float(correlogram[limit])
    # Samples around the peak belong to it: as far as the target is like itself.
    unlike = np.flatnonzero(comparison.own(shifts[limit : limit + reach + 1]) < OWN)
    lobe = max(2, int(unlike[0])) if len(unlike) else reach // 2
    wrong = np.abs(shifts) > 2 * min(lobe, max(1, reach // 3))
    within = np.abs(shifts) <= reach
    ambiguity, beyond = (
        max(-1.0, float(correlogram[wrong & part].max(initial=-1))) / max(peak, 1e-6) for part in (within, ~within)
    )
    return _Peaks(peak, ambiguity, beyond)


def _unevenness(of_target: Floats, of_images: Floats, shifts: Floats) -> Floats:
    """(S,) what a correlogram has to be multiplied by, of two passes with so much energy (W,) along the line.

    It is scaled as if what a displacement leaves of the lines held its share of their energy. Where it holds less, a
    lattice that is displaced by a period would seem to fit worse than one that is not.
    """
    width = len(of_target)
    until_target, until_images = (np.concatenate([[0], np.cumsum(of, dtype=float)]) for of in (of_target, of_images))
    start, end = shifts.clip(0), width + shifts.clip(None, 0)
    left = (until_target[end] - until_target[start]) * (until_images[width - start] - until_images[width - end])
    expected = until_target[-1] * until_images[-1] * (1 - np.abs(shifts) / width) ** 2
    uneven: Floats = np.sqrt(expected / left.clip(1e-20)).clip(None, UNEVEN)
    return uneven


def _deviation(estimate: DisplacementParts) -> float:
    """With information c(x) at each px and K unknowns, the profile's variance, weighted by c, is K / sum(c)."""
    # B-splines sum to 1, so all entries together are the information at all px.
    total = max(float(estimate.information[:KNOTS, :KNOTS].sum()), 1e-6)
    return math.sqrt(KNOTS / total + float(estimate.line_variance.mean()))
