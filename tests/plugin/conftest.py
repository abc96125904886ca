"""What tests of the plugin share: why they are skipped, and what live sessions need."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from live_sessions import settings, small_scanner, store  # noqa: F401
from sasnet_live.plugin.preferences import FOLDER_VARIABLE


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
