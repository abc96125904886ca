"""What readers give napari, and what a layer says of how its frames were processed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sasnet_live.session.verdict import Verdict

LayerData = tuple[np.ndarray[Any, Any], dict[str, Any], str]
"""Pixels, the keyword arguments of the layer, and its type; as napari's plugins have it."""


def summary(record: dict[str, str], figures: list[dict[str, Any]]) -> dict[str, Any]:
    """How it was processed, how many frames were registered, the mean figures, and those of each frame."""
    verdict = Verdict.of(figures)
    names = ("ncc_before", "ncc_after", "ssim_before", "ssim_after", "displacement_px_mean", "confidence")
    means = {}
    for name in names:
        values = [one[name] for one in figures if isinstance(one.get(name), (int, float)) and math.isfinite(one[name])]
        if values:
            means[name] = sum(values) / len(values)
    return {"record": record, "verdict": str(verdict) if verdict.frames else "", "means": means, "frames": figures}
