"""The protocol of the published method: one scanner, always the same, that only drifts a little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sasnet_live.geometry import ScanGeometry

from .levels import random_scanner
from .recording import record
from .scanner import SimulatedFrame
from .settings import ScannerSettings

DRIFT = 0.05  # of the lag, up to which it drifts
RECORDED_FRAMES = 118  # as many as the published temporal figures come from

_SCANNER_SEED = 4
_RECORDING_SEED = 118


def one_scanner(width_px: int = 512) -> ScannerSettings:
    """A scanner of level "medium" with a fixed lag, bending of the path and appearance; noise and jitter as ever."""
    settings = random_scanner(np.random.default_rng(_SCANNER_SEED), "medium", width_px)
    return replace(settings, drift_px=DRIFT * abs(settings.lag_px))


def one_scanner_recording(
    height: int, width: int, geometry: ScanGeometry | None = None, frames: int = RECORDED_FRAMES
) -> Iterator[SimulatedFrame]:
    """Moving tissue under this scanner, frame by frame; vessels that no split of a data set shows."""
    line_px = width if geometry is None or geometry.line_axis == "rows" else height
    rng = np.random.default_rng(_RECORDING_SEED)
    return record(_RECORDING_SEED, one_scanner(line_px), rng, frames, height=height, width=width, geometry=geometry)
