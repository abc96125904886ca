"""Whether the live preview of napari-micromanager keeps its rate while frames are registered beside it.

::

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/benchmark_preview.py [--rounds 4] [--seconds 10]

Both docks in one viewer, Micro-Manager's demo camera (512 x 512, 16 bit) live at the given exposure. The rate at which
the layer "preview" is given new pixels is measured in turns, so that whatever else the machine does falls on all of
them: with registration stopped and our layers hidden, as if there were no plugin; stopped, with its layers on the
canvas, which are drawn anew with each image of the preview; stopped, while a process does nothing but keep one core
busy; and running. Other programs' share of the cores is printed: figures with more than a few hundredths of it are
worth little. What the
busy core costs the preview is for want of cores, not for anything that happens in the window. ``--canvas off`` leaves
the canvas unpainted: where OpenGL is in software, an image takes longer to draw than the preview has time. Where
napari-micromanager is not installed, a timer that does the same stands in for it, and the first line says so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# Nobody's settings are read or changed: that import sees to it, before napari's.
from benchmark_gui import leave_canvas_unpainted, other_processes_s, pump  # isort: skip

import napari
import numpy as np
import psutil
from qtpy.QtCore import QTimer

from sasnet_live.plugin.live.live_widget import LiveWidget
from sasnet_live.session.settings import LiveSettings, SettingsStore
from sasnet_live.settings import RegistrarSettings

SETTLING_S = 3.0
BUSY = "while True: pass"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--exposure", type=float, default=40.0, help="ms; also the interval of the preview")
    parser.add_argument("--model", default="lite")
    parser.add_argument("--layers", default="raw,registered", help="shown beside the preview; or NONE")
    parser.add_argument("--canvas", choices=["on", "off"], default="on")
    options = parser.parse_args()

    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window._qt_window.resize(1360, 860)
    core, what = preview_of_napari_micromanager(viewer) or stand_in(viewer)
    store = SettingsStore(Path(tempfile.mkdtemp()) / "settings.json")
    layers = () if options.layers == "NONE" else tuple(options.layers.split(","))
    store.save(LiveSettings(source="camera", registrar=RegistrarSettings(options.model), layers=layers))
    widget = LiveWidget(viewer, store=store)
    viewer.window.add_dock_widget(widget, name="SASNet Live", area="right")
    if options.canvas == "off":
        leave_canvas_unpainted(viewer)
    core.loadSystemConfiguration("MMConfig_demo.cfg")
    core.setExposure(options.exposure)
    core.startContinuousSequenceAcquisition(0)
    pump(lambda: "preview" in viewer.layers, 30)

    updates: list[float] = []
    viewer.layers["preview"].events.data.connect(lambda: updates.append(time.perf_counter()))
    widget.start()  # so that its layers are there from the first turn on
    pump(lambda: len(widget.history) >= 3 and len(widget.display.layers.seen) == len(layers), 60)
    widget.stop()
    pump(lambda: widget.engine.state == "idle", 60)
    ours = [layer for shown in widget.display.layers.layers.values() for layer in shown]
    states = ("stopped, layers hidden", "stopped", "stopped, a core busy", "running")
    rates: dict[str, list[float]] = {state: [] for state in states}
    process, cores = psutil.Process(), {state: [0.0, 0.0] for state in rates}  # taken by this process, by others
    registered = 0
    for _ in range(options.rounds):
        for state in rates:
            for layer in ours:
                layer.visible = "hidden" not in state
            if state == "running":
                widget.start()
                pump(lambda: len(widget.history) >= 3, 60)
            busy = subprocess.Popen([sys.executable, "-c", BUSY]) if "busy" in state else None
            pump(lambda: False, SETTLING_S)
            updates.clear()
            before, began = widget.engine.status().counts.processed, time.perf_counter()
            taken = sum(process.cpu_times()[:2]), other_processes_s(process)
            pump(lambda: False, options.seconds)
            elapsed_s = time.perf_counter() - began
            rates[state].append(len(updates) / elapsed_s)
            cores[state][0] += (sum(process.cpu_times()[:2]) - taken[0]) / elapsed_s / options.rounds
            cores[state][1] += (other_processes_s(process) - taken[1]) / elapsed_s / options.rounds
            if busy is not None:
                busy.kill()
                busy.wait()
            if state == "running":
                registered += widget.engine.status().counts.processed - before
                widget.stop()
                pump(lambda: widget.engine.state == "idle", 60)
    core.stopSequenceAcquisition()

    print(f"{what}; napari {version('napari')}, pymmcore-plus {version('pymmcore-plus')}")
    print(f"{options.rounds} rounds of {options.seconds:g} s, one image every {options.exposure:g} ms, ", end="")
    print(f"layers {options.layers}, canvas {options.canvas}")
    for state, each in rates.items():
        own, others = cores[state]
        print(
            f"registration {state}: preview {np.mean(each):.2f}/s  ({', '.join(f'{rate:.1f}' for rate in each)}); ",
            end="",
        )
        print(f"cores taken: this process {own:.2f}, all others {others:.2f}")
    hidden, stopped, with_busy_core, running = (float(np.mean(each)) for each in rates.values())
    print(f"running to layers hidden {running / hidden:.2f}, to stopped {running / stopped:.2f}, ", end="")
    print(f"to a core busy {running / with_busy_core:.2f}; ", end="")
    print(f"{registered / options.rounds / options.seconds:.1f} frames a second were registered")
    widget.shut_down()
    viewer.close()


def preview_of_napari_micromanager(viewer: Any) -> tuple[Any, str] | None:
    """Its core and its version; None if it is not installed."""
    try:
        from napari_micromanager.main_window import MainWindow
    except ImportError:
        return None
    window = MainWindow(viewer)
    viewer.window.add_dock_widget(window, name="Main Window", area="top")
    return window.core, f"napari-micromanager {version('napari-micromanager')}"


def stand_in(viewer: Any) -> tuple[Any, str]:
    """What `CoreViewerLink` of napari-micromanager 0.3.1 does in live mode."""
    from pymmcore_plus import CMMCorePlus

    core = CMMCorePlus.instance()
    timer = QTimer(viewer.window._qt_window)

    def show() -> None:
        if not core.isSequenceRunning() or not core.getRemainingImageCount():
            return
        image = core.getLastImage()
        if "preview" in viewer.layers:
            viewer.layers["preview"].data = image
        else:
            viewer.add_image(image, name="preview")

    timer.timeout.connect(show)
    core.events.continuousSequenceAcquisitionStarted.connect(lambda: timer.start(int(core.getExposure())))
    try:
        version("napari-micromanager")
    except PackageNotFoundError:
        why = "is not installed"
    else:
        why = "cannot be imported"
    return core, f"a timer stands in for napari-micromanager, which {why}"


if __name__ == "__main__":
    main()
