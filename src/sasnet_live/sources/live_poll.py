"""The images of a core's live mode, each taken once: live mode has no signal for a frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sasnet_live.frame import EndReason, Pixels

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

SHORTEST_INTERVAL_S, LONGEST_INTERVAL_S = 0.002, 0.010
INTERVALS_PER_IMAGE = 10
SURELY_NOT_YET = 0.7
"""Part of the time from one image to the next in which the core is not asked."""
QUIET_S = 0.1
"""Time without an image after which the core is asked whether the camera still runs."""
STOPPED_WITHIN_S = 0.5
"""A camera that was stopped is at rest before its signal says so; one without the signal for this long has failed."""
ENDING_S = 5.0

REFUSALS = (IndexError, KeyError, RuntimeError, SystemError)
"""What a core raises when it is asked while its devices are loaded or unloaded in another thread.

`SystemError` is of its Python wrapper, which returns no image and no reason once the camera is gone; `KeyError` is of a
Python device that went between two steps of one question.
"""


class LivePoll:
    """Takes each image of a live session once, in its own thread.

    It asks the core for its last image and takes each image number once; numbers it did not see in time are fetched
    from the circular buffer, from which nothing is ever removed. Images come at a steady rate: it asks shortly before
    the next one is due, and then every tenth of the time from one to the next, because each answer is a copy of the
    image and each question interrupts whoever runs Python, such as a GUI.

    Parameters
    ----------
    core
        With a live session under way.
    put
        Called with this object, an image and its tags.
    ended
        Called once with this object, why the session ended, and how many images were missed.
    failed
        Called with an exception, before `ended`.
    """

    def __init__(
        self,
        core: CMMCorePlus,
        put: Callable[[LivePoll, Pixels, Mapping[str, Any]], None],
        ended: Callable[[LivePoll, EndReason, int], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._core, self._put, self._ended, self._failed = core, put, ended, failed
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sasnet-live-poll", daemon=True)
        self._last: int | None = None
        self._last_s = 0.0
        self._period_s = 0.0  # from one image to the next; 0 while it is not known
        self._missing = 0

    def start(self) -> None:
        """Begin to take images, unless it was stopped before."""
        with self._starting:
            if not self._stopping.is_set():
                self._thread.start()

    @property
    def running(self) -> bool:
        """Whether its thread may still ask the core for something."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask the thread to end."""
        with self._starting:
            self._stopping.set()

    def join(self) -> None:
        """Wait until it has ended; at most 5 s, for a camera that does not answer must not hold up a GUI for good."""
        if self.running and threading.current_thread() is not self._thread:
            self._thread.join(ENDING_S)

    def _run(self) -> None:
        reason: EndReason = "stopped"
        quiet_since = time.perf_counter()
        try:
            taken = False
            while not self._stopping.wait(self._pause_s(taken)):
                if taken := self._take():
                    quiet_since = time.perf_counter()
                elif time.perf_counter() - quiet_since > QUIET_S:
                    # Asked only when no image came: a camera that failed or a core that was reset sends no signal.
                    quiet_since = time.perf_counter()
                    if not self._sequence_running():
                        reason = "stopped" if self._stopping.wait(STOPPED_WITHIN_S) else "errored"
                        break
            if reason == "stopped" and not self._sequence_running():
                self._take()  # the last image of this session, unless the next one is under way
        except BaseException as error:
            reason = "errored"
            self._failed(error)
        self._ended(self, reason, self._missing)

    def _take(self) -> bool:
        """Deliver what came since the last time; whether anything did."""
        try:
            image, metadata = self._core.getLastImageAndMD()
        except REFUSALS:
            return False
        tags = dict(metadata)
        number = _image_number(tags)
        if (number is not None and number == self._last) or not _fits(image, tags):
            return False
        self._keep_time(number)
        if number is not None and self._last is not None and number > self._last + 1:
            for earlier in self._recover(self._last + 1, number):
                self._put(self, *earlier)
        self._last = number
        self._put(self, image, tags)
        return True

    def _keep_time(self, number: int | None) -> None:
        """From the time since the image before: how fast they come."""
        now = time.perf_counter()
        if number is not None and self._last is not None:
            period_s = (now - self._last_s) / max(1, number - self._last)
            # The mean of both: each was seen late by up to a pause, or by as long as the GUI kept this thread waiting.
            self._period_s = (self._period_s + period_s) / 2 if self._period_s else period_s
        self._last_s = now

    def _pause_s(self, taken: bool) -> float:
        """How long the core is left alone after an answer that was an image, or none."""
        if taken:
            return min(max(SURELY_NOT_YET * self._period_s, SHORTEST_INTERVAL_S), QUIET_S)
        return min(max(self._period_s / INTERVALS_PER_IMAGE, SHORTEST_INTERVAL_S), LONGEST_INTERVAL_S)

    def _recover(self, first: int, end: int) -> Iterator[tuple[Pixels, dict[str, Any]]]:
        """Images numbered [first, end) from the circular buffer, in order; those gone are counted as missing."""
        back = end - first
        for wanted in range(first, end):
            found = None
            for _ in range(10):  # images go on coming: where one is, counted from the last, changes meanwhile
                try:
                    image, metadata = self._core.getNBeforeLastImageAndMD(max(0, back))
                except REFUSALS:
                    break
                tags = dict(metadata)
                number = _image_number(tags)
                if number is None:
                    break
                if number == wanted:
                    found = (image, tags) if _fits(image, tags) else None
                    break
                back += number - wanted
            back -= 1
            if found is None:
                self._missing += 1
            else:
                yield found

    def _sequence_running(self) -> bool:
        try:
            return bool(self._core.isSequenceRunning())
        except REFUSALS:
            return False


def _image_number(tags: Mapping[str, Any]) -> int | None:
    try:
        return int(tags["ImageNumber"])
    except (KeyError, ValueError):
        return None


def _fits(image: Pixels, tags: Mapping[str, Any]) -> bool:
    """Whether an image has the size that it was acquired with.

    A core cuts an image out of its buffer by the size that the camera has now: where that was changed right after live
    mode, the last image would come in the wrong shape.
    """
    try:
        return bool(image.shape[:2] == (int(tags["Height"]), int(tags["Width"])))
    except (KeyError, ValueError):  # not said: taken as it is
        return True
