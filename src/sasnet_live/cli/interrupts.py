"""Ctrl-C and its like: however many come, and whenever, the program ends in order."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and the number of the signal, as shells have it; 143 by SIGTERM, 129 by SIGHUP."""

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_MOST_RAISED = 2
"""The second one may still end a clean-up that hangs; those after it would only leave files open."""
_APART_S = 0.1
"""Those that come sooner after the last one that was raised are of the same burst: nobody presses keys that fast."""


class Interrupts:
    """Counts the signals that ask this process to end.

    The first two are raised as `KeyboardInterrupt` where nobody looks at the count, none where somebody does; those of
    a burst are raised once. One that is ignored when the program begins, as under ``nohup``, stays so.

    Attributes
    ----------
    count
        How many have come.
    answered
        Whether the command has said so itself, and what it leaves.
    """

    def __init__(self) -> None:
        self.count = 0
        self.answered = False
        self._first = int(signal.SIGINT)
        self._looked_at = False
        self._raised = 0
        self._raised_s = -math.inf
        self._process = os.getpid()
        self._before: dict[int, Any] = {}
        self._unraisable: Any = None

    @property
    def status(self) -> int:
        """The exit status that says so."""
        return 128 + self._first

    def install(self) -> None:
        """Take the signals over; they can only be handled in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
            before = signal.getsignal(number)
            if before != signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._come)
        self._unraisable = sys.unraisablehook
        sys.unraisablehook = self._lost

    def restore(self) -> None:
        """Leave the signals as they were."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()
        if self._unraisable is not None:
            sys.unraisablehook, self._unraisable = self._unraisable, None

    @contextmanager
    def looked_at(self) -> Iterator[None]:
        """Only count them meanwhile: whoever calls this looks at `count`, or calls `raise_if_any`, often enough."""
        before, self._looked_at = self._looked_at, True
        try:
            yield
        finally:
            self._looked_at = before

    def settled(self) -> None:
        """Only count them from now on: the exit status is known."""
        self._looked_at = True

    def ignore(self) -> None:
        """Leave them without effect for good: an interpreter that ends takes its handlers away, and would be killed."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def raise_if_any(self) -> None:
        """For where nothing has begun that would have to be finished."""
        if self.count:
            raise KeyboardInterrupt

    def _come(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a process that was forked from this one has to end by itself
            signal.signal(number, self._before.get(number, signal.SIG_DFL))
            os.kill(os.getpid(), number)
            return
        self.count += 1
        if self.count == 1:
            self._first = number
        now = time.monotonic()
        if not self._looked_at and self._raised < _MOST_RAISED and now - self._raised_s >= _APART_S:
            self._raised += 1
            self._raised_s = now
            raise KeyboardInterrupt

    def _lost(self, what: sys.UnraisableHookArgs) -> None:
        """It was raised in a place that swallows exceptions, such as a finalizer: come again, a moment later."""
        if what.exc_type is not KeyboardInterrupt:
            self._unraisable(what)
            return
        self._raised_s = time.monotonic()  # none is raised in here
        self._raised -= 1
        self.count -= 1
        again = threading.Timer(2 * _APART_S, os.kill, (self._process, self._first))
        again.daemon = True
        again.start()


_current = Interrupts()


def begin() -> Interrupts:
    """A new count, for a program that begins."""
    global _current
    _current = Interrupts()
    return _current


def interrupts() -> Interrupts:
    """Those of the program that runs: signals are a process's, and so is this."""
    return _current
