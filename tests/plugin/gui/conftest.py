"""What tests in windows share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

HERE = Path(__file__).parent

WHERE = r"(sasnet_live|(tests\.)?plugin\.gui|test_)"
"""Modules in which a use of what napari, Qt or NumPy will drop fails a test: ours, and the tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            for category in ("DeprecationWarning", "FutureWarning", "PendingDeprecationWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"error::{category}:{WHERE}"), append=False)


@pytest.fixture(scope="session", autouse=True)
def _modules_are_no_garbage() -> Iterator[None]:
    """napari looks for garbage after every window, and so do we: not among what was imported, which is most of all."""
    for name in ("napari.viewer", "sasnet_live.plugin.live.live_widget", "sasnet_live.registrar"):
        import_module(name)
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _no_windows_left(qapp: QApplication) -> Iterator[None]:
    """Every window of ours must be gone when a test ends."""
    yield
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()
    gc.collect()
    left = [widget for widget in QApplication.topLevelWidgets() if widget.objectName().startswith("sasnet_live")]
    assert not left, f"windows left behind: {left}"


@pytest.fixture(autouse=True)
def _no_fault_in_the_timer(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A fault in what the timer does is told to the user and logged; here it fails the test."""
    yield
    records = [record for record in caplog.get_records("call") if record.name == "sasnet_live.plugin.live.live_widget"]
    assert not records, [record.exc_text or record.getMessage() for record in records]


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What napari's notifications said."""
    messages: list[str] = []

    def note(notification: Any) -> None:
        messages.append(str(notification.message))

    notification_manager.notification_ready.connect(note)
    yield messages
    notification_manager.notification_ready.disconnect(note)
