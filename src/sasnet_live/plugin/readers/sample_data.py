"""Simulated recordings for File > Open Sample."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from .layer_data import LayerData

FRAMES, LINES, PIXELS = 12, 256, 384
PIXEL_SIZE_UM = 1.25


def calm() -> list[LayerData]:
    """A scanner at rest: a few px of displacement, the same in every frame."""
    return _recording("calm", "easy", drift_px=0.0)


def drifting() -> list[LayerData]:
    """A scanner whose lag drifts, over tissue that moves."""
    return _recording("drifting", "medium", drift_px=3.0)


def noisy() -> list[LayerData]:
    """Large displacement, jitter and noise."""
    return _recording("noisy", "hard", drift_px=1.0)


def _recording(name: str, level: Literal["easy", "medium", "hard"], drift_px: float) -> list[LayerData]:
    from sasnet_live.simulation import RecordingSettings, random_scanner, record

    rng = np.random.default_rng(2602)
    scanner = replace(random_scanner(rng, level, PIXELS), drift_px=drift_px, drift_period_s=FRAMES * 0.5)
    motion = RecordingSettings(tissue_motion_px=0.0) if level == "easy" else RecordingSettings()
    frames = record(3, scanner, rng, FRAMES, height=LINES, width=PIXELS, recording=motion)
    raw = np.stack([frame.raw for frame in frames])
    meta = {
        "name": f"SASNet sample, {name}",
        "scale": (1.0, PIXEL_SIZE_UM, PIXEL_SIZE_UM),
        "units": ("pixel", "micrometer", "micrometer"),
        "axis_labels": ("t", "y", "x"),
        "metadata": {
            "sasnet_live": {
                "layer": "sample",
                "geometry": "rows, forward first",
                "level": level,
                "displacement_px_mean": float(scanner.lag_px),
            }
        },
    }
    return [(raw, meta, "image")]
