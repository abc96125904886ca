"""The live widget beside a microscope that others use: napari-micromanager, scripts, cores that come and go."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import useq
from qtpy.QtCore import QTimer

from sasnet_live.plugin.live.live_widget import LiveWidget
from sasnet_live.session.settings import LiveSettings, SettingsStore

pytestmark = pytest.mark.gui
PATIENCE_MS = 40_000


@pytest.fixture
def core(small_scanner: Callable[..., Any], settings: LiveSettings) -> Iterator[Any]:
    """A core with the small scanner, owned by somebody else."""
    core = small_scanner(settings)
    yield core
    if core.isSequenceRunning():
        core.stopSequenceAcquisition()
    core.unloadAllDevices()


@pytest.fixture
def manager(core: Any, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Stands in for napari-micromanager: it owns a core and can swap it."""
    module = types.ModuleType("napari_micromanager.main_window")
    module.core = core  # type: ignore[attr-defined]
    module.get_core = lambda: module.core  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "napari_micromanager.main_window", module)
    return module


@pytest.fixture
def widget(make_napari_viewer: Any, manager: Any, store: SettingsStore) -> Iterator[LiveWidget]:
    store.save(replace(store.load(), source="camera"))
    viewer = make_napari_viewer()
    widget = LiveWidget(viewer, store=store)
    viewer.window.add_dock_widget(widget, name="SASNet Live")
    yield widget
    widget.shut_down()


def until(qtbot: Any, condition: Callable[[], bool]) -> None:
    qtbot.waitUntil(condition, timeout=PATIENCE_MS)


def more_frames(qtbot: Any, widget: LiveWidget, count: int = 3) -> None:
    target = len(widget.history) + count
    until(qtbot, lambda: len(widget.history) >= target)


def test_the_core_of_napari_micromanager_is_used(qtbot: Any, widget: LiveWidget, core: Any) -> None:
    until(qtbot, lambda: "ORPAM" in widget.form.source.status.text())
    assert "96 × 64" in widget.form.source.status.text()
    widget.start()
    until(qtbot, lambda: "waiting for frames" in widget.form.source.status.text())
    core.startContinuousSequenceAcquisition(0)
    more_frames(qtbot, widget)
    until(qtbot, lambda: widget.form.source.live.text() == "Stop live")
    widget.form.source.live.click()
    until(qtbot, lambda: not core.isSequenceRunning())
    widget.stop()
    until(qtbot, lambda: widget.engine.state == "idle")
    assert core.getCameraDevice() == "ORPAM"  # somebody else's: left as it was


def test_an_acquisition_is_registered_frame_by_frame(
    qtbot: Any, widget: LiveWidget, core: Any, store: SettingsStore
) -> None:
    widget.form.output.policy.choose("all")
    widget.start()
    until(qtbot, lambda: widget.engine.state == "running")
    thread = core.run_mda(useq.MDASequence(time_plan={"interval": 0, "loops": 6}))
    until(qtbot, lambda: len(widget.history) >= 6)
    thread.join(10)
    assert widget.engine.status().counts.processed == 6
    assert widget.engine.status().counts.dropped == 0


def test_a_core_that_is_swapped_is_followed(
    qtbot: Any, widget: LiveWidget, core: Any, manager: Any, small_scanner: Any, settings: LiveSettings
) -> None:
    widget.start()
    core.startContinuousSequenceAcquisition(0)
    more_frames(qtbot, widget)
    core.stopSequenceAcquisition()
    other = small_scanner(settings)
    manager.core = other
    until(qtbot, lambda: widget._core is other)
    qtbot.waitUntil(lambda: widget.engine.source.core is other, timeout=PATIENCE_MS)
    other.startContinuousSequenceAcquisition(0)
    more_frames(qtbot, widget)
    widget.shut_down()
    other.stopSequenceAcquisition()
    other.unloadAllDevices()


