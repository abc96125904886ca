"""The large numbers, coloured by trust."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget
from superqt import QElidingLabel

from sasnet_live.session.trust import Figures, change, meaning, rates

from .parts import set_style


class Readout(QWidget):
    """NCC and SSIM before and after, large; below them shift and speed; below, how far the frame is to be trusted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._background = "dark"
        self._figures = Figures()
        self.ncc, self.ssim = QLabel(), QLabel()
        self.ncc.setToolTip(
            "Normalized cross-correlation of the two passes, before and after. Noise bounds it below 1."
        )
        self.ssim.setToolTip("Structural similarity of the two passes, before and after. Noise bounds it below 1.")
        self.rates = QElidingLabel()
        self.rates.setToolTip("Mean displacement; frames registered a second; camera to result; frames dropped.")
        self.trust = QElidingLabel()
        for line in (self.rates, self.trust):
            line.setElideMode(Qt.TextElideMode.ElideRight)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setHorizontalSpacing(8)
        layout.setVerticalSpacing(1)
        for column, (name, label) in enumerate((("NCC", self.ncc), ("SSIM", self.ssim))):
            caption = QLabel(name)
            caption.setStyleSheet("font-size: 11px;")
            caption.setToolTip(label.toolTip())
            layout.addWidget(caption, 0, column)
            layout.addWidget(label, 1, column)
            layout.setColumnStretch(column, 1)
        layout.addWidget(self.trust, 2, 0, 1, 2)
        layout.addWidget(self.rates, 3, 0, 1, 2)
        self.show_figures(Figures())

    def set_background(self, kind: str) -> None:
        """Follow the theme, "dark" or "light"."""
        self._background = kind
        self.show_figures(self._figures)

    def show_figures(self, figures: Figures) -> None:
        """Show the numbers of a moment."""
        self._figures = figures
        colour = figures.colour(self._background)
        metrics = figures.metrics
        for label, before, after in (
            (self.ncc, metrics.ncc_before, metrics.ncc_after),
            (self.ssim, metrics.ssim_before, metrics.ssim_after),
        ):
            label.setText(change(before, after))
            set_style(label, f"font-size: 18px; font-weight: bold; color: {colour};")
        self.trust.setText(meaning(figures))
        self.trust.setToolTip(meaning(figures))
        set_style(self.trust, f"color: {colour};")
        shift = "\N{EN DASH}" if figures.trust == "none" else f"{metrics.displacement_px_mean:.1f}"
        self.rates.setText("   ".join([f"shift {shift} px", *rates(figures)]))
