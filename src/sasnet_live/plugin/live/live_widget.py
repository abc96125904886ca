"""The dock widget: see the registered frame while the microscope scans."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, QTimer
from qtpy.QtWidgets import QApplication, QVBoxLayout

from sasnet_live.errors import InputError
from sasnet_live.plugin.notify import Faults, complain, tell, warn
from sasnet_live.plugin.panels import model_panel
from sasnet_live.plugin.preferences import display_preferences, largest_frame_mib, settings_store
from sasnet_live.plugin.widgets.dock import DockWidget
from sasnet_live.plugin.widgets.theme import Palette
from sasnet_live.session.background import Background
from sasnet_live.session.detection import detect
from sasnet_live.session.engine import EngineState, LiveEngine
from sasnet_live.session.history import History
from sasnet_live.session.microscope import toggle_live
from sasnet_live.session.settings import LiveSettings, SettingsStore
from sasnet_live.session.trust import colour_of
from sasnet_live.sources.live_poll import REFUSALS

from .display import LiveDisplay
from .layers import LiveLayers
from .live_form import LiveForm
from .live_state import START_BUTTON, START_TIP, state_in_words
from .other_layers import OtherLayers
from .overlay import FiguresOverlay
from .recording_watch import RecordingWatch

if TYPE_CHECKING:
    import napari
    from pymmcore_plus import CMMCorePlus

    from sasnet_live.correspondence.detect import DetectedGeometry

_log = logging.getLogger(__name__)

RUNNING_MS, IDLE_MS = 33, 250
BESIDE_OTHERS_MS = 100
"""Where layers are drawn with another preview, the timer only looks after the rest."""
SLOW_EVERY_S = 0.25  # status line, state of the core

_AT_ONCE = frozenset({"layers", "arrangement", "overlay", "expanded", "previous_model", "policy"})
_FOR_RECORDING = frozenset(field.name for field in fields(LiveSettings) if field.name.startswith("record_"))
_NEEDS_RESTART = frozenset(field.name for field in fields(LiveSettings)) - _AT_ONCE - _FOR_RECORDING


class LiveWidget(DockWidget):
    """Attach to a source, register its frames, show, judge and record them.

    One timer on the GUI thread fetches the newest result and shows it, at most 30 times a second.

    Parameters
    ----------
    napari_viewer
        Given by napari.
    store
        Where settings are kept; by default beside napari's own.

    Attributes
    ----------
    engine
        Registers.
    form
        The controls, and the settings chosen.
    display
        Shows results on the canvas and in the form.
    history
        Figures of the last frames.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer, *, store: SettingsStore | None = None) -> None:
        super().__init__(napari_viewer, "sasnet_live")
        self._store = store or settings_store()
        self.engine = LiveEngine()
        self.history = History()
        self.form = LiveForm(self.engine, self.history, self._store.load())
        preferences = display_preferences()
        self._running_ms = max(RUNNING_MS, round(1000 / preferences.rate_hz))
        self._faults, self._layer_faults = Faults(), Faults()
        self.display = LiveDisplay(
            napari_viewer,
            self.engine,
            self.form.readout,
            self.form.chart,
            self.history,
            interval_s=self._running_ms / 1e3,
            font_size=preferences.overlay_font_size,
            removed=self.form.output.untick,
            failed=self._on_layer_fault,
        )
        self._core: CMMCorePlus | None = None
        self._restart_wanted = False
        self._recordings = RecordingWatch(self.engine, self.form)
        self._slow_at = self._stopped_at = 0.0
        self._detection: Background[DetectedGeometry] | None = None

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.form)
        self.setMinimumWidth(300)
        self._connect()
        self._show_wanted()
        self._on_theme()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._on_timer)
        self._timer.start(IDLE_MS)
        self._ending = _Ending(self.engine, self.display.others, self.display.layers, self.display.overlay)
        self.ends_with(self._ending)
        self._tick()

    def _connect(self) -> None:
        form = self.form
        form.changed.connect(self._on_changed)
        form.source.load_configuration.connect(self._load_configuration)
        form.source.toggle_live.connect(self._toggle_live)
        form.fine_tune.use_weights.connect(form.model.use)
        form.fine_tune.wants_frames.connect(self.start)
        form.start_button.clicked.connect(self.toggle)
        form.detect_button.clicked.connect(self.detect)
        form.record_button.clicked.connect(self._toggle_recording)

    @property
    def settings(self) -> LiveSettings:
        """What is chosen."""
        return self.form.settings

    def sizeHint(self) -> QSize:
        """Wide enough for the numbers when docked for the first time."""
        return QSize(350, 760)

    # ----------------------------------------------------------------- actions

    def toggle(self) -> None:
        """Start or stop; while stopping, do not wait for frames to be registered."""
        state = self.engine.state
        if state == "idle":
            self.start()
        elif state == "stopping":
            self.engine.cut_short()
            self._recordings.cut_short()
            self._tick_all()
        else:
            self.stop()

    def start(self) -> None:
        """Begin to register with what is chosen; as soon as all of the last session is closed."""
        if self.engine.state in ("failed", "stopping"):
            self._restart()
            return
        self._faults.forget()
        self._layer_faults.forget()
        self._restart_wanted = False
        camera = self.settings.source == "camera"
        if not self.settings.layers:  # what is registered is to be seen
            self.form.edit(layers=self._store.load().layers)
        try:
            if camera:
                self._find_core()
            self.display.begin()
            settings = replace(self.settings, largest_mib=largest_frame_mib())
            self.engine.start(settings, self._core if camera else None)
        except Exception as error:
            self._faults.tell(error)
        self._timer.start(self._running_ms)
        self._tick_all()

    def stop(self) -> None:
        """Stop; files are completed in the background."""
        self._restart_wanted = False
        self._stopped_at = time.monotonic()
        self.engine.end_recording()
        self.engine.stop()
        self._tick_all()

    def _restart(self) -> None:
        """Stop, and start when all is closed."""
        self._restart_wanted = True
        self.engine.stop()
        self._tick_all()

    def detect(self) -> None:
        """Find the scan geometry from the last frame."""
        scan = self.display.scan
        if scan is None or self._detection is not None:
            return
        self.form.groups["geometry"].set_open(True)
        self.form.scan.show_finding("Looking at the last frame\N{HORIZONTAL ELLIPSIS}")
        self._detection = detect(scan.frame.data, self.settings.registrar.geometry)
        self._timer.start(self._running_ms)

    def _show_detected(self, detection: Background[DetectedGeometry]) -> None:
        try:
            found = detection.result()
        except Exception as error:
            self.form.scan.show_finding("")
            complain(error)
            return
        self.form.edit(registrar=replace(self.settings.registrar, geometry=found.geometry))
        self.form.scan.show_finding(found.in_words)

    def _toggle_recording(self) -> None:
        button = self.form.record_button
        self._slow_at = 0.0
        if not button.isChecked():
            self.engine.end_recording()
            return
        try:
            self.engine.begin_recording(self.settings)
        except InputError as error:
            button.setChecked(False)
            self.form.groups["recording"].set_open(True)
            complain(error)
            return
        self._recordings.begin()

    def _load_configuration(self, path: str) -> None:
        try:
            self._find_core()
            if self._core is not None:
                self._core.loadSystemConfiguration(path)
        except Exception as error:
            complain(
                f"the configuration cannot be loaded ({error}). Check it in Micro-Manager's hardware wizard: {path}"
            )
        self._slow_at = 0.0

    def _toggle_live(self) -> None:
        if self._core is None:
            return
        try:
            toggle_live(self._core)
        except REFUSALS as error:
            complain(f"the camera does not start ({error}). Check that no other program uses it.")
        self._slow_at = 0.0

    # ---------------------------------------------------------------- settings

    def _on_changed(self, changed: set[str]) -> None:
        """The user changed settings."""
        self._store.save(self.settings)
        self._show_wanted()
        self.engine.choose_policy(self.settings.policy)
        if changed & _NEEDS_RESTART and self.engine.state in ("starting", "running", "failed"):
            if self.engine.recorder.recording:
                tell("the change is used from the next start on: a recording is under way.")
            else:
                self._restart()
        self._slow_at = 0.0

    def _show_wanted(self) -> None:
        """What of the settings is only about showing."""
        self.display.layers.want(self.settings.layers, self.settings.arrangement)
        self.display.with_overlay = self.settings.overlay
        if not self.settings.overlay:
            self.display.overlay.hide()
        self.form.show_values(self.engine)

    # -------------------------------------------------------------------- tick

    def _on_timer(self) -> None:
        """An exception in what Qt calls ends the process where nobody set a hook for it, so none gets out."""
        if self._closed:
            return
        try:
            self._tick()
        except Exception as error:
            _log.exception("the widget could not be brought up to date")
            self._faults.tell(error)

    def _tick(self) -> None:
        """Fetch what is new and show it."""
        state = self.engine.state
        if self._detection is not None and self._detection.done:
            detection, self._detection = self._detection, None
            self._show_detected(detection)
        self.display.look(self._timer.interval() / 1e3, canvas_is_seen=self.canvas_is_seen)
        now = time.monotonic()
        if now - self._slow_at >= SLOW_EVERY_S:
            self._slow_at = now
            self._slow_tick(state)
        if self._detection is None and state == "idle":
            wanted = IDLE_MS
        else:
            wanted = max(self._running_ms, BESIDE_OTHERS_MS if self.display.others.live else 0)
        if self._timer.interval() != wanted:
            self._timer.setInterval(wanted)

    def _tick_all(self) -> None:
        self._slow_at = 0.0
        self._tick()

    def _slow_tick(self, state: EngineState) -> None:
        if state == "idle" and self._restart_wanted:
            self.start()
            return
        uses_core = self.settings.source == "camera" or "napari_micromanager.main_window" in sys.modules
        # The core of a simulated scanner may be the global one; it is left alone while its devices are unloaded.
        if uses_core and state != "stopping":
            with suppress(ImportError, *REFUSALS):
                self._find_core()
                if self.settings.source == "camera" and state == "running":
                    self.engine.follow(self._core)
        error = self.engine.error
        if state in ("failed", "idle") and error is not None:
            self._faults.tell(error)
        problem = self.engine.take_problem()
        if problem:
            warn(problem)
        self._recordings.look()
        self.form.fine_tune.look()
        self._show_state(state)
        self.form.show_values(self.engine)
        if self.form.groups["model"].open:
            self.form.model.show_memory(model_panel.free_memory())
            self.form.model.show_devices(model_panel.cuda_devices())

    def _show_state(self, state: EngineState) -> None:
        form = self.form
        self._show_start_button(state)
        text, trust = state_in_words(state, self.engine, self.settings, self._core)
        form.source.status.say(text, colour_of(trust, self._palette.kind), in_full=state == "failed")
        form.source.show_core(self._core if self.settings.source == "camera" else None)
        form.detect_button.setEnabled(self.display.scan is not None)
        self.display.set_live(state in ("running", "stopping") and len(self.history) > 0)

    def _show_start_button(self, state: EngineState) -> None:
        waiting = self.engine.status().counts.waiting if state == "stopping" and not self.engine.is_cut_short else 0
        text, tip = START_BUTTON[state], START_TIP
        if waiting:
            text = f"Finish now ({waiting} waiting)"
            tip = "Do not wait for the registration of the frames that are left: write them as they were acquired."
        # The second click of a double click on Stop must not be one on this.
        soon_after = time.monotonic() - self._stopped_at < QApplication.doubleClickInterval() / 1e3
        can = state != "stopping" or (waiting > 0 and not soon_after)
        self.form.start_button.say(text, running=state != "idle", enabled=can)
        self.form.start_button.setToolTip(tip)

    def _on_layer_fault(self, error: Exception) -> None:
        self._layer_faults.tell(
            f"a layer cannot be shown ({error}). Delete the layers named SASNet, then press Start again."
        )

    def _find_core(self) -> None:
        """The core in use; held here, because the global instance is not kept by anybody else."""
        from sasnet_live.sources.micromanager import find_core

        self._core = find_core()

    def follow_theme(self, palette: Palette) -> None:
        """Give it to all parts."""
        super().follow_theme(palette)
        self._palette = palette
        self.form.follow_theme(palette)
        self.display.follow_theme(palette)

    # --------------------------------------------------------------------- end

    def end(self) -> None:
        """End threads, processes and files."""
        self._timer.stop()
        if self._detection is not None:
            self._detection.wait(10)
        self._store.save(self.settings)
        self.form.fine_tune.shut_down()
        self._ending()


class _Ending:
    """Ends a session; knows nothing of the widget, which may be destroyed by then."""

    def __init__(self, engine: LiveEngine, *parts: OtherLayers | LiveLayers | FiguresOverlay) -> None:
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
