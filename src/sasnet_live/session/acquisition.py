"""The camera that frames come from, where this program has it work; and how many of its frames are wanted."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus
    from useq import MDASequence

    from sasnet_live.frame import EndReason, Frame
    from sasnet_live.live.pipeline import LivePipeline

_CAMERA_ENDS_WITHIN_S = 5.0  # of the wish to hurry; one that hangs may hold up neither the files nor the user


class Acquisition:
    """A camera at work: an acquisition in a thread of its own, or live mode.

    Parameters
    ----------
    core
        With its devices loaded.
    sequence
        What to acquire; None: live mode.
    hurries
        Whether whoever wants the end can wait no longer; asked while `stop` waits for the camera.
    """

    def __init__(
        self, core: CMMCorePlus, sequence: MDASequence | None = None, hurries: Callable[[], bool] = lambda: False
    ) -> None:
        self._core = core
        self._sequence = sequence
        self._hurries = hurries
        self._thread = threading.Thread(target=self._acquire, name="sasnet-live-acquisition", daemon=True)
        self._live = False
        self.error: BaseException | None = None

    @property
    def running(self) -> bool:
        """Whether frames may still come."""
        if self._sequence is not None:
            return self._thread.is_alive()
        return self._live and bool(self._core.isSequenceRunning())

    def start(self) -> None:
        """Begin."""
        if self._sequence is not None:
            self._thread.start()
        else:
            self._core.startContinuousSequenceAcquisition(0)
            self._live = True

    def stop(self) -> None:
        """End it as soon as the camera lets go of the frame under way, or soon after that is in a hurry."""
        if self._sequence is not None:
            given_up_s = math.inf
            while self._thread.is_alive() and time.monotonic() < given_up_s:
                self._core.mda.cancel()
                self._thread.join(0.1)
                if self._hurries():
                    given_up_s = min(given_up_s, time.monotonic() + _CAMERA_ENDS_WITHIN_S)
            if self._thread.is_alive():
                self.error = RuntimeError("the camera did not let go of its frame; it is left to itself")
        elif self._live:
            self._live = False
            if self._core.isSequenceRunning():
                self._core.stopSequenceAcquisition()
            else:
                self.error = RuntimeError("the camera stopped by itself")

    def _acquire(self) -> None:
        assert self._sequence is not None
        try:
            self._core.mda.run(self._sequence)
        except BaseException as error:
            self.error = error


class Limited:
    """Hands the first so many frames on to a pipeline."""

    def __init__(self, pipeline: LivePipeline, count: int | None) -> None:
        self._pipeline = pipeline
        self._left = count
        self.attach, self.detach = pipeline.attach, pipeline.detach
        self.begin_stream = pipeline.begin_stream

    @property
    def full(self) -> bool:
        """Whether all frames that are wanted have come."""
        return self._left == 0

    def put(self, frame: Frame, *, wait: bool = True) -> bool:
        """Hand a frame on, if it is still wanted."""
        if self._left is not None:
            if self._left == 0:
                return False
            self._left -= 1
        return self._pipeline.put(frame, wait=wait)

    def end_stream(self, reason: EndReason = "completed", *, missing: int | None = None) -> None:
        """Hand on; frames that are not wanted are not missing."""
        self._pipeline.end_stream(reason, missing=0 if self.full else missing)
