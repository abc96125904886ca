"""Passes to find a displacement between."""

from __future__ import annotations

import numpy as np

from sasnet_live.correspondence.filters import blurred, locally_normalized
from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import forward_at_backward_lines, split


def passes_of(raw: np.ndarray, geometry: ScanGeometry | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(n, W) float32 each: forward pass at the backward lines, and backward pass."""
    geometry = geometry or ScanGeometry()
    forward, backward = (lines.astype(np.float32) for lines in split(raw, geometry))
    return forward_at_backward_lines(forward, len(backward), geometry), backward


def texture(lines: int = 96, width: int = 256, seed: int = 0) -> np.ndarray:
    """(n, W) float32 blobs of a few px, locally normalized."""
    return locally_normalized(blurred(white(lines, width, seed), 2, 2))


def white(lines: int, width: int, seed: int = 0) -> np.ndarray:
    """(n, W) float32 noise of unit deviation."""
    return np.random.default_rng(seed).standard_normal((lines, width), np.float32)
