"""How the model makes way for another preview."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from sasnet_live.session import courtesy
from sasnet_live.session.courtesy import LONGEST_S, RESTS, Courtesy


class Times:
    """What the clocks say, and how long was rested."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, courtesy_: Courtesy) -> None:
        self.wall_s = self.cpu_s = 0.0
        self.rests: list[float] = []
        clocks = SimpleNamespace(perf_counter=lambda: self.wall_s, thread_time=lambda: self.cpu_s)
        monkeypatch.setattr(courtesy, "time", clocks)
        monkeypatch.setattr(courtesy_._ended, "wait", self.rests.append)


@pytest.mark.parametrize(
    ("took_s", "worked_s", "rest_s"),
    [
        (0.05, 0.05, 0.0),  # nobody in the way
        (0.06, 0.05, RESTS * 0.01),
        (0.50, 0.08, RESTS * 0.42),
        (9.00, 0.10, LONGEST_S),
        (0.05, 0.06, 0.0),  # clocks of different grain
    ],
)
def test_rests_by_how_long_it_waited(
    monkeypatch: pytest.MonkeyPatch, took_s: float, worked_s: float, rest_s: float
) -> None:
    polite = Courtesy()
    times = Times(monkeypatch, polite)
    polite.wanted = True
    polite.begin()
    times.wall_s += took_s
    times.cpu_s += worked_s
    assert polite.rest() == pytest.approx(rest_s)
    assert times.rests == pytest.approx([rest_s])
    assert polite.is_felt is (rest_s > 0.1)
    polite.wanted = False
    assert not polite.is_felt


def test_without_another_preview_there_is_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    polite = Courtesy()
    times = Times(monkeypatch, polite)
    polite.begin()
    times.wall_s += 5.0
    assert polite.rest() == 0.0
    assert times.rests == []


def test_the_end_of_a_session_ends_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courtesy, "LONGEST_S", 1e6)
    polite = Courtesy()
    polite.wanted = True
    polite._began_s = -1e6  # began long ago, and has done next to nothing since
    resting = threading.Thread(target=polite.rest)
    resting.start()
    polite.end()
    resting.join(10)
    assert not resting.is_alive()
    polite.allow()
    assert not polite._ended.is_set()
