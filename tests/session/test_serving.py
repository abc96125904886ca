"""A live session whose frames another program sends: what the program hears, and what the user does."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.session.engine import LiveEngine
from sasnet_live.session.settings import LiveSettings
from sasnet_live.sources.tcp import TcpSource
from sasnet_live.sources.tcp_wire import Decoder, encode
from sources.conftest import wait_for

pytest.importorskip("psygnal")

SHAPE = (32, 48)


@pytest.fixture
def engine() -> Iterator[LiveEngine]:
    one = LiveEngine()
    yield one
    one.shutdown()


@pytest.fixture
def listening(settings: LiveSettings) -> LiveSettings:
    """Settings that listen on a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return replace(settings, source="tcp", tcp_port=free.getsockname()[1])


def connected(settings: LiveSettings) -> socket.socket:
    return socket.create_connection((settings.tcp_host, settings.tcp_port), timeout=60)


def frame(number: int) -> bytes:
    return encode({"type": "frame"}, np.random.default_rng(number).integers(0, 4000, SHAPE).astype(np.uint16))


def test_what_is_sent_is_recorded_and_answered(engine: LiveEngine, listening: LiveSettings) -> None:
    plan = engine.begin_recording(listening)
    engine.start(listening)
    assert isinstance(engine.source, TcpSource)
    with connected(listening) as program:
        start = {"type": "start", "shape": SHAPE, "dtype": "uint16", "frames": 3, "replies": ["profile", "metrics"]}
        program.sendall(encode({**start, "source": "Rig 3"}))
        for number in range(2):
            program.sendall(frame(number))
        wait_for(lambda: isinstance(engine.source, TcpSource) and engine.source.state.startswith("Rig 3 (127.0.0.1:"))
        program.sendall(encode({"type": "end"}))
        program.shutdown(socket.SHUT_WR)
        decoder: Decoder[dict[str, object]] = Decoder(lambda header, px_bytes: header, 1 << 20)
        found = []
        while data := program.recv(1 << 16):
            found += [header for header, _ in decoder.feed(data)]
    assert [header["type"] for header in found] == ["metrics", "profile"] * 2 + ["ended"]
    assert found[1]["shape"] == [SHAPE[1]]
    assert found[-1]["missing"] == 1
    wait_for(lambda: "1 frame is missing" in engine.take_problem())
    engine.stop()
    wait_for(lambda: engine.state == "idle")
    engine.end_recording()
    assert engine.error is None
    written = [path for path in Path(listening.record_folder).iterdir() if path.suffix == ".tiff"]
    assert {len(tifffile.imread(path)) for path in written} == {2}
    assert plan.images


def test_a_port_that_is_taken_is_said_at_the_start(engine: LiveEngine, listening: LiveSettings) -> None:
    with (
        socket.create_server((listening.tcp_host, listening.tcp_port)),
        pytest.raises(InputError, match="another program has this port"),
    ):
        engine.start(listening)
    wait_for(lambda: engine.state == "idle")
    engine.start(listening)
    assert engine.state in ("starting", "running")


def test_a_person_who_lets_others_in_is_warned(engine: LiveEngine, listening: LiveSettings) -> None:
    engine.start(replace(listening, tcp_host="0.0.0.0"))
    wait_for(lambda: engine.state == "running")
    assert "nobody is asked for a password" in engine.take_problem()
    assert engine.take_problem() == ""


def test_frames_that_cannot_be_registered_are_refused_before_they_are_sent(
    engine: LiveEngine, listening: LiveSettings
) -> None:
    engine.start(listening)
    with connected(listening) as program:
        program.sendall(encode({"type": "start", "shape": [8, 8], "dtype": "uint8"}))
        answer = program.recv(1 << 16)
    assert b"too little to register" in answer
    wait_for(lambda: "too little to register" in engine.take_problem())
