"""The dock widget: see the registered frame while the microscope scans."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtGui import QCloseEvent, QKeySequence
from qtpy.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QShortcut,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from sasnet_live.errors import InputError
from sasnet_live.threads import share_cores

from . import geometry_panel, model_panel, output_panel, recording_panel
from .background import Background
from .chart import Chart
from .detection import as_settings, detect, in_words
from .engine import LiveEngine, Result
from .fine_tune_panel import FineTunePanel
from .history import History
from .layers import LiveLayers
from .notify import advice, complain, tell, warn
from .overlay import FiguresOverlay
from .pace import Pace
from .parts import Group
from .readout import Readout
from .settings import LiveSettings, SettingsStore, display_preferences
from .source_panel import SourcePanel, describe_core
from .theme import palette_of, style_sheet
from .trust import Figures, colour_of, figures_of

if TYPE_CHECKING:
    import napari
    from pymmcore_plus import CMMCorePlus

    from sasnet_live.correspondence.detect import DetectedGeometry

RUNNING_MS, IDLE_MS = 33, 250
SLOW_EVERY_S = 0.25  # status line, state of the core
CHART_EVERY_S = 0.5

_SHOWN_ONLY = frozenset({"layers", "arrangement", "overlay", "expanded", "previous_model"})
_FOR_RECORDING = frozenset(field.name for field in fields(LiveSettings) if field.name.startswith("record_"))
_NEEDS_RESTART = frozenset(field.name for field in fields(LiveSettings)) - _SHOWN_ONLY - _FOR_RECORDING


class LiveWidget(QWidget):
    """Attach to a source, register its frames, show, judge and record them.

    One timer on the GUI thread fetches the newest result and shows it; nothing else touches layers. It runs at most 30
    times a second, and less often where drawing takes longer, so that the window stays responsive.

    Parameters
    ----------
    napari_viewer
        Given by napari.
    store
        Where settings are kept; by default beside napari's own.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer, *, store: SettingsStore | None = None) -> None:
        super().__init__()
        share_cores()
        self.setObjectName("sasnet_live")
        self._viewer: Any = napari_viewer
        self._store = store or SettingsStore.default()
        self.settings = self._store.load()
        self.engine = LiveEngine()
        self.history = History()
        self.layers = LiveLayers(napari_viewer, self._on_layer_deleted)
        preferences = display_preferences()
        self.overlay = FiguresOverlay(napari_viewer, preferences.overlay_font_size)
        self._running_ms = max(RUNNING_MS, round(1000 / preferences.rate_hz))
        self._core: CMMCorePlus | None = None
        self._closed = False
        self._restart_wanted = False
        self._complained: BaseException | None = None
        self._file_errors = 0
        self._slow_at = self._charted_at = 0.0
        self._pace = Pace(self._running_ms / 1e3)
        self._last_result: Result | None = None
        self._figures = Figures()
        self._was_recording = False
        self._detection: Background[DetectedGeometry] | None = None

        self._build()
        self._show_settings()
        self._follow_theme()
        self._viewer.events.theme.connect(self._follow_theme)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tick)
        self._timer.start(IDLE_MS)
        self._ending = _Ending(self.engine, self.layers, self.overlay)
        # A window that is destroyed destroys what is in it without closing it; then only this tells.
        self.destroyed.connect(self._ending)
        app = QApplication.instance()
        if app is not None:
            app.aboutToQuit.connect(self._ending)
        self._tick()

    # ------------------------------------------------------------------ layout

    def _build(self) -> None:
        self.source_panel = SourcePanel()
        self.start_button = QPushButton("Start registering")
        self.start_button.setObjectName("start")
        self.start_button.setToolTip("Start or stop registering (Ctrl+Shift+R).")
        self.record_button = QPushButton("Record")
        self.record_button.setObjectName("record")
        self.record_button.setCheckable(True)
        self.record_button.setToolTip("Record from the next frame on; press again to end (Ctrl+Shift+W).")
        self.readout = Readout()
        self.chart = Chart(self.history)
        self.scan = geometry_panel.GeometryPanel()
        self.model = model_panel.ModelPanel()
        self.output = output_panel.OutputPanel()
        self.recording = recording_panel.RecordingPanel()
        self.fine_tune = FineTunePanel(self.engine, lambda: self.settings)
        self.groups: dict[str, Group] = {
            "geometry": Group("Scan geometry", "How the lines of a frame were recorded.", self.scan),
            "model": Group("Model and device", "What registers, and where it runs.", self.model),
            "output": Group("Output and layers", "What comes out, and what of it is shown.", self.output),
            "recording": Group("Recording", "Where recordings go, and what is in them.", self.recording),
            "fine_tune": Group("Fine-tune", "Adapt the weights to your own microscope.", self.fine_tune),
        }

        self.detect_button = QToolButton()
        self.detect_button.setText("Detect")
        self.detect_button.setToolTip("Find line axis, first line, mirroring and offset from the last frame.")
        self.detect_button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.detect_button.setEnabled(False)
        self.groups["geometry"].add_to_header(self.detect_button)

        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self.start_button, 1)
        buttons.addWidget(self.record_button)
        inner = QWidget()
        self._inner = QVBoxLayout(inner)
        self._inner.setContentsMargins(0, 0, 4, 0)
        self._inner.setSpacing(4)
        self._inner.addWidget(self.chart)
        for group in self.groups.values():
            self._inner.addWidget(group)
        self._inner.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(inner)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 6, 4)
        layout.setSpacing(6)
        layout.addWidget(self.source_panel)
        layout.addLayout(buttons)
        layout.addWidget(self.readout)
        layout.addWidget(scroll, 1)
        self.setMinimumWidth(300)

        for panel in (self.source_panel, self.scan, self.model, self.output, self.recording):
            panel.changed.connect(self._on_edited)
        for group in self.groups.values():
            group.toggled.connect(self._on_edited)
        self.source_panel.load_configuration.connect(self._load_configuration)
        self.source_panel.toggle_live.connect(self._toggle_live)
        self.fine_tune.use_weights.connect(self.model.use)
        self.fine_tune.wants_frames.connect(self.start)
        self.start_button.clicked.connect(self.toggle)
        self.detect_button.clicked.connect(self.detect)
        self.record_button.clicked.connect(self._toggle_recording)
        for keys, slot in (("Ctrl+Shift+R", self.toggle), ("Ctrl+Shift+W", self.record_button.click)):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(slot)

    def _show_settings(self) -> None:
        for panel in (self.source_panel, self.scan, self.model, self.output, self.recording):
            panel.show_settings(self.settings)
        for name, group in self.groups.items():
            group.set_open(name in self.settings.expanded)
        self.layers.want(self.settings.layers, self.settings.arrangement)
        self._show_values()

    def _show_values(self) -> None:
        """What the headers of the groups say."""
        recorder = self.engine.recorder
        self.groups["geometry"].set_value(geometry_panel.summary(self.settings.geometry))
        self.groups["model"].set_value(model_panel.summary(self.settings, self.engine.describe()))
        self.groups["output"].set_value(output_panel.summary(self.settings))
        self.groups["fine_tune"].set_value(self.fine_tune.summary())
        self.groups["recording"].set_value(recording_panel.summary(self.settings, recorder.recording, recorder.frames))

    # ----------------------------------------------------------------- actions

    def toggle(self) -> None:
        """Start or stop."""
        if self.engine.state in ("starting", "running", "failed"):
            self.stop()
        else:
            self.start()

    def start(self) -> None:
        """Begin to register with what is chosen."""
        self._complained = None
        self._restart_wanted = False
        try:
            if self.settings.source == "camera":
                self._find_core()
            self.layers.begin()
            self.history.clear()
            self.engine.start(self.settings, self._core if self.settings.source == "camera" else None)
        except Exception as error:
            complain(error)
        self._timer.start(self._running_ms)
        self._slow_at = 0.0
        self._tick()

    def stop(self) -> None:
        """Stop; files are completed in the background."""
        self._restart_wanted = False
        if self.engine.recorder.recording:
            self.engine.recorder.end()
        self.engine.stop()
        self._slow_at = 0.0
        self._tick()

    def shut_down(self) -> None:
        """End everything and wait for it; safe to call more than once, from whatever closes first."""
        if self._closed:
            return
        self._closed = True
        self._timer.stop()
        if self._detection is not None:
            self._detection.wait(10)
        self._store.save(self.settings)
        self.fine_tune.shut_down()
        self._ending()

    def detect(self) -> None:
        """Find the scan geometry from the last frame."""
        if self._last_result is None or self._detection is not None:
            return
        self.groups["geometry"].set_open(True)
        self.scan.show_finding("Looking at the last frame\N{HORIZONTAL ELLIPSIS}")
        self._detection = detect(self._last_result.frame.data, self.settings.geometry)
        self._timer.start(self._running_ms)

    def _show_detected(self, detection: Background[DetectedGeometry]) -> None:
        try:
            found = detection.result()
        except Exception as error:
            self.scan.show_finding("")
            complain(error)
            return
        settings = replace(self.settings, **as_settings(found.geometry))
        self.scan.show_settings(settings)
        self._on_edited()
        self.scan.show_finding(in_words(found))

    def _toggle_recording(self) -> None:
        if not self.record_button.isChecked():
            self.engine.recorder.end()
            self._slow_at = 0.0
            return
        try:
            self.engine.begin_recording(self.settings)
        except InputError as error:
            self.record_button.setChecked(False)
            self.groups["recording"].set_open(True)
            complain(error)
            return
        self._file_errors = len(self.engine.recorder.errors)
        self.recording.show_last("")
        self._slow_at = 0.0
        if self.engine.state == "running" and self.settings.policy != "all":
            warn("frames that are dropped are not in the recording; to keep every frame, press Record before Start.")

    def _load_configuration(self, path: str) -> None:
        try:
            self._find_core()
            if self._core is not None:
                self._core.loadSystemConfiguration(path)
        except Exception as error:
            complain(f"{path} cannot be loaded ({error}). Check it in Micro-Manager's hardware wizard.")
        self._slow_at = 0.0

    def _toggle_live(self) -> None:
        core = self._core
        if core is None:
            return
        try:
            if core.isSequenceRunning():
                core.stopSequenceAcquisition()
            else:
                core.startContinuousSequenceAcquisition(0)
        except RuntimeError as error:
            complain(f"the camera does not start ({error}). Check that no other program uses it.")
        self._slow_at = 0.0

    # ---------------------------------------------------------------- settings

    def _on_edited(self, *_: Any) -> None:
        """A value was changed by the user."""
        values: dict[str, Any] = {}
        for panel in (self.source_panel, self.scan, self.model, self.output, self.recording):
            values.update(panel.values())
        values["expanded"] = tuple(name for name, group in self.groups.items() if group.open)
        before = self.settings
        self.settings = replace(before, **values)
        if self.settings == before:
            return
        self._store.save(self.settings)
        self.layers.want(self.settings.layers, self.settings.arrangement)
        if not self.settings.overlay:
            self.overlay.hide()
        changed = {name for name in values if getattr(before, name) != getattr(self.settings, name)}
        if changed & _NEEDS_RESTART and self.engine.state in ("starting", "running", "failed"):
            if self.engine.recorder.recording:
                tell("the change is used from the next start on: a recording is under way.")
            else:
                self._restart_wanted = True
                self.engine.stop()
        self._slow_at = 0.0
        self._show_values()

    def _on_layer_deleted(self, kind: str) -> None:
        self.output.untick(kind)

    # -------------------------------------------------------------------- tick

    def _tick(self) -> None:
        """Fetch what is new and show it; the only place where layers are touched."""
        if self._closed:
            return
        now = time.monotonic()
        self._pace.tick(now)
        state = self.engine.state
        if self._detection is not None and self._detection.done:
            detection, self._detection = self._detection, None
            self._show_detected(detection)
        self.history.add(self.engine.take_samples())
        if self._pace.may_draw(now):
            result = self.engine.take_latest()
            if result is not None:
                self._last_result = result
                self._show_result(result)
                self._pace.drawn(time.monotonic() - now)
        if now - self._slow_at >= SLOW_EVERY_S:
            self._slow_at = now
            self._slow_tick(state)
        wanted = IDLE_MS if state == "idle" and self._detection is None else self._running_ms
        if self._timer.interval() != wanted:
            self._timer.setInterval(wanted)

    def _show_result(self, result: Result) -> None:
        registration = result.registration
        self._figures = figures_of(
            registration.accepted, registration.reason, registration.metrics, self.engine.status()
        )
        try:
            self.layers.update(result)
        except Exception as error:
            if self._complained is None:
                self._complained = error
                complain(f"a layer cannot be shown ({error}). Delete the layers named SASNet, then press Start again.")
        self.readout.show_figures(self._figures)
        if self.settings.overlay:
            self.overlay.update(self._figures, background=self._palette.canvas_kind)

    def _slow_tick(self, state: str) -> None:
        if state == "idle" and self._restart_wanted:
            self.start()
            return
        if self.settings.source == "camera" or "napari_micromanager.main_window" in sys.modules:
            with suppress(ImportError, RuntimeError):
                self._find_core()
                if self.settings.source == "camera" and state == "running":
                    self.engine.follow(self._core)
        if state == "failed":
            self._report_failure()
        problem = self.engine.take_problem()
        if problem and state == "running":
            warn(problem)
        self._report_recording()
        self.fine_tune.look()
        self._show_state(state)
        self._show_values()
        now = time.monotonic()
        if now - self._charted_at >= CHART_EVERY_S:
            self._charted_at = now
            self.chart.refresh()
        if self.groups["model"].open:
            self.model.show_memory(model_panel.free_memory())
            self.model.show_devices(model_panel.cuda_devices())

    def _report_failure(self) -> None:
        """Once per failure."""
        error = self.engine.error
        if error is None or error is self._complained:
            return
        self._complained = error
        complain(error)

    def _report_recording(self) -> None:
        recorder = self.engine.recorder
        if len(recorder.errors) > self._file_errors:
            self._file_errors = len(recorder.errors)
            complain(f"{advice(recorder.errors[-1])} Registration goes on; the other files are written.")
        if self._was_recording and recorder.idle:
            self.recording.show_last("\n".join(_written(report) for report in list(recorder.reports)[-4:]))
        self._was_recording = not recorder.idle
        self.record_button.setChecked(recorder.recording)
        self.record_button.setText("Recording" if recorder.recording else "Record")

    def _show_state(self, state: str) -> None:
        texts = {"idle": "Start registering", "starting": "Stop", "running": "Stop", "failed": "Clear error"}
        self.start_button.setText(texts.get(state, "Finishing\N{HORIZONTAL ELLIPSIS}"))
        self.start_button.setEnabled(state != "stopping")
        running = state in ("starting", "running", "failed")
        if self.start_button.property("running") != running:
            self.start_button.setProperty("running", running)
            style = self.start_button.style()
            if style is not None:
                style.unpolish(self.start_button)
                style.polish(self.start_button)
        text, trust = self._state_in_words(state)
        self.source_panel.show_in_full(state == "failed")
        self.source_panel.show_status(text, colour_of(trust, self._palette.kind))
        self.detect_button.setEnabled(self._last_result is not None)
        self.source_panel.show_core(self._core if self.settings.source == "camera" else None)

    def _state_in_words(self, state: str) -> tuple[str, Any]:
        if state == "failed":
            error = self.engine.error
            return (advice(error) if error is not None else "stopped by an error"), "passed through"
        source = self._source_in_words()
        if state == "stopping":
            return f"{source}: finishing", "doubtful"
        if state == "starting":
            return f"{source}: loading the model", "doubtful"
        if state == "running":
            if not self.engine.status().received:
                return f"{source}: waiting for frames", "doubtful"
            return source, "accepted"
        missing = {"camera": "no camera: load a configuration", "folder": "choose a folder to watch"}
        return (source, "none") if source else (missing.get(self.settings.source, ""), "doubtful")

    def _source_in_words(self) -> str:
        if self.settings.source == "folder":
            return self.settings.folder
        if self.settings.source == "camera":
            return "" if self._core is None else describe_core(self._core)
        own = self.engine.own_core
        if own is not None:
            return f"Simulated scanner  {describe_core(own).partition('  ')[2]}"
        return f"Simulated scanner, {self.settings.level}"

    def _find_core(self) -> None:
        """The core in use; held here, because the global instance is not kept by anybody else."""
        from sasnet_live.sources.micromanager import find_core

        self._core = find_core()

    # ------------------------------------------------------------------- theme

    def _follow_theme(self, event: Any = None) -> None:
        self._palette = palette_of(self._viewer)
        self.setStyleSheet(style_sheet(self._palette))
        for plots in (self.chart, self.fine_tune):
            plots.set_colours(self._palette.background, self._palette.text)
        self.readout.set_background(self._palette.kind)

    # --------------------------------------------------------------------- end

    def sizeHint(self) -> QSize:
        """Wide enough for the numbers when docked for the first time."""
        return QSize(350, 760)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """The widget itself is closed."""
        self.shut_down()
        super().closeEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """napari takes a widget out of its dock, or deletes it, without closing it."""
        if event is not None:
            kind = event.type()
            if kind == QEvent.Type.DeferredDelete or (kind == QEvent.Type.ParentChange and self.parent() is None):
                self.shut_down()
            elif kind in (QEvent.Type.ParentChange, QEvent.Type.Show):
                self._watch_window()
        return bool(super().event(event))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """The window that the dock is in may be closing; it may still ask the user and stay."""
        if event is not None and event.type() == QEvent.Type.Close:
            QTimer.singleShot(0, self._end_if_window_is_gone)
        return False

    def _watch_window(self) -> None:
        window = self._viewer_window()
        if window is not None:
            window.removeEventFilter(self)
            window.installEventFilter(self)

    def _end_if_window_is_gone(self) -> None:
        window = self._viewer_window()
        if window is None or not window.isVisible():
            self.shut_down()

    def _viewer_window(self) -> QMainWindow | None:
        try:
            widget = self.parentWidget()
            while widget is not None and not isinstance(widget, QMainWindow):
                widget = widget.parentWidget()
        except RuntimeError:  # destroyed in between
            return None
        return widget


class _Ending:
    """Ends a session; knows nothing of the widget, which may be destroyed by then."""

    def __init__(self, engine: LiveEngine, *parts: LiveLayers | FiguresOverlay) -> None:
        self._engine = engine
        self._parts = parts

    def __call__(self, *_: Any) -> None:
        problem = self._engine.shutdown()
        for part in self._parts:
            with suppress(Exception):  # the viewer may be half gone
                part.close()
        self._parts = ()
        if problem:
            with suppress(Exception):
                warn(problem)


def _written(report: Any) -> str:
    if not report.paths:
        return f"{report.sink}: nothing written"
    state = "" if report.complete else f"  not complete: {report.problem or 'frames are missing'}"
    return f"{report.paths[0].name}: {report.verified} frames{state}"
