"""A panel that shows settings: one mapping between settings and widgets, both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QLineEdit, QSpinBox, QWidget

from sasnet_live.parameters import parameter_at, value_at, with_value
from sasnet_live.plugin.widgets.parts import Choice, PathField
from sasnet_live.session.settings import LiveSettings

Kind = TypeVar("Kind", bound=QWidget)

_ACCESS: tuple[tuple[type, str, Callable[[Any], Any], Callable[[Any, Any], Any]], ...] = (
    # Kind of widget, its signal of a change, how its value is read, how it is written.
    (Choice, "chosen", lambda widget: widget.value, Choice.choose),
    (QSpinBox, "valueChanged", QSpinBox.value, QSpinBox.setValue),
    (QDoubleSpinBox, "valueChanged", QDoubleSpinBox.value, QDoubleSpinBox.setValue),
    (QCheckBox, "toggled", QCheckBox.isChecked, QCheckBox.setChecked),
    (PathField, "changed", lambda widget: widget.path, PathField.set_path),
    (QLineEdit, "editingFinished", lambda widget: str(widget.text()).strip(), QLineEdit.setText),
)


class SettingsPanel(QWidget):
    """Widgets that each show one of `LiveSettings`, named by its dotted path.

    Attributes
    ----------
    changed : Signal
        The user changed something.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fields: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {}

    def field(
        self,
        path: str,
        widget: Kind,
        *,
        read: Callable[[], Any] | None = None,
        write: Callable[[Any], None] | None = None,
    ) -> Kind:
        """Have a widget show a setting, and say in its tip what the setting is for.

        Parameters
        ----------
        path
            Of the setting in `LiveSettings`, such as "registrar.geometry.crop".
        read, write
            Where the value is not simply that of the widget.

        Returns
        -------
        The widget.
        """
        _, signal, of, into = next(access for access in _ACCESS if isinstance(widget, access[0]))
        self.field_of_parts(path, read or (lambda: of(widget)), write or (lambda value: into(widget, value)))
        widget.setToolTip(parameter_at(LiveSettings, path).help)
        getattr(widget, signal).connect(self.edited)
        return widget

    def field_of_parts(self, path: str, read: Callable[[], Any], write: Callable[[Any], None]) -> None:
        """Show a setting by several widgets, or by one that says itself what the user did."""
        self._fields[path] = read, write

    def show_settings(self, settings: LiveSettings) -> None:
        """Show values without saying that they changed."""
        blocker = QSignalBlocker(self)
        for path, (_, write) in self._fields.items():
            write(value_at(settings, path))
        blocker.unblock()

    def chosen(self, settings: LiveSettings) -> LiveSettings:
        """Settings with what is chosen here."""
        for path, (read, _) in self._fields.items():
            settings = with_value(settings, path, read())
        return settings

    def edited(self) -> None:
        """The user changed something."""
        self.changed.emit()
