"""Frames over a real socket: every one accounted for, and nothing that a sender does ends the source."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pipeline_parts import Gate, Memory, balanced, registered
from sasnet_live.errors import InputError
from sasnet_live.live.pipeline import LivePipeline
from sasnet_live.sources import tcp_client, tcp_replies
from sasnet_live.sources.tcp import TcpSource, is_loopback
from sasnet_live.sources.tcp_wire import Decoder, encode
from sources.conftest import Collector, wait_for

SHAPE = (16, 32)
START: dict[str, Any] = {"type": "start", "shape": list(SHAPE), "dtype": "uint16"}
FRAME: dict[str, Any] = {"type": "frame"}


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())  # of other tests
    yield
    left = [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("sasnet-live")]
    assert not left


@pytest.fixture
def source(collector: Collector) -> Iterator[TcpSource]:
    """One that listens on a free port and hands frames to the collector."""
    one = TcpSource(port=0)
    one.start(collector)
    yield one
    one.stop()


class Sender:
    """Another program."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._decoder: Decoder[dict[str, Any]] = Decoder(lambda header, px_bytes: header, 1 << 30)

    def send(self, header: dict[str, Any], px: Any = None) -> None:
        self.socket.sendall(encode(header, px))

    def send_frames(self, count: int, first: int = 0) -> None:
        for number in range(first, first + count):
            self.send(FRAME, np.full(SHAPE, number, np.uint16))

    def replies(self) -> list[tuple[dict[str, Any], Any]]:
        """All that comes until the connection is closed."""
        found = []
        with contextlib.suppress(ConnectionResetError):
            while data := self.socket.recv(1 << 16):
                found.extend(self._decoder.feed(data))
        return found

    def error(self) -> str:
        """The one line that comes before the connection is closed."""
        [(header, _)] = self.replies()
        assert header["type"] == "error"
        return str(header["message"])

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Go away as a process that is killed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


@pytest.fixture
def connect(source: TcpSource) -> Iterator[Callable[[], Sender]]:
    with contextlib.ExitStack() as opened:

        def make() -> Sender:
            sender = Sender(source.port)
            opened.callback(sender.close)
            return sender

        yield make


def test_frames_come_as_they_were_sent(connect: Callable[[], Sender], collector: Collector) -> None:
    sender = connect()
    sender.send({**START, "frames": 3, "source": "Rig 3", "pixel_size_um": [1, 2], "exposure_ms": 5})
    images = np.random.default_rng(0).integers(0, 60_000, (3, *SHAPE)).astype(np.uint16)
    for number, image in enumerate(images):
        sender.send({**FRAME, "timestamp_s": 100 + number / 4}, image)
    sender.send({"type": "end"})
    wait_for(lambda: bool(collector.ends))
    assert collector.ends == [("completed", 0, 3)]
    assert collector.streams[0].source == "Rig 3"
    np.testing.assert_array_equal([frame.data for frame in collector.frames], images)
    assert all(frame.data.dtype == np.uint16 and frame.data.dtype.isnative for frame in collector.frames)
    assert [frame.sequence_number for frame in collector.frames] == [0, 1, 2]
    assert [dict(frame.index) for frame in collector.frames] == [{"t": 0}, {"t": 1}, {"t": 2}]
    assert [frame.metadata["runner_time_ms"] for frame in collector.frames] == [0, 250, 500]
    assert collector.frames[0].metadata["pixel_size_um"] == (1, 2)
    assert collector.waits == {False}
    assert collector.threads == {"sasnet-live-tcp-client"}


def test_a_sender_may_be_held_back_where_it_agreed(connect: Callable[[], Sender], collector: Collector) -> None:
    sender = connect()
    sender.send({**START, "may_wait": True})
    sender.send_frames(1)
    wait_for(lambda: len(collector.frames) == 1)
    assert collector.waits == {True}


