"""Pictures of the plugin's windows, for the documentation and to look at after every change.

``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/screenshots.py [NAME ...]`` writes
``docs/images/plugin-NAME.png``. Needs the gui extra and, for smaller files, Pillow.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# Nobody's settings are read or changed.
_SCRATCH = tempfile.mkdtemp()
os.environ["NAPARI_CONFIG"] = str(Path(_SCRATCH) / "napari.yaml")
os.environ["SASNET_LIVE_SETTINGS"] = _SCRATCH

import napari  # noqa: E402
from qtpy.QtCore import Qt  # noqa: E402
from qtpy.QtWidgets import QApplication, QDockWidget, QScrollArea  # noqa: E402

from sasnet_live.plugin.live.live_widget import LiveWidget  # noqa: E402
from sasnet_live.plugin.readers import sample_data  # noqa: E402
from sasnet_live.plugin.reprocess.reprocess_widget import ReprocessWidget  # noqa: E402
from sasnet_live.session import live_source  # noqa: E402
from sasnet_live.session.settings import LiveSettings, SettingsStore  # noqa: E402
from sasnet_live.settings import RegistrarSettings  # noqa: E402

SIZE = (1360, 860)
PATIENCE_S = 40.0
SETTINGS = LiveSettings(registrar=RegistrarSettings("lite"), record_folder="/data/scans")


def wait(until: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Let the window work until something is so."""
    end = time.monotonic() + patience_s
    while not until() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)


def settle(seconds: float = 0.6) -> None:
    """Let the window draw."""
    wait(lambda: False, seconds)


def window(theme: str = "dark") -> Any:
    """A viewer of the size of the pictures."""
    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.theme = theme
    viewer.window._qt_window.resize(*SIZE)
    settle()
    return viewer


def live(viewer: Any, settings: LiveSettings = SETTINGS, width: int = 360) -> LiveWidget:
    """The live widget in its dock."""
    store = SettingsStore(Path(tempfile.mkdtemp()) / "settings.json")
    store.save(settings)
    widget = LiveWidget(viewer, store=store)
    dock = viewer.window.add_dock_widget(widget, name="SASNet Live", area="right")
    set_width(viewer, dock, width)
    return widget


def set_width(viewer: Any, dock: QDockWidget, width: int) -> None:
    """Make a dock so wide."""
    settle()
    viewer.window._qt_window.resizeDocks([dock], [width], Qt.Orientation.Horizontal)
    settle()


def frames(widget: LiveWidget, count: int) -> None:
    """Until so many more frames were registered, and the view fits them."""
    target = len(widget.history) + count
    wait(lambda: len(widget.history) >= target)
    widget.form.chart.refresh()
    widget._viewer.reset_view()
    settle()


def idle() -> Any:
    viewer = window()
    return viewer, live(viewer)


def running(theme: str = "dark") -> Any:
    viewer = window(theme)
    shown = ("raw", "registered", "pair before", "pair after", "displacement", "error")
    widget = live(viewer, replace(SETTINGS, layers=shown, expanded=("output",)))
    widget.start()
    frames(widget, 30)
    return viewer, widget


def light() -> Any:
    return running("light")


def low_confidence() -> Any:
    """Small, very noisy frames, each by itself; held at one that is doubtful."""
    make = live_source.simulated_core

    def noisy(settings: LiveSettings) -> Any:
        core = make(settings)
        for name, value in (("Lines", 128), ("PixelsPerLine", 256), ("Noise", 4)):
            core.setProperty("ORPAM", name, value)
        core.setExposure(100)
        return core

    live_source.simulated_core = noisy
    try:
        viewer = window()
        widget = live(viewer, replace(SETTINGS, level="hard", registrar=RegistrarSettings("lite", temporal=False)))
        widget.start()
        frames(widget, 3)
        wait(lambda: widget.display.figures.trust == "doubtful", 30)
        widget._timer.stop()
        settle()
    finally:
        live_source.simulated_core = make
    return viewer, widget


def passed_through() -> Any:
    viewer = window()
    widget = live(viewer)
    widget.start()
    frames(widget, 6)
    widget.engine.own_core.setProperty("ORPAM", "Gain", 10)
    wait(lambda: widget.display.figures.trust == "passed through")
    settle(1.0)
    return viewer, widget


