"""Bookkeeping of a live pipeline: the streams that are open, in order, and how fast frames come out."""

from __future__ import annotations

from collections import deque

import numpy as np

from .frame import EndReason
from .layout import Layout
from .pipeline_status import StreamReport
from .sinks.protocol import SinkReport

_KEPT_REPORTS = 1000


class OpenStream:
    """A stream under way: counted by producers and the worker, under the pipeline's lock."""

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


class Streams:
    """All streams of a pipeline: the one that frames come for, those not yet finished, and reports of the rest.

    Not safe for threads by itself: the pipeline calls it under its lock.

    Attributes
    ----------
    newest
        The stream that was begun last; None before the first.
    missing
        Frames that were announced and never came, of all streams.
    """

    def __init__(self) -> None:
        self.newest: OpenStream | None = None
        self.missing = 0
        self._unfinished: deque[OpenStream] = deque()
        self._reports: deque[StreamReport] = deque(maxlen=_KEPT_REPORTS)

    @property
    def reports(self) -> tuple[StreamReport, ...]:
        """Of the streams that were finished, the last 1000 of them."""
        return tuple(self._reports)

    def begin(self, info: Layout) -> OpenStream:
        """Open a stream."""
        self.newest = OpenStream(info)
        self._unfinished.append(self.newest)
        return self.newest

    def end(self, stream: OpenStream, reason: EndReason, missing: int | None) -> None:
        """No more frames of it come. Without `missing`, what was announced less what came."""
        if missing is None:
            as_planned = reason in ("completed", "errored")  # nobody misses the frames of a run that was called off
            missing = max(0, (stream.info.frames or 0) - stream.received) if as_planned else 0
        stream.reason, stream.missing = reason, missing
        self.missing += missing

    def take_ended(self, entering: OpenStream | None) -> OpenStream | None:
        """The oldest unfinished stream if it has ended and is not the one being entered; it counts as finished then."""
        first = self._unfinished[0] if self._unfinished else None
        if first is None or first is entering or not first.ended:
            return None
        return self._unfinished.popleft()

    def finish(self, stream: OpenStream) -> StreamReport:
        """Keep and return its report."""
        report = stream.report()
        self._reports.append(report)
        return report


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
