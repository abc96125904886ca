"""Small widgets that the larger ones are put together from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

LABEL_WIDTH = 64


class Group(QFrame):
    """A group that opens and closes; its header shows the present value, so that it need not be opened to be read.

    Parameters
    ----------
    title
        Of the group.
    tip
        What it is for.
    """

    toggled = Signal(bool)

    def __init__(self, title: str, tip: str, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self._button = QToolButton(self)
        self._button.setObjectName("group_header")
        self._button.setText(title)
        self._button.setToolTip(tip)
        self._button.setCheckable(True)
        self._button.setAutoRaise(True)
        self._button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._button.setArrowType(Qt.ArrowType.RightArrow)
        self._button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._value = QElidingLabel(self)
        self._value.setObjectName("group_value")
        self._value.setElideMode(Qt.TextElideMode.ElideRight)
        self._value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._value.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._content = content
        content.setParent(self)
        content.setVisible(False)

        self._header = QHBoxLayout()
        self._header.setContentsMargins(0, 0, 0, 0)
        self._header.setSpacing(6)
        self._header.addWidget(self._button)
        self._header.addWidget(self._value, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(self._header)
        layout.addWidget(content)
        self._button.toggled.connect(self._on_toggled)

    def add_to_header(self, widget: QWidget) -> None:
        """Put a button at the right end of the header."""
        self._header.addWidget(widget)

    def set_value(self, text: str) -> None:
        """The present value."""
        self._value.setText(text)
        self._value.setToolTip(text)
        self._button.setAccessibleName(f"{self.title}: {text}")

    @property
    def value(self) -> str:
        """What the header says."""
        return str(self._value.text())

    @property
    def open(self) -> bool:
        """Whether the content is shown."""
        return bool(self._button.isChecked())

    def set_open(self, is_open: bool) -> None:
        """Show or hide the content."""
        self._button.setChecked(is_open)

    def _on_toggled(self, is_open: bool) -> None:
        self._button.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        self._content.setVisible(is_open)
        self.toggled.emit(is_open)


class Choice(QComboBox):
    """A choice between values; a wheel that passes over it does not change it, and it is never wider than its place."""

    chosen = Signal()

    def __init__(self, options: Sequence[tuple[Any, str]], name: str, tip: str = "") -> None:
        super().__init__()
        for value, text in options:
            self.addItem(text, value)
        self.setToolTip(tip)
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.currentIndexChanged.connect(lambda _: self.chosen.emit())

    @property
    def value(self) -> Any:
        """The value chosen."""
        return self.currentData()

    def choose(self, value: Any) -> None:
        """Choose a value; one that is not offered is left."""
        index = self.findData(value)
        if index >= 0:
            self.setCurrentIndex(index)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the scroll area."""
        if event is not None:
            event.ignore()


class Number(QSpinBox):
    """A whole number; a wheel that passes over it does not change it."""

    def __init__(self, low: int, high: int, name: str, tip: str = "", *, suffix: str = "", special: str = "") -> None:
        super().__init__()
        self.setRange(low, high)
        self.setToolTip(tip)
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setKeyboardTracking(False)
        self.setSuffix(suffix)
        self.setMinimumWidth(48)
        self.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        if special:
            self.setSpecialValueText(special)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the scroll area."""
        if event is not None:
            event.ignore()


class Seconds(QDoubleSpinBox):
    """A time; a wheel that passes over it does not change it."""

    def __init__(self, high_s: float, name: str) -> None:
        super().__init__()
        self.setRange(0, high_s)
        self.setDecimals(2)
        self.setSingleStep(0.1)
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setKeyboardTracking(False)
        self.setSuffix(" s")
        self.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the scroll area."""
        if event is not None:
            event.ignore()


class PathField(QWidget):
    """A path with a button to choose it.

    Parameters
    ----------
    choose
        Asks the user; returns a path or an empty text.
    """

    changed = Signal()

    def __init__(self, name: str, choose: Any, *, placeholder: str = "", tip: str = "") -> None:
        super().__init__()
        self._choose = choose
        self.edit = QLineEdit()
        self.setToolTip(tip)
        self.edit.setAccessibleName(name)
        self.edit.setPlaceholderText(placeholder)
        self.edit.setMinimumWidth(60)
        self.edit.editingFinished.connect(self.changed)
        self.button = QToolButton()
        self.button.setText("\N{HORIZONTAL ELLIPSIS}")
        self.button.setToolTip(f"Choose: {name.lower()}")
        self.button.setAccessibleName(f"Choose {name.lower()}")
        self.button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.button.clicked.connect(self._ask)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.edit, 1)
        layout.addWidget(self.button)

    def setToolTip(self, tip: str | None) -> None:
        """What the path is for; the button has a tip of its own."""
        super().setToolTip(tip)
        self.edit.setToolTip(tip)

    @property
    def path(self) -> str:
        """The path, empty if none."""
        return str(self.edit.text()).strip()

    def set_path(self, path: str) -> None:
        """Show a path."""
        if path != self.edit.text():
            self.edit.setText(path)
            self.edit.setCursorPosition(len(path))

    def _ask(self) -> None:
        path = self._choose(self.path)
        if path:
            self.set_path(str(path))
            self.changed.emit()


class Dot(QLabel):
    """A coloured dot for a state."""

    def __init__(self) -> None:
        super().__init__("\N{BLACK CIRCLE}")
        self.setFixedSize(QSize(16, 18))
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)

    def set_colour(self, colour: str) -> None:
        """As #rrggbb."""
        set_style(self, f"color: {colour}; font-size: 14px;")


def set_style(widget: QWidget, style: str) -> None:
    """Set a style sheet if it is another one: Qt takes milliseconds over it even if nothing changes."""
    if widget.styleSheet() != style:
        widget.setStyleSheet(style)


def form() -> tuple[QWidget, QFormLayout]:
    """A form whose labels stand in one column, as in all groups."""
    widget = QWidget()
    layout = QFormLayout(widget)
    layout.setContentsMargins(4, 0, 0, 6)
    layout.setHorizontalSpacing(6)
    layout.setVerticalSpacing(4)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return widget, layout


def row(layout: QFormLayout, label: str, *fields: QWidget) -> None:
    """Add a line to a form."""
    text = QLabel(label)
    text.setMinimumWidth(LABEL_WIDTH)
    field: QWidget = fields[0]
    if len(fields) > 1:
        field = QWidget()
        line = QHBoxLayout(field)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        for one in fields:
            line.addWidget(one, 1)
    text.setBuddy(fields[0])
    text.setToolTip(fields[0].toolTip())
    layout.addRow(text, field)
