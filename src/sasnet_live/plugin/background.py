"""Work in a thread of its own, whose result the GUI fetches when it is there; no Qt."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")

GIVE_WAY = 5
"""Added to the niceness of a thread that computes; the GUI's thread then comes first where cores are short."""


def give_way() -> None:
    """Let the threads of the GUI and of the camera run before this one, and before those that it starts from now on.

    On Linux, where threads have a niceness of their own; elsewhere the scheduler favours a thread that mostly waits by
    itself.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, os.getpid()) + GIVE_WAY)


class Background(Generic[T]):
    """Runs a function once.

    Parameters
    ----------
    work
        Called in a new thread.
    name
        Of the thread.
    """

    def __init__(self, work: Callable[[], T], name: str) -> None:
        self._result: T | None = None
        self._error: BaseException | None = None

        def run() -> None:
            try:
                self._result = work()
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=run, name=f"sasnet-live-{name}", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for its end; whether it came."""
        self._thread.join(timeout_s)
        return self.done

    def result(self) -> T:
        """What the function returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]