@pytest.mark.parametrize(
    ("announced", "cut", "end"),
    [
        (None, 0, ("stopped", 0, 2)),
        (5, 0, ("errored", 3, 2)),
        (None, 500, ("errored", 1, 2)),  # in the middle of the px of the third
        (None, 10, ("errored", 1, 2)),  # in the middle of its prefix
        (5, 500, ("errored", 3, 2)),
    ],
)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_sender_that_goes_away_ends_its_stream(
    source: TcpSource,
    connect: Callable[[], Sender],
    collector: Collector,
    announced: int | None,
    cut: int,
    end: Any,
    how: str,
) -> None:
    sender = connect()
    sender.send({**START, "frames": announced})
    sender.send_frames(2)
    sender.socket.sendall(encode(FRAME, np.zeros(SHAPE, np.uint16))[:cut])
    wait_for(lambda: len(collector.frames) == 2)
    getattr(sender, how)()
    wait_for(lambda: bool(collector.ends))
    assert collector.ends == [end]
    wait_for(lambda: not source.client)
    news = source.take_news()
    assert bool(news) == bool(end[1] or how == "reset")
    if end[1]:
        assert f"{end[1]} frame" in news[-1]
    # The next one is served, and its frames go on being counted.
    other = connect()
    other.send(START)
    other.send_frames(1)
    wait_for(lambda: len(collector.frames) == 3)
    assert collector.frames[-1].sequence_number == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "began with b'GET '"),
        (encode({"type": "frame"}), '"frame" came before "start"'),
        (encode({**START, "dtype": "complex64"}), "expected one of uint8"),
        (encode({**START, "replies": ["metrics"]}), "nothing here gives any"),
        (
            encode(START) + encode(FRAME, np.zeros(3, np.uint8)) + bytes(1 << 20),
            "a frame of 3 bytes came; expected 1024",
        ),
    ],
)
def test_a_bad_message_gets_one_line_and_the_source_goes_on(
    source: TcpSource, connect: Callable[[], Sender], collector: Collector, data: bytes, message: str
) -> None:
    sender = connect()
    sender.socket.sendall(data)
    assert message in sender.error()
    sender.close()
    line, *others = source.take_news()
    assert message in line
    assert source.problems == 1 + len(others)
    assert all("its stream ended early; 1 frame is missing" in other for other in others)
    assert bool(others) == bool(collector.streams)
    assert source.error is None
    other = connect()
    other.send(START)
    other.send_frames(1)
    wait_for(lambda: len(collector.frames) == 1)


def test_a_second_program_is_told_so_and_the_first_goes_on(
    source: TcpSource, connect: Callable[[], Sender], collector: Collector
) -> None:
    first = connect()
    first.send({**START, "source": "Rig 3"})
    first.send_frames(1)
    wait_for(lambda: source.client.startswith("Rig 3 (127.0.0.1:"))
    second = connect()
    second.send(START)
    assert second.error().endswith("is connected already; one program at a time: close that connection first")
    first.send_frames(1)
    wait_for(lambda: len(collector.frames) == 2)
    first.close()
    third = connect()  # at once: that the first has gone may not have been noticed
    third.send(START)
    third.send_frames(1)
    wait_for(lambda: len(collector.frames) == 3)


def test_a_program_that_rests_in_the_middle_of_a_message_is_sent_away(
    connect: Callable[[], Sender], collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp_client, "STALLED_S", 0.2)
    sender = connect()
    sender.send(START)
    wait_for(lambda: bool(collector.streams))
    sender.socket.sendall(encode(FRAME, np.zeros(SHAPE, np.uint16))[:-1])
    assert "in the middle of a message" in sender.error()
    assert collector.ends == [("errored", 1, 0)]


def test_stop_while_a_program_hangs(source: TcpSource, connect: Callable[[], Sender], collector: Collector) -> None:
    sender = connect()
    sender.send(START)
    wait_for(lambda: bool(collector.streams))
    sender.socket.sendall(encode(FRAME, np.zeros(SHAPE, np.uint16))[:-1])
    source.stop()
    assert not source.running
    assert collector.sources == []
    assert collector.ends == [("stopped", 0, 0)]
    assert sender.error() == "registration was stopped"
    with pytest.raises(OSError):
        Sender(source.port)


