"""What the window says: the reason first, nothing empty, and nothing that is not so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sasnet_live.errors import InputError
from sasnet_live.live.status import PipelineError, PipelineStatus, QueueCounts
from sasnet_live.plugin.live.live_state import state_in_words
from sasnet_live.plugin.notify import advice, reason_first
from sasnet_live.session.settings import LiveSettings

LONG = "/data/2026/animal 7/left ear/session 3/frames"


def engine(courtesy: bool = False, **counts: Any) -> Any:
    return SimpleNamespace(
        status=lambda: PipelineStatus(counts=QueueCounts(**counts)),
        courtesy=SimpleNamespace(is_felt=courtesy),
        own_core=None,
        source=None,
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
@pytest.mark.parametrize("source", ["camera", "folder", "simulated", "tcp"])
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
