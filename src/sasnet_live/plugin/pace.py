"""How often results are drawn: as often as wanted, unless drawing leaves no time for the user; no Qt."""

from __future__ import annotations

SHARE = 0.5
"""Part of the GUI thread's time that drawing may take."""


class Pace:
    """Keeps the GUI thread free for part of the time where drawing is slow, as with OpenGL in software.

    What drawing costs is seen in how late the timer after it comes: the canvas is painted between the two.

    Parameters
    ----------
    interval_s
        Of the timer.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._ticked_s: float | None = None
        self._drew_s: float | None = None
        self._busy_s = 0.0
        self._next_s = 0.0

    def tick(self, now_s: float) -> None:
        """The timer came."""
        if self._drew_s is not None and self._ticked_s is not None:
            late_s = max(0.0, now_s - self._ticked_s - self._interval_s)
            cost_s = max(late_s, self._drew_s)
            self._busy_s += 0.3 * (cost_s - self._busy_s)
            self._next_s = now_s + self._busy_s * (1 - SHARE) / SHARE - self._interval_s / 2
            self._drew_s = None
        self._ticked_s = now_s

    def may_draw(self, now_s: float) -> bool:
        """Whether the user has had a share of the time since the last drawing."""
        return now_s >= self._next_s

    def drawn(self, took_s: float) -> None:
        """Layers were given new pixels, which took so long; painting comes later."""
        self._drew_s = took_s
