"""The displacement to a few px: correlation along the fast axis summed over lines, best path by dynamic programming."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .filters import blur, reduced

STRIDE = 2  # px: the search runs on lines reduced by this factor
WINDOWS = 16  # along the line
BLOCKS = 8  # down the frame
DRIFT_REACH = 6  # reduced px that a block of lines may differ from the whole frame
SMOOTHNESS = 0.02  # cost, in correlation, of one px of change between neighbouring windows or blocks


@dataclass(frozen=True)
class CoarseDisplacement:
    """Result of `coarse_search` for B frames.

    Attributes
    ----------
    profile_px
        (B, W), the displacement along the line.
    lines_px
        (B, n), what is added to it down the frame; mean about 0.
    """

    profile_px: Tensor
    lines_px: Tensor


@torch.no_grad()
def coarse_search(target: Tensor, backward: Tensor, reach_px: int, centre_px: int = 0) -> CoarseDisplacement:
    """Find the displacement to about a px, whatever the two passes' brightness.

    All cross-correlations of one block of lines come from one matrix product over its lines; the band of it within
    reach, divided by the energies and windowed along the line, is the score. Blocks are first taken together, then
    each is shifted to where the common path fits it best, so that drift down the frame does not smear the sum.

    Parameters
    ----------
    target, backward
        (B, n, W) locally normalized forward pass at the backward lines, and backward pass.
    reach_px
        Largest displacement searched for, either side of `centre_px`.
    """
    batch, lines, width = target.shape
    stride = STRIDE if width >= 64 else 1
    centre = round(centre_px / stride)
    target, backward = (reduced(blur(a, 1.5, 1.0), stride) for a in (target, backward))
    reach = max(2, math.ceil(reach_px / stride))
    numerator, energy = _block_scores(target, backward, reach, centre)
    blocks, shifts = numerator.shape[1], torch.arange(-reach, reach + 1, device=target.device)

    offsets = torch.zeros(batch, blocks, dtype=torch.long, device=target.device)
    path = offsets
    for last in (False, False, True):
        aligned = _shifted(numerator, offsets).sum(1) / (_shifted(energy, offsets).sum(1) + 1e-9)
        path = _best_path(aligned, SMOOTHNESS * stride)
        if not last:
            offsets = _block_offsets(numerator, energy, path, reach, SMOOTHNESS * stride)

    profile = (shifts[path] + centre).to(target) * stride
    return CoarseDisplacement(
        profile_px=_stretched(profile, width, ends=True),
        lines_px=_stretched(offsets.to(target) * stride, lines, ends=False),
    )


def _block_scores(target: Tensor, backward: Tensor, reach: int, centre: int) -> tuple[Tensor, Tensor]:
    """(B, blocks, windows, S): windowed cross-correlation for each shift, and the energy that bounds it."""
    batch, lines, width = target.shape
    blocks = max(1, min(BLOCKS, lines // 16))
    per_block = lines // blocks
    target, backward = (
        a[:, : blocks * per_block].reshape(batch * blocks, per_block, width) for a in (target, backward)
    )
    pad = (reach + max(centre, 0), reach + max(-centre, 0))
    padded = F.pad(backward, pad)
    product = target.transpose(1, 2) @ padded
    # Column of `padded` that holds backward(x - shift).
    column = torch.arange(width)[:, None] - torch.arange(-reach, reach + 1)[None] - centre + pad[0]
    column = column.clamp(0, padded.shape[-1] - 1).to(target.device).expand(batch * blocks, -1, -1)
    correlation = product.gather(2, column)
    backward_energy = padded.square().sum(1)[:, None].expand(-1, width, -1).gather(2, column)
    energy = (target.square().sum(1)[..., None] * backward_energy + 1e-9).sqrt()
    at = torch.linspace(0, width - 1, WINDOWS)
    window = torch.exp(-0.5 * ((torch.arange(width) - at[:, None]) / (width / 14)) ** 2).to(target)
    summed = [(window @ a).view(batch, blocks, WINDOWS, -1) for a in (correlation, energy)]
    return summed[0], summed[1]


def _shifted(scores: Tensor, offsets: Tensor) -> Tensor:
    """Scores of each block (B, blocks, windows, S) read at shift + offset."""
    size = scores.shape[-1]
    index = (torch.arange(size, device=scores.device) + offsets[..., None]).clamp(0, size - 1)
    return scores.gather(3, index[:, :, None].expand_as(scores))


def _best_path(score: Tensor, cost: float) -> Tensor:
    """(B, steps, S) -> (B, steps) indices of the path of highest summed score less `cost` per unit of change."""
    size = score.shape[-1]
    index = torch.arange(size, device=score.device)
    penalty = cost * (index[:, None] - index[None]).abs()
    best, came_from = score[:, 0], []
    for step in score.unbind(1)[1:]:
        value, previous = (best[:, None] - penalty).max(2)
        came_from.append(previous)
        best = value + step
    path = [best.argmax(1)]
    for previous in reversed(came_from):
        path.append(previous.gather(1, path[-1][:, None])[:, 0])
    return torch.stack(path[::-1], 1)


def _block_offsets(numerator: Tensor, energy: Tensor, path: Tensor, reach: int, cost: float) -> Tensor:
    """(B, blocks) shift of each block against the common path, mean about 0."""
    around = torch.arange(-min(DRIFT_REACH, reach), min(DRIFT_REACH, reach) + 1, device=path.device)
    index = (path[..., None] + around).clamp(0, 2 * reach)[:, None].expand(-1, numerator.shape[1], -1, -1)
    fit = numerator.gather(3, index).sum(2) / (energy.gather(3, index).sum(2) + 1e-9)
    offsets = around[_best_path(fit, cost)]
    return offsets - offsets.float().mean(1, keepdim=True).round().long()


def _stretched(values: Tensor, length: int, *, ends: bool) -> Tensor:
    """(B, k) samples interpolated to (B, length); `ends`: the outer samples lie on the ends, else in cell centres."""
    return F.interpolate(values[:, None], length, mode="linear", align_corners=ends)[:, 0]
