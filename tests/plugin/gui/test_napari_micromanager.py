"""napari-micromanager itself beside the live widget, in one viewer; skipped where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sasnet_live.plugin.live_widget import LiveWidget
from sasnet_live.plugin.settings import SettingsStore

try:
    from napari_micromanager.main_window import MainWindow
except ImportError:
    MainWindow = None

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(
        MainWindow is None, reason="napari-micromanager is not installed: pip install napari-micromanager"
    ),
    # Its icons are fetched from the network, its layers have other units than ours.
    pytest.mark.filterwarnings("ignore"),
]
PATIENCE_MS = 40_000


@pytest.fixture
def window(make_napari_viewer: Any) -> Iterator[Any]:
    """Its main window with the demo camera; docked at the top, as elsewhere a fresh napari may crash under it."""
    viewer = make_napari_viewer()
    viewer.window._qt_viewer.console.push = lambda names: None  # the fixture's console is a bare widget
    window = MainWindow(viewer)
    viewer.window.add_dock_widget(window, name="Main Window", area="top")
    window.core.loadSystemConfiguration("MMConfig_demo.cfg")
    window.core.setExposure(30)
    yield window
    if window.core.isSequenceRunning():
        window.core.stopSequenceAcquisition()


@pytest.fixture
def widget(window: Any, store: SettingsStore) -> Iterator[LiveWidget]:
    store.save(replace(store.load(), source="camera"))
    widget = LiveWidget(window.viewer, store=store)
    window.viewer.window.add_dock_widget(widget, name="SASNet Live")
    yield widget
    widget.shut_down()


def test_both_are_live_at_the_same_time(qtbot: Any, window: Any, widget: LiveWidget) -> None:
    viewer, core = window.viewer, window.core
    qtbot.waitUntil(lambda: "512 × 512" in widget.form.source.status.text(), timeout=PATIENCE_MS)
    assert widget._core is core
    widget.start()
    qtbot.waitUntil(lambda: widget.engine.state == "running", timeout=PATIENCE_MS)
    core.startContinuousSequenceAcquisition(0)
    qtbot.waitUntil(lambda: "preview" in viewer.layers and "SASNet raw" in viewer.layers, timeout=PATIENCE_MS)
    updates: list[Any] = []
    viewer.layers["preview"].events.data.connect(updates.append)
    registered = len(widget.history)
    qtbot.waitUntil(lambda: len(updates) >= 10 and len(widget.history) >= registered + 5, timeout=PATIENCE_MS)
    assert core.getRemainingImageCount() > 0  # nothing was taken from the buffer
    assert viewer.layers["preview"].data.shape == viewer.layers["SASNet raw"].data.shape == (512, 512)
    assert widget.engine.status().error == ""

    # The one goes on when the other stops.
    widget.stop()
    qtbot.waitUntil(lambda: widget.engine.state == "idle", timeout=PATIENCE_MS)
    updates.clear()
    qtbot.waitUntil(lambda: len(updates) >= 3, timeout=PATIENCE_MS)
    core.stopSequenceAcquisition()


def test_an_acquisition_of_its_core_is_registered_frame_by_frame(qtbot: Any, window: Any, widget: LiveWidget) -> None:
    import useq

    widget.form.output.policy.choose("all")
    widget.start()
    qtbot.waitUntil(lambda: widget.engine.state == "running", timeout=PATIENCE_MS)
    thread = window.core.run_mda(useq.MDASequence(time_plan={"interval": 0, "loops": 5}))
    qtbot.waitUntil(lambda: widget.engine.status().processed >= 5, timeout=PATIENCE_MS)
    thread.join(10)
    status = widget.engine.status()
    assert (status.processed, status.dropped, status.missing) == (5, 0, 0)
