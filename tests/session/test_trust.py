"""How far a frame can be trusted, in words and colours."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from sasnet_live.frame import RegistrationMetrics
from sasnet_live.live.status import PipelineStatus, QueueCounts
from sasnet_live.session.trust import Figures, colour_of, figures_of, meaning, overlay_text

METRICS = RegistrationMetrics(0.71, 0.98, 0.52, 0.96, 4.6, 0.95, 12.0)


def test_overlay_of_an_accepted_frame() -> None:
    status = PipelineStatus(fps=31.2, latency_p50_ms=12.4)
    text = overlay_text(figures_of(True, "", METRICS, status))
    assert text == "NCC 0.71 → 0.98   SSIM 0.52 → 0.96   shift 4.6 px   31 FPS   12 ms   0 dropped"


@pytest.mark.parametrize(
    ("accepted", "confidence", "reason", "trust", "words"),
    [
        (True, 0.95, "", "accepted", "registered"),
        (True, 0.6, "", "doubtful", "registered, low confidence (0.60)"),
        (False, 0.1, "the forward pass is constant (0)", "passed through", "constant"),
    ],
)
def test_trust_is_in_the_colour_and_in_words(
    accepted: bool, confidence: float, reason: str, trust: str, words: str
) -> None:
    metrics = RegistrationMetrics(0.7, 0.9, 0.5, 0.8, 1.0, confidence)
    figures = figures_of(accepted, reason, metrics, PipelineStatus())
    assert figures.trust == trust
    assert words in meaning(figures)
    assert (words in overlay_text(figures)) == (trust != "accepted")


def test_figures_that_are_not_defined_are_dashes() -> None:
    figures = Figures("passed through", RegistrationMetrics(), "NaN", latency_ms=math.nan)
    assert "NCC – → –" in overlay_text(figures)
    assert "nan" not in overlay_text(figures).lower().replace("nan", "", 0).split("\n")[0]
    assert overlay_text(Figures()) == ""


@pytest.mark.parametrize(("kind", "background"), [("dark", "#262930"), ("light", "#efebe9"), ("dark", "#000000")])
def test_colours_can_be_read(kind: str, background: str) -> None:
    for trust in ("accepted", "doubtful", "passed through", "none"):
        assert _contrast_ratio(colour_of(trust, kind), background) >= 4.5, trust  # type: ignore[arg-type]


def _contrast_ratio(one: str, other: str) -> float:
    """WCAG 2.1."""

    def luminance(colour: str) -> float:
        channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("latency_ms", "words"), [(12.4, "12 ms"), (4999.0, "4999 ms"), (15562.0, "15.6 s")])
def test_a_long_latency_is_in_seconds(latency_ms: float, words: str) -> None:
    assert f"   {words}   " in overlay_text(figures_of(True, "", METRICS, PipelineStatus(latency_p50_ms=latency_ms)))


@pytest.mark.parametrize("background", ["dark", "light"])
def test_figures_of_a_session_that_has_ended_are_grey_and_say_so(background: str) -> None:
    figures = figures_of(True, "", METRICS, PipelineStatus())
    assert figures.colour(background) == colour_of("accepted", background)
    ended = replace(figures, live=False)
    assert ended.colour(background) == colour_of("none", background)
    assert meaning(ended) == "last frame: registered"
    assert meaning(Figures(live=False)) == "no frames yet"


@pytest.mark.parametrize(
    ("newest", "words"),
    [
        ("raw", "raw: newest frame   registered: 57 waiting, 6.3 s behind"),
        ("registered", "newest frame as acquired, not registered   57 waiting, 6.3 s behind"),
    ],
)
def test_a_layer_that_is_ahead_is_named_on_the_canvas_even_without_figures(newest: Any, words: str) -> None:
    figures = replace(
        figures_of(True, "", METRICS, PipelineStatus(counts=QueueCounts(waiting=57))), newest=newest, behind_s=6.31
    )
    assert overlay_text(figures).split("\n")[1:] == [words]
    assert overlay_text(figures, with_figures=False) == words
    assert overlay_text(replace(figures, newest=""), with_figures=False) == ""
    assert meaning(figures) == "6.3 s ago: registered"
