"""What tests of live sessions share, with a window and without: settings, and that nothing is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sasnet_live.session.settings import LiveSettings, SettingsStore
from sasnet_live.settings import RegistrarSettings

LINES, PIXELS = 64, 96


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    """Every thread of ours must be gone when a test ends."""
    yield
    deadline = time.monotonic() + 10
    while (left := _our_threads()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left, f"threads left behind: {left}"


def _our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sasnet-live")]


@pytest.fixture
def settings(tmp_path: Path) -> LiveSettings:
    """Settings for quick tests: no network, the simulated scanner."""
    return LiveSettings(registrar=RegistrarSettings("correspondence", "cpu"), record_folder=str(tmp_path))


@pytest.fixture
def store(tmp_path: Path, settings: LiveSettings) -> SettingsStore:
    """A store that holds these settings."""
    store = SettingsStore(tmp_path / "settings.json")
    store.save(settings)
    return store


@pytest.fixture
def small_scanner(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The simulated scanner with small frames, which are drawn at once."""
    from sasnet_live.session import live_source

    make = live_source.simulated_core

    def small(settings: LiveSettings) -> Any:
        core = make(settings)
        core.setProperty("ORPAM", "Lines", LINES)
        core.setProperty("ORPAM", "PixelsPerLine", PIXELS)
        core.setProperty("ORPAM", "Level", "easy")
        core.setExposure(15)
        return core

    monkeypatch.setattr(live_source, "simulated_core", small)
    return small
