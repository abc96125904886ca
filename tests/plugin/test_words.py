"""What the window says: the reason first, nothing empty, and nothing that is not so."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sasnet_live.errors import InputError
from sasnet_live.frame import RegistrationMetrics
from sasnet_live.live.status import PipelineError, PipelineStatus, QueueCounts
from sasnet_live.plugin.live.live_state import state_in_words
from sasnet_live.plugin.notify import advice, reason_first
from sasnet_live.session.settings import LiveSettings
from sasnet_live.session.trust import Figures, colour_of, figures_of, meaning, overlay_text

METRICS = RegistrationMetrics(0.71, 0.98, 0.52, 0.96, 4.6, 0.95, 12.0)
LONG = "/data/2026/animal 7/left ear/session 3/frames"


def engine(courtesy: bool = False, **counts: Any) -> Any:
    return SimpleNamespace(
        status=lambda: PipelineStatus(counts=QueueCounts(**counts)),
        courtesy=SimpleNamespace(is_felt=courtesy),
        own_core=None,
        error=InputError(f"{LONG}: no such folder; choose another"),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/a.tif: no such file; check the name", "no such file; check the name (/data/a.tif)"),
        ("C:\\data\\a b.tif: is a folder", "is a folder (C:\\data\\a b.tif)"),
        ("\\\\server\\share\\a.tif: truncated: 3 of 4 frames", "truncated: 3 of 4 frames (\\\\server\\share\\a.tif)"),
        ("no folder to watch; choose one", "no folder to watch; choose one"),
        ("the folder /data does not exist: make it", "the folder /data does not exist: make it"),
        ("device is 'cuda:7'; expected cpu", "device is 'cuda:7'; expected cpu"),
        ("/data/a.tif: ", "/data/a.tif: "),
    ],
)
def test_the_reason_comes_before_the_path(text: str, expected: str) -> None:
    assert reason_first(text) == expected
    assert advice(InputError(text)) == expected


def test_frames_that_were_lost_are_told_with_what_can_be_done() -> None:
    assert advice(PipelineError("3 of 9 frames were dropped")).startswith("3 of 9 frames were dropped. ")


@pytest.mark.parametrize("state", ["idle", "starting", "running", "stopping", "failed"])
@pytest.mark.parametrize("source", ["camera", "folder", "simulated"])
@pytest.mark.parametrize("received", [0, 5])
@pytest.mark.parametrize("folder", ["", LONG])
def test_what_happens_comes_first_and_nothing_is_empty(state: Any, source: Any, received: int, folder: str) -> None:
    settings = LiveSettings(source=source, folder=folder)
    text, _ = state_in_words(state, engine(received=received), settings, None)
    assert text
    assert not text.startswith((":", ",", " "))
    assert "  :" not in text
    if LONG in text and state not in ("idle",) and not (state == "running" and received):
        assert not text.startswith(LONG)


def test_without_a_camera_nobody_waits_for_frames() -> None:
    text, trust = state_in_words("running", engine(), LiveSettings(source="camera"), None)
    assert text == "no camera: load a configuration"
    assert trust == "doubtful"


@pytest.mark.parametrize(
    ("state", "counts", "expected"),
    [
        ("running", {"received": 9, "kept": 57, "waiting": 57}, "57 waiting: Simulated scanner, easy"),
        ("running", {"received": 9, "kept": 1, "waiting": 1}, "Simulated scanner, easy"),
        ("running", {"received": 9, "waiting": 1}, "Simulated scanner, easy"),
        ("running", {}, "waiting for frames: Simulated scanner, easy"),
        ("starting", {"received": 9, "kept": 9, "waiting": 9}, "loading the model, 9 waiting: Simulated scanner, easy"),
        ("stopping", {"received": 9, "kept": 57, "waiting": 57}, "finishing, 57 waiting: Simulated scanner, easy"),
        ("stopping", {}, "finishing: Simulated scanner, easy"),
        ("idle", {}, "Simulated scanner, easy"),
    ],
)
def test_how_many_frames_wait_is_said(state: Any, counts: dict[str, int], expected: str) -> None:
    assert state_in_words(state, engine(**counts), LiveSettings(level="easy"), None)[0] == expected


def test_rests_are_told_but_not_while_frames_wait() -> None:
    settings = LiveSettings(level="easy")
    resting, trust = state_in_words("running", engine(courtesy=True, received=9), settings, None)
    assert resting == "Resting beside another preview: Simulated scanner, easy"
    assert trust == "accepted"
    assert "waiting" in state_in_words("running", engine(True, received=9, kept=9, waiting=9), settings, None)[0]


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
