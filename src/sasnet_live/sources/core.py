"""A pymmcore-plus core that somebody else owns: finding it, listening to it, and leaving it in peace at the end."""

from __future__ import annotations

import atexit
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus


def find_core() -> CMMCorePlus:
    """The core in use in this process: napari-micromanager's if it is open, else the global instance.

    napari-micromanager makes a core of its own, and another one when it needs to; ask again from time to time and hand
    the answer to `MicroManagerSource.attach_to`.
    """
    window = sys.modules.get("napari_micromanager.main_window")
    if window is not None:
        with suppress(Exception):
            return cast("CMMCorePlus", window.get_core())
    from pymmcore_plus import CMMCorePlus

    return CMMCorePlus.instance()


def connect_direct(signal: Any, callback: Callable[..., None]) -> Callable[[], None]:
    """Connect so that the callback runs in the thread that emits, whichever signals the core uses.

    A core made while a QApplication exists has Qt's signals, which would queue a call to the GUI thread for every
    frame, without bound.

    Returns
    -------
    A function that disconnects, and does nothing the second time.
    """
    from psygnal import SignalInstance

    if isinstance(signal, SignalInstance):
        signal.connect(callback)
    else:
        # Qt is loaded already, by whoever made the core; only its connection type is looked up here.
        qt_core = sys.modules[type(signal).__module__.split(".")[0] + ".QtCore"]
        signal.connect(callback, qt_core.Qt.ConnectionType.DirectConnection)

    def disconnect() -> None:
        with suppress(ValueError, TypeError, RuntimeError):
            signal.disconnect(callback)

    return disconnect


_silenced: weakref.WeakSet[Any] = weakref.WeakSet()


def silence_at_exit(core: Any) -> None:
    """Keep a core that is alive when the interpreter ends from calling back into it, which aborts the process."""
    if not _silenced:
        atexit.register(_silence_all)
    _silenced.add(core)


def _silence_all() -> None:
    import pymmcore

    for core in list(_silenced):
        pymmcore.CMMCore.registerCallback(core, None)
