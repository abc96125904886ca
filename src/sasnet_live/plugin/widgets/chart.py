"""The chart of the last minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from pyqtgraph.exporters import ImageExporter
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from sasnet_live.plugin.notify import complain, tell
from sasnet_live.session.history import COLUMNS, History, thinned

POINTS = 500  # drawn at most per curve
_AFTER, _BEFORE = 2.0, 1.0

# For each plot its curves: column, label, colour, whether it is before registration.
_ROWS: tuple[tuple[tuple[str, str, str, bool], ...], ...] = (
    (
        ("ncc_before", "", "#4c9be8", True),
        ("ncc_after", "NCC", "#4c9be8", False),
        ("ssim_before", "", "#e8914c", True),
        ("ssim_after", "SSIM", "#e8914c", False),
    ),
    (("displacement_px_mean", "shift, px", "#a884e8", False),),
    (("latency_ms", "latency, ms", "#5fb87a", False),),
)


class Chart(QWidget):
    """NCC and SSIM before and after, displacement and latency over time; memory and drawing time are bounded."""

    def __init__(self, history: History, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._history = history
        self._paused = False
        self._folder = ""

        self._plots = pg.GraphicsLayoutWidget(self)
        self._plots.ci.layout.setContentsMargins(0, 0, 2, 0)
        self._plots.ci.layout.setSpacing(2)
        self._plots.setMinimumHeight(235)
        self._plots.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.MinimumExpanding)
        self._plots.setAccessibleName("Chart of similarity, shift and latency over time")
        self._plots.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._curves: dict[str, Any] = {}
        self._items: list[Any] = []
        for row, curves in enumerate(_ROWS):
            plot = self._plots.addPlot(row=row, col=0)
            plot.setMenuEnabled(False)
            plot.hideButtons()
            plot.setMouseEnabled(x=False, y=False)
            plot.getAxis("left").setWidth(38)
            plot.getAxis("left").setStyle(maxTickLevel=0, tickTextOffset=3)
            plot.showGrid(x=False, y=True, alpha=0.15)
            if row < len(_ROWS) - 1:
                plot.getAxis("bottom").setStyle(showValues=False)
                plot.getAxis("bottom").setHeight(4)
            if self._items:
                plot.setXLink(self._items[0])
            for column, _, colour, before in curves:
                style = Qt.PenStyle.DotLine if before else Qt.PenStyle.SolidLine
                pen = pg.mkPen(colour, width=_BEFORE if before else _AFTER, style=style)
                self._curves[column] = plot.plot(pen=pen, connect="finite")
            plot.setTitle(_legend(curves), size="8pt", justify="left")
            plot.titleLabel.setMaximumHeight(15)
            plot.layout.setRowFixedHeight(0, 15)
            self._items.append(plot)
        self._plots.ci.layout.setRowStretchFactor(0, 2)
        self._plots.ci.layout.setRowStretchFactor(1, 1)
        self._plots.ci.layout.setRowStretchFactor(2, 1)
        self._items[0].setYRange(0, 1, padding=0.04)
        self._items[0].getAxis("left").setTicks([[(0, "0"), (0.5, "0.5"), (1, "1")], []])
        for plot in self._items:
            plot.setXRange(-60, 0, padding=0.0)

        self.pause_button = _button("Pause", "Hold the chart still; figures go on being kept.", checkable=True)
        self.clear_button = _button("Clear", "Begin the chart anew.")
        self.save_button = _button(
            "Save\N{HORIZONTAL ELLIPSIS}", "Save the figures as a CSV table or the chart as PNG."
        )
        self.pause_button.toggled.connect(self.set_paused)
        self.clear_button.clicked.connect(self.clear)
        self.save_button.clicked.connect(self._ask_and_save)

        buttons = QHBoxLayout()
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.setSpacing(4)
        buttons.addStretch(1)
        for button in (self.pause_button, self.clear_button, self.save_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._plots, 1)
        layout.addLayout(buttons)

    def set_colours(self, background: str, foreground: str) -> None:
        """Follow napari's theme."""
        self._plots.setBackground(background)
        for plot in self._items:
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(pg.mkPen(foreground, width=1))
                axis.setTextPen(foreground)

    def set_paused(self, paused: bool) -> None:
        """Hold the drawing still."""
        self._paused = paused
        self.pause_button.setText("Resume" if paused else "Pause")
        self.refresh()

    def clear(self) -> None:
        """Forget the figures."""
        self._history.clear()
        self.refresh(even_if_paused=True)

    def refresh(self, *, even_if_paused: bool = False) -> None:
        """Draw what the history holds."""
        if self._paused and not even_if_paused:
            return
        table = thinned(self._history.table(), POINTS)
        # Time runs up to 0, which is now.
        time = table[:, 0] - table[-1, 0] if len(table) else np.empty(0)
        for column, curve in self._curves.items():
            curve.setData(time, table[:, COLUMNS.index(column)])
        if len(table):
            self._items[0].setXRange(min(float(time[0]), -5.0), 0.0, padding=0.0)
            low = float(np.nanmin(table[:, 1:5])) if np.isfinite(table[:, 1:5]).any() else 0.0
            self._items[0].setYRange(min(0.0, low) if low < 0 else 0.0, 1.0, padding=0.04)

    def save(self, path: Path) -> None:
        """CSV or PNG, by the ending of the name."""
        if path.suffix.lower() == ".png":
            exporter = ImageExporter(self._plots.scene())
            exporter.parameters()["width"] = max(1200, self._plots.width())
            if not exporter.export(str(path)):
                raise OSError(f"{path} cannot be written; choose a folder that you may write to")
        else:
            self._history.save_csv(path)

    def _ask_and_save(self) -> None:
        name, kind = QFileDialog.getSaveFileName(
            self, "Save figures", str(Path(self._folder or Path.home()) / "figures.csv"), "Table (*.csv);;Chart (*.png)"
        )
        if not name:
            return
        path = Path(name)
        if path.suffix.lower() not in (".csv", ".png"):
            path = path.with_suffix(".png" if "png" in kind else ".csv")
        self._folder = str(path.parent)
        try:
            self.save(path)
        except OSError as error:
            complain(error)
        else:
            tell(f"Saved {path}")


def _legend(curves: tuple[tuple[str, str, str, bool], ...]) -> str:
    named = "&nbsp; ".join(f'<span style="color:{colour}">{label}</span>' for _, label, colour, _ in curves if label)
    return f"{named} <span style='color:#888'>(dotted: before)</span>" if len(curves) > 1 else named


def _button(text: str, tip: str, *, checkable: bool = False) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    button.setCheckable(checkable)
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return button
