"""Where recordings go, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QFileDialog, QLabel, QLineEdit, QVBoxLayout, QWidget

from sasnet_live.plugin.widgets.parts import Choice, PathField, form, row
from sasnet_live.session.recorder import Recorder
from sasnet_live.session.settings import LiveSettings


class RecordingPanel(QWidget):
    """Folder, name, format, raw and metrics too."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.folder = PathField(
            "Folder that recordings are written to.",
            "Folder to record to",
            lambda present: QFileDialog.getExistingDirectory(self, "Record to", present or str(Path.home())),
            placeholder="choose a folder",
        )
        self.name = QLineEdit()
        self.name.setToolTip("Beginning of the file names; date and time are added, so nothing is replaced.")
        self.name.setAccessibleName("Name of recordings")
        self.format = Choice(
            [("ome.tiff", "OME-TIFF"), ("ome.zarr", "OME-Zarr")],
            "OME-TIFF is one file that every program reads; OME-Zarr is a folder for very large recordings.",
            "Format",
        )
        self.raw = QCheckBox("raw frames too")
        self.raw.setToolTip("Write the frames as acquired to a second file.")
        self.metrics = QCheckBox("table of figures")
        self.metrics.setToolTip("Write a CSV table with a row a frame.")
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
        self.folder.changed.connect(self.changed)
        self.name.editingFinished.connect(self.changed)
        self.format.chosen.connect(self.changed)
        for box in (self.raw, self.metrics):
            box.toggled.connect(self.changed)

    def show_settings(self, settings: LiveSettings) -> None:
        """Show values without saying that they changed."""
        blocker = QSignalBlocker(self)
        self.folder.set_path(settings.record_folder)
        self.name.setText(settings.record_name)
        self.format.choose(settings.record_format)
        self.raw.setChecked(settings.record_raw)
        self.metrics.setChecked(settings.record_metrics)
        blocker.unblock()

    def values(self) -> dict[str, Any]:
        """What is chosen, by the names of `LiveSettings`."""
        return {
            "record_folder": self.folder.path,
            "record_name": str(self.name.text()).strip() or "scan",
            "record_format": self.format.value,
            "record_raw": self.raw.isChecked(),
            "record_metrics": self.metrics.isChecked(),
        }

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
