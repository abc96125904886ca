"""What goes back to a program that sends frames: what it asked for of each frame, in order, as far as it reads it."""

from __future__ import annotations

import math
import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sasnet_live.frame import Frame, Pixels, Registration
from sasnet_live.sources.tcp_messages import FrameHeader, ReplyKind, Start
from sasnet_live.sources.tcp_wire import encode_parts

if TYPE_CHECKING:
    from sasnet_live.live.status import StreamReport

MOST_BYTES = 64 << 20
"""Replies that wait for a program that reads slowly: two seconds of all that can be asked of 512 x 512 px at 30 FPS."""
MOST_MESSAGES = 4096
"""Of them, small ones included. A sixteenth more is left for those that say that others were left out."""
MOST_AWAITED = 65_536
"""Frames in the pipeline for which a reply was asked: half an hour of 30 frames a second that wait on disk."""
LOOK_EVERY_S = 0.1
"""How often a thread that waits for a socket looks whether it is to end."""


class Outbox:
    """Messages on their way to one socket, sent by a thread of its own, so that nobody waits for whoever reads them.

    `close` joins the thread.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._waiting: deque[tuple[bytes, memoryview]] = deque()
        self._bytes = 0
        self._busy = self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="sasnet-live-tcp-replies", daemon=True)
        self._thread.start()

    @property
    def gone(self) -> bool:
        """Whether nobody is there to be told anything."""
        return self._closed

    def put(self, header: Mapping[str, Any], px: Pixels | None = None, *, important: bool = False) -> bool:
        """Send a message when its turn comes; whether there was room for it.

        Parameters
        ----------
        px
            Not written to by anybody from now on.
        important
            Without px; it may have the room that is left for such messages.
        """
        parts = encode_parts(header, px)
        size = len(parts[1])
        with self._changed:
            if important:
                full = len(self._waiting) >= MOST_MESSAGES * 17 // 16
            else:  # one reply finds room however large it is
                too_large = bool(self._waiting) and self._bytes + size > MOST_BYTES
                full = len(self._waiting) >= MOST_MESSAGES or too_large
            if self._closed or full:
                return False
            self._waiting.append(parts)
            self._bytes += size
            self._changed.notify_all()
            return True

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is sent or nobody is there; whether it came to that in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or not (self._waiting or self._busy), timeout_s)

    def close(self) -> None:
        """Send no more."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or bool(self._waiting))
                if self._closed:
                    return
                parts = self._waiting.popleft()
                self._bytes -= len(parts[1])
                self._busy = True
            try:
                for part in parts:
                    self._send(memoryview(part))
            except OSError:  # whoever asked has gone; the thread that reads notices by itself
                with self._changed:
                    self._closed = True
                    self._waiting.clear()
                    self._changed.notify_all()

    def _send(self, data: memoryview) -> None:
        """All of it, unless the end comes first; the socket has a timeout, after which nothing of a piece was sent."""
        while data and not self._closed:
            with suppress(TimeoutError):
                data = data[self._socket.send(data) :]


@dataclass
class _Stream:
    """A stream of which something was asked for, until it has ended."""

    start: Start
    awaited: deque[tuple[int, FrameHeader]] = field(default_factory=deque)
    unanswered: int = 0


class Answers:
    """Which frames of one sender wait for which reply; any thread may call.

    Each frame of a stream with replies is answered once, in order: with what was asked for, or with "dropped". After
    the last one comes "ended". What finds no room, because the sender does not read, is left out and counted there.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._lock = threading.Condition()
        self._streams: deque[_Stream] = deque()

    def wait_for_last(self, timeout_s: float) -> bool:
        """Wait until no reply is to come any more; whether it came to that in time."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._streams, timeout_s)

    def begin(self, start: Start) -> None:
        """A stream begins."""
        if start.replies:
            with self._lock:
                self._streams.append(_Stream(start))

    def expect(self, number: int, header: FrameHeader) -> None:
        """A frame of the newest stream is about to be handed over, as this number of the source."""
        with self._lock:
            if not self._streams:
                return
            stream = self._streams[-1]
            if len(stream.awaited) < MOST_AWAITED:
                stream.awaited.append((number, header))
            else:
                stream.unanswered += 1

    def refused(self, number: int) -> None:
        """A frame was not taken over after all."""
        with self._lock:
            for stream in self._streams:
                if stream.awaited and stream.awaited[-1][0] == number:
                    self._drop(stream, stream.awaited.pop()[1])

    def answer(self, frame: Frame, registration: Registration) -> None:
        """A frame is registered; those before it that are not answered were dropped."""
        with self._lock:
            for stream in self._streams:
                while stream.awaited and stream.awaited[0][0] <= frame.sequence_number:
                    number, header = stream.awaited.popleft()
                    if number < frame.sequence_number:
                        self._drop(stream, header)
                        continue
                    for message, px in replies(stream.start.replies, header, registration):
                        stream.unanswered += not self._outbox.put(message, px)

    def ended(self, report: StreamReport) -> None:
        """A stream is closed: all of its frames are dealt with, and in the files."""
        with self._lock:
            # One that another ended before, as one without a frame, is not reported by itself.
            if not any(stream.start.layout is report.stream for stream in self._streams):
                return
            while self._streams:
                stream = self._streams.popleft()
                for _, header in stream.awaited:
                    self._drop(stream, header)
                if stream.start.layout is report.stream:
                    break
            counts = {
                "received": report.received,
                "processed": report.processed,
                "registered": report.registered,
                "missing": report.missing,
                "unanswered": stream.unanswered,
            }
            if not self._outbox.put({"type": "ended", "reason": report.reason, **counts}, important=True):
                self._streams.clear()
            self._lock.notify_all()

    def _drop(self, stream: _Stream, header: FrameHeader) -> None:
        message = {"type": "dropped", "frame": header.number, "index": dict(header.index)}
        stream.unanswered += not self._outbox.put(message)


def replies(
    kinds: tuple[ReplyKind, ...], header: FrameHeader, registration: Registration
) -> Iterator[tuple[dict[str, Any], Pixels | None]]:
    """The messages about one frame, header and px each, in the order of `tcp_messages.REPLY_KINDS`."""
    frame = {"frame": header.number, "index": dict(header.index)}
    accepted = {"accepted": registration.accepted}
    if "metrics" in kinds:
        figures = registration.metrics.as_row()
        yield (
            {
                "type": "metrics",
                **frame,
                **{name: value if math.isfinite(value) else None for name, value in figures.items()},
                **accepted,
                "reason": registration.reason,
            },
            None,
        )
    displacement = registration.displacement_px
    images: dict[ReplyKind, Pixels] = {"displacement": displacement, "registered": registration.image}
    if "profile" in kinds:
        images["profile"] = displacement.mean(axis=0, dtype=np.float32) if len(displacement) else displacement[:0, 0]
    for kind in kinds:
        if kind != "metrics":
            px = images[kind]
            yield {"type": kind, **frame, **accepted, "shape": list(px.shape), "dtype": str(px.dtype)}, px