def another_program() -> Any:
    """A program on this computer that sends a simulated scan."""
    import threading

    import numpy as np

    from sasnet_live.simulation import random_scanner, record
    from sasnet_live.sources.tcp_wire import encode

    viewer = window()
    widget = live(viewer, replace(SETTINGS, source="tcp"))
    widget.start()
    wait(lambda: widget.engine.state == "running")
    rng = np.random.default_rng(0)
    start = {"type": "start", "shape": [256, 512], "dtype": "uint16", "source": "OR-PAM rig 2 (LabVIEW)"}

    def send() -> None:
        with socket.create_connection((SETTINGS.tcp_host, SETTINGS.tcp_port)) as connection, suppress(OSError):
            connection.sendall(encode(start))
            for scan in record(0, random_scanner(rng, "medium", 512), rng, None, height=256, width=512):
                connection.sendall(encode({"type": "frame"}, scan.raw.astype(np.uint16)))
                time.sleep(0.03)

    threading.Thread(target=send, daemon=True).start()
    frames(widget, 30)
    return viewer, widget


def error() -> Any:
    viewer = window()
    widget = live(
        viewer, replace(SETTINGS, registrar=RegistrarSettings("/data/weights/missing.safetensors"), expanded=("model",))
    )
    widget.start()
    wait(lambda: widget.engine.state == "failed")
    settle(1.5)
    return viewer, widget


def narrow() -> Any:
    viewer = window()
    widget = live(viewer, replace(SETTINGS, expanded=("geometry", "recording")), width=320)
    widget.start()
    frames(widget, 20)
    widget.detect()
    wait(lambda: "Found" in widget.form.scan.finding)
    settle()
    return viewer, widget


def fine_tune() -> Any:
    """A short run on a small simulated recording."""
    import numpy as np

    from sasnet_live.simulation import random_scanner, record
    from sasnet_live.training.fine_tune import FineTuneJob, FineTuneSettings, save_frames

    rng = np.random.default_rng(0)
    scans = record(0, random_scanner(rng, "hard", 256), rng, 32, height=128, width=256)
    folder = Path(tempfile.mkdtemp())
    frames_file = save_frames([scan.raw for scan in scans], folder)
    viewer = window()
    widget = live(viewer, replace(SETTINGS, expanded=("fine_tune",)))
    tuned = FineTuneSettings(
        (str(frames_file),), SETTINGS.registrar.model, SETTINGS.registrar.geometry, 0.8, 4, 96, 192
    )
    job = FineTuneJob(tuned, folder)
    widget.form.fine_tune._job = job
    wait(lambda: not job.state.running, 100)
    settle(1.0)
    scroll = widget.findChild(QScrollArea)
    scroll.verticalScrollBar().setValue(scroll.verticalScrollBar().maximum())
    settle(0.5)
    return viewer, widget


def reprocess() -> Any:
    viewer = window()
    raw, meta, _ = sample_data.drifting()[0]
    viewer.add_image(raw, **meta)
    store = SettingsStore(Path(tempfile.mkdtemp()) / "settings.json")
    store.save(SETTINGS)
    widget = ReprocessWidget(viewer, store=store)
    dock = viewer.window.add_dock_widget(widget, name="Reprocess", area="right")
    set_width(viewer, dock, 340)
    widget.start_button.click()
    wait(lambda: widget._job is None or widget._job.done >= 5)
    viewer.window._qt_window._activity_dialog.show()
    settle(0.5)
    return viewer, widget


PICTURES: dict[str, Callable[[], Any]] = {
    "idle": idle,
    "running": running,
    "low-confidence": low_confidence,
    "passed-through": passed_through,
    "another-program": another_program,
    "error": error,
    "narrow": narrow,
    "fine-tune": fine_tune,
    "reprocess": reprocess,
    "light": light,
}


def save(viewer: Any, path: Path) -> None:
    """The window as it is on the screen, dialogs included, in few colours."""
    screen = QApplication.primaryScreen()
    frame = viewer.window._qt_window
    pixmap = screen.grabWindow(0, frame.x(), frame.y(), frame.width(), frame.height())
    pixmap.save(str(path))
    try:
        from PIL import Image
    except ImportError:
        return
    Image.open(path).convert("RGB").quantize(192, dither=Image.Dither.NONE).save(path, optimize=True)


def main(names: list[str]) -> None:
    (HERE / "images").mkdir(exist_ok=True)
    for name in names or list(PICTURES):
        viewer, widget = PICTURES[name]()
        path = HERE / "images" / f"plugin-{name}.png"
        save(viewer, path)
        print(f"{path.relative_to(HERE.parent)}  {path.stat().st_size / 1024:.0f} kB")
        widget.shut_down()
        viewer.close()
        settle(0.3)


if __name__ == "__main__":
    main(sys.argv[1:])
