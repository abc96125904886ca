"""Frames come faster than they are registered: what is recorded, what is shown, and how it ends; by real clicks."""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from fake_registrar import FakeRegistrar
from sasnet_live.frame import Pixels, Registration
from sasnet_live.plugin.live.live_widget import LiveWidget
from sasnet_live.session import engine as engine_module
from sasnet_live.session import live_run
from sasnet_live.session.live_source import LiveSource
from sasnet_live.session.settings import LiveSettings, SettingsStore
from sasnet_live.session.trust import colour_of

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("small_scanner")]

PATIENCE_MS = 40_000
PATIENCE_S = PATIENCE_MS / 1e3
OVERLAY = "sasnet_live"


class Model:
    """A registrar that registers as many frames as it is let, and fails when it is told to."""

    def __init__(self) -> None:
        self.fails = False
        self._turns = threading.Semaphore(0)

    def let(self, frames: int) -> None:
        self._turns.release(frames)

    def make(self) -> FakeRegistrar:
        model = self

        class Registrar(FakeRegistrar):
            def register(self, raw: Pixels) -> Registration:
                assert model._turns.acquire(timeout=2 * PATIENCE_S)
                if model.fails:
                    raise RuntimeError("the model broke")
                return super().register(raw)

            def warm_up(self, *_: Any) -> None:
                pass

        return Registrar()


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    model = Model()
    monkeypatch.setattr(live_run, "_registrar_factory", lambda settings: model.make)
    yield model
    model.let(100_000)


@pytest.fixture
def open_widget(make_napari_viewer: Any, model: Model, store: SettingsStore) -> Iterator[Callable[..., LiveWidget]]:
    opened: list[LiveWidget] = []

    def open_one(**settings: Any) -> LiveWidget:
        viewer = make_napari_viewer()
        store.save(replace(store.load(), **settings))
        widget = LiveWidget(viewer, store=store)
        viewer.window.add_dock_widget(widget, name="SASNet Live", area="right")
        opened.append(widget)
        return widget

    yield open_one
    model.let(100_000)
    for widget in opened:
        widget.shut_down()


def click(button: Any) -> None:
    assert button.isEnabled()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def start(qtbot: Any, widget: LiveWidget, model: Model, frames: int = 2) -> None:
    click(widget.form.start_button)
    model.let(frames)
    qtbot.waitUntil(lambda: len(widget.history) >= frames, timeout=PATIENCE_MS)


def until_received(qtbot: Any, widget: LiveWidget, more: int) -> int:
    target = widget.engine.status().counts.received + more
    qtbot.waitUntil(lambda: widget.engine.status().counts.received >= target, timeout=PATIENCE_MS)
    return int(widget.engine.status().counts.received)


def until_idle(qtbot: Any, widget: LiveWidget) -> None:
    qtbot.waitUntil(lambda: widget.engine.state == "idle", timeout=PATIENCE_MS)


def recorded(folder: Path) -> list[list[dict[str, str]]]:
    """Rows of each recording's table, whose images are as many."""
    tables = []
    for path in sorted(folder.glob("scan_*_metrics.csv")):
        with path.open() as file:
            rows = list(csv.DictReader(file))
        for kind in ("", "_raw"):
            assert len(tifffile.TiffFile(str(path).replace("_metrics.csv", f"{kind}.ome.tiff")).pages) == len(rows)
        tables.append(rows)
    assert not list(folder.glob("*.partial"))
    return tables


def numbers(rows: list[dict[str, str]]) -> list[int]:
    return [int(row["frame"]) for row in rows]