def test_a_port_that_is_taken(source: TcpSource, collector: Collector) -> None:
    other = Collector()
    with pytest.raises(InputError, match="another program has this port"):
        TcpSource(port=source.port).start(other)
    assert other.sources == []


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [("203.0.113.7", 0, "cannot be listened on"), ("no.such.host.invalid", 0, "cannot be listened on")],
)
def test_an_address_that_is_none_of_this_computer(collector: Collector, host: str, port: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TcpSource(host, port).start(collector)


def test_others_can_connect_only_where_that_was_asked_for(collector: Collector) -> None:
    assert TcpSource().host == "127.0.0.1"
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.3.2.1", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.168.1.5", "rig3", ""))
    source = TcpSource("0.0.0.0", 0)
    source.start(collector)
    source.stop()
    [line] = source.take_news()
    assert "nobody is asked for a password" in line


def test_a_source_is_started_once(source: TcpSource, collector: Collector) -> None:
    with pytest.raises(InputError, match="started before"):
        source.start(collector)
    with pytest.raises(InputError, match="0 to 65535"):
        TcpSource(port=70_000)


# ------------------------------------------------------------ with a pipeline


@contextlib.contextmanager
def serving(process: Any, sinks: Any = (), policy: Any = "all", **more: Any) -> Iterator[tuple[LivePipeline, Sender]]:
    """A pipeline that gives replies, and a program that is connected to it."""
    pipeline = LivePipeline(process, sinks, policy, **more).start()
    source = TcpSource(port=0, answers=True)
    pipeline.registered.connect(source.answer)
    pipeline.stream_ended.connect(source.stream_ended)
    source.start(pipeline)
    sender = Sender(source.port)
    try:
        yield pipeline, sender
    finally:
        sender.close()
        source.stop()
        with contextlib.suppress(Exception):
            pipeline.close()


def test_every_frame_is_in_the_sink_and_answered_in_order() -> None:
    memory = Memory()
    with serving(registered, [memory]) as (pipeline, sender):
        wanted = ["registered", "metrics", "displacement", "profile"]
        sender.send({**START, "axes": "tc", "sizes": [None, 2], "replies": wanted, "may_wait": True})
        sender.send_frames(200)
        sender.send({"type": "end", "frames": 201})
        sender.socket.shutdown(socket.SHUT_WR)  # it goes on listening
        found = sender.replies()
        assert balanced(pipeline.status())
    assert memory.numbers == memory.pixels == list(range(200))
    *of_frames, (last, _) = found
    assert last == {
        "type": "ended", "reason": "completed", "received": 200, "processed": 200, "registered": 200, "missing": 1,
        "unanswered": 0,
    }  # fmt: skip
    kinds = ["metrics", "profile", "displacement", "registered"]
    assert [(header["type"], header["frame"]) for header, _ in of_frames] == [(k, n) for n in range(200) for k in kinds]
    assert of_frames[-1][0]["index"] == {"t": 99, "c": 1}
    for header, px in of_frames:
        if header["type"] != "metrics":
            assert px.nbytes == np.dtype(header["dtype"]).itemsize * int(np.prod(header["shape"]))
    figures, profile, displacement, image = (header for header, _ in of_frames[-4:])
    assert figures["ncc_before"] is None  # not defined
    assert figures["accepted"] is True
    assert (profile["shape"], displacement["shape"], image["shape"]) == ([32], [8, 32], [16, 32])
    assert (of_frames[-1][1].view("<u2") == 199).all()


def test_frames_that_are_dropped_for_later_ones_are_answered_too() -> None:
    gate, memory = Gate(), Memory()
    with serving(gate, [memory], "latest") as (pipeline, sender):
        sender.send({**START, "replies": "metrics"})
        sender.send_frames(10)
        wait_for(lambda: pipeline.status().counts.received == 10)  # the sender was not held back
        gate.open.set()
        sender.send({"type": "end"})
        sender.socket.shutdown(socket.SHUT_WR)
        *answers, (last, _) = sender.replies()
    assert [header["frame"] for header, _ in answers] == list(range(10))
    dropped = sum(header["type"] == "dropped" for header, _ in answers)
    assert dropped == 10 - len(memory.numbers) > 0
    assert (last["received"], last["processed"]) == (10, len(memory.numbers))


