"""The model's thread makes way for what else is live in the window."""

from __future__ import annotations

import threading
import time

RESTS = 3.0
"""How many times as long as it waited."""
LONGEST_S = 2.0
"""Of a rest: what is shown must not look as if it stood still for good."""
WORTH_TELLING_S = 0.1


class Courtesy:
    """Rests between frames while another preview needs the time.

    Such a preview is drawn by Python in the GUI thread. The model's thread waits for Python's lock and for a core at
    each of its steps, and as it waits for the preview, the preview waits for it. So the time that a frame took beyond
    the processor time it used tells how much they are in each other's way. The thread rests three times as long before
    the next frame; where there are cores enough for both, it hardly waits and hardly rests.

    Attributes
    ----------
    wanted
        Whether there is anybody to make way for; set in the GUI thread.
    last_s
        How long the last rest was to be.
    """

    def __init__(self) -> None:
        self.wanted = False
        self.last_s = 0.0
        self._ended = threading.Event()
        self._began_s = self._began_cpu_s = 0.0

    def allow(self) -> None:
        """A session begins, in which there may be rests."""
        self.last_s = 0.0
        self._ended.clear()

    def begin(self) -> None:
        """A frame begins; in the model's thread, as `rest`."""
        self._began_s, self._began_cpu_s = time.perf_counter(), time.thread_time()

    def rest(self) -> float:
        """The frame is finished: rest if that is wanted; for how long at most, seconds."""
        self.last_s = 0.0
        if not self.wanted:
            return 0.0
        took_s, worked_s = time.perf_counter() - self._began_s, time.thread_time() - self._began_cpu_s
        self.last_s = min(LONGEST_S, RESTS * max(0.0, took_s - worked_s))
        self._ended.wait(self.last_s)
        return self.last_s

    @property
    def is_felt(self) -> bool:
        """Whether frames are registered noticeably less often for it."""
        return self.wanted and self.last_s >= WORTH_TELLING_S

    def end(self) -> None:
        """No more rests; one that is being taken ends."""
        self._ended.set()
