"""The live widget in a real viewer, with the simulated scanner."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QSpinBox

from sasnet_live.frame import RegistrationMetrics
from sasnet_live.geometry import ScanGeometry
from sasnet_live.plugin.live.display import FIGURES_EVERY_S
from sasnet_live.plugin.live.live_widget import LiveWidget
from sasnet_live.session.settings import SettingsStore
from sasnet_live.session.trust import Figures
from sasnet_live.settings import RegistrarSettings

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("small_scanner")]

PATIENCE_MS = 40_000


@pytest.fixture
def open_widget(make_napari_viewer: Any, qtbot: Any, store: SettingsStore) -> Callable[..., tuple[LiveWidget, Any]]:
    """A viewer with the widget docked."""

    def open_one(viewer: Any = None) -> tuple[LiveWidget, Any]:
        viewer = viewer or make_napari_viewer()
        widget = LiveWidget(viewer, store=store)
        viewer.window.add_dock_widget(widget, name="SASNet Live", area="right")
        return widget, viewer

    return open_one


def until_frames(qtbot: Any, widget: LiveWidget, count: int = 3) -> None:
    target = len(widget.history) + count
    qtbot.waitUntil(lambda: len(widget.history) >= target and bool(widget.display.layers.layers), timeout=PATIENCE_MS)


def until_shown(qtbot: Any, widget: LiveWidget, count: int = 2) -> None:
    """Until so many more frames reached the layers: fewer than are registered."""
    for _ in range(count):
        scan = widget.display.scan
        qtbot.waitUntil(lambda scan=scan: widget.display.scan is not scan, timeout=PATIENCE_MS)


def until_idle(qtbot: Any, widget: LiveWidget) -> None:
    qtbot.waitUntil(lambda: widget.engine.state == "idle", timeout=PATIENCE_MS)


def test_start_shows_frames_and_stop_ends_them(qtbot: Any, open_widget: Any) -> None:
    widget, viewer = open_widget()
    assert "Simulated scanner" in widget.form.source.status.text()
    qtbot.mouseClick(widget.form.start_button, Qt.MouseButton.LeftButton)
    until_frames(qtbot, widget)
    assert [layer.name for layer in viewer.layers] == ["SASNet raw", "SASNet registered"]
    raw, registered = viewer.layers
    assert raw.data.shape == registered.data.shape == (64, 96)
    assert np.array_equal(raw.data[0::2], registered.data[0::2])  # forward lines stay
    assert not np.array_equal(raw.data[1::2], registered.data[1::2])
    assert raw.scale.tolist() == [1.25, 1.25]
    assert str(raw.units[0]) == "micrometer"
    text = viewer.canvas.overlays["sasnet_live"].text
    assert viewer.canvas.overlays["sasnet_live"].visible
    assert text.startswith("NCC 0.")
    assert "FPS" in text
    assert "dropped" in text
    assert "0." in widget.form.readout.ncc.text()
    qtbot.waitUntil(lambda: widget.form.start_button.text() == "Stop", timeout=PATIENCE_MS)
    qtbot.mouseClick(widget.form.start_button, Qt.MouseButton.LeftButton)
    until_idle(qtbot, widget)
    qtbot.waitUntil(lambda: widget.form.start_button.text() == "Start registering", timeout=PATIENCE_MS)
    assert len(viewer.layers) == 2


def test_layers_are_the_users_to_rename_reorder_hide_and_delete(qtbot: Any, open_widget: Any) -> None:
    widget, viewer = open_widget()
    widget.start()
    until_frames(qtbot, widget)
    raw, registered = viewer.layers
    raw.name = "mine"
    viewer.layers.move(0, 2)
    raw.contrast_limits = (5, 50)
    registered.visible = False
    hidden = registered.data.copy()
    until_shown(qtbot, widget)
    assert np.array_equal(registered.data, hidden)  # costs nothing
    registered.visible = True
    assert not np.array_equal(registered.data, hidden)  # and catches up at once
    assert (raw.name, tuple(raw.contrast_limits)) == ("mine", (5, 50))
    viewer.layers.remove(raw)
    until_frames(qtbot, widget)
    assert list(viewer.layers) == [registered]
    assert not widget.form.output.layers["raw"].isChecked()
    widget.form.output.layers["raw"].setChecked(True)
    assert len(viewer.layers) == 2
    viewer.layers.clear()
    until_idle_or_frames = len(widget.history) + 3
    qtbot.waitUntil(lambda: len(widget.history) >= until_idle_or_frames, timeout=PATIENCE_MS)
    assert len(viewer.layers) == 0
    assert widget.engine.state == "running"
    widget.shut_down()


def test_a_watched_folder(qtbot: Any, open_widget: Any, tmp_path: Path, said: list[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, shape in (("scan.tif", (64, 96)), ("thumb.tif", (8, 8))):
        image = rng.integers(0, 200, shape).astype(np.uint16)
        tifffile.imwrite(folder / name, image, resolution=(2e4, 5e3), resolutionunit="CENTIMETER")
    widget, viewer = open_widget()
    source = widget.form.source
    assert not source.settle.isVisibleTo(source)
    source.kind.choose("folder")
    assert source.settle.isVisibleTo(source)
    source.folder.set_path(str(folder))
    source.folder.changed.emit()
    source.settle.setValue(0.05)
    assert (widget.settings.folder, widget.settings.settle_s) == (str(folder), 0.05)
    widget.form.recording.folder.set_path(str(folder))
    widget.form.recording.folder.changed.emit()
    qtbot.mouseClick(widget.form.record_button, Qt.MouseButton.LeftButton)
    assert "lies in the folder that is watched" in said[-1]
    assert not widget.form.record_button.isChecked()
    widget.start()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=PATIENCE_MS)
    assert viewer.layers[0].scale.tolist() == pytest.approx([2.0, 0.5])
    qtbot.waitUntil(lambda: any("thumb.tif" in line for line in said), timeout=PATIENCE_MS)
    assert widget.engine.state == "running"
    widget.shut_down()
    assert sorted(path.name for path in folder.iterdir()) == ["scan.tif", "thumb.tif"]


def test_layers_on_demand(qtbot: Any, open_widget: Any) -> None:
    widget, viewer = open_widget()
    widget.start()
    until_frames(qtbot, widget)
    for box in widget.form.output.layers.values():
        box.setChecked(True)
    until_frames(qtbot, widget)
    names = {layer.name for layer in viewer.layers}
    pairs = {f"SASNet {which} {when}" for which in ("forward", "backward") for when in ("before", "after")}
    assert pairs | {"SASNet error"} <= names
    shown = widget.display.layers.layers
    shift = shown["displacement"][0]
    assert shift.data.shape == (32, 96)
    assert shift.contrast_limits[0] == -shift.contrast_limits[1]
    assert shift.scale.tolist() == [2.5, 1.25]
    assert len(shown["pair before"]) == 2
    before, after = shown["pair before"][1].data, shown["pair after"][1].data
    target = shown["pair before"][0].data
    assert np.corrcoef(target.ravel(), after.ravel())[0, 1] > np.corrcoef(target.ravel(), before.ravel())[0, 1]
    widget.form.output.layers["error"].setChecked(False)
    assert "error" not in widget.display.layers.layers
    widget.form.output.arrangement.choose("stacked")
    assert viewer.layers[0].translate.tolist() == [0, 0]
    assert viewer.layers[1].translate.tolist() == [0, 0]
    widget.shut_down()


def test_layers_are_updated_in_place_and_hold_on_to_no_frame(qtbot: Any, open_widget: Any) -> None:
    widget, viewer = open_widget()
    widget.start()
    until_frames(qtbot, widget)
    raw = viewer.layers[0]
    pixels, before, thumbnail = raw.data, raw.data.copy(), raw.thumbnail.copy()
    drawn: list[Any] = []
    raw.events.set_data.connect(drawn.append)
    qtbot.waitUntil(lambda: len(drawn) >= 3 and not np.array_equal(raw.data, before), timeout=PATIENCE_MS)
    assert raw.data is pixels
    assert not np.shares_memory(raw.data, widget.display.scan.frame.data)
    qtbot.waitUntil(lambda: not np.array_equal(raw.thumbnail, thumbnail), timeout=PATIENCE_MS)
    raw.data = np.zeros((8, 8), np.uint8)  # whatever a user does
    qtbot.waitUntil(lambda: raw.data.shape == (64, 96), timeout=PATIENCE_MS)
    widget.shut_down()


def test_figures_follow_a_few_times_a_second_and_the_last_ones_stay(qtbot: Any, open_widget: Any) -> None:
    widget, viewer = open_widget()
    overlay = viewer.canvas.overlays["sasnet_live"]
    written: list[tuple[float, str]] = []
    overlay.events.text.connect(lambda: written.append((widget.display.figures_s, widget.display.figures.trust)))
    widget.start()
    until_frames(qtbot, widget)

    def pauses() -> list[float]:
        """Between the times at which they were due; a change of the trust is shown at once."""
        return [later - at for (at, trust), (later, same) in pairwise(written) if trust == same]

    qtbot.waitUntil(lambda: len(pauses()) >= 8, timeout=PATIENCE_MS)
    assert min(pauses()) >= FIGURES_EVERY_S
    widget.engine.own_core.stopSequenceAcquisition()
    qtbot.waitUntil(lambda: widget.engine.status().counts.waiting == 0, timeout=PATIENCE_MS)

    def newest_is_shown() -> bool:
        scan = widget.display.scan
        return scan is not None and widget.display.figures.metrics == scan.registration.metrics

    qtbot.waitUntil(newest_is_shown, timeout=PATIENCE_MS)
    widget.shut_down()


def test_nothing_is_drawn_in_a_minimized_window(qtbot: Any, open_widget: Any, monkeypatch: Any) -> None:
    widget, viewer = open_widget()
    widget.start()
    until_frames(qtbot, widget)
    monkeypatch.setattr(type(viewer.window._qt_window), "isMinimized", lambda window: True)
    until_shown(qtbot, widget, 1)
    pixels = viewer.layers[0].data.copy()
    until_shown(qtbot, widget)
    assert np.array_equal(viewer.layers[0].data, pixels)
    assert "FPS" in widget.form.readout.rates.text()  # figures and chart go on
    monkeypatch.undo()
    qtbot.waitUntil(lambda: not np.array_equal(viewer.layers[0].data, pixels), timeout=PATIENCE_MS)
    widget.shut_down()


def test_layers_of_another_size_come_when_the_frames_change(qtbot: Any, open_widget: Any) -> None:
    widget, viewer = open_widget()
    widget.start()
    until_frames(qtbot, widget)
    viewer.layers.remove(viewer.layers[0])
    core = widget.engine.own_core
    core.stopSequenceAcquisition()
    # The camera's thread ends with its next frame; started again before that, the two would share one buffer.
    qtbot.waitUntil(
        lambda: not any(type(thread).__name__ == "AcquisitionThread" for thread in threading.enumerate()),
        timeout=PATIENCE_MS,
    )
    core.setProperty("ORPAM", "Lines", 48)
    core.startContinuousSequenceAcquisition(0)
    qtbot.waitUntil(
        lambda: [layer.data.shape for layer in viewer.layers] == [(48, 96)],  # what was deleted stays away
        timeout=PATIENCE_MS,
    )
    assert viewer.layers[0].name == "SASNet registered"
    widget.shut_down()


def test_changing_the_geometry_starts_again(qtbot: Any, open_widget: Any) -> None:
    widget, _ = open_widget()
    widget.start()
    until_frames(qtbot, widget)
    widget.form.scan.crop[0].setValue(6)
    assert "crop 6, 0" in widget.form.groups["geometry"].value
    qtbot.waitUntil(
        lambda: (
            "registered" in widget.display.layers.layers
            and widget.display.layers.layers["registered"][0].data.shape == (64, 90)
        ),
        timeout=PATIENCE_MS,
    )
    widget.shut_down()


@pytest.mark.parametrize("how", ["close widget", "remove dock", "close viewer", "core first"])
def test_closing_in_any_order_ends_everything(qtbot: Any, open_widget: Any, how: str) -> None:
    """The fixtures fail the test if a thread or a window is left."""
    widget, viewer = open_widget()
    widget.start()
    until_frames(qtbot, widget)
    if how == "close widget":
        widget.close()
    elif how == "remove dock":
        viewer.window.remove_dock_widget(widget)
    elif how == "close viewer":
        viewer.close()
    else:
        widget.engine.own_core.unloadAllDevices()
        QApplication.processEvents()
        viewer.close()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert widget.engine.state == "idle"
    assert not widget.engine.recorder.recording


def test_a_recording_begun_and_ended_while_frames_flow(qtbot: Any, open_widget: Any, tmp_path: Path) -> None:
    import tifffile

    widget, _ = open_widget()
    widget.start()
    until_frames(qtbot, widget)
    widget.form.record_button.click()
    qtbot.waitUntil(lambda: widget.engine.recorder.frames >= 4, timeout=PATIENCE_MS)
    widget.form.record_button.click()
    qtbot.waitUntil(
        lambda: widget.engine.recorder.idle and widget.form.recording._last.text() != "", timeout=PATIENCE_MS
    )
    assert widget.engine.state == "running"
    widget.shut_down()
    files = {path.name.split("_", 2)[-1].split("-")[-1]: path for path in tmp_path.glob("scan_*")}
    assert len(files) == 3, files
    frames = widget.engine.recorder.frames
    for path in files.values():
        if path.suffix == ".csv":
            assert len(path.read_text().splitlines()) == frames + 1
        else:
            assert tifffile.imread(path).shape == (frames, 64, 96)


def test_recording_without_a_folder_says_what_to_do(qtbot: Any, open_widget: Any, store: Any, said: list[str]) -> None:
    store.save(replace(store.load(), record_folder=""))
    widget, _ = open_widget()
    widget.form.record_button.click()
    assert any("choose one under Recording" in message for message in said)
    assert not widget.form.record_button.isChecked()
    assert widget.form.groups["recording"].open


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": "folder", "folder": ""}, "choose the one that frames are written into"),
        ({"registrar": RegistrarSettings("/nowhere/x.safetensors")}, "no such weights file"),
        ({"registrar": RegistrarSettings("correspondence", "cuda:7")}, "cpu"),
    ],
)
def test_errors_say_what_to_do_and_leave_the_widget_usable(
    qtbot: Any, open_widget: Any, store: Any, said: list[str], change: dict[str, Any], words: str
) -> None:
    good = store.load()
    store.save(replace(good, **change))
    widget, _ = open_widget()
    widget.start()
    qtbot.waitUntil(lambda: any(words in message for message in said), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: len(said) == 1, timeout=PATIENCE_MS)  # once
    widget.stop()
    until_idle(qtbot, widget)
    widget.form.show_settings(good)
    widget.start()
    until_frames(qtbot, widget)
    widget.shut_down()


def test_two_viewers_register_side_by_side(qtbot: Any, open_widget: Any, make_napari_viewer: Any) -> None:
    first, viewer_one = open_widget(make_napari_viewer())
    second, viewer_two = open_widget(make_napari_viewer())
    first.start()
    second.start()
    until_frames(qtbot, first)
    until_frames(qtbot, second)
    first.shut_down()
    until_frames(qtbot, second)
    assert len(viewer_one.layers) == len(viewer_two.layers) == 2
    second.shut_down()


def test_settings_are_kept_for_the_next_session(qtbot: Any, open_widget: Any) -> None:
    widget, viewer = open_widget()
    widget.form.scan.backward_mirrored.setChecked(True)
    widget.form.output.output.choose("warped")
    widget.form.groups["geometry"].set_open(True)
    viewer.window.remove_dock_widget(widget)
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    again, _ = open_widget(viewer)
    assert again.form.scan.backward_mirrored.isChecked()
    assert again.settings.registrar.output == "warped"
    assert again.form.groups["geometry"].open
    assert "mirrored" in again.form.groups["geometry"].value
    again.shut_down()


def test_a_long_reason_is_not_cut_off_at_the_edge_of_the_canvas(qtbot: Any, open_widget: Any) -> None:
    widget, viewer = open_widget()
    reason = "low confidence 0.12: the passes share no structure that could be followed from line to line"
    widget.display.overlay.update(Figures("passed through", RegistrationMetrics(), reason * 2))
    overlay = viewer.canvas.overlays["sasnet_live"]
    lines = overlay.text.split("\n")
    assert len(lines) > 3
    assert " ".join(overlay.text.split()).endswith(reason * 2)
    assert max(map(len, lines)) * 0.9 * overlay.font_size <= viewer.canvas.size[1]


def test_every_control_has_a_tip_and_works_by_keyboard(qtbot: Any, open_widget: Any) -> None:
    widget, _ = open_widget()
    controls = [
        control
        for kind in (QAbstractButton, QComboBox, QSpinBox, QLineEdit)
        for control in widget.findChildren(kind)
        if not isinstance(control.parent(), (QComboBox, QSpinBox)) and "qt_" not in control.objectName()
    ]
    assert len(controls) > 25
    without_tip = [control for control in controls if not control.toolTip()]
    assert not without_tip, [(type(c).__name__, getattr(c, "text", str)()) for c in without_tip]
    unreachable = [c for c in controls if not c.focusPolicy() & Qt.FocusPolicy.TabFocus]
    assert not unreachable, [(type(c).__name__, c.toolTip()) for c in unreachable]
    nameless = [c for c in controls if not isinstance(c, QAbstractButton) and not c.accessibleName()]
    assert not [c.toolTip() for c in nameless if c.toolTip() != widget.form.recording.name.toolTip()]


def test_it_fits_into_320_px(qtbot: Any, open_widget: Any) -> None:
    widget, _ = open_widget()
    for group in widget.form.groups.values():
        group.set_open(True)
    QApplication.processEvents()
    assert widget.minimumSizeHint().width() <= 320
    assert widget.form.height() >= widget.height()  # no empty space below
    assert widget.form.scrolled.minimumSize().width() <= 320 - 30


def test_the_theme_is_followed(qtbot: Any, open_widget: Any) -> None:
    widget, viewer = open_widget()
    dark = widget.styleSheet()
    viewer.theme = "light"
    assert widget.styleSheet() != dark
    assert widget._palette.kind == "light"
    viewer.theme = "dark"
    assert widget.styleSheet() == dark


def test_chart_pauses_clears_and_saves(qtbot: Any, open_widget: Any, tmp_path: Path) -> None:
    widget, _ = open_widget()
    widget.start()
    until_frames(qtbot, widget, 5)
    widget.form.chart.refresh()
    curve = widget.form.chart._curves["ncc_after"]
    assert len(curve.getData()[0]) >= 5
    widget.form.chart.pause_button.click()
    drawn = len(curve.getData()[0])
    until_frames(qtbot, widget)
    widget.form.chart.refresh()
    assert len(curve.getData()[0]) == drawn
    widget.shut_down()
    widget.form.chart.save(tmp_path / "figures.csv")
    widget.form.chart.save(tmp_path / "figures.png")
    assert (tmp_path / "figures.csv").read_text().startswith("time_s,ncc_before")
    assert (tmp_path / "figures.png").read_bytes()[:4] == b"\x89PNG"
    widget.form.chart.clear()
    assert len(widget.history) == 0


def test_detect_reads_the_geometry_off_the_last_frame(qtbot: Any, open_widget: Any, monkeypatch: Any) -> None:
    widget, _ = open_widget()
    assert not widget.form.detect_button.isEnabled()
    widget.start()
    until_frames(qtbot, widget)
    widget.form.scan.line_axis.choose("columns")
    widget.form.scan.backward_mirrored.setChecked(True)
    qtbot.waitUntil(widget.form.detect_button.isEnabled, timeout=PATIENCE_MS)
    widget.form.detect_button.click()
    qtbot.waitUntil(lambda: "Found" in widget.form.scan.finding, timeout=PATIENCE_MS)
    assert widget.settings.registrar.geometry == ScanGeometry()
    assert "rows" in widget.form.scan.finding
    assert "%" in widget.form.scan.finding
    assert "rows, forward first" in widget.form.groups["geometry"].value
    until_frames(qtbot, widget)
    widget.shut_down()
