"""How a live session stands, in words; no Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sasnet_live.plugin.notify import advice
from sasnet_live.session.engine import EngineState, LiveEngine
from sasnet_live.session.microscope import describe_core
from sasnet_live.session.settings import LiveSettings
from sasnet_live.session.trust import Trust
from sasnet_live.sources.tcp import TcpSource

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

    from sasnet_live.sinks.protocol import SinkReport

_MISSING = {"camera": "no camera: load a configuration", "folder": "choose a folder to watch"}

START_BUTTON: dict[EngineState, str] = {
    "idle": "Start registering",
    "starting": "Stop",
    "running": "Stop",
    "stopping": "Finishing\N{HORIZONTAL ELLIPSIS}",
    "failed": "Clear error",
}

START_TIP = "Start or stop registering (Ctrl+Shift+R)."

WORTH_TELLING = 2
"""Frames that wait, from which on they are told: one comes and goes where nothing is amiss."""


def state_in_words(
    state: EngineState, engine: LiveEngine, settings: LiveSettings, core: CMMCorePlus | None
) -> tuple[str, Trust]:
    """What the status line says, and in the colour of which trust."""
    if state == "failed":
        error = engine.error
        return (advice(error) if error is not None else "stopped by an error"), "passed through"
    source = source_in_words(engine, settings, core)
    if not source and state != "stopping":
        return _MISSING.get(settings.source, ""), "doubtful"
    if state == "idle":
        return source, "none"
    what, trust = _doing(state, engine)
    # What happens comes first: the end of a long path may be cut off.
    return ": ".join(filter(None, [what, source])), trust


def _doing(state: EngineState, engine: LiveEngine) -> tuple[str, Trust]:
    """What is not as usual, empty if all is; and how it is coloured."""
    status = engine.status()
    waiting = f"{status.counts.waiting} waiting" if status.counts.kept >= WORTH_TELLING else ""
    if state in ("starting", "stopping"):
        doing = "loading the model" if state == "starting" else "finishing"
        return ", ".join(filter(None, [doing, waiting])), "doubtful"
    if waiting or not status.counts.received:
        return waiting or "waiting for frames", "doubtful"
    # The user sees few frames, and is told why.
    return "Resting beside another preview" if engine.courtesy.is_felt else "", "accepted"


def source_in_words(engine: LiveEngine, settings: LiveSettings, core: CMMCorePlus | None) -> str:
    """Where frames come from; empty if from nowhere."""
    if settings.source == "folder":
        return settings.folder
    if settings.source == "tcp":
        source = engine.source
        where = f"Another program, on {settings.tcp_host}:{settings.tcp_port}"
        return source.state if isinstance(source, TcpSource) else where
    if settings.source == "camera":
        return "" if core is None else describe_core(core)
    own = engine.own_core
    if own is not None:
        return f"Simulated scanner  {describe_core(own).partition('  ')[2]}"
    return f"Simulated scanner, {settings.level}"


def written_in_words(report: SinkReport) -> str:
    """What became of one file of a recording."""
    if not report.paths:
        return f"{report.sink}: nothing written"
    state = "" if report.complete else f"  not complete: {report.problem or 'frames are missing'}"
    return f"{report.paths[0].name}: {report.verified} frames{state}"
