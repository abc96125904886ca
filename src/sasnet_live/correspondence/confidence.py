"""How surely a displacement is right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sasnet_live.scan import move_lines

from .chance import significance
from .displacement import DisplacementParts
from .filters import reduced
from .landscape import Comparison, correlation, lines_apart
from .wide_delay import LARGE_PX, wide_delay

ACCEPTED_CONFIDENCE = 0.5  # from which on a displacement is used; below, frames pass through unchanged
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
    """What speaks for a displacement, per frame.

    Only what varies along the line tells a displacement, so slopes are compared: of the coherence-filtered passes, and
    of the whole picture over a few px. Some signals share their fine structure and some do not (edges that shine in one
    pass and are dark in the other), and in wide vessels under much noise no slope stands out, but the filtered passes
    agree. Of the three comparisons the one that agrees best counts, the last with half its correlation or less.

    Attributes
    ----------
    correlation
        (B,) of the aligned, filtered passes.
    shared
        (B,) the best of the three.
    significance
        (B,) agreement of the whole picture over a few px, in standard deviations of what chance brings about. The
        filtered passes have no say in it: in noise, the filter lets through what happens to agree.
    rival
        (B,) the best correlation at a wrong displacement within reach, as a part of the found one's: near 1 on periodic
        content, where the displacement may be off by a period.
    beyond
        (B,) the same outside the reach of the search: above 1, the passes are displaced by more than was looked for.
    wide_px, wide_deviation_px
        (B,) what is to be added to the displacement for wide structure to be aligned, and its standard deviation.
    detail
        (B,) correlation of slopes over 2 px: near 0 where noise hides fine structure.
    strain
        (B,) range of the profile, as a part of the line.
    deviation_px
        (B,) expected root-mean-square error of the displacement where there is texture, from the curvature and the
        noise of the fit.
    line_deviation_px
        (B, n) the part of it that belongs to each line.
    """

    correlation: Tensor
    shared: Tensor
    significance: Tensor
    rival: Tensor
    beyond: Tensor
    wide_px: Tensor
    wide_deviation_px: Tensor
    detail: Tensor
    strain: Tensor
    deviation_px: Tensor
    line_deviation_px: Tensor


@torch.no_grad()
def evidence(
    aligned: tuple[Tensor, Tensor], filtered: tuple[Tensor, Tensor], estimate: DisplacementParts, reach_px: int
) -> Evidence:
    """Compare the passes at the displacement found with how they compare at wrong ones.

    Parameters
    ----------
    aligned
        Forward and moved backward pass, (B, n, W) each, locally normalized.
    filtered
        Forward and backward pass, coherence-filtered, (B, n, W) each.
    reach_px
        Of the search.
    """
    lines, width = filtered[0].shape[-2:]
    some = slice(None, None, lines_apart(lines))
    target, backward = (images[:, some] for images in filtered)
    aligned = (aligned[0][:, some], aligned[1][:, some])
    moved = move_lines(backward, estimate.displacement_px(width)[:, some], "linear")
    comparison = Comparison.of(target, moved, _limit(width, reach_px))
    by_filtered = _peaks(comparison.slopes, reach_px)
    fine = [reduced(images, FINE_PX) for images in aligned]
    a, b = (_slope(reduced(images, COARSE_PX // FINE_PX)) for images in fine)
    coarse_reach = max(2, reach_px // COARSE_PX)
    whole = Comparison.of(a, b, _limit(a.shape[-1], coarse_reach))
    by_whole = _peaks(whole, coarse_reach, (a, b))
    by_level = _peaks(comparison, reach_px)
    # Content of a short period shows in the filtered passes themselves; their slopes' noise would hide it.
    rival_of_level = torch.where(by_level.found > SHARED, by_level.rival, 0)
    by_filtered = by_filtered._replace(rival=torch.maximum(by_filtered.rival, rival_of_level))

    counts = LEVELS_COUNT * min(1.0, math.sqrt(lines * width / ENOUGH_PX))
    candidates = (by_filtered, by_whole, by_level._replace(found=counts * by_level.found))
    found, rival, beyond = (torch.stack(values) for values in zip(*candidates, strict=True))
    shared, better = found.max(0)
    profile = estimate.profile_px(width)
    taper = _taper_where_recorded(profile)[:, None, : a.shape[-1]]
    wide_px, wide_deviation_px = wide_delay(Comparison.of(taper * a, taper * b, 0), a.shape[1], COARSE_PX)
    return Evidence(
        correlation=by_level.found,
        shared=shared,
        significance=significance(a, b),
        rival=rival.gather(0, better[None])[0],
        beyond=beyond.masked_fill(found < SHARED, 0).amax(0),
        wide_px=wide_px,
        wide_deviation_px=wide_deviation_px,
        detail=correlation(_slope(fine[0]), _slope(fine[1])),
        strain=(profile.amax(1) - profile.amin(1)) / width,
        deviation_px=_deviation(estimate),
        line_deviation_px=(LINE_EXCESS * estimate.shared_line_variance + LINE_MODEL_PX**2).sqrt(),
    )


def confidence(evidence: Evidence) -> Tensor:
    """(B,) in [0, 1]: the probability, roughly, that the displacement is within half a px on average.

    At most 0.6 or so where noise hides fine structure: the displacement may be right, but hardly anything shows it.
    """
    grounds = torch.stack(list(_grounds(evidence).values())).prod(0)
    # What fine structure does not show, wide structure has to.
    hidden = NOISY * torch.sigmoid(20 * (UNKNOWN_PX - evidence.wide_deviation_px))
    return torch.minimum(grounds, hidden + (1 - hidden) * torch.sigmoid(60 * (evidence.detail - DETAIL)))


def strongest_doubt(evidence: Evidence) -> str:
    """What speaks most against the displacement of a single frame, in words."""
    grounds = {doubt: float(value[0]) for doubt, value in _grounds(evidence).items()}
    # What comes first may be what makes the others fail: without shared structure, they judge noise.
    decisive = (doubt for doubt, value in grounds.items() if value < DECISIVE)
    return next(decisive, min(grounds, key=grounds.__getitem__))


def _grounds(evidence: Evidence) -> dict[str, Tensor]:
    """(B,) in [0, 1] each, by the doubt that a low value means.

    Levels and slopes of the logistic curves were set on frames of all levels of noise, unrelated passes and noise of
    many kinds, drawn apart from those of `docs/benchmark_confidence.py`, but for STRAIN and ENOUGH_PX, which were set
    with its impostors in view.
    """
    return {
        "the passes share no structure that stands out of the noise": torch.sigmoid(30 * (evidence.shared - SHARED)),
        "periodic content, the displacement may be off by a period": torch.sigmoid(25 * (0.85 - evidence.rival)),
        "a displacement beyond the search range fits better": torch.sigmoid(40 * (BEYOND_LEVEL - evidence.beyond)),
        "the passes share no more than chance may bring about": torch.sigmoid(
            3 * (evidence.significance - SIGNIFICANT)
        ),
        "too little texture along the lines": torch.sigmoid(12 * (0.5 - evidence.deviation_px)),
        "the displacement found changes more along the line than a scanner's": torch.sigmoid(
            150 * (STRAIN - evidence.strain)
        ),
        "fine structure lies too far from wide structure": torch.sigmoid(6 * (APART_PX - _apart(evidence))),
    }


def _apart(evidence: Evidence) -> Tensor:
    """(B,) px that wide structure may lie apart from fine structure, where that is much."""
    apart = evidence.wide_px.abs()
    return apart + torch.where(apart > LARGE_PX, 2 * evidence.wide_deviation_px, 0)


def _taper_where_recorded(profile: Tensor) -> Tensor:
    """(B, W // 4) Hann window over the px of a line that are moved to from within the line, of a profile (B, W)."""
    width = profile.shape[-1]
    source = torch.arange(width, device=profile.device) - profile
    recorded = ((source >= 0) & (source <= width - 1))[:, COARSE_PX // 2 :: COARSE_PX].float()
    place = recorded.cumsum(1) / (recorded.sum(1, keepdim=True) + 1)
    return recorded * (torch.pi * place).sin().square()


def _limit(width: int, reach: int) -> int:
    """Samples up to which displacements are looked at."""
    return max(reach + 1, min(width // 2, round(BEYOND * reach)))


class _Peaks(NamedTuple):
    """(B,) each: correlation where the passes were put, and the best elsewhere within and beyond reach, relative."""

    found: Tensor
    rival: Tensor
    beyond: Tensor


def _peaks(comparison: Comparison, reach: int, passes: tuple[Tensor, Tensor] | None = None) -> _Peaks:
    """Peaks of a landscape; if the two compared passes are given, scaled by what each displacement leaves of them."""
    limit = _limit(comparison.width, reach)
    shifts = torch.arange(-limit, limit + 1, device=comparison.shared.device)
    landscape = comparison.landscape(shifts)
    if passes is not None:
        landscape = landscape * _unevenness(passes[0].square().sum(1), passes[1].square().sum(1), shifts)
    peak = landscape[:, limit]
    # Samples around the peak belong to it: as far as the target is like itself.
    own = comparison.own(shifts[limit : limit + reach + 1])
    lobe = (own < OWN).float().argmax(1).clamp_min(2).masked_fill((own >= OWN).all(1), reach // 2)
    wrong = shifts.abs()[None] > 2 * lobe[:, None].clamp_max(max(1, reach // 3))
    within = shifts.abs() <= reach
    scale = peak.clamp_min(1e-6)
    rival, beyond = (
        landscape.masked_fill(~(wrong & part), -1).amax(1).clamp_min(-1) / scale for part in (within, ~within)
    )
    return _Peaks(peak, rival, beyond)


def _unevenness(of_target: Tensor, of_images: Tensor, shifts: Tensor) -> Tensor:
    """(B, S) what a landscape has to be multiplied by, of two passes with so much energy (B, W) along the line.

    It is scaled as if what a displacement leaves of the lines held its share of their energy. Where it holds less, a
    lattice that is displaced by a period would seem to fit worse than one that is not.
    """
    width = of_target.shape[-1]
    until_target, until_images = (F.pad(density.cumsum(-1), (1, 0)) for density in (of_target, of_images))
    start, end = shifts.clamp_min(0), width + shifts.clamp_max(0)
    left = (until_target[:, end] - until_target[:, start]) * (
        until_images[:, width - start] - until_images[:, width - end]
    )
    expected = until_target[:, -1:] * until_images[:, -1:] * (1 - shifts.abs() / width).square()
    return (expected / left.clamp_min(1e-20)).sqrt().clamp_max(UNEVEN)


def _slope(images: Tensor) -> Tensor:
    return images[..., 1:] - images[..., :-1]


def _deviation(estimate: DisplacementParts) -> Tensor:
    """With information c(x) at each px and K unknowns, the profile's variance, weighted by c, is K / sum(c)."""
    information = estimate.profile_information
    # B-splines sum to 1, so all entries together are the information at all px.
    total = information.sum((1, 2)).clamp_min(1e-6)
    profile = information.shape[-1] / total
    deviation: Tensor = (profile + estimate.line_variance.double().mean(-1)).sqrt()
    return deviation.float()
