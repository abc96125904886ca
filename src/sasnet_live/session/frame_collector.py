"""Raw frames of a live session, kept for fine-tuning."""

from __future__ import annotations

import threading

from sasnet_live.frame import Frame, Pixels


class FrameCollector:
    """Keeps as many frames as were asked for; nothing until then.

    Frames come in the pipeline's thread; all else is for the GUI's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames: list[Pixels] = []
        self._wanted = 0

    def __len__(self) -> int:
        """How many are kept so far."""
        with self._lock:
            return len(self._frames)

    def want(self, count: int) -> None:
        """Forget what is kept, and keep the next so many; 0: none."""
        with self._lock:
            self._frames = []
            self._wanted = count

    def offer(self, frame: Frame) -> None:
        """A frame came; it is kept if it is wanted, and of the first channel."""
        if frame.index.get("c", 0):
            return
        with self._lock:
            if len(self._frames) < self._wanted:
                self._frames.append(frame.data)

    def take(self) -> list[Pixels]:
        """The frames that were kept; ends the collecting."""
        with self._lock:
            frames, self._frames = self._frames, []
            self._wanted = 0
            return frames

    def end(self) -> None:
        """Keep no more than there are."""
        with self._lock:
            self._wanted = 0
