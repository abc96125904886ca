"""What several threads write of a live pipeline: state, first exception, streams and counts, under one lock."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace

import numpy as np

from sasnet_live.frame import EndReason, Frame, Registration
from sasnet_live.layout import Layout, shape_of
from sasnet_live.sinks.protocol import SinkReport

from .status import PipelineStatus, QueueCounts, State, StreamReport, in_words

_KEPT_REPORTS = 1000


class OpenStream:
    """A stream under way: counted by producers and the worker, under the ledger's lock."""

    def __init__(self, info: Layout) -> None:
        self.info = info
        self.reason: EndReason | None = None
        self.missing = 0
        self.received = self.processed = self.registered = 0
        self.sinks: tuple[SinkReport, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether no more frames of it come."""
        return self.reason is not None

    def report(self) -> StreamReport:
        """What became of its frames."""
        reason = self.reason or "stopped"
        counts = (self.received, self.processed, self.registered, self.missing)
        return StreamReport(self.info, reason, *counts, self.sinks)


class Ledger:
    """The books of one pipeline; any thread may call.

    The queue's own lock is never taken inside this one, nor the reverse.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: State = "created"
        self._error: Exception | None = None
        self._newest: OpenStream | None = None
        self._unfinished: deque[OpenStream] = deque()
        self._reports: deque[StreamReport] = deque(maxlen=_KEPT_REPORTS)
        self._throughput = Throughput()
        self._registered = self._unregistered = self._missing = 0

    # ------------------------------------------------------------------ states

    @property
    def state(self) -> State:
        """See `LivePipeline`."""
        return self._state

    @property
    def error(self) -> Exception | None:
        """The first exception, None if there was none."""
        return self._error

    def move_to(self, state: State, *, only_from: State | None = None) -> bool:
        """Go over to a state, from any other or from one alone; whether it did."""
        with self._lock:
            if state == self._state or (only_from is not None and self._state != only_from):
                return False
            self._state = state
            return True

    def fail(self, error: Exception) -> bool:
        """Keep the first exception; whether it was the first."""
        with self._lock:
            if self._error is not None:
                return False
            self._error = error
            if self._state != "closed":
                self._state = "failed"
            return True

    # ----------------------------------------------------------------- streams

    def begin(self, stream: Layout) -> None:
        """Open a stream."""
        with self._lock:
            self._begin(stream)

    def receive(self, frame: Frame) -> OpenStream:
        """Count a frame that came; the stream that it is of, a new one where it fits into none."""
        with self._lock:
            stream = self._newest
            if stream is None or stream.ended:
                stream = self._begin(Layout.of(frame))
            elif not stream.info.fits(frame):
                self._end(stream, "stopped", None)
                stream = self._begin(
                    replace(stream.info, frame_shape=shape_of(frame), dtype=frame.data.dtype, frames=None)
                )
            stream.received += 1
            return stream

    def end(self, reason: EndReason, missing: int | None) -> bool:
        """No more frames of the newest stream come; whether it was open.

        Without `missing`, what was announced less what came.
        """
        with self._lock:
            if self._newest is None or self._newest.ended:
                return False
            self._end(self._newest, reason, missing)
            return True

    @property
    def ended(self) -> int:
        """Number of streams that have ended and are not finished."""
        with self._lock:
            return sum(stream.ended for stream in self._unfinished)

    def take_ended(self, entering: OpenStream | None) -> OpenStream | None:
        """The oldest unfinished stream if it has ended and is not the one being entered; it counts as finished then."""
        with self._lock:
            first = self._unfinished[0] if self._unfinished else None
            if first is None or first is entering or not first.ended:
                return None
            return self._unfinished.popleft()

    def finish(self, stream: OpenStream) -> StreamReport:
        """Keep and return the report of a stream whose sinks were closed."""
        with self._lock:
            report = stream.report()
            self._reports.append(report)
            return report

    @property
    def reports(self) -> tuple[StreamReport, ...]:
        """Of the streams that were finished, the last 1000 of them."""
        with self._lock:
            return tuple(self._reports)

    # ------------------------------------------------------------------ counts

    def finished(self, frame: Frame) -> None:
        """A frame was registered, or passed on: its latency ends here."""
        with self._lock:
            self._throughput.add(frame.received_s, time.perf_counter())

    def delivered(self, registration: Registration, stream: OpenStream) -> None:
        """A frame went to all sinks that work."""
        with self._lock:
            stream.processed += 1
            stream.registered += registration.accepted
            self._registered += registration.accepted
            self._unregistered += not registration.accepted

    def status(self, counts: QueueCounts) -> PipelineStatus:
        """A snapshot, with the counts of the queue."""
        now = time.perf_counter()
        with self._lock:
            throughput = self._throughput.copy()
            status = PipelineStatus(
                state=self._state,
                counts=counts,
                registered=self._registered,
                unregistered=self._unregistered,
                missing=self._missing,
                error="" if self._error is None else in_words(self._error),
            )
        p50, p99 = throughput.latency_ms()
        return replace(status, fps=throughput.fps(now), latency_p50_ms=p50, latency_p99_ms=p99)

    # ---------------------------------------------------------- under the lock

    def _begin(self, info: Layout) -> OpenStream:
        self._newest = OpenStream(info)
        self._unfinished.append(self._newest)
        return self._newest

    def _end(self, stream: OpenStream, reason: EndReason, missing: int | None) -> None:
        if missing is None:
            as_planned = reason in ("completed", "errored")  # nobody misses the frames of a run that was called off
            missing = max(0, (stream.info.frames or 0) - stream.received) if as_planned else 0
        stream.reason, stream.missing = reason, missing
        self._missing += missing


class Throughput:
    """When frames were finished, and how long they took; the last ones only."""

    def __init__(self) -> None:
        self._latencies_ms: deque[float] = deque(maxlen=1000)
        self._finished_at: deque[float] = deque(maxlen=2048)

    def add(self, received_s: float, finished_s: float) -> None:
        """A frame is done; `time.perf_counter` both."""
        self._latencies_ms.append((finished_s - received_s) * 1e3)
        self._finished_at.append(finished_s)

    def copy(self) -> Throughput:
        """To be looked at outside the lock."""
        other = Throughput()
        other._latencies_ms, other._finished_at = self._latencies_ms.copy(), self._finished_at.copy()
        return other

    def latency_ms(self) -> tuple[float, float]:
        """Median and 99th percentile from receiving a frame to its registration; NaN before the first."""
        if not self._latencies_ms:
            return float("nan"), float("nan")
        p50, p99 = np.percentile(self._latencies_ms, (50, 99))
        return float(p50), float(p99)

    def fps(self, now_s: float) -> float:
        """Frames a second over the last two seconds; over the last two frames if they come more slowly."""
        recent = [at for at in self._finished_at if now_s - at <= 2.0]
        if len(recent) < 2:
            recent = [at for at in list(self._finished_at)[-2:] if now_s - at <= 15.0]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0
