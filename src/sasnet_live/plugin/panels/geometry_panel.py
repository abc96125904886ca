"""How the lines were recorded."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget

from sasnet_live.geometry import ScanGeometry
from sasnet_live.parameters import parameter_at
from sasnet_live.plugin.panels.settings_panel import SettingsPanel
from sasnet_live.plugin.widgets.parts import Choice, Number, form, row
from sasnet_live.session.settings import LiveSettings


class GeometryPanel(SettingsPanel):
    """Scan geometry: line axis, first pass, mirroring, offset, crop, slow axis."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.line_axis = self.field(
            "registrar.geometry.line_axis", Choice([("rows", "rows"), ("columns", "columns")], "Lines are")
        )
        self.first = self.field(
            "registrar.geometry.first", Choice([("forward", "forward"), ("backward", "backward")], "First line")
        )
        self.backward_mirrored = self.field("registrar.geometry.backward_mirrored", QCheckBox("stored right to left"))
        moves = [
            ("continuous", "moves on (zig-zag)"),
            ("interleaved", "steps each line"),
            ("stepped", "steps each pair"),
        ]
        self.slow_axis = self.field("registrar.geometry.slow_axis", Choice(moves, "Slow axis"))
        self.line_offset = self.field(
            "registrar.geometry.line_offset", Number(-4096, 4096, "Line offset", suffix=" px")
        )
        tip = parameter_at(LiveSettings, "registrar.geometry.crop").help
        self.crop = (Number(0, 4096, "Crop, left", tip), Number(0, 4096, "Crop, right", tip))
        self.field_of_parts("registrar.geometry.crop", self._read_crop, self._write_crop)
        for number in self.crop:
            number.valueChanged.connect(self.edited)
        fields, layout = form()
        row(layout, "Lines are", self.line_axis)
        row(layout, "First line", self.first)
        row(layout, "Backward", self.backward_mirrored)
        row(layout, "Slow axis", self.slow_axis)
        row(layout, "Offset", self.line_offset)
        row(layout, "Crop ends", *self.crop)
        self._finding = QLabel()
        self._finding.setWordWrap(True)
        self._finding.setContentsMargins(18, 0, 0, 4)
        self._finding.setVisible(False)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(2)
        outer.addWidget(fields)
        outer.addWidget(self._finding)

    def _read_crop(self) -> tuple[int, int]:
        return self.crop[0].value(), self.crop[1].value()

    def _write_crop(self, crop: tuple[int, int]) -> None:
        for number, px in zip(self.crop, crop, strict=True):
            number.setValue(px)

    def show_finding(self, text: str) -> None:
        """What detection found, and how sure it is; empty to say nothing."""
        self._finding.setText(text)
        self._finding.setVisible(bool(text))

    @property
    def finding(self) -> str:
        """What detection found."""
        return str(self._finding.text())

    def edited(self) -> None:
        """The user changed something: what was found is not the state any more."""
        self.show_finding("")
        super().edited()


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
