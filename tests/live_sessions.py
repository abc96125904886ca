"""What tests of live sessions share, with a window and without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sasnet_live.session.settings import LiveSettings, SettingsStore
from sasnet_live.settings import RegistrarSettings

LINES, PIXELS = 64, 96


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