def test_when_a_recording_ends_its_frames_are_finished_and_the_view_is_back_at_the_newest(
    qtbot: Any, open_widget: Any, model: Model, tmp_path: Path, said: list[str]
) -> None:
    widget = open_widget()
    engine, form = widget.engine, widget.form
    start(qtbot, widget, model)
    assert engine.policy == "latest"
    click(form.record_button)
    first = engine.status().counts.received
    qtbot.waitUntil(lambda: form.record_button.text() == "End recording", timeout=PATIENCE_MS)
    last = until_received(qtbot, widget, 12)
    qtbot.waitUntil(lambda: "waiting: " in form.source.status.text(), timeout=PATIENCE_MS)

    click(form.record_button)
    after = engine.status().counts.received
    assert engine.policy == "latest"
    kept = engine.status().counts.kept
    until_received(qtbot, widget, 12)
    status = engine.status()
    assert status.counts.kept <= kept + 1  # no more pile up
    assert status.counts.dropped >= 10
    qtbot.waitUntil(lambda: "finishing" in form.groups["recording"].value, timeout=PATIENCE_MS)
    assert form.record_button.text() == "Record"

    model.let(100_000)
    qtbot.waitUntil(lambda: engine.recorder.idle and engine.status().counts.kept == 0, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: "waiting" not in form.source.status.text(), timeout=PATIENCE_MS)
    [rows] = recorded(tmp_path)
    found = numbers(rows)
    assert found == list(range(found[0], found[-1] + 1))  # none is missing
    assert first <= found[0] <= first + 2
    assert last - 1 <= found[-1] <= after
    assert said == []  # nothing was dropped of the recording, and nobody is told so
    qtbot.waitUntil(lambda: "frames" in form.recording._last.text(), timeout=PATIENCE_MS)
    click(form.start_button)
    until_idle(qtbot, widget)


def test_while_frames_wait_the_canvas_shows_the_newest_and_says_so(qtbot: Any, open_widget: Any, model: Model) -> None:
    widget = open_widget(policy="all")
    viewer, engine = widget._viewer, widget.engine
    start(qtbot, widget, model)
    raw, registered = viewer.layers
    overlay = viewer.canvas.overlays[OVERLAY]
    qtbot.waitUntil(lambda: "raw: newest frame" in overlay.text, timeout=PATIENCE_MS)
    shown = registered.data.copy()
    before = raw.data.copy()

    def raw_is_newest() -> bool:
        return np.array_equal(raw.data, engine._run.newest.data) and not np.array_equal(raw.data, before)

    qtbot.waitUntil(raw_is_newest, timeout=PATIENCE_MS)
    assert np.array_equal(registered.data, shown)  # of the frame registered last, which the canvas says
    assert "waiting" in overlay.text
    assert "s ago: registered" in widget.form.readout.trust.text()

    raw.visible = False
    qtbot.waitUntil(lambda: "newest frame as acquired" in overlay.text.replace("\n", " "), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: np.array_equal(registered.data, engine._run.newest.data), timeout=PATIENCE_MS)
    widget.form.output.overlay.setChecked(False)
    qtbot.waitUntil(lambda: "NCC" not in overlay.text and overlay.visible, timeout=PATIENCE_MS)
    assert "not registered" in overlay.text.replace("\n", " ")  # it is never taken for a registered one

    raw.visible = True
    model.let(100_000)
    qtbot.waitUntil(lambda: engine.status().counts.kept < 2, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: not overlay.visible, timeout=PATIENCE_MS)
    engine.own_core.stopSequenceAcquisition()

    def belong_together() -> bool:
        scan = widget.display.scan
        return np.array_equal(raw.data, scan.frame.data) and np.array_equal(registered.data, scan.registration.image)

    qtbot.waitUntil(lambda: engine.status().counts.waiting == 0 and belong_together(), timeout=PATIENCE_MS)


