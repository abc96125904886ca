"""The line that says how it stands, and the button that starts and stops."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget
from superqt import QElidingLabel

from .parts import Dot


class StatusLine(QWidget):
    """A coloured dot and a line of text; an error has as many lines as it needs."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.dot = Dot()
        self._label = QElidingLabel()
        self._label.setElideMode(Qt.TextElideMode.ElideRight)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.dot, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._label, 1)

    def text(self) -> str:
        """What it says, in full."""
        return str(self._label.text())

    def say(self, text: str, colour: str, *, in_full: bool = False) -> None:
        """Show a state.

        Parameters
        ----------
        colour
            As #rrggbb, of the dot.
        in_full
            Whether the text may have several lines instead of being cut off.
        """
        if self._label.wordWrap() != in_full:
            self._label.setWordWrap(in_full)
            self._label.setElideMode(Qt.TextElideMode.ElideNone if in_full else Qt.TextElideMode.ElideRight)
        if text != self._label.text():
            self._label.setText(text)
            self._label.setToolTip(text)
        self.dot.set_colour(colour)


class StartButton(QPushButton):
    """Green to start, red while something runs that it stops."""

    def __init__(self, text: str, tip: str) -> None:
        super().__init__(text)
        self.setObjectName("start")
        self.setToolTip(tip)

    def say(self, text: str, *, running: bool, enabled: bool = True) -> None:
        """Show what pressing it does."""
        self.setText(text)
        self.setEnabled(enabled)
        if self.property("running") != running:
            self.setProperty("running", running)
            style = self.style()
            if style is not None:  # the style sheet asks for the property, but does not watch it
                style.unpolish(self)
                style.polish(self)
