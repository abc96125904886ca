"""How far a registered frame can be trusted, in words and colours; no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from sasnet_live.frame import RegistrationMetrics
from sasnet_live.pipeline_status import PipelineStatus

Trust = Literal["accepted", "doubtful", "passed through", "none"]

SURE = 0.8
"""Confidence from which a frame that was accepted is not called doubtful."""

# Readable on napari's dark and light backgrounds: contrast of at least 4.5 to 1 on each.
_COLOURS: dict[str, dict[Trust, str]] = {
    "dark": {"accepted": "#4cc38a", "doubtful": "#f2b93b", "passed through": "#ff7b72", "none": "#9aa0a6"},
    "light": {"accepted": "#126e2e", "doubtful": "#7d5000", "passed through": "#c01c28", "none": "#5f6368"},
}
_MEANING: dict[Trust, str] = {
    "accepted": "registered",
    "doubtful": "registered, low confidence",
    "passed through": "passed through",
    "none": "no frames yet",
}


@dataclass(frozen=True)
class Figures:
    """The numbers of one moment: of the newest frame and of the pipeline."""

    trust: Trust = "none"
    metrics: RegistrationMetrics = field(default_factory=RegistrationMetrics)
    reason: str = ""
    fps: float = 0.0
    latency_ms: float = math.nan
    dropped: int = 0


def figures_of(accepted: bool, reason: str, metrics: RegistrationMetrics, status: PipelineStatus) -> Figures:
    """Put together what is shown of a frame."""
    return Figures(
        trust=trust_of(accepted, metrics.confidence),
        metrics=metrics,
        reason=reason,
        fps=status.fps,
        latency_ms=status.latency_p50_ms,
        dropped=status.dropped,
    )


def trust_of(accepted: bool, confidence: float) -> Trust:
    """Green, amber or red."""
    if not accepted:
        return "passed through"
    return "accepted" if confidence >= SURE else "doubtful"


def colour_of(trust: Trust, background: str = "dark") -> str:
    """As #rrggbb, for a "dark" or "light" background."""
    return _COLOURS[background][trust]


def meaning(figures: Figures) -> str:
    """The trust in words, with what speaks against the frame."""
    text = _MEANING[figures.trust]
    if figures.trust == "doubtful":
        return f"{text} ({figures.metrics.confidence:.2f})"
    return f"{text}: {figures.reason}" if figures.reason else text


def overlay_text(figures: Figures, *, lines: int = 1) -> str:
    """The line on the canvas, or two where the canvas is narrow; why, where the frame is not trusted."""
    if figures.trust == "none":
        return ""
    metrics = figures.metrics
    similarity = [
        f"NCC {change(metrics.ncc_before, metrics.ncc_after)}",
        f"SSIM {change(metrics.ssim_before, metrics.ssim_after)}",
    ]
    others = [f"shift {metrics.displacement_px_mean:.1f} px", *rates(figures)]
    line = ("   " if lines == 1 else "\n").join(["   ".join(similarity), "   ".join(others)])
    return line if figures.trust == "accepted" else f"{line}\n{meaning(figures)}"


def change(before: float, after: float) -> str:
    """Before and after as ``0.71 -> 0.98``."""
    return f"{number(before)} \N{RIGHTWARDS ARROW} {number(after)}"


def rates(figures: Figures) -> list[str]:
    """Speed, latency and drops."""
    latency = "\N{EN DASH}" if math.isnan(figures.latency_ms) else f"{figures.latency_ms:.0f}"
    return [f"{figures.fps:.0f} FPS", f"{latency} ms", f"{figures.dropped} dropped"]


def number(value: float) -> str:
    """Two decimals, a dash where there is no figure."""
    return "\N{EN DASH}" if math.isnan(value) else f"{value:.2f}"