def test_stop_counts_what_is_left_and_writes_all_of_it(
    qtbot: Any, open_widget: Any, model: Model, tmp_path: Path
) -> None:
    widget = open_widget()
    form, engine = widget.form, widget.engine
    click(form.record_button)
    start(qtbot, widget, model)
    until_received(qtbot, widget, 12)
    at_click = engine.status().counts.received
    click(form.start_button)
    assert engine.state == "stopping"
    qtbot.waitUntil(lambda: form.source.status.text().startswith("finishing, "), timeout=PATIENCE_MS)
    assert not form.record_button.isEnabled()
    counted = engine.status().counts.waiting
    model.let(3)
    qtbot.waitUntil(lambda: engine.status().counts.waiting < counted, timeout=PATIENCE_MS)  # the count goes down
    model.let(100_000)
    until_idle(qtbot, widget)
    [rows] = recorded(tmp_path)
    assert numbers(rows) == list(range(len(rows)))
    assert len(rows) >= at_click
    assert all(row["accepted"] in ("1", "True", "true") for row in rows)
    grey = colour_of("none", widget._palette.kind)
    qtbot.waitUntil(lambda: grey in form.readout.ncc.styleSheet(), timeout=PATIENCE_MS)
    assert form.readout.trust.text().startswith("last frame: ")
    qtbot.waitUntil(lambda: form.record_button.isEnabled(), timeout=PATIENCE_MS)
    start(qtbot, widget, model)
    qtbot.waitUntil(lambda: grey not in form.readout.ncc.styleSheet(), timeout=PATIENCE_MS)


def test_stop_is_cut_short_without_losing_a_frame(
    qtbot: Any, open_widget: Any, model: Model, tmp_path: Path, said: list[str]
) -> None:
    widget = open_widget()
    form, engine = widget.form, widget.engine
    click(form.record_button)
    start(qtbot, widget, model)
    until_received(qtbot, widget, 12)
    at_click = engine.status().counts.received
    QTest.mouseClick(form.start_button, Qt.MouseButton.LeftButton)
    QTest.mouseDClick(form.start_button, Qt.MouseButton.LeftButton)
    assert not engine.is_cut_short  # a double click on Stop is one on Stop
    qtbot.waitUntil(lambda: "Finish now (" in form.start_button.text(), timeout=PATIENCE_MS)
    qtbot.waitUntil(form.start_button.isEnabled, timeout=PATIENCE_MS)
    click(form.start_button)
    assert engine.is_cut_short
    assert any("not registered, but written as acquired" in message for message in said)
    assert not form.start_button.isEnabled()
    model.let(1)  # the frame in hand
    until_idle(qtbot, widget)
    [rows] = recorded(tmp_path)
    assert numbers(rows) == list(range(len(rows)))
    assert len(rows) >= at_click
    flagged = [row for row in rows if "cut short" in row["reason"]]
    assert len(flagged) == len(rows) - 3  # two, and the one in hand
    qtbot.waitUntil(lambda: f"{len(flagged)} of {len(rows)} frames are as acquired" in form.recording._last.text())


def test_two_recordings_one_right_after_the_other_have_their_own_frames(
    qtbot: Any, open_widget: Any, model: Model, tmp_path: Path
) -> None:
    widget = open_widget()
    form = widget.form
    start(qtbot, widget, model)
    click(form.record_button)
    until_received(qtbot, widget, 8)
    click(form.record_button)
    until_received(qtbot, widget, 8)
    form.recording.name.setText("scan_b")
    form.recording.changed.emit()
    click(form.record_button)  # frames of the first still wait
    qtbot.waitUntil(lambda: "begins after" in form.groups["recording"].value, timeout=PATIENCE_MS)
    until_received(qtbot, widget, 8)
    click(form.start_button)
    model.let(100_000)
    until_idle(qtbot, widget)
    tables = [numbers(rows) for rows in recorded(tmp_path)]
    assert len(tables) == 2
    for found in tables:
        assert len(found) >= 7
        assert found == list(range(found[0], found[-1] + 1))
    assert tables[0][-1] < tables[1][0]


def test_dropped_frames_are_told_where_they_are_dropped(
    qtbot: Any, open_widget: Any, model: Model, tmp_path: Path, said: list[str]
) -> None:
    widget = open_widget(policy="latest")
    start(qtbot, widget, model)
    click(widget.form.record_button)
    for _ in range(4):
        until_received(qtbot, widget, 4)
        model.let(1)
    qtbot.waitUntil(lambda: len(said) > 0, timeout=PATIENCE_MS)
    assert "those that are dropped are not in the recording" in said[0]
    click(widget.form.record_button)
    model.let(100_000)
    qtbot.waitUntil(lambda: "came too fast" in widget.form.recording._last.text(), timeout=PATIENCE_MS)
    assert len(said) == 1  # once


