"""The layer list is the user's: emptied, closed, shared with a preview; and nothing private of napari is used."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from sasnet_live.plugin.live.live_widget import LiveWidget
from sasnet_live.plugin.live.placement import box_of
from sasnet_live.plugin.preferences import FOLDER_VARIABLE
from sasnet_live.session.settings import SettingsStore

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("small_scanner")]

PATIENCE_MS = 40_000


def docked(viewer: Any, store: SettingsStore) -> LiveWidget:
    widget = LiveWidget(viewer, store=store)
    viewer.window.add_dock_widget(widget, name="SASNet Live", area="right")
    return widget


@pytest.fixture
def widget(make_napari_viewer: Any, store: SettingsStore) -> Iterator[LiveWidget]:
    widget = docked(make_napari_viewer(), store)
    yield widget
    widget.shut_down()


def run(qtbot: Any, widget: LiveWidget) -> None:
    """Start, and wait until its layers are there."""
    widget.start()
    qtbot.waitUntil(lambda: bool(widget.display.layers.layers) and len(widget.history) >= 2, timeout=PATIENCE_MS)


def stop(qtbot: Any, widget: LiveWidget) -> None:
    widget.stop()
    qtbot.waitUntil(lambda: widget.engine.state == "idle", timeout=PATIENCE_MS)


def after_ticks(qtbot: Any, widget: LiveWidget, count: int = 2) -> None:
    """Until the widget has looked after everything."""
    seen: list[None] = []
    connection = widget._timer.timeout.connect(lambda: seen.append(None))
    qtbot.waitUntil(lambda: len(seen) >= count, timeout=PATIENCE_MS)
    widget._timer.timeout.disconnect(connection)


def select_all_and_delete(viewer: Any) -> None:
    viewer.layers.selection.update(viewer.layers)
    viewer.layers.remove_selected()


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("empty", [select_all_and_delete, lambda viewer: viewer.layers.clear()])
def test_start_brings_an_emptied_list_back(
    qtbot: Any, widget: LiveWidget, store: SettingsStore, running: bool, empty: Callable[[Any], None]
) -> None:
    viewer = widget._viewer
    widget.form.output.layers["displacement"].setChecked(True)
    wanted = widget.settings.layers
    run(qtbot, widget)
    names = [layer.name for layer in viewer.layers]
    if not running:
        stop(qtbot, widget)
    empty(viewer)
    after_ticks(qtbot, widget)
    assert list(viewer.layers) == []
    assert widget.settings.layers == wanted
    widget.form.groups["geometry"].set_open(True)  # anything that is saved
    assert store.load().layers == wanted
    assert list(viewer.layers) == []
    if running:
        stop(qtbot, widget)
    run(qtbot, widget)
    assert [layer.name for layer in viewer.layers] == names


@pytest.mark.parametrize("running", [True, False])
def test_a_viewer_that_is_closed_from_a_script_keeps_the_choice(
    qtbot: Any, make_napari_viewer: Any, store: SettingsStore, running: bool
) -> None:
    viewer = make_napari_viewer()
    widget = docked(viewer, store)
    wanted = widget.settings.layers
    run(qtbot, widget)
    if not running:
        stop(qtbot, widget)
    viewer.close()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert widget.engine.state == "idle"
    assert store.load().layers == wanted


def test_a_session_without_layers_begins_with_those_of_the_one_before(
    qtbot: Any, widget: LiveWidget, store: SettingsStore
) -> None:
    for box in widget.form.output.layers.values():
        box.setChecked(False)
    assert widget.settings.layers == ()
    last = store.load().layers
    assert len(last) == 1
    run(qtbot, widget)
    assert widget.settings.layers == last
    assert widget.form.output.layers[last[0]].isChecked()


def test_beside_a_preview_all_is_in_view_once_and_no_word_is_said_of_units(
    qtbot: Any, widget: LiveWidget, said: list[str]
) -> None:
    viewer = widget._viewer
    preview = viewer.add_image(np.zeros((64, 96), np.uint16), name="preview", scale=(1.25, 1.25))
    run(qtbot, widget)
    images = [preview, *(layers[0] for layers in widget.display.layers.layers.values())]
    boxes = [box_of(image, image.units) for image in images]
    for one, other in pairwise(boxes):
        assert one is not None
        assert other is not None
        assert not one.overlaps(other)
        assert one.right < other.left
    camera = viewer.scene.camera
    (_, _, x), zoom = camera.center, camera.zoom
    assert boxes[0] is not None
    assert boxes[-1] is not None
    half = viewer.canvas.size[1] / zoom / 2
    assert x - half <= boxes[0].left < boxes[-1].right <= x + half
    camera.zoom = 2 * zoom
    stop(qtbot, widget)
    run(qtbot, widget)
    assert camera.zoom == 2 * zoom
    viewer.screenshot(canvas_only=True, flash=False)  # units are compared when the canvas is painted
    assert not [message for message in said if "unit" in message.lower()]


def test_nothing_private_of_napari_is_used(
    qtbot: Any, make_napari_viewer: Any, monkeypatch: pytest.MonkeyPatch, store: SettingsStore
) -> None:
    """napari gives its plugins a viewer that warns of private access, which it will refuse."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(store.path.parent if store.path else ""))
    viewer = make_napari_viewer()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, live = viewer.window.add_plugin_dock_widget("sasnet-live", "SASNet Live")
        run(qtbot, live)
        stop(qtbot, live)
        viewer.layers.selection.active = viewer.layers["SASNet raw"]
        _, reprocess = viewer.window.add_plugin_dock_widget("sasnet-live", "Reprocess")
        reprocess.start_button.click()
        qtbot.waitUntil(lambda: reprocess._job is None, timeout=PATIENCE_MS)
        live.shut_down()
        reprocess.shut_down()
    private = [str(warning.message) for warning in caught if "rivate attribute" in str(warning.message)]
    assert private == []
    assert any("registered" in layer.name and "SASNet raw" in layer.name for layer in viewer.layers)