def test_a_program_that_does_not_read_its_replies_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_replies, "MOST_BYTES", 1 << 16)
    memory = Memory()
    shape = (256, 512)
    with serving(registered, [memory]) as (pipeline, sender):
        sender.send({**START, "shape": list(shape), "replies": ["registered"], "may_wait": True})
        for number in range(100):
            sender.send(FRAME, np.full(shape, number, np.uint16))
        sender.send({"type": "end"})
        wait_for(lambda: bool(pipeline.reports))
        assert memory.numbers == list(range(100))
        sender.socket.shutdown(socket.SHUT_WR)
        *answers, (last, _) = sender.replies()
    assert last["unanswered"] == 100 - len(answers) > 0


def test_frames_after_the_end_of_the_pipeline_are_answered_as_dropped() -> None:
    def fails(frame: Any) -> Any:
        raise OSError("broken")

    with serving(fails, policy="latest") as (pipeline, sender):
        sender.send({**START, "replies": ["metrics"]})
        sender.send_frames(1)
        wait_for(lambda: not pipeline.takes_frames)
        sender.send_frames(2, 1)
        wait_for(lambda: pipeline.status().counts.received == 3)
        with contextlib.suppress(OSError):
            pipeline.close()
        sender.socket.shutdown(socket.SHUT_WR)
        found = [header for header, _ in sender.replies()]
    assert {header["frame"] for header in found if header["type"] == "dropped"} >= {1, 2}
    assert [header["type"] for header in found].count("ended") == 1


def test_a_program_hears_of_its_frames_and_of_the_end_when_registration_is_stopped() -> None:
    memory = Memory()
    pipeline = LivePipeline(registered, [memory], "all").start()
    source = TcpSource(port=0, answers=True)
    pipeline.registered.connect(source.answer)
    pipeline.stream_ended.connect(source.stream_ended)
    source.start(pipeline)
    sender = Sender(source.port)
    sender.send({**START, "replies": ["metrics"]})
    sender.send_frames(3)
    wait_for(lambda: pipeline.status().counts.received == 3)
    source.stop()
    said = [header for header, _ in sender.replies()]
    sender.close()
    pipeline.close()
    assert [one["type"] for one in said] == ["metrics"] * 3 + ["ended", "error"]
    assert (said[3]["reason"], said[4]["message"]) == ("stopped", "registration was stopped")


def test_a_program_that_says_no_end_hears_of_it_and_the_next_one_is_served() -> None:
    with serving(registered) as (pipeline, sender):
        sender.send({**START, "replies": ["metrics"]})
        sender.send_frames(1)
        wait_for(lambda: pipeline.status().counts.processed == 1)
        sender.socket.shutdown(socket.SHUT_WR)  # it still listens
        assert [header["type"] for header, _ in sender.replies()] == ["metrics", "ended"]
        other = Sender(sender.port)
        other.send({**START, "replies": ["metrics"]})
        other.send_frames(1)
        assert other.socket.recv(1 << 16)
        other.close()  # when it has heard all there is
        third = Sender(sender.port)
        third.send(START)
        third.send_frames(1)
        wait_for(lambda: pipeline.status().counts.processed == 3)
        third.close()


def test_all_may_wait_is_held_back_only_while_there_is_no_room() -> None:
    gate, memory = Gate(), Memory()
    with serving(gate, [memory], "all", capacity=2, spill_bytes=0) as (pipeline, sender):
        sender.send({**START, "may_wait": True})
        sender.send_frames(6)
        wait_for(lambda: pipeline.status().counts.received == 3)
        gate.open.set()
        wait_for(lambda: pipeline.status().counts.processed == 6)
        assert pipeline.status().counts.held_back_s > 0
    assert memory.numbers == list(range(6))


def test_a_program_that_begins_and_ends_without_end_takes_no_memory() -> None:
    with serving(registered) as (pipeline, sender):
        for _ in range(30):
            sender.send({**START, "replies": ["metrics"]})
            sender.send({"type": "end"})
        sender.socket.shutdown(socket.SHUT_WR)
        found = sender.replies()
        assert len(pipeline.reports) == 30
    assert [header["type"] for header, _ in found] == ["ended"] * 30
