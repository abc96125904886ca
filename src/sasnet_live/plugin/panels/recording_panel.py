"""Where recordings go, and what is in them."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QCheckBox, QFileDialog, QLabel, QLineEdit, QVBoxLayout, QWidget

from sasnet_live.plugin.panels.settings_panel import SettingsPanel
from sasnet_live.plugin.widgets.parts import Choice, PathField, form, row
from sasnet_live.session.recorder import Recorder
from sasnet_live.session.settings import LiveSettings


class RecordingPanel(SettingsPanel):
    """Folder, name, format, raw and metrics too."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.folder = self.field(
            "record_folder",
            PathField(
                "Folder to record to",
                lambda present: QFileDialog.getExistingDirectory(self, "Record to", present or str(Path.home())),
                placeholder="choose a folder",
            ),
        )
        name = QLineEdit()
        self.name = self.field("record_name", name, read=lambda: str(name.text()).strip() or "scan")
        self.name.setAccessibleName("Name of recordings")
        formats = [("ome.tiff", "OME-TIFF"), ("ome.zarr", "OME-Zarr")]
        self.format = self.field("record_format", Choice(formats, "Format"))
        self.raw = self.field("record_raw", QCheckBox("raw frames too"))
        self.metrics = self.field("record_metrics", QCheckBox("table of figures"))
        self._last = QLabel("")
        self._last.setWordWrap(True)
        fields, layout = form()
        row(layout, "Folder", self.folder)
        row(layout, "Name", self.name)
        row(layout, "Format", self.format)
        row(layout, "With", self.raw)
        row(layout, "", self.metrics)
        layout.addRow(self._last)
        self._last.setVisible(False)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(fields)

    def show_last(self, text: str) -> None:
        """What became of the last recording."""
        self._last.setText(text)
        self._last.setVisible(bool(text))


def summary(settings: LiveSettings, recorder: Recorder) -> str:
    """The state of the recording in a few words."""
    if not recorder.idle:
        missed = f", {recorder.missed} dropped" if recorder.missed else ""
        if recorder.recording and not recorder.begun:
            return "begins after the frames that wait"
        return f"{'' if recorder.recording else 'finishing, '}{recorder.frames} frames{missed}"
    if not settings.record_folder:
        return "off, no folder"
    return f"off, to {Path(settings.record_folder).name or settings.record_folder}"