def test_nothing_is_said_of_dropped_frames_where_none_are(
    qtbot: Any, open_widget: Any, model: Model, said: list[str]
) -> None:
    widget = open_widget(policy="latest")
    model.let(100_000)
    start(qtbot, widget, model)
    click(widget.form.record_button)
    qtbot.waitUntil(lambda: widget.engine.recorder.frames >= 4, timeout=PATIENCE_MS)
    click(widget.form.record_button)
    qtbot.waitUntil(lambda: widget.form.recording._last.text() != "", timeout=PATIENCE_MS)
    assert bool(said) == ("came too fast" in widget.form.recording._last.text())


def test_the_choice_of_frames_is_followed_at_once(qtbot: Any, open_widget: Any, model: Model) -> None:
    widget = open_widget()
    start(qtbot, widget, model)
    run = widget.engine._run
    for choice, policy in (("all", "all"), ("latest", "latest"), ("auto", "latest")):
        widget.form.output.policy.choose(choice)
        assert run.policy == policy
    click(widget.form.record_button)
    assert run.policy == "all"
    widget.form.output.policy.choose("all")
    click(widget.form.record_button)
    assert run.policy == "all"
    assert widget.engine._run is run  # never started again


def test_frames_of_use_to_nobody_do_not_hold_up_the_end(qtbot: Any, open_widget: Any, model: Model) -> None:
    """Every frame is wanted, nothing is recorded, and the window is closed."""
    widget = open_widget(policy="all")
    start(qtbot, widget, model)
    until_received(qtbot, widget, 12)
    threading.Timer(0.2, model.let, [1]).start()
    widget.shut_down()
    assert widget.engine.state == "idle"


def test_a_window_that_is_closed_writes_what_is_left_of_the_recording(
    qtbot: Any, open_widget: Any, model: Model, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "REGISTERING_S", 0.1)
    widget = open_widget()
    click(widget.form.record_button)
    start(qtbot, widget, model)
    at_close = until_received(qtbot, widget, 12)
    threading.Timer(0.5, model.let, [1]).start()
    widget.shut_down()
    [rows] = recorded(tmp_path)
    assert numbers(rows) == list(range(len(rows)))
    assert len(rows) >= at_close
    assert any("as acquired, not registered" in message for message in said)


def test_starting_again_after_a_fault_does_not_wait_for_the_old_session(
    qtbot: Any, open_widget: Any, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    stop = LiveSource.stop

    def slow(source: LiveSource) -> None:
        assert let_go.wait(PATIENCE_S)
        stop(source)

    widget = open_widget()
    model.fails = True
    model.let(1)
    click(widget.form.start_button)
    qtbot.waitUntil(lambda: widget.engine.state == "failed", timeout=PATIENCE_MS)
    monkeypatch.setattr(LiveSource, "stop", slow)
    try:
        widget.start()  # returns though the source cannot be stopped yet
        assert widget.engine.state == "stopping"
        with pytest.raises(Exception, match="stopping"):
            widget.engine.start(LiveSettings())
        model.fails = False
    finally:
        let_go.set()
    model.let(100_000)
    qtbot.waitUntil(lambda: widget.engine.state == "running" and len(widget.history) > 0, timeout=PATIENCE_MS)


def test_a_fault_in_closing_is_told(
    qtbot: Any, open_widget: Any, model: Model, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = open_widget()
    start(qtbot, widget, model)
    stop = LiveSource.stop

    def breaks(source: LiveSource) -> None:
        stop(source)
        raise OSError("the camera is gone")

    monkeypatch.setattr(LiveSource, "stop", breaks)
    model.let(100_000)
    click(widget.form.start_button)
    qtbot.waitUntil(lambda: any("the camera is gone" in message for message in said), timeout=PATIENCE_MS)
    assert len(said) == 1
