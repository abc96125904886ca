"""What several threads write of a live pipeline: state, first exception, streams and counts, under one lock."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from .frame import EndReason, Frame, Registration
from .layout import Layout, shape_of
from .pipeline_status import PipelineStatus, State, StreamReport, in_words
from .pipeline_streams import OpenStream, Streams, Throughput
from .queue_counts import QueueCounts


class Ledger:
    """The books of one pipeline; any thread may call.

    The queue's own lock is never taken inside this one, nor the reverse.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: State = "created"
        self._error: Exception | None = None
        self._streams = Streams()
        self._throughput = Throughput()
        self._registered = self._unregistered = 0

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
            self._streams.begin(stream)

    def receive(self, frame: Frame) -> OpenStream:
        """Count a frame that came; the stream that it is of, a new one where it fits into none."""
        with self._lock:
            stream = self._streams.newest
            if stream is None or stream.ended:
                stream = self._streams.begin(Layout.of(frame))
            elif not stream.info.fits(frame):
                self._streams.end(stream, "stopped", None)
                changed = replace(stream.info, frame_shape=shape_of(frame), dtype=frame.data.dtype, frames=None)
                stream = self._streams.begin(changed)
            stream.received += 1
            return stream

    def end(self, reason: EndReason, missing: int | None) -> bool:
        """No more frames of the newest stream come; whether it was open."""
        with self._lock:
            stream = self._streams.newest
            if stream is None or stream.ended:
                return False
            self._streams.end(stream, reason, missing)
            return True

    def take_ended(self, entering: OpenStream | None) -> OpenStream | None:
        """See `Streams.take_ended`."""
        with self._lock:
            return self._streams.take_ended(entering)

    def finish(self, stream: OpenStream) -> StreamReport:
        """Keep and return the report of a stream whose sinks were closed."""
        with self._lock:
            return self._streams.finish(stream)

    @property
    def reports(self) -> tuple[StreamReport, ...]:
        """Of the streams that have ended."""
        with self._lock:
            return self._streams.reports

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
                registered=self._registered,
                unregistered=self._unregistered,
                missing=self._streams.missing,
                error="" if self._error is None else in_words(self._error),
            )
        p50, p99 = throughput.latency_ms()
        return replace(
            status,
            received=counts.received,
            processed=counts.processed,
            dropped=counts.dropped,
            lost=counts.lost,
            waiting=counts.waiting,
            kept=counts.kept,
            in_process=counts.in_process,
            spilled=counts.spilled,
            spilled_total=counts.spilled_total,
            held_back_s=counts.held_back_s,
            fps=throughput.fps(now),
            latency_p50_ms=p50,
            latency_p99_ms=p99,
        )
