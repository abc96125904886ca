"""The displacement to a few px: correlation along the fast axis summed over lines, best path by dynamic programming."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .arrays import Floats
from .displacement import DisplacementParts, fit_profile
from .filters import blurred, reduced

STRIDE = 2  # px: the search runs on lines reduced by this factor
WINDOWS = 16  # along the line
BLOCKS = 8  # down the frame
DRIFT_REACH = 6  # reduced px that a block of lines may differ from the whole frame
SMOOTHNESS = 0.02  # cost, in correlation, of one px of change between neighbouring windows or blocks
BLUR_LINES, BLUR_PX = 1.0, 1.5
SHORTEST_LINE_PX = 64  # that is reduced


class _Scores(NamedTuple):
    """(blocks, windows, S): correlation of a block of lines in a window along the line at each shift, and its bound."""

    products: Floats
    energy: Floats


def coarse_search(target: Floats, backward: Floats, reach_px: int, centre_px: int = 0) -> DisplacementParts:
    """Find the displacement to about a px, whatever the two passes' brightness.

    All cross-correlations of one block of lines come from one matrix product over its lines; the band of it within
    reach, divided by the energies and windowed along the line, is the score. Blocks are first taken together, then
    each is shifted to where the common path fits it best, so that drift down the frame does not smear the sum.

    Parameters
    ----------
    target, backward
        (n, W) locally normalized forward pass at the backward lines, and backward pass.
    reach_px
        Largest displacement searched for, either side of `centre_px`.
    """
    lines, width = target.shape
    stride = STRIDE if width >= SHORTEST_LINE_PX else 1
    centre, reach = round(centre_px / stride), max(2, math.ceil(reach_px / stride))
    target, backward = (reduced(blurred(images, BLUR_LINES, BLUR_PX), stride) for images in (target, backward))
    scores = _block_scores(target, backward, reach, centre)
    cost = SMOOTHNESS * stride
    offsets = np.zeros(len(scores.products), int)
    path = offsets
    for last in (False, False, True):
        together = _shifted(scores.products, offsets).sum(0) / (_shifted(scores.energy, offsets).sum(0) + 1e-9)
        path = _best_path(together, cost)
        if not last:
            offsets = _block_offsets(scores, path, reach, cost)
    profile = (path - reach + centre) * stride
    along = np.interp(np.arange(width), np.linspace(0, width - 1, WINDOWS), profile)
    centres = (np.arange(len(offsets)) + 0.5) * lines / len(offsets) - 0.5
    down = np.interp(np.arange(lines), centres, offsets * stride)
    return DisplacementParts.initial(fit_profile(along), down - down.mean())


def _block_scores(target: Floats, backward: Floats, reach: int, centre: int) -> _Scores:
    lines, width = target.shape
    blocks = max(1, min(BLOCKS, lines // 16))
    size = lines // blocks
    target, backward = (images[: blocks * size].reshape(blocks, size, width) for images in (target, backward))
    before, after = reach + max(centre, 0), reach + max(-centre, 0)
    padded = np.pad(backward, ((0, 0), (0, 0), (before, after)))
    # Column of `padded` that holds backward(x - shift).
    column = np.arange(width)[:, None] - np.arange(-reach, reach + 1) - centre + before
    column = column.clip(0, padded.shape[-1] - 1)
    at = np.linspace(0, width - 1, WINDOWS)
    window = np.exp(-0.5 * ((np.arange(width) - at[:, None]) / (width / 14)) ** 2).astype(np.float32)
    products, energies = [], []
    for a, b in zip(target, padded, strict=True):
        products.append(window @ np.take_along_axis(a.T @ b, column, 1))
        energy = np.sqrt(np.square(a).sum(0)[:, None] * np.square(b).sum(0)[column] + np.float32(1e-9))
        energies.append(window @ energy)
    return _Scores(np.stack(products), np.stack(energies))


def _shifted(scores: Floats, offsets: Floats) -> Floats:
    """Scores of each block (blocks, windows, S) read at shift + offset."""
    size = scores.shape[-1]
    index = (np.arange(size) + offsets[:, None]).clip(0, size - 1)
    return np.take_along_axis(scores, np.broadcast_to(index[:, None], scores.shape), 2)


def _best_path(score: Floats, cost: float) -> Floats:
    """(steps, S) -> (steps,) indices of the path of highest summed score less `cost` per unit of change."""
    index = np.arange(score.shape[1])
    penalty = cost * np.abs(index[:, None] - index)
    best, came_from = score[0], []
    for step in score[1:]:
        value = best - penalty
        came_from.append(value.argmax(1))
        best = value.max(1) + step
    path = [int(best.argmax())]
    for previous in reversed(came_from):
        path.append(int(previous[path[-1]]))
    return np.array(path[::-1])


def _block_offsets(scores: _Scores, path: Floats, reach: int, cost: float) -> Floats:
    """(blocks,) shift of each block against the common path, mean about 0."""
    around = np.arange(-min(DRIFT_REACH, reach), min(DRIFT_REACH, reach) + 1)
    index = (path[:, None] + around).clip(0, 2 * reach)[None]
    index = np.broadcast_to(index, (len(scores.products), *index.shape[1:]))
    products, energy = (np.take_along_axis(of, index, 2).sum(1) for of in scores)
    offsets = around[_best_path(products / (energy + 1e-9), cost)]
    return offsets - round(float(offsets.mean()))
