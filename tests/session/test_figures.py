"""What is written on the canvas, drawn in the chart, and how often."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from sasnet_live.frame import RegistrationMetrics
from sasnet_live.live.status import PipelineStatus, QueueCounts
from sasnet_live.plugin.live.pace import Pace
from sasnet_live.session.engine import Sample
from sasnet_live.session.history import COLUMNS, History, thinned
from sasnet_live.session.trust import Figures, colour_of, figures_of, meaning, overlay_text

METRICS = RegistrationMetrics(0.71, 0.98, 0.52, 0.96, 4.6, 0.95, 12.0)


def sample(at_s: float, ncc: float = 0.9) -> Sample:
    return Sample(at_s, 12.0, True, RegistrationMetrics(0.5, ncc, 0.4, 0.8, 1.5, 0.9, 10.0))


def test_overlay_of_an_accepted_frame() -> None:
    status = PipelineStatus(fps=31.2, latency_p50_ms=12.4, counts=QueueCounts(dropped=0))
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


def test_history_keeps_the_newest_in_fixed_memory() -> None:
    history = History(capacity=10)
    memory = history._ring.nbytes
    for start in range(0, 35, 5):
        history.add([sample(100.0 + n) for n in range(start, start + 5)])
    table = history.table()
    assert len(history) == 10
    assert table[:, 0].tolist() == list(range(25, 35))
    assert history.table(last=3)[:, 0].tolist() == [32, 33, 34]
    assert history._ring.nbytes == memory
    history.clear()
    assert len(history.table()) == 0
    history.add([sample(500.0)])
    assert history.table()[0, 0] == 0


def test_history_is_saved_with_gaps_for_what_is_not_defined(tmp_path: Path) -> None:
    history = History()
    history.add([sample(1.0), sample(2.5, math.nan)])
    assert history.save_csv(tmp_path / "figures.csv") == 2
    with (tmp_path / "figures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [float(row["time_s"]) for row in rows] == [0.0, 1.5]
    assert [row["ncc_after"] for row in rows] == ["0.9", ""]


def test_thinned_keeps_both_ends() -> None:
    table = np.arange(1000.0)[:, None]
    few = thinned(table, 50)
    assert (len(few), few[0, 0], few[-1, 0]) == (50, 0, 999)
    assert len(thinned(table[:7], 50)) == 7


def test_pace_draws_every_frame_where_drawing_is_quick() -> None:
    assert _draw(cost_s=0.002, for_s=3.0) / 3.0 == pytest.approx(30, abs=1.5)


def test_pace_leaves_the_user_half_of_the_time_where_drawing_is_slow() -> None:
    cost_s = 0.15
    drawn = _draw(cost_s, for_s=6.0)
    assert 0.35 < drawn * cost_s / 6.0 < 0.6


@pytest.mark.parametrize("cost_s", [0.01, 0.06])
def test_pace_leaves_others_that_draw_most_of_the_time(cost_s: float) -> None:
    assert _draw(cost_s, for_s=20.0, others_s=0.1) * cost_s / 20.0 < 0.12


def test_pace_never_lets_the_picture_stand_still_for_long() -> None:
    """A machine that stalls makes a drawing seem to take seconds."""
    pace, drawn_s = Pace(1 / 30), [0.0]
    now = 0.0
    while now < 30.0:
        pace.tick(now)
        now += 1 / 30
        if pace.may_draw(now):
            pace.drawn(0.001)
            now += 3.0 if len(drawn_s) == 5 else 0.02
            drawn_s.append(now)
    assert max(np.diff(drawn_s[6:])) <= 1.1


def test_pace_does_not_mind_a_timer_that_is_a_little_late() -> None:
    assert _draw(0.002, for_s=20.0, others_s=0.012) * (1 / 30 + 0.012) / 20.0 > 0.95


def test_pace_is_back_when_the_others_have_gone() -> None:
    pace = Pace(1 / 30)
    for number in range(100):
        pace.tick(number * 0.15)
    assert pace.share == 0.1
    for number in range(100):
        pace.tick(15 + number / 30)
    assert pace.share == pytest.approx(0.5, abs=0.02)


def _draw(cost_s: float, for_s: float, others_s: float = 0.0) -> int:
    """Frames drawn by a timer whose next call is late by the time that painting takes."""
    interval = 1 / 30
    pace, now, drawn = Pace(interval), 0.0, 0
    while now < for_s:
        pace.tick(now)
        took = 0.0
        if pace.may_draw(now):
            drawn += 1
            took = cost_s
            pace.drawn(0.001)
        now += max(interval, interval + took - 0.001) if took > interval else interval
        now += others_s
    return drawn


def _contrast_ratio(one: str, other: str) -> float:
    """WCAG 2.1."""

    def luminance(colour: str) -> float:
        channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
