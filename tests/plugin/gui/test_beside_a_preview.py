"""The live widget beside a layer that another program updates, as napari-micromanager does its preview."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QTimer

from sasnet_live.plugin.live import other_layers
from sasnet_live.plugin.live.live_widget import LiveWidget
from sasnet_live.session.settings import SettingsStore

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("small_scanner")]

PATIENCE_MS = 40_000


class Preview:
    """A layer that is given new pixels by a timer."""

    def __init__(self, viewer: Any) -> None:
        self.layer = viewer.add_image(np.zeros((64, 96), np.uint16), name="preview")
        self.is_updating = False
        self._number = 0
        self.timer = QTimer()
        self.timer.timeout.connect(self._update)

    def _update(self) -> None:
        self._number += 1
        self.is_updating = True
        self.layer.data = np.full((64, 96), self._number % 1000, np.uint16)
        self.is_updating = False


@pytest.fixture
def widget(make_napari_viewer: Any, store: SettingsStore) -> Iterator[LiveWidget]:
    viewer = make_napari_viewer()
    widget = LiveWidget(viewer, store=store)
    viewer.window.add_dock_widget(widget, name="SASNet Live", area="right")
    yield widget
    widget.shut_down()


@pytest.fixture
def preview(widget: LiveWidget) -> Iterator[Preview]:
    preview = Preview(widget._viewer)
    yield preview
    preview.timer.stop()


def until_shown(qtbot: Any, widget: LiveWidget, count: int) -> None:
    for _ in range(count):
        scan = widget.display.scan
        qtbot.waitUntil(lambda scan=scan: widget.display.scan is not scan, timeout=PATIENCE_MS)


def test_layers_are_drawn_with_the_preview_and_by_themselves_when_it_ends(
    qtbot: Any, widget: LiveWidget, preview: Preview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_layers, "LIVE_S", 2.0)  # on a busy machine the preview may falter for longer than usual
    widget.start()
    until_shown(qtbot, widget, 2)
    [raw] = widget.display.layers.layers["raw"]
    with_preview: list[bool] = []
    raw.events.set_data.connect(lambda: with_preview.append(preview.is_updating))

    preview.timer.start(20)
    qtbot.waitUntil(lambda: widget.display.others.live, timeout=PATIENCE_MS)
    with_preview.clear()
    qtbot.waitUntil(lambda: len(with_preview) >= 3, timeout=PATIENCE_MS)
    assert all(with_preview)
    qtbot.waitUntil(lambda: widget.engine.courtesy.wanted, timeout=PATIENCE_MS)

    preview.timer.stop()
    qtbot.waitUntil(lambda: not widget.engine.courtesy.wanted, timeout=PATIENCE_MS)
    with_preview.clear()
    qtbot.waitUntil(lambda: len(with_preview) >= 2, timeout=PATIENCE_MS)
    assert not any(with_preview)


@pytest.mark.parametrize("policy", ["auto", "latest", "all"])
@pytest.mark.parametrize("recording", [False, True])
def test_frames_that_must_not_be_dropped_are_registered_without_rests(
    qtbot: Any, widget: LiveWidget, monkeypatch: pytest.MonkeyPatch, policy: str, recording: bool
) -> None:
    rests: list[None] = []
    monkeypatch.setattr(widget.engine.courtesy, "rest", lambda: rests.append(None))
    widget.form.output.policy.choose(policy)
    if recording:
        widget.form.record_button.click()
    widget.start()
    qtbot.waitUntil(lambda: widget.engine.status().counts.processed >= 4, timeout=PATIENCE_MS)
    may_rest = policy != "all" and not recording
    if may_rest:
        qtbot.waitUntil(lambda: len(rests) >= 2, timeout=PATIENCE_MS)
    else:
        assert rests == []


def test_a_fault_while_drawing_with_the_preview_stays_ours(
    qtbot: Any, widget: LiveWidget, preview: Preview, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    widget.start()
    until_shown(qtbot, widget, 2)

    def refuse(scan: Any) -> None:
        raise RuntimeError("no canvas")

    monkeypatch.setattr(widget.display, "_show_figures", refuse)
    preview.timer.start(20)
    qtbot.waitUntil(lambda: any("no canvas" in message for message in said), timeout=PATIENCE_MS)
    shown = int(preview.layer.data[0, 0])
    qtbot.waitUntil(lambda: int(preview.layer.data[0, 0]) > shown + 3, timeout=PATIENCE_MS)
    monkeypatch.undo()
