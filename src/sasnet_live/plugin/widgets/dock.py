"""What the dock widgets have in common: they end what they run in whatever way they go, and follow napari's theme."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication, QMainWindow, QWidget

from sasnet_live.memory import keep_freed_memory
from sasnet_live.threads import share_cores

from .theme import Palette, palette_of, style_sheet


class DockWidget(QWidget):
    """A widget for napari's docks.

    It may be closed, taken out of its dock, deleted, or destroyed together with its window without being told; the
    window may be closed, and may ask the user and stay. `shut_down` is called in each of these cases, but for the last,
    where only what was given to `ends_with` is.

    Parameters
    ----------
    viewer
        Given by napari.
    name
        Of the Qt object.
    """

    def __init__(self, viewer: Any, name: str) -> None:
        super().__init__()
        share_cores()
        keep_freed_memory()
        self.setObjectName(name)
        self._viewer = viewer
        self._closed = False
        self._viewer.events.theme.connect(self._on_theme)

    def shut_down(self) -> None:
        """End everything and wait for it; safe to call more than once, from whatever closes first."""
        if self._closed:
            return
        self._closed = True
        with suppress(Exception):  # the viewer may be half gone
            self._viewer.events.theme.disconnect(self._on_theme)
        self.end()

    def end(self) -> None:
        """For the widget to do when it goes; called once."""
        raise NotImplementedError

    def ends_with(self, ending: Callable[..., None]) -> None:
        """Call this, too, when the widget is destroyed without being closed, or the application quits.

        It must not touch the widget, and stand being called twice.
        """
        self.destroyed.connect(ending)
        app = QApplication.instance()
        if app is not None:
            app.aboutToQuit.connect(ending)

    def follow_theme(self, palette: Palette) -> None:
        """Colours of a theme; for the widget to give to its parts."""
        self.setStyleSheet(style_sheet(palette))

    def _on_theme(self, event: Any = None) -> None:
        self.follow_theme(palette_of(self._viewer))

    @property
    def canvas_is_seen(self) -> bool:
        """False while the window is minimized."""
        window = self._window()
        return window is None or not window.isMinimized()

    # ---------------------------------------------------------------- Qt's part

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """The widget itself is closed."""
        self.shut_down()
        super().closeEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """napari takes a widget out of its dock, or deletes it, without closing it."""
        if event is not None:
            kind = event.type()
            if kind == QEvent.Type.DeferredDelete or (kind == QEvent.Type.ParentChange and self.parent() is None):
                self.shut_down()
            elif kind in (QEvent.Type.ParentChange, QEvent.Type.Show):
                self._watch_window()
        return bool(super().event(event))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """The window that the dock is in may be closing; it may still ask the user and stay."""
        if event is not None and event.type() == QEvent.Type.Close:
            QTimer.singleShot(0, self._end_if_window_is_gone)
        return False

    def _watch_window(self) -> None:
        window = self._window()
        if window is not None:
            window.removeEventFilter(self)
            window.installEventFilter(self)

    def _end_if_window_is_gone(self) -> None:
        window = self._window()
        if window is None or not window.isVisible():
            self.shut_down()

    def _window(self) -> QMainWindow | None:
        try:
            widget = self.parentWidget()
            while widget is not None and not isinstance(widget, QMainWindow):
                widget = widget.parentWidget()
        except RuntimeError:  # destroyed in between
            return None
        return widget
