"""Frames of the simulated scanner, without Micro-Manager."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import EndReason, Frame
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout
from sasnet_live.simulation import ScannerSettings, Scene, random_scanner, record
from sasnet_live.sources.protocol import FrameConsumer


class SimulatedSource:
    """Scans a simulated vascular scene in a thread of its own.

    Parameters
    ----------
    count
        Number of frames; None: until stopped.
    frame_rate_hz
        Frames a second; None: as fast as they are made and taken.
    shape
        (H, W) of a raw frame.
    scanner
        None: one of the level "medium".
    scene
        What to scan, or the seed of a vascular scene.
    geometry
        How frames are stored.
    seed
        Of the scanner's jitter and noise.
    may_drop
        Deliver as a camera does, which does not wait for a consumer. Otherwise the source is held back by one that
        takes all frames.
    """

    def __init__(
        self,
        count: int | None = None,
        *,
        frame_rate_hz: float | None = 30.0,
        shape: tuple[int, int] = (512, 512),
        scanner: ScannerSettings | None = None,
        scene: Scene | int = 0,
        geometry: ScanGeometry | None = None,
        seed: int = 0,
        may_drop: bool = False,
    ) -> None:
        if frame_rate_hz is not None and not frame_rate_hz > 0:
            raise InputError(f"frame_rate_hz is {frame_rate_hz}; expected more than 0")
        rng = np.random.default_rng(seed)
        self._count = count
        self._interval_s = 0.0 if frame_rate_hz is None else 1 / frame_rate_hz
        self._shape = shape
        self._may_drop = may_drop
        height, width = shape
        scanner = replace(scanner or random_scanner(rng, "medium", width), bits=16)
        # Refuses what it cannot scan now, in the caller's thread, not with the first frame.
        self._frames = record(scene, scanner, rng, count, height=height, width=width, geometry=geometry)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __str__(self) -> str:
        return "the simulated scanner"

    @property
    def running(self) -> bool:
        """Whether frames may still come."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def error(self) -> BaseException | None:
        """What ended the source early, None if nothing did."""
        return self._error

    def start(self, consumer: FrameConsumer) -> None:
        """Begin to scan; a source is started once."""
        if self._thread is not None:
            raise InputError("this source was started before; make another one")
        consumer.attach(self)
        self._thread = threading.Thread(
            target=self._run, args=(consumer,), name="sasnet-live-simulated-source", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Scan no more, and wait for the frame under way."""
        self._stopping.set()
        if self._thread is not None and threading.current_thread() is not self._thread:
            self._thread.join()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the last frame; whether it came in time."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return not self.running

    def _run(self, consumer: FrameConsumer) -> None:
        reason: EndReason = "completed"
        try:
            consumer.begin_stream(self._stream())
            due = time.perf_counter()
            for number, frame in enumerate(self._frames):
                if self._stopping.wait(max(0.0, due - time.perf_counter())):
                    reason = "canceled"
                    break
                due = max(due + self._interval_s, time.perf_counter() - self._interval_s)
                consumer.put(Frame(frame.raw, {"t": number}, number), wait=not self._may_drop)
        except BaseException as error:
            self._error = error
            reason = "errored"
        consumer.end_stream(reason)
        consumer.detach(self)

    def _stream(self) -> Layout:
        return Layout(
            frame_shape=self._shape,
            dtype=np.dtype(np.uint16),
            axes=("t",) if self._count else (),
            sizes=(self._count,) if self._count else (),
            frames=self._count,
            interval_s=self._interval_s or None,
            source=str(self),
        )
