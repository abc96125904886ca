"""How surely a displacement is right."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sasnet_live.scan import move_lines

from .landscape import correlation_landscape
from .refine import SeparableDisplacement

SHARED = 0.2  # correlation of the filtered passes that chance does not reach


@dataclass(frozen=True)
class Evidence:
    """What speaks for a displacement, per frame.

    Attributes
    ----------
    correlation
        (B,) of the aligned, filtered passes.
    significance
        (B,) how many deviations the correlation stands above that of the same passes at wrong displacements.
    rival
        (B,) the best correlation at a wrong displacement, as a part of `correlation`: near 1 on periodic content, where
        the displacement may be off by a period.
    deviation_px
        (B,) expected root-mean-square error of the displacement where there is texture, from the curvature and the
        noise of the fit.
    line_deviation_px
        (B, n) the part of it that belongs to each line.
    """

    correlation: Tensor
    significance: Tensor
    rival: Tensor
    deviation_px: Tensor
    line_deviation_px: Tensor


@torch.no_grad()
def evidence(target: Tensor, backward: Tensor, estimate: SeparableDisplacement, reach_px: int) -> Evidence:
    """Compare the correlation at the displacement found with those at wrong ones.

    Parameters
    ----------
    target, backward
        (B, n, W) coherence-filtered passes.
    reach_px
        Wrong displacements are taken from the found one up to this far either side.
    """
    moved = move_lines(backward, estimate.displacement_px(target.shape[-1]), "linear")
    shifts = torch.arange(-reach_px, reach_px + 1, device=target.device)
    landscape = correlation_landscape(target, moved, shifts)
    peak = landscape[:, reach_px]
    # Px around the peak belong to it: as far as the target is like itself.
    own = correlation_landscape(target, target, shifts[reach_px:])
    lobe = (own < 0.2).float().argmax(1).clamp_min(2).masked_fill((own >= 0.2).all(1), reach_px // 2)
    wrong = shifts.abs()[None] > 2 * lobe[:, None].clamp_max(reach_px // 3)
    count = wrong.sum(1).clamp_min(1)
    mean = (landscape * wrong).sum(1) / count
    spread = (((landscape - mean[:, None]).square() * wrong).sum(1) / count).sqrt()
    rival = landscape.masked_fill(~wrong, -1).max(1).values
    return Evidence(
        correlation=peak,
        significance=(peak - mean) / (spread + 1e-6),
        rival=rival / peak.clamp_min(1e-6),
        deviation_px=_deviation(estimate),
        line_deviation_px=estimate.line_variance.sqrt(),
    )


def confidence(evidence: Evidence) -> Tensor:
    """(B,) in [0, 1]: the probability, roughly, that the displacement is within half a px on average."""
    return torch.stack(list(_grounds(evidence).values())).prod(0)


def strongest_doubt(evidence: Evidence) -> str:
    """What speaks most against the displacement of a single frame, in words."""
    grounds = {doubt: float(value[0]) for doubt, value in _grounds(evidence).items()}
    if float(evidence.correlation[0]) < SHARED:
        return next(iter(grounds))  # without shared structure, the other grounds judge noise
    return min(grounds, key=grounds.__getitem__)


def _grounds(evidence: Evidence) -> dict[str, Tensor]:
    """(B,) in [0, 1] each, by the doubt that a low value means."""
    seen = torch.sigmoid(0.6 * (evidence.significance.clamp_max(8) - 6) + 40 * (evidence.correlation - SHARED))
    precise = torch.sigmoid(6 * (0.5 - evidence.deviation_px) / 0.5)
    unique = torch.sigmoid(25 * (0.85 - evidence.rival))
    return {
        "the passes share no structure that stands out of the noise": seen,
        "too little texture along the lines": precise,
        "periodic content, the displacement may be off by a period": unique,
    }


def _deviation(estimate: SeparableDisplacement) -> Tensor:
    """With information c(x) at each px and K unknowns, the profile's variance, weighted by c, is K / sum(c)."""
    information = estimate.information
    # B-splines sum to 1, so all entries together are the information at all px.
    total = information.sum((1, 2)).clamp_min(1e-6)
    profile = information.shape[-1] / total
    deviation: Tensor = (profile + estimate.line_variance.double().mean(-1)).sqrt()
    return deviation.float()
