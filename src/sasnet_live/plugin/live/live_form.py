"""The controls of the live widget, top to bottom in the order in which a person works."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QShortcut,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from sasnet_live.plugin.panels import geometry_panel, model_panel, output_panel, recording_panel
from sasnet_live.plugin.panels.fine_tune_panel import FineTunePanel
from sasnet_live.plugin.panels.source_panel import SourcePanel
from sasnet_live.plugin.widgets.chart import Chart
from sasnet_live.plugin.widgets.parts import Group
from sasnet_live.plugin.widgets.readout import Readout
from sasnet_live.plugin.widgets.status_line import StartButton
from sasnet_live.plugin.widgets.theme import Palette
from sasnet_live.session.engine import LiveEngine
from sasnet_live.session.history import History
from sasnet_live.session.settings import LiveSettings

from .live_state import START_TIP


class LiveForm(QWidget):
    """Source, buttons, figures, chart and groups. Knows the settings, and nothing of what is done with them.

    Attributes
    ----------
    settings
        What is chosen.
    changed : Signal(set of str)
        The names of the settings that the user changed.
    """

    changed = Signal(object)

    def __init__(self, engine: LiveEngine, history: History, settings: LiveSettings) -> None:
        super().__init__()
        self.settings = settings
        self.source = SourcePanel()
        self.start_button = StartButton("Start registering", START_TIP)
        self.record_button = QPushButton("Record")
        self.record_button.setObjectName("record")
        self.record_button.setCheckable(True)
        self.record_button.setToolTip("Record from the next frame on; press again to end (Ctrl+Shift+W).")
        self.readout = Readout()
        self.chart = Chart(history)
        self.scan = geometry_panel.GeometryPanel()
        self.model = model_panel.ModelPanel()
        self.output = output_panel.OutputPanel()
        self.recording = recording_panel.RecordingPanel()
        self.fine_tune = FineTunePanel(engine, lambda: self.settings)
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
        self._panels = (self.source, self.scan, self.model, self.output, self.recording)
        self._lay_out()
        self.show_settings(settings)
        for panel in self._panels:
            panel.changed.connect(self._on_edited)
        for group in self.groups.values():
            group.toggled.connect(self._on_edited)
        for keys, button in (("Ctrl+Shift+R", self.start_button), ("Ctrl+Shift+W", self.record_button)):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(button.click)

    def _lay_out(self) -> None:
        # Else napari fills the dock with empty space below.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self.start_button, 1)
        buttons.addWidget(self.record_button)
        self.scrolled = QWidget()
        inner = QVBoxLayout(self.scrolled)
        inner.setContentsMargins(0, 0, 4, 0)
        inner.setSpacing(4)
        inner.addWidget(self.chart)
        for group in self.groups.values():
            inner.addWidget(group)
        inner.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(self.scrolled)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 6, 4)
        layout.setSpacing(6)
        layout.addWidget(self.source)
        layout.addLayout(buttons)
        layout.addWidget(self.readout)
        layout.addWidget(scroll, 1)

    def show_settings(self, settings: LiveSettings) -> None:
        """Show values without saying that they changed."""
        self.settings = settings
        for panel in self._panels:
            panel.show_settings(settings)
        for name, group in self.groups.items():
            group.set_open(name in settings.expanded)

    def edit(self, **values: Any) -> None:
        """Change settings as if the user had."""
        for panel in self._panels:
            panel.show_settings(replace(self.settings, **values))
        self._on_edited()

    def show_values(self, engine: LiveEngine) -> None:
        """What the headers of the groups say."""
        self.groups["geometry"].set_value(geometry_panel.summary(self.settings.registrar.geometry))
        self.groups["model"].set_value(model_panel.summary(self.settings, engine.describe()))
        self.groups["output"].set_value(output_panel.summary(self.settings))
        self.groups["fine_tune"].set_value(self.fine_tune.summary())
        self.groups["recording"].set_value(recording_panel.summary(self.settings, engine.recorder))

    def follow_theme(self, palette: Palette) -> None:
        """Colours of a light or dark window."""
        self.fine_tune.set_colours(palette.background, palette.text)

    def _on_edited(self, *_: Any) -> None:
        before = self.settings
        for panel in self._panels:
            self.settings = panel.chosen(self.settings)
        expanded = tuple(name for name, group in self.groups.items() if group.open)
        self.settings = replace(self.settings, expanded=expanded)
        names = (one.name for one in fields(before))
        changed = {name for name in names if getattr(before, name) != getattr(self.settings, name)}
        if changed:
            self.changed.emit(changed)
