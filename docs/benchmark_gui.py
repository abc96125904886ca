"""How long the window keeps a user waiting, and the memory it takes, while frames come too fast to be registered.

::

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/benchmark_gui.py [--seconds 60] [--layers ALL] [--canvas off]

The simulated camera sends 512 x 512 frames at 60 a second, more than the model can register. A timer in the GUI thread
should come every 5 ms; how late it comes is the delay that a click would have. The second line of delays leaves out the
time in which the window was painted and put on the screen, which is OpenGL in software where there is no GPU; the
chart, which is painted without OpenGL, stays in. ``--canvas off`` leaves the canvas unpainted, to check that figure.

The table says where the GUI thread's time goes: real time, and processor time of the thread itself; the difference is
waiting, for a core, for Python's lock or for OpenGL's threads.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "napari.yaml")
os.environ["SASNET_LIVE_SETTINGS"] = tempfile.mkdtemp()

import napari
import numpy as np
import psutil
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QApplication

from sasnet_live.plugin.live.live_widget import LiveWidget
from sasnet_live.session.pictures import KINDS
from sasnet_live.session.settings import LiveSettings, SettingsStore
from sasnet_live.settings import RegistrarSettings

PROBE_S = 0.005
DRAWING = ("canvas", "window")


@dataclass
class Spent:
    """Time of the GUI thread, without what was called in between and is counted by itself."""

    times: int = 0
    real_s: float = 0.0
    thread_s: float = 0.0
    longest_s: float = 0.0


class Stopwatch:
    """Counts the time that the GUI thread spends in methods."""

    def __init__(self) -> None:
        self.spent: dict[str, Spent] = defaultdict(Spent)
        self._inner: list[list[float]] = []  # what is being timed: real and thread time of the calls within it

    def watch(self, label: str, owner: Any, name: str, when: Callable[..., bool] = lambda *_: True) -> None:
        """Time a method of an object, or of all objects of a class."""
        method = getattr(owner, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            if not when(*arguments):
                return method(*arguments, **named)
            self._inner.append([0.0, 0.0])
            real, thread = time.perf_counter(), time.thread_time()
            try:
                return method(*arguments, **named)
            finally:
                real, thread = time.perf_counter() - real, time.thread_time() - thread
                within = self._inner.pop()
                if self._inner:
                    self._inner[-1][0] += real
                    self._inner[-1][1] += thread
                spent = self.spent[label]
                spent.times += 1
                spent.real_s += real - within[0]
                spent.thread_s += thread - within[1]
                spent.longest_s = max(spent.longest_s, real - within[0])

        setattr(owner, name, timed)

    def drawing_s(self) -> float:
        """Spent on painting the window so far."""
        return sum(self.spent[label].real_s for label in DRAWING)


class Probe(QObject):
    """A timer that notes how late it comes, with and without the time of drawing."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        super().__init__()
        self._stopwatch = stopwatch
        self.delays_s: list[tuple[float, float]] = []
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._look)

    def start(self) -> None:
        self._last_s, self._drawn_s = time.perf_counter(), self._stopwatch.drawing_s()
        self._timer.start(round(PROBE_S * 1e3))

    def stop(self) -> None:
        self._timer.stop()

    def _look(self) -> None:
        now_s, drawn_s = time.perf_counter(), self._stopwatch.drawing_s()
        late_s = now_s - self._last_s - PROBE_S
        self.delays_s.append((max(0.0, late_s), max(0.0, late_s - (drawn_s - self._drawn_s))))
        self._last_s, self._drawn_s = now_s, drawn_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--fps", type=float, default=60.0, help="of the camera")
    parser.add_argument("--model", default="lite")
    parser.add_argument("--layers", default="raw,registered", help=f"of {','.join(KINDS)}; ALL; or NONE")
    parser.add_argument("--canvas", choices=["on", "off"], default="on")
    options = parser.parse_args()
    chosen = {"ALL": tuple(KINDS), "NONE": ()}.get(options.layers, tuple(options.layers.split(",")))

    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window._qt_window.resize(1360, 860)
    store = SettingsStore(Path(tempfile.mkdtemp()) / "settings.json")
    store.save(LiveSettings(source="simulated", registrar=RegistrarSettings(options.model), layers=chosen))
    widget = LiveWidget(viewer, store=store)
    viewer.window.add_dock_widget(widget, name="SASNet Live", area="right")
    if options.canvas == "off":
        leave_canvas_unpainted(viewer)
    stopwatch = Stopwatch()
    _watch(stopwatch, viewer, widget)
    widget.start()
    if widget.engine.own_core is None:
        raise SystemExit("the simulated scanner did not start")
    widget.engine.own_core.setExposure(1000 / options.fps)
    pump(lambda: len(widget.history) >= 20, 120)
    viewer.reset_view()
    pump(lambda: False, 5)

    stopwatch.spent.clear()
    probe, process = Probe(stopwatch), psutil.Process()
    memory: list[tuple[float, float]] = []
    memory_timer = QTimer()
    began = time.perf_counter()
    memory_timer.timeout.connect(
        lambda: memory.append((time.perf_counter() - began, process.memory_info().rss / 2**20))
    )
    memory_timer.start(1000)
    threads_s = _threads_s(process)
    others_s, own_s, started = other_processes_s(process), sum(process.cpu_times()[:2]), widget.engine.status()
    probe.start()
    pump(lambda: False, options.seconds)
    probe.stop()
    memory_timer.stop()
    elapsed_s = time.perf_counter() - began
    others_s, own_s = other_processes_s(process) - others_s, sum(process.cpu_times()[:2]) - own_s
    ended = widget.engine.status()
    threads_s = {name: spent - threads_s.get(name, 0.0) for name, spent in _threads_s(process).items()}

    per_second = [(getattr(ended, name) - getattr(started, name)) / elapsed_s for name in ("received", "processed")]
    shown = stopwatch.spent["layers"].times / elapsed_s
    print(f"layers {options.layers}, canvas {options.canvas}, {os.cpu_count()} cores, {elapsed_s:.0f} s")
    print(f"processor time, cores: this process {own_s / elapsed_s:.2f}, all others {others_s / elapsed_s:.2f}")
    busiest = sorted(threads_s.items(), key=lambda item: -item[1])[:6]
    print("by thread:", ", ".join(f"{name} {spent / elapsed_s:.2f}" for name, spent in busiest))
    print(f"received {per_second[0]:.1f}/s, registered {per_second[1]:.1f}/s, shown {shown:.1f}/s")
    for column, name in enumerate(("delay of the event loop   ", "the same without drawing ")):
        late_ms = 1e3 * np.array([delay[column] for delay in probe.delays_s])
        p50, p99 = np.percentile(late_ms, (50, 99))
        print(f"{name} p50 {p50:5.1f}  p99 {p99:5.1f}  longest {late_ms.max():5.0f} ms")
    print(f"{'':10s} {'times/s':>8s} {'ms each':>8s} {'longest':>8s} {'% real':>7s} {'% own':>6s}")
    for label, spent in sorted(stopwatch.spent.items(), key=lambda item: -item[1].real_s):
        if spent.times:
            print(
                f"{label:10s} {spent.times / elapsed_s:8.1f} {1e3 * spent.real_s / spent.times:8.2f} "
                f"{1e3 * spent.longest_s:8.1f} {spent.real_s / elapsed_s:7.1%} {spent.thread_s / elapsed_s:6.1%}"
            )
    _print_memory(memory)
    widget.shut_down()
    viewer.close()


