"""Frames that any other program sends over TCP, as `docs/tcp.md` describes."""

from __future__ import annotations

import errno
import ipaddress
import itertools
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Registration
from sasnet_live.layout import Layout
from sasnet_live.recordings.settings import LARGEST_MIB
from sasnet_live.sources.protocol import FrameConsumer
from sasnet_live.sources.tcp_client import Client, address_of, linger, prepare
from sasnet_live.sources.tcp_defaults import HOST, PORT
from sasnet_live.sources.tcp_messages import Conversation
from sasnet_live.sources.tcp_replies import LOOK_EVERY_S
from sasnet_live.sources.tcp_wire import encode

if TYPE_CHECKING:
    from sasnet_live.live.status import StreamReport

_log = logging.getLogger(__name__)

BACKLOG = 8
"""Programs that may wait to be told that another is connected."""
MOST_NEWS = 100
"""Lines that nobody has fetched."""


class TcpSource:
    """Listens for one program at a time and delivers the frames that it sends; a second one is told so and sent away.

    A message that cannot be understood is answered with one line, its connection is closed, and the source goes on
    listening. A program that goes away in the middle of a stream ends it, with the number of frames that are missing.

    Parameters
    ----------
    host, port
        To listen on. By default this computer alone can connect; see `warning`. Port 0: one that is free.
    check
        Called with what the frames of a stream will be like; an `InputError` refuses the stream.
    answers
        Whether programs may ask for replies: whoever makes the source then calls `answer` after each frame and
        `stream_ended` after each stream, as the signals `registered` and `stream_ended` of a pipeline do.
    largest_mib
        Memory that a frame may take.

    Attributes
    ----------
    problems
        How often something was wrong with what came.
    served
        Programs that sent a stream and have gone.
    """

    def __init__(
        self,
        host: str = HOST,
        port: int = PORT,
        *,
        check: Callable[[Layout], None] = lambda stream: None,
        answers: bool = False,
        largest_mib: float = LARGEST_MIB,
    ) -> None:
        if not host:  # which would be every address
            raise InputError(f"no address came to listen on; give one, such as {HOST}")
        if not 0 <= port <= 65_535:
            raise InputError(f"port {port} came; expected 0 to 65535")
        self.host, self._port = host, port
        self._check, self._answers, self._largest_px = check, answers, int(largest_mib * 2**20)
        self._numbers = itertools.count()
        self._news: deque[str] = deque(maxlen=MOST_NEWS)
        self._telling = threading.Lock()
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._client: Client | None = None
        self._error: BaseException | None = None
        self.problems = self.served = 0

    def __str__(self) -> str:
        return f"programs that connect to {self.address}"

    @property
    def address(self) -> str:
        """Where programs connect to; with the port in use once it listens."""
        return _with_port(self.host, self.port)

    @property
    def port(self) -> int:
        """Where programs connect to."""
        return self._port

    @property
    def state(self) -> str:
        """How it stands with the connection, in words."""
        return self.client or f"{self.address}, no program is connected"

    @property
    def client(self) -> str:
        """The program that is connected; empty if none is."""
        client = self._client
        return client.name if client is not None and client.connected else ""

    @property
    def warning(self) -> str:
        """What a person should know who lets other computers connect; empty if none can."""
        if is_loopback(self.host):
            return ""
        return (
            f"every computer that reaches {self.address} can send frames and read what comes of them: nothing is "
            f"encrypted and nobody is asked for a password; listen on {HOST} if the program runs on this computer"
        )

    @property
    def running(self) -> bool:
        """Whether frames may still come."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def error(self) -> BaseException | None:
        """What ended the listening, None if nothing did."""
        return self._error

    def take_news(self) -> list[str]:
        """Lines for people, each once: who can connect, and what was wrong with what came. Any thread."""
        lines = []
        with suppress(IndexError):
            while True:
                lines.append(self._news.popleft())
        return lines

    def start(self, consumer: FrameConsumer) -> None:
        """Begin to listen; a source is started once.

        Raises
        ------
        InputError
            If it was started before, there is no such address, or another program has the port.
        """
        if self._thread is not None:
            raise InputError("this source was started before; make another one")
        listener = _listen(self.host, self._port)
        try:
            consumer.attach(self)
        except BaseException:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        listener.settimeout(LOOK_EVERY_S)
        if self.warning:
            self._news.append(self.warning)
        self._listener = listener
        self._thread = threading.Thread(target=self._run, args=(consumer,), name="sasnet-live-tcp", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; the program that is connected is told so."""
        self._stopping.set()
        if self._thread is not None and threading.current_thread() is not self._thread:
            self._thread.join()

    def answer(self, frame: Frame, registration: Registration) -> None:
        """Send back what was asked for of a frame. Any thread; does not wait."""
        client = self._client
        if client is not None:
            client.answers.answer(frame, registration)

    def stream_ended(self, report: StreamReport) -> None:
        """Say that a stream is closed. Any thread; does not wait."""
        client = self._client
        if client is not None:
            client.answers.ended(report)

    # ------------------------------------------------------------ in its thread

    def _run(self, consumer: FrameConsumer) -> None:
        assert self._listener is not None
        try:
            while not self._stopping.is_set():
                try:
                    connection, _ = self._listener.accept()
                except TimeoutError:
                    self._look_after_client()
                    continue
                except OSError as error:  # too many open files: it may pass
                    self._tell(f"{self.address}: a program could not connect ({error.strerror})")
                    self._stopping.wait(LOOK_EVERY_S)
                    continue
                if self._client is not None:
                    self._client.wait_if_it_leaves()
                    self._look_after_client()
                if self._client is None:
                    self._serve(connection, consumer)
                else:
                    self._send_away(connection, self._client.name)
        except BaseException as error:
            self._error = error
            _log.error("%s is not listened on any more: %s", self.address, error, exc_info=error)
        finally:
            self._listener.close()
            if self._client is not None:
                self._client.stop()
                self._look_after_client()
            consumer.detach(self)

    def _serve(self, connection: socket.socket, consumer: FrameConsumer) -> None:
        conversation = Conversation(self._check, answers=self._answers, largest_px=self._largest_px)
        self._client = Client(
            connection, consumer, conversation, self._largest_px, lambda: next(self._numbers), self._tell
        )
        self._client.start()

    def _look_after_client(self) -> None:
        """Forget a program that has gone."""
        client = self._client
        if client is not None and not client.connected:
            client.stop()
            self.served += client.had_stream
            self._client = None

    def _send_away(self, connection: socket.socket, other: str) -> None:
        """One program at a time: frames of two would mix."""
        name = address_of(connection)
        line = f"{other} is connected already; one program at a time: close that connection first"
        self._tell(f"{name}: sent away, as {other} is connected")
        with connection, suppress(OSError):
            prepare(connection)
            connection.sendall(encode({"type": "error", "message": line}))
            linger(connection, self._stopping)

    def _tell(self, line: str) -> None:
        with self._telling:  # the thread that listens and that of a program may both have something to say
            self.problems += 1
            self._news.append(line)


def is_loopback(host: str) -> bool:
    """Whether only this computer can connect to that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _with_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    where = _with_port(host, port)
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"{where}: another program has this port; close it, perhaps another SASNet Live, or choose another port"
            ) from error
        if error.errno == errno.EACCES:
            raise InputError(f"{where}: this port needs an administrator; choose one from 1024 on") from error
        raise InputError(
            f"{where}: cannot be listened on ({error.strerror or error}); give an address of this computer, such as "
            f"{HOST}"
        ) from error
