"""How the lines were recorded."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget

from sasnet_live.geometry import ScanGeometry
from sasnet_live.plugin.widgets.parts import Choice, Number, form, row
from sasnet_live.session.settings import LiveSettings


class GeometryPanel(QWidget):
    """Scan geometry: line axis, first pass, mirroring, offset, crop, slow axis."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.line_axis = Choice(
            [("rows", "rows"), ("columns", "columns")],
            "Whether a scan line is a row or a column of the frame.",
            "Lines are",
        )
        self.first = Choice(
            [("forward", "forward"), ("backward", "backward")],
            "Which way the beam went along the first line of the frame.",
            "First line",
        )
        self.mirrored = QCheckBox("stored right to left")
        self.mirrored.setToolTip("Backward lines are stored in the order of time, so every other line is mirrored.")
        self.slow_axis = Choice(
            [("continuous", "moves on (zig-zag)"), ("interleaved", "steps each line"), ("stepped", "steps each pair")],
            "How the slow axis moves. Moves on: all the time, the beam zig-zags. Steps each line: after every line. "
            "Steps each pair: both passes are at the same place, as in probe microscopes.",
            "Slow axis",
        )
        self.line_offset = Number(
            -4096,
            4096,
            "Known constant displacement of backward lines, px to the right, where the search starts. "
            "Leave 0 unless it is more than a tenth of the line.",
            "Line offset",
            suffix=" px",
        )
        self.crop_start = Number(0, 4096, "Turnaround px dropped at the left end of each line.", "Crop, left")
        self.crop_end = Number(0, 4096, "Turnaround px dropped at the right end of each line.", "Crop, right")
        fields, layout = form()
        row(layout, "Lines are", self.line_axis)
        row(layout, "First line", self.first)
        row(layout, "Backward", self.mirrored)
        row(layout, "Slow axis", self.slow_axis)
        row(layout, "Offset", self.line_offset)
        row(layout, "Crop ends", self.crop_start, self.crop_end)
        self._finding = QLabel()
        self._finding.setWordWrap(True)
        self._finding.setContentsMargins(18, 0, 0, 4)
        self._finding.setVisible(False)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(2)
        outer.addWidget(fields)
        outer.addWidget(self._finding)
        for choice in (self.line_axis, self.first, self.slow_axis):
            choice.chosen.connect(self._edited)
        for number in (self.line_offset, self.crop_start, self.crop_end):
            number.valueChanged.connect(self._edited)
        self.mirrored.toggled.connect(self._edited)

    def show_settings(self, settings: LiveSettings) -> None:
        """Show values without saying that they changed."""
        blocker = QSignalBlocker(self)
        self.line_axis.choose(settings.line_axis)
        self.first.choose(settings.first)
        self.mirrored.setChecked(settings.mirrored)
        self.slow_axis.choose(settings.slow_axis)
        self.line_offset.setValue(settings.line_offset)
        self.crop_start.setValue(settings.crop_start)
        self.crop_end.setValue(settings.crop_end)
        blocker.unblock()

    def values(self) -> dict[str, Any]:
        """What is chosen, by the names of `LiveSettings`."""
        return {
            "line_axis": self.line_axis.value,
            "first": self.first.value,
            "mirrored": self.mirrored.isChecked(),
            "slow_axis": self.slow_axis.value,
            "line_offset": self.line_offset.value(),
            "crop_start": self.crop_start.value(),
            "crop_end": self.crop_end.value(),
        }

    def show_finding(self, text: str) -> None:
        """What detection found, and how sure it is; empty to say nothing."""
        self._finding.setText(text)
        self._finding.setVisible(bool(text))

    @property
    def finding(self) -> str:
        """What detection found."""
        return str(self._finding.text())

    def _edited(self) -> None:
        self.show_finding("")
        self.changed.emit()


def summary(geometry: ScanGeometry) -> str:
    """A geometry in a few words."""
    words = [geometry.line_axis, f"{geometry.first} first"]
    if geometry.backward_mirrored:
        words.append("mirrored")
    if geometry.line_offset:
        words.append(f"offset {geometry.line_offset} px")
    if any(geometry.crop):
        words.append(f"crop {geometry.crop[0]}, {geometry.crop[1]}")
    if geometry.slow_axis != "continuous":
        words.append(geometry.slow_axis)
    return ", ".join(words)