def _watch(stopwatch: Stopwatch, viewer: Any, widget: LiveWidget) -> None:
    stopwatch.watch("tick", widget, "_tick")
    stopwatch.watch("layers", widget.display.layers, "update")
    stopwatch.watch("overlay", widget.display.overlay, "update")
    stopwatch.watch("readout", widget.form.readout, "show_figures")
    stopwatch.watch("chart", widget.form.chart, "refresh")
    stopwatch.watch("slow tick", widget, "_slow_tick")
    stopwatch.watch("chart paint", type(widget.form.chart._plots), "paintEvent")
    stopwatch.watch("canvas", type(_canvas(viewer)), "paintGL")
    # Paints what has changed in the window and puts it on the screen, through OpenGL as there is a canvas in it.
    window = type(viewer.window._qt_window)
    stopwatch.watch("window", window, "event", lambda _, event: event.type() == QEvent.Type.UpdateRequest)


def _canvas(viewer: Any) -> Any:
    return viewer.window._qt_viewer.canvas.native


def leave_canvas_unpainted(viewer: Any) -> None:
    """For figures without OpenGL in software."""
    canvas = _canvas(viewer)
    commands = canvas._vispy_canvas.context.glir

    def forget(*_: Any) -> None:
        commands.clear()  # else they pile up until they are drawn

    type(canvas).paintGL = forget


def other_processes_s(process: psutil.Process) -> float:
    """Processor time that all other processes have taken."""
    busy = psutil.cpu_times()
    return busy.user + busy.system + busy.nice - sum(process.cpu_times()[:2])


def _threads_s(process: psutil.Process) -> dict[str, float]:
    """Processor time of each thread by name, those of libraries together."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    spent: dict[str, float] = defaultdict(float)
    for thread in process.threads():
        spent[names.get(thread.id, "libraries")] += thread.user_time + thread.system_time
    return spent


def _print_memory(memory: list[tuple[float, float]]) -> None:
    if len(memory) < 10:
        return
    table = np.array(memory)
    settled = table[len(table) // 5 :]
    slope = np.polyfit(settled[:, 0] / 60, settled[:, 1], 1)[0]
    at = [table[round(share * (len(table) - 1))] for share in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    print("memory, MiB:", ", ".join(f"{mib:.0f} at {seconds:.0f} s" for seconds, mib in at))
    print(f"after the first fifth it grows by {slope:+.2f} MiB a minute")


def pump(until: Callable[[], bool], patience_s: float) -> None:
    """Run the event loop as an application does, waiting for events rather than polling."""
    app = QApplication.instance()
    assert app is not None
    end = time.perf_counter() + patience_s
    while not until() and time.perf_counter() < end:
        app.processEvents()
        time.sleep(0.0005)


if __name__ == "__main__":
    main()
