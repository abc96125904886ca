"""What tests of the plugin share: why they are skipped, and that nothing is left behind."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sasnet_live.plugin.settings import FOLDER_VARIABLE, LiveSettings, SettingsStore
from sasnet_live.settings import RegistrarSettings

LINES, PIXELS = 64, 96


def _why_not() -> str:
    """Why windows cannot be tested here; empty if they can."""
    for module in ("napari", "pytestqt", "pyqtgraph"):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed: pip install -e '.[gui-test]'"
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not has_display:
        return "there is no display: run the tests with xvfb-run"
    return ""


REASON = _why_not()
if REASON.startswith(("napari", "pytestqt", "pyqtgraph")):
    collect_ignore_glob = ["gui/*"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if REASON:
        for item in items:
            if item.get_closest_marker("gui"):
                item.add_marker(pytest.mark.skip(reason=REASON))


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's settings."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "settings"))


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
    from sasnet_live.plugin import live_source

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
