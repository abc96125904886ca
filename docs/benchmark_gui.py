"""How long the window keeps a user waiting, and what it keeps, while frames come faster than they are registered.

``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/benchmark_gui.py [--seconds 60] [--hidden]``

The simulated camera runs at 60 frames a second, 512 x 512, and the model registers as many as it can. A timer in the
GUI thread should come every 5 ms; how late it comes is the delay that a click would have. ``--hidden`` hides
the layers, which leaves out what OpenGL costs where it runs in software.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "napari.yaml")
os.environ["SASNET_LIVE_SETTINGS"] = tempfile.mkdtemp()

import napari
import numpy as np
import psutil
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication

from sasnet_live.plugin.live_widget import LiveWidget
from sasnet_live.plugin.settings import LiveSettings, SettingsStore

PROBE_S = 0.005


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--hidden", action="store_true")
    options = parser.parse_args()

    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    store = SettingsStore(Path(tempfile.mkdtemp()) / "settings.json")
    store.save(LiveSettings(model=options.model))
    widget = LiveWidget(viewer, store=store)
    viewer.window.add_dock_widget(widget, name="SASNet Live", area="right")
    widget.start()
    if widget.engine.own_core is not None:
        widget.engine.own_core.setExposure(1000 / 60)
    _pump(lambda: len(widget.history) >= 20, 120)
    for layer in viewer.layers:
        layer.visible = not options.hidden
    _pump(lambda: False, 5)

    delays: list[float] = []
    expected = [time.perf_counter() + PROBE_S]

    def probe() -> None:
        now = time.perf_counter()
        delays.append(max(0.0, now - expected[0]))
        expected[0] = now + PROBE_S

    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(probe)
    timer.start(round(PROBE_S * 1e3))
    process = psutil.Process()
    before, started = process.memory_info().rss, widget.engine.status()
    shown = []
    show = widget._show_result
    widget._show_result = lambda result: (shown.append(1), show(result))  # type: ignore[method-assign,func-returns-value]
    _pump(lambda: False, options.seconds)
    timer.stop()
    after, ended = process.memory_info().rss, widget.engine.status()
    p50, p99 = np.percentile(np.array(delays) * 1e3, (50, 99))
    received = (ended.received - started.received) / options.seconds
    registered = (ended.processed - started.processed) / options.seconds
    print(f"received {received:.1f}/s, registered {registered:.1f}/s, shown {len(shown) / options.seconds:.1f}/s")
    print(f"delay of the event loop: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {max(delays) * 1e3:.0f} ms")
    print(f"memory {before / 2**20:.0f} MiB -> {after / 2**20:.0f} MiB in {options.seconds:.0f} s")
    widget.shut_down()
    viewer.close()


def _pump(until: object, patience_s: float) -> None:
    """Run the event loop as an application does, waiting for events rather than polling."""
    app = QApplication.instance()
    end = time.perf_counter() + patience_s
    while not until() and time.perf_counter() < end:  # type: ignore[operator]
        app.processEvents()
        time.sleep(0.0005)


if __name__ == "__main__":
    main()
