"""How far a registered frame can be trusted, in words and colours."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from sasnet_live.frame import RegistrationMetrics
from sasnet_live.live.status import PipelineStatus

from .results import Newest

Trust = Literal["accepted", "doubtful", "passed through", "none"]

SURE = 0.8
"""Confidence from which a frame that was accepted is not called doubtful."""

IN_SECONDS_MS = 5000
"""Latency from which on it is given in seconds, which are easier to read then."""

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
    """The numbers of one moment: of the frame that was registered last, and of the pipeline.

    Attributes
    ----------
    newest, behind_s
        See `sasnet_live.session.results.Result`.
    live
        Whether frames come; else they are of a session that has ended.
    """

    trust: Trust = "none"
    metrics: RegistrationMetrics = field(default_factory=RegistrationMetrics)
    reason: str = ""
    fps: float = 0.0
    latency_ms: float = math.nan
    dropped: int = 0
    waiting: int = 0
    newest: Newest = ""
    behind_s: float = 0.0
    live: bool = True

    def colour(self, background: str = "dark") -> str:
        """Of the trust, grey where nothing comes; as #rrggbb, for a "dark" or "light" background."""
        return colour_of(self.trust if self.live else "none", background)


def figures_of(accepted: bool, reason: str, metrics: RegistrationMetrics, status: PipelineStatus) -> Figures:
    """Put together what is shown of a frame."""
    return Figures(
        trust=trust_of(accepted, metrics.confidence),
        metrics=metrics,
        reason=reason,
        fps=status.fps,
        latency_ms=status.latency_p50_ms,
        dropped=status.counts.dropped,
        waiting=status.counts.waiting,
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
    if figures.newest:
        text = f"{figures.behind_s:.1f} s ago: {text}"
    if not figures.live and figures.trust != "none":
        text = f"last frame: {text}"
    if figures.trust == "doubtful":
        return f"{text} ({figures.metrics.confidence:.2f})"
    return f"{text}: {figures.reason}" if figures.reason else text


def newest_in_words(figures: Figures) -> str:
    """Which layer shows the newest frame while others wait to be registered; empty where none do."""
    if not figures.newest:
        return ""
    behind = f"{figures.waiting} waiting, {figures.behind_s:.1f} s behind"
    if figures.newest == "raw":
        return f"raw: newest frame   registered: {behind}"
    return f"newest frame as acquired, not registered   {behind}"


def overlay_text(figures: Figures, *, lines: int = 1, with_figures: bool = True) -> str:
    """The line on the canvas, or two where the canvas is narrow; what is ahead; why, where a frame is not trusted."""
    if figures.trust == "none":
        return ""
    ahead = newest_in_words(figures)
    if not with_figures:
        return ahead
    metrics = figures.metrics
    similarity = [
        f"NCC {change(metrics.ncc_before, metrics.ncc_after)}",
        f"SSIM {change(metrics.ssim_before, metrics.ssim_after)}",
    ]
    others = [f"shift {metrics.displacement_px_mean:.1f} px", *rates(figures)]
    line = ("   " if lines == 1 else "\n").join(["   ".join(similarity), "   ".join(others)])
    why = "" if figures.trust == "accepted" else meaning(figures)
    return "\n".join(filter(None, [line, ahead, why]))


def change(before: float, after: float) -> str:
    """Before and after as ``0.71 -> 0.98``."""
    return f"{number(before)} \N{RIGHTWARDS ARROW} {number(after)}"


def rates(figures: Figures) -> list[str]:
    """Speed, latency and drops."""
    latency_ms = figures.latency_ms
    latency = "\N{EN DASH} ms" if math.isnan(latency_ms) else f"{latency_ms:.0f} ms"
    if latency_ms >= IN_SECONDS_MS:
        latency = f"{latency_ms / 1e3:.1f} s"
    return [f"{figures.fps:.0f} FPS", latency, f"{figures.dropped} dropped"]


def number(value: float) -> str:
    """Two decimals, a dash where there is no figure."""
    return "\N{EN DASH}" if math.isnan(value) else f"{value:.2f}"
