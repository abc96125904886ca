"""Frames, a process, a sink and conditions for tests of the live pipeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from sasnet_live.frame import Frame, Registration, RegistrationMetrics
from sasnet_live.layout import Layout
from sasnet_live.live.pipeline import PipelineStatus
from sasnet_live.sinks.protocol import SinkReport

SHAPE = (16, 12)


def numbered(number: int, shape: tuple[int, int] = SHAPE) -> Frame:
    return Frame(np.full(shape, number, np.uint16), index={"t": number}, sequence_number=number)


def registered(frame: Frame) -> Registration:
    lines = frame.data[1::2].astype(np.float32)
    return Registration(frame.data, None, lines, np.zeros_like(lines), RegistrationMetrics(confidence=1.0), True)


class Memory:
    """A sink that keeps what it is given."""

    name = "memory"

    def __init__(self) -> None:
        self.streams: list[Layout] = []
        self.numbers: list[int] = []
        self.accepted: list[bool] = []
        self.pixels: list[int] = []
        self.flushes = 0
        self.closes = 0
        self.threads: set[str] = set()
        self._given = 0

    def open(self, stream: Layout) -> None:
        self.streams.append(stream)
        self._given = 0

    def write(self, frame: Frame, registration: Registration) -> None:
        self.threads.add(threading.current_thread().name)
        self.numbers.append(frame.sequence_number)
        self.pixels.append(int(frame.data.flat[0]))
        self.accepted.append(registration.accepted)
        self._given += 1

    def flush(self) -> None:
        self.flushes += 1

    def close(self) -> SinkReport:
        self.closes += 1
        return SinkReport(self.name, 0, verified=self._given)


def balanced(status: PipelineStatus) -> bool:
    counts = status.counts
    return counts.received == counts.processed + counts.dropped + counts.waiting + counts.in_process


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    until = time.perf_counter() + timeout_s
    while not condition():
        assert time.perf_counter() < until, "the condition did not come true in time"
        time.sleep(0.001)


class Gate:
    """A process function that waits until it is let through."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __call__(self, frame: Frame) -> Registration:
        assert self.open.wait(20)
        return registered(frame)
