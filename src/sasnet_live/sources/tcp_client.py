"""One program that is connected: its messages are read in a thread of its own and become frames of a source."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sasnet_live.frame import Frame
from sasnet_live.layout import Layout
from sasnet_live.sources.protocol import FrameConsumer
from sasnet_live.sources.tcp_messages import Conversation, End, FrameHeader, Message, Start, frame_of
from sasnet_live.sources.tcp_replies import LOOK_EVERY_S, Answers, Outbox
from sasnet_live.sources.tcp_wire import Decoder, ProtocolError

_log = logging.getLogger(__name__)

STALLED_S = 30.0
"""How long a program may rest in the middle of a message: longer than any disk or network, shorter than a coffee."""
LINGER_S = 1.0
"""How long a program that is sent away may take to read why: closed at once, the line would be lost."""
LEAVING_S = 0.2
"""How long it may take to notice that a program has gone, when the next one, often the same one again, is there; and to
read why it is sent away, when somebody waits for that."""
SHORTEST_STREAM_S = 0.01
"""Between the beginnings of two streams: what a stream costs in the pipeline must not come faster than it goes."""


class Client:
    """Reads one connection until it ends, in a thread that `start` begins and `stop` joins.

    Parameters
    ----------
    connection
        Belongs to this object from now on.
    consumer
        Takes the frames.
    conversation
        What may be said.
    largest_px
        Bytes of px that a frame may have.
    count
        Gives each frame its number.
    tell
        Called with one line about whatever went wrong.

    Attributes
    ----------
    name
        Address of the program, and what it calls itself.
    answers
        To be told of what came of the frames.
    """

    def __init__(
        self,
        connection: socket.socket,
        consumer: FrameConsumer,
        conversation: Conversation,
        largest_px: int,
        count: Callable[[], int],
        tell: Callable[[str], None],
    ) -> None:
        self.name = address_of(connection)
        self.had_stream = False
        self._socket, self._consumer, self._conversation = connection, consumer, conversation
        self._decoder: Decoder[Message] = Decoder(conversation.read, largest_px)
        self._count, self._tell = count, tell
        self._stopping, self._leaving = threading.Event(), threading.Event()
        self._began_s = -SHORTEST_STREAM_S
        self._first_timestamp_s: float | None = None
        prepare(connection)
        self._outbox = Outbox(connection)
        self.answers = Answers(self._outbox)
        self._thread = threading.Thread(target=self._run, name="sasnet-live-tcp-client", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether its connection is open."""
        return self._thread.is_alive()

    def wait_if_it_leaves(self) -> None:
        """Wait for its end if that is near, because another program wants to connect."""
        if self._leaving.wait(LEAVING_S):
            self._thread.join(2 * LINGER_S)

    def stop(self) -> None:
        """Read no more, tell the program so, and wait for the frame under way."""
        self._stopping.set()
        self._thread.join()

    # ------------------------------------------------------------ in its thread

    def _run(self) -> None:
        line = ""
        try:
            line = self._read()
        except ProtocolError as error:
            line = str(error)
            self._tell(f"{self.name}: {line}; its connection was closed")
        except OSError as error:
            self._tell(f"{self.name}: the connection broke off ({error.strerror or error})")
        except Exception as error:
            line = f"a fault of SASNet Live ({type(error).__name__}: {error}); its log says more"
            self._tell(f"{self.name}: {line}")
            _log.exception("%s: cannot be served any more", self.name)
        finally:
            self._end_stream_early()
            if not line:
                self._await_replies()
            self._leaving.set()
            self._leave(line)

    def _read(self) -> str:
        """Until the program has nothing more to say; what it is to be told at the end, empty if nothing."""
        heard_s = time.monotonic()
        while not self._stopping.is_set():
            try:
                count = self._socket.recv_into(self._decoder.get_buffer())
            except TimeoutError:
                if self._decoder.begun and time.monotonic() - heard_s > STALLED_S:
                    raise ProtocolError(f"nothing came for {STALLED_S:g} s in the middle of a message") from None
                continue
            if not count:
                return ""
            heard_s = time.monotonic()
            message = self._decoder.buffer_updated(count)
            if message is not None:
                self._take(*message)
        return "registration was stopped"

    def _take(self, message: Message, px: Any) -> None:
        if isinstance(message, Start):
            self._begin(message)
        elif isinstance(message, End):
            self._consumer.end_stream(message.reason, missing=message.missing)
            if message.missing:
                self._tell(f"{self.name}: {_frames_are(message.missing)} missing at the end of its stream")
        else:
            self._put(message, px)

    def _begin(self, start: Start) -> None:
        # Not for longer than that: nobody begins a hundred streams a second who means well.
        self._stopping.wait(max(0.0, self._began_s + SHORTEST_STREAM_S - time.monotonic()))
        self._began_s = time.monotonic()
        self._first_timestamp_s = None
        self.had_stream = True
        self.name = f"{start.layout.source} ({address_of(self._socket)})"
        self.answers.begin(start)
        self._consumer.begin_stream(start.layout)

    def _put(self, header: FrameHeader, px: Any) -> None:
        start = self._conversation.stream
        assert start is not None
        layout, number = start.layout, self._count()
        frame = Frame(
            frame_of(px, layout), header.index, number, time.perf_counter(), self._metadata(layout, header.timestamp_s)
        )
        if start.replies:
            self.answers.expect(number, header)
        if not self._consumer.put(frame, wait=start.may_wait):
            self.answers.refused(number)

    def _metadata(self, layout: Layout, timestamp_s: float | None) -> dict[str, Any]:
        """What files and layers want to know of a frame, by the names of `Frame.metadata`."""
        known = {"pixel_size_um": layout.pixel_size_um, "exposure_ms": layout.exposure_ms}
        metadata: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
        if timestamp_s is not None:
            if self._first_timestamp_s is None:
                self._first_timestamp_s = timestamp_s
            metadata["timestamp_s"] = timestamp_s
            metadata["runner_time_ms"] = 1e3 * (timestamp_s - self._first_timestamp_s)
        return metadata

    def _end_stream_early(self) -> None:
        """The program is gone, or is sent away: say what is missing of its stream."""
        stream = self._conversation.stream
        if stream is None:
            return
        missing = self._conversation.missing_if_cut(within_message=self._decoder.begun, within_px=self._decoder.in_px)
        if self._stopping.is_set():
            self._consumer.end_stream("stopped", missing=0)
            return
        self._consumer.end_stream("errored" if missing else "stopped", missing=missing)
        if missing:
            self._tell(f"{self.name}: its stream ended early; {_frames_are(missing)} missing")

    def _await_replies(self) -> None:
        """It says no more, and may still listen."""
        while not self._stopping.is_set() and not self._outbox.gone and not self.answers.wait_for_last(LOOK_EVERY_S):
            pass
        while not self._stopping.is_set() and not self._outbox.flush(LOOK_EVERY_S):
            pass

    def _leave(self, line: str) -> None:
        """Close, with a last line if there is one."""
        with suppress(OSError):
            if self._stopping.is_set():  # what is registered already, or soon, it still hears of
                self.answers.wait_for_last(LINGER_S)
            if line:
                self._outbox.put({"type": "error", "message": line}, important=True)
                self._outbox.flush(LINGER_S)
            self._outbox.close()
            if line:
                linger(self._socket, self._stopping)
        self._socket.close()


def _frames_are(count: int) -> str:
    return "1 frame is" if count == 1 else f"{count} frames are"


def address_of(connection: socket.socket) -> str:
    """Address and port of whoever is at the other end."""
    try:
        host, port, *_ = connection.getpeername()
    except OSError:
        return "a program that has gone"
    return f"{host}:{port}"


def prepare(connection: socket.socket) -> None:
    """Have it wake its threads now and then, send at once, and notice when the other computer is gone."""
    connection.settimeout(LOOK_EVERY_S)
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def linger(connection: socket.socket, stopping: threading.Event) -> None:
    """Read what still comes for a moment: a connection closed on unread bytes takes the last line with it."""
    since_s = time.monotonic()
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while time.monotonic() - since_s < (LEAVING_S if stopping.is_set() else LINGER_S):
            with suppress(TimeoutError):
                if not connection.recv(1 << 16):
                    return