def test_a_preview_beside_it_is_left_alone(
    qtbot: Any, widget: LiveWidget, core: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preview like napari-micromanager's: a timer that asks for the last image.

    Counted, not timed: nothing is taken from its buffer, its thread is never made to copy an image for us, it goes on
    while frames are registered, and each of our layers is given new pixels at most once for each registered frame.
    """
    viewer = widget._viewer
    layer = viewer.add_image(np.zeros((64, 96), np.uint16), name="preview")
    previewed, by_us, taken = [], [], []
    last_image = core.getLastImage
    asked_by: set[threading.Thread] = set()
    ask = core.getLastImageAndMD

    def noted(*channel: int) -> Any:
        asked_by.add(threading.current_thread())
        return ask(*channel)

    monkeypatch.setattr(core, "getLastImageAndMD", noted)
    for name in ("popNextImage", "popNextImageAndMD", "popNextImageMD", "clearCircularBuffer"):
        monkeypatch.setattr(core, name, lambda *_, name=name: taken.append(name))
    timer = QTimer()

    def show() -> None:
        if core.getRemainingImageCount():
            layer.data = last_image()
            previewed.append(layer.data)

    timer.timeout.connect(show)
    core.setExposure(40)
    core.startContinuousSequenceAcquisition(0)
    timer.start(40)
    until(qtbot, lambda: len(previewed) >= 5)
    widget.start()
    more_frames(qtbot, widget)
    viewer.layers["SASNet raw"].events.set_data.connect(by_us.append)
    shown, registered = len(previewed), widget.engine.status().counts.processed
    until(qtbot, lambda: len(previewed) >= shown + 20 and len(by_us) >= 5)
    assert 5 <= len(by_us) <= widget.engine.status().counts.processed - registered + 1
    assert {thread.name for thread in asked_by} == {"sasnet-live-poll"}
    assert taken == []
    timer.stop()
    core.stopSequenceAcquisition()


def test_a_camera_that_fails_is_told_and_can_be_started_again(
    qtbot: Any, widget: LiveWidget, core: Any, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sasnet_live.simulation.camera import ORPAMCamera

    widget.start()
    core.startContinuousSequenceAcquisition(0)
    more_frames(qtbot, widget)
    snap = ORPAMCamera.snap
    with monkeypatch.context() as broken:

        def fail(*_: Any) -> Any:
            raise RuntimeError("cable pulled")

        broken.setattr(ORPAMCamera, "snap", fail)
        until(qtbot, lambda: any("stopped by itself" in message for message in said))
    assert ORPAMCamera.snap is snap
    assert widget.engine.state == "running"
    core.startContinuousSequenceAcquisition(0)
    more_frames(qtbot, widget)


def test_no_camera_says_what_to_do(qtbot: Any, widget: LiveWidget, core: Any, said: list[str]) -> None:
    core.unloadAllDevices()
    until(qtbot, lambda: "load a configuration" in widget.form.source.status.text())
    assert not widget.form.source.live.isEnabled()
    widget.form.source.load_configuration.emit("/no/such.cfg")
    assert any("cannot be loaded" in message for message in said)


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), ValueError("odd"), MemoryError("no memory")])
def test_a_registrar_that_fails_is_told_once_and_can_be_started_again(
    qtbot: Any, widget: LiveWidget, core: Any, said: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from sasnet_live.registrar import Registrar

    widget.start()
    core.startContinuousSequenceAcquisition(0)
    more_frames(qtbot, widget)
    with monkeypatch.context() as broken:

        def fail(*_: Any) -> Any:
            raise error

        broken.setattr(Registrar, "register", fail)
        until(qtbot, lambda: widget.engine.state == "failed" and bool(said))
        for _ in range(3):  # however often it is looked at
            widget._tick_all()
    assert len(said) == 1
    assert "Choose the CPU" in said[0] if "CUDA" in str(error) else "Start" in said[0]
    until(qtbot, lambda: widget.form.start_button.text() == "Clear error")
    widget.form.start_button.click()
    until(qtbot, lambda: widget.engine.state == "idle")
    widget.start()
    more_frames(qtbot, widget)
