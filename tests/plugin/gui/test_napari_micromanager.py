"""napari-micromanager itself beside the live widget, in one viewer; skipped where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from sasnet_live.plugin.live.live_widget import LiveWidget
from sasnet_live.plugin.live.placement import box_of
from sasnet_live.session.settings import SettingsStore

try:
    from napari_micromanager.main_window import MainWindow
except ImportError:
    MainWindow = None

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(
        MainWindow is None, reason="napari-micromanager is not installed: pip install napari-micromanager"
    ),
    pytest.mark.filterwarnings("ignore"),  # its icons are fetched from the network
]
PATIENCE_MS = 40_000
CHANNELS = {"DAPI": 10, "FITC": 40}
"""And their exposures, ms."""


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


def test_both_are_live_at_the_same_time(qtbot: Any, window: Any, widget: LiveWidget, said: list[str]) -> None:
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

    # Side by side, in the same units, all in view.
    images = [viewer.layers[name] for name in ("preview", "SASNet raw", "SASNet registered")]
    boxes = [box_of(image, image.units) for image in images]
    assert all(one.right < other.left for one, other in pairwise(boxes))
    assert len({(image.units, tuple(image.scale)) for image in images}) == 1
    camera, width = viewer.scene.camera, boxes[-1].right - boxes[0].left
    assert camera.zoom * width <= viewer.canvas.size[1]
    assert camera.center[-1] == pytest.approx(boxes[0].left + width / 2)
    assert not [message for message in said if "unit" in message.lower()]

    # The one goes on when the other stops.
    widget.stop()
    qtbot.waitUntil(lambda: widget.engine.state == "idle", timeout=PATIENCE_MS)
    updates.clear()
    qtbot.waitUntil(lambda: len(updates) >= 3, timeout=PATIENCE_MS)
    core.stopSequenceAcquisition()


def test_channels_of_an_acquisition_have_layers_of_their_own(qtbot: Any, window: Any, widget: LiveWidget) -> None:
    import useq

    viewer = window.viewer
    widget.form.output.policy.choose("all")
    widget.start()
    qtbot.waitUntil(lambda: widget.engine.state == "running", timeout=PATIENCE_MS)
    channels = [{"group": "Channel", "config": name, "exposure": exposure} for name, exposure in CHANNELS.items()]
    thread = window.core.run_mda(useq.MDASequence(channels=channels, time_plan={"interval": 0, "loops": 2}))
    names = [f"SASNet {kind} {channel}" for channel in CHANNELS for kind in ("raw", "registered")]
    qtbot.waitUntil(lambda: all(name in viewer.layers for name in names), timeout=PATIENCE_MS)
    thread.join(10)
    assert {layer.name for layer in viewer.layers if layer.name.startswith("SASNet")} == set(names)
    low, high = (viewer.layers[f"SASNet raw {channel}"].contrast_limits[1] for channel in CHANNELS)
    assert high > 2 * low  # each has its own


def test_an_acquisition_of_its_core_is_registered_frame_by_frame(qtbot: Any, window: Any, widget: LiveWidget) -> None:
    import useq

    widget.form.output.policy.choose("all")
    widget.start()
    qtbot.waitUntil(lambda: widget.engine.state == "running", timeout=PATIENCE_MS)
    thread = window.core.run_mda(useq.MDASequence(time_plan={"interval": 0, "loops": 5}))
    qtbot.waitUntil(lambda: widget.engine.status().counts.processed >= 5, timeout=PATIENCE_MS)
    thread.join(10)
    status = widget.engine.status()
    assert (status.counts.processed, status.counts.dropped, status.missing) == (5, 0, 0)
