"""How often results are drawn: as often as wanted, unless drawing leaves no time for the user; no Qt."""

from __future__ import annotations

SHARE = 0.5
"""Part of the GUI thread's time that drawing may take while nobody else needs it."""
LEAST_SHARE = 0.1
"""Part that it takes even where others keep the thread busy, such as a preview that draws as fast as it can."""
LONGEST_S = 1.0
"""Pause after which there is drawn in any case: a picture that stands still for longer looks like a scan that does."""


class Pace:
    """Keeps the GUI thread free for the user, and for others that draw, where drawing is slow.

    What drawing costs is seen in how late the timer after it comes: the canvas is painted between the two. What others
    take is seen in how late it comes when nothing was drawn; their part is taken off ours.

    Parameters
    ----------
    interval_s
        Of the timer.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._ticked_s: float | None = None
        self._drew_s: float | None = None
        self._cost_s = 0.0
        self._others_s = 0.0  # how late the timer comes without our doing
        self._next_s = 0.0

    @property
    def share(self) -> float:
        """Part of the time that drawing may take now."""
        others = self._others_s / (self._others_s + self._interval_s)
        return max(LEAST_SHARE, SHARE - others)

    def tick(self, now_s: float, interval_s: float | None = None) -> None:
        """The timer came; it had been set to this interval if that is not the usual one."""
        interval_s = self._interval_s if interval_s is None else interval_s
        if self._ticked_s is not None:
            late_s = max(0.0, now_s - self._ticked_s - interval_s)
            if self._drew_s is None:
                # Half an interval comes about where cores are short, though nobody draws.
                self._others_s += 0.1 * (max(0.0, late_s - self._interval_s / 2) - self._others_s)
            else:
                cost_s = max(late_s - self._others_s, self._drew_s)
                self._cost_s += 0.3 * (cost_s - self._cost_s)
                pause_s = min(LONGEST_S, self._cost_s * (1 - self.share) / self.share)
                self._next_s = now_s + pause_s - self._interval_s / 2
                self._drew_s = None
        self._ticked_s = now_s

    def may_draw(self, now_s: float) -> bool:
        """Whether the user has had a share of the time since the last drawing."""
        return now_s >= self._next_s

    def drawn(self, took_s: float) -> None:
        """Layers were given new pixels, which took so long; painting comes later."""
        self._drew_s = took_s
