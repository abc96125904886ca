"""Cores and consumers for the tests of sources."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sasnet_live.frame import EndReason, Frame
from sasnet_live.layout import Layout


class Collector:
    """A consumer that keeps everything, in order."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.streams: list[Layout] = []
        self.ends: list[tuple[EndReason, int | None, int]] = []
        self.threads: set[str] = set()
        self.waits: set[bool] = set()
        self.sources: list[object] = []
        self._in_stream = 0

    def attach(self, source: object) -> None:
        self.sources.append(source)

    def detach(self, source: object) -> None:
        self.sources.remove(source)

    def begin_stream(self, stream: Layout) -> None:
        self.streams.append(stream)
        self._in_stream = 0

    def put(self, frame: Frame, *, wait: bool = True) -> bool:
        self.threads.add(threading.current_thread().name)
        self.waits.add(wait)
        self.frames.append(frame)
        self._in_stream += 1
        return True

    def end_stream(self, reason: EndReason = "completed", *, missing: int | None = None) -> None:
        self.ends.append((reason, missing, self._in_stream))


def wait_for(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    until = time.perf_counter() + timeout_s
    while not condition():
        assert time.perf_counter() < until, "the condition did not come true in time"
        time.sleep(0.002)


@pytest.fixture
def collector() -> Collector:
    return Collector()


@pytest.fixture
def demo_core() -> Iterator[Any]:
    """A core with Micro-Manager's own demo devices, 64 x 48 px."""
    pymmcore_plus = pytest.importorskip("pymmcore_plus")
    if pymmcore_plus.find_micromanager() is None:
        pytest.skip("no Micro-Manager device adapters: pip install mm-test-adapters")
    core = pymmcore_plus.CMMCorePlus()
    core.loadSystemConfiguration()
    core.setProperty("Camera", "OnCameraCCDXSize", 64)
    core.setProperty("Camera", "OnCameraCCDYSize", 48)
    core.setExposure(2)
    yield core
    core.mda.cancel()
    wait_for(lambda: not core.mda.is_running())
    if core.isSequenceRunning():
        core.stopSequenceAcquisition()


@pytest.fixture
def python_core() -> Iterator[Any]:
    """A core that knows Python devices, with the simulated scanner, 128 x 128 px."""
    unicore = pytest.importorskip("pymmcore_plus.experimental.unicore")
    from sasnet_live.simulation.camera import config_path

    core = unicore.UniMMCore()
    core.loadSystemConfiguration(str(config_path()))
    core.setProperty("ORPAM", "Lines", 128)
    core.setProperty("ORPAM", "PixelsPerLine", 128)
    core.setExposure(2)
    yield core
    if core.isSequenceRunning():
        core.stopSequenceAcquisition()
