"""How often results are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from sasnet_live.plugin.live.pace import Pace


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
