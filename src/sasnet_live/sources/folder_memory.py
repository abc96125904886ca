"""What is known of each file in a watched folder, above all which of its frames were delivered."""

from __future__ import annotations

import zlib
from array import array
from dataclasses import dataclass, field

import numpy as np

from sasnet_live.frame import Pixels
from sasnet_live.recordings import Recording

from .folder_listing import Look

COMPARED_FRAMES = 16
"""Frames that are read again, from the first to the last delivered, before a file counts as the same. Real frames
differ in their noise, so one would do; files may begin and end with blank ones, and to read all each time a long
recording grows would take ever longer."""


class SentFrames:
    """The frames of one file that were delivered, in the order of the file: 4 bytes each.

    None of them is delivered again when the file grows, or when only its date changes.

    Attributes
    ----------
    stream
        Number of the stream that they went to.
    """

    def __init__(self) -> None:
        self.stream = -1
        self._checksums = array("I")

    def __len__(self) -> int:
        return len(self._checksums)

    def add(self, frame: Pixels) -> None:
        """Another one was delivered."""
        self._checksums.append(_checksum(frame))

    def begin(self, stack: Recording) -> bool:
        """Whether a file begins with these frames: it is the same one, perhaps with more behind them.

        Raises what `Recording.read` does.
        """
        count = len(self)
        if not count or (stack.layout.frames or 0) < count:
            return not count
        return all(
            _checksum(stack.read(stack.layout.index(number))) == self._checksums[number]
            for number in sorted({round(place) for place in np.linspace(0, count - 1, COMPARED_FRAMES)})
        )


@dataclass(slots=True)
class Seen:
    """What is known of a file.

    Attributes
    ----------
    look, since_s
        How it looked last, and since when.
    handled
        How it looked when it was dealt with: delivered, left out or passed over.
    sent
        Of its frames.
    failing_s, tried_s, reason
        When it could not be read for the first and for the last time, and why.
    """

    look: Look
    since_s: float
    handled: Look | None = None
    sent: SentFrames = field(default_factory=SentFrames)
    failing_s: float | None = None
    tried_s: float = 0.0
    reason: str = ""

    def changed(self, look: Look, now_s: float) -> None:
        """It looks different."""
        self.look, self.since_s = look, now_s
        self.failing_s, self.reason = None, ""

    def finish(self) -> None:
        """It is dealt with, as long as it stays as it is."""
        self.handled = self.look
        self.failing_s, self.reason = None, ""

    def fail(self, now_s: float, reason: str) -> float:
        """It could not be read; for how long now."""
        self.failing_s = now_s if self.failing_s is None else self.failing_s
        self.tried_s, self.reason = now_s, reason
        return now_s - self.failing_s


def _checksum(frame: Pixels) -> int:
    """Of the pixels, and of what makes them a frame."""
    start = zlib.crc32(f"{frame.shape} {frame.dtype.str}".encode())
    return zlib.crc32(np.ascontiguousarray(frame).data, start)
