"""Fine-tune on my microscope: collect frames, train in the background, offer what is better."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyqtgraph as pg
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from sasnet_live.errors import InputError
from sasnet_live.plugin.notify import complain
from sasnet_live.plugin.preferences import data_folder
from sasnet_live.plugin.widgets.parts import Choice, Number, form, row
from sasnet_live.recordings.formats import name_patterns
from sasnet_live.session.engine import LiveEngine
from sasnet_live.session.settings import LiveSettings
from sasnet_live.training.fine_tune import (
    FEWEST_FRAMES,
    FineTuneJob,
    FineTuneSettings,
    FineTuneState,
    new_folder,
    save_frames,
)


class FineTunePanel(QWidget):
    """Frames, time, the curve, and the offer.

    Parameters
    ----------
    engine
        Whose live frames are collected.
    settings
        Gives the present settings.
    """

    use_weights = Signal(str)
    wants_frames = Signal()

    def __init__(self, engine: LiveEngine, settings: Callable[[], LiveSettings], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self._settings = settings
        self._job: FineTuneJob | None = None
        self._collecting = 0
        self._shown: FineTuneState | None = None
        self.source = Choice(
            [("live", "live frames"), ("files", "recordings\N{HORIZONTAL ELLIPSIS}")],
            "Train on",
            "Train on the next live frames, or on raw recordings on disk.",
        )
        self.frames = Number(
            FEWEST_FRAMES,
            1024,
            "Frames",
            "How many live frames to take. Every eighth is kept aside to choose and to judge weights by.",
        )
        self.frames.setValue(64)
        self.minutes = Number(1, 600, "Time", "How long to train; live registration goes on meanwhile.", suffix=" min")
        self.minutes.setValue(10)
        self.start_button = QPushButton("Fine-tune")
        self.start_button.setToolTip("Train without truth in the background: the forward pass stands in for it.")
        self.use_button = QPushButton("Use the new weights")
        self.use_button.setToolTip("Register with the new weights; those before stay one click away.")
        self.use_button.setVisible(False)
        self.state = QLabel()
        self.state.setWordWrap(True)
        self.state.setVisible(False)
        self._plot = pg.PlotWidget()
        self._plot.setFixedHeight(110)
        self._plot.setMenuEnabled(False)
        self._plot.hideButtons()
        self._plot.setMouseEnabled(x=False, y=False)
        self._plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._plot.setToolTip(
            "Mean of NCC and SSIM on the frames that the best weights are chosen by. Dashed: the weights before."
        )
        self._plot.getPlotItem().getAxis("left").setWidth(44)
        self._before = pg.InfiniteLine(angle=0, pen=pg.mkPen("#888888", style=Qt.PenStyle.DashLine))
        self._before.setVisible(False)
        self._curve = self._plot.plot(pen=pg.mkPen("#4c9be8", width=2), symbol="o", symbolSize=5, symbolBrush="#4c9be8")
        self._plot.addItem(self._before, ignoreBounds=False)
        self._plot.setVisible(False)
        fields, layout = form()
        row(layout, "Train on", self.source)
        row(layout, "Frames", self.frames)
        row(layout, "Time", self.minutes)
        buttons = QHBoxLayout()
        buttons.addWidget(self.start_button)
        buttons.addWidget(self.use_button)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 4)
        outer.setSpacing(4)
        outer.addWidget(fields)
        outer.addLayout(buttons)
        outer.addWidget(self.state)
        outer.addWidget(self._plot)
        self.source.chosen.connect(self._on_source)
        self.start_button.clicked.connect(self.toggle)
        self.use_button.clicked.connect(self._use)

    @property
    def busy(self) -> bool:
        """Whether it collects or trains."""
        return bool(self._collecting) or (self._job is not None and self._job.state.running)

    def toggle(self) -> None:
        """Start, or cancel what runs."""
        if self._collecting:
            self._collecting = 0
            self._engine.collector.take()
            self._say("cancelled")
        elif self._job is not None and self._job.state.running:
            self._job.cancel()
        elif self.source.value == "files":
            self._ask_files()
        else:
            self._collecting = self.frames.value()
            self._engine.collector.want(self._collecting)
            if self._engine.state == "idle":
                self.wants_frames.emit()
        self.look()

    def start(self, recordings: list[Path], folder: Path | None = None, **training: int) -> None:
        """Train on raw recordings."""
        self._end_job()
        live = self._settings()
        try:
            job = FineTuneSettings(
                tuple(str(path) for path in recordings),
                live.registrar.model,
                live.registrar.geometry,
                float(self.minutes.value()),
                **training,
            )
            self._job = FineTuneJob(job, folder or new_folder(data_folder()))
        except (InputError, OSError) as error:
            complain(error)

    def look(self) -> None:
        """Show where it stands; called by the timer of the live widget."""
        if self._collecting:
            self._say(f"collecting frames: {len(self._engine.collector)} of {self._collecting}")
            if len(self._engine.collector) >= self._collecting:
                self._collecting = 0
                self._train_on_collected()
        state = self._job.state if self._job is not None else None
        self.start_button.setText("Cancel" if self.busy else "Fine-tune")
        if state is None or state == self._shown:
            return
        ended = self._shown is not None and self._shown.running and not state.running
        self._shown = state
        self._say(_in_words(state))
        self.use_button.setVisible(state.stage == "better")
        self._draw(state)
        if state.stage == "failed" and (ended or state.message):
            complain(f"fine-tuning failed: {state.message}. The weights in use are unchanged.")

    def set_colours(self, background: str, foreground: str) -> None:
        """Follow napari's theme."""
        self._plot.setBackground(background)
        for side in ("left", "bottom"):
            axis = self._plot.getPlotItem().getAxis(side)
            axis.setPen(pg.mkPen(foreground))
            axis.setTextPen(foreground)

    def summary(self) -> str:
        """The state in a few words."""
        if self._collecting:
            return f"{len(self._engine.collector)} of {self._collecting} frames"
        state = self._job.state if self._job is not None else None
        if state is None:
            return "not started"
        if state.stage == "training":
            return f"training, {state.step / max(1, state.steps):.0%}"
        return {"better": "better weights ready"}.get(state.stage, state.stage)

    def shut_down(self) -> None:
        """End what runs, and wait."""
        self._collecting = 0
        self._end_job()

    def _train_on_collected(self) -> None:
        try:
            folder = new_folder(data_folder())
            self.start([save_frames(self._engine.collector.take(), folder)], folder)
        except (InputError, OSError) as error:
            complain(error)

    def _ask_files(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(
            self, "Raw recordings", "", f"Recordings ({name_patterns()});;All files (*)"
        )
        if names:
            self.start([Path(name) for name in names])

    def _use(self) -> None:
        if self._job is not None and self._job.state.weights:
            self.use_button.setVisible(False)
            self.use_weights.emit(self._job.state.weights)

    def _on_source(self) -> None:
        self.frames.setEnabled(self.source.value == "live")

    def _draw(self, state: FineTuneState) -> None:
        self._plot.setVisible(len(state.curve) > 0)
        self._curve.setData([step for step, _ in state.curve], [merit for _, merit in state.curve])
        self._before.setVisible(state.before is not None)
        if state.before is not None:
            self._before.setValue(state.before)

    def _say(self, text: str) -> None:
        self.state.setText(text)
        self.state.setVisible(bool(text))

    def _end_job(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.close()


def _in_words(state: FineTuneState) -> str:
    best = max((merit for _, merit in state.curve[1:]), default=None)
    so_far = "" if best is None or state.before is None else f" ({state.before:.3f} before, {best:.3f} now)"
    judged = "" if state.judged is None else f" ({state.judged[0]:.3f} before, {state.judged[1]:.3f} now)"
    return {
        "preparing": "Loading frames and weights\N{HORIZONTAL ELLIPSIS}",
        "training": f"Training, step {state.step} of {state.steps}{so_far}",
        "better": f"The new weights are better on frames that they were not chosen by{judged}.",
        "not better": f"No better weights were found{judged}. Those in use stay.",
        "cancelled": "Cancelled. The weights in use stay.",
        "failed": "Failed. The weights in use stay.",
    }[state.stage]
