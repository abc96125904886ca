"""The live pipeline: frames go in from any thread, are registered on one worker thread, and go out to sinks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np
from psygnal import Signal

from .errors import InputError
from .frame import Frame, Registration, RegistrationMetrics
from .frame_queue import FrameQueue, Policy
from .pipeline_status import PipelineError, PipelineStatus, State, StreamReport, in_words
from .pipeline_streams import OpenStream, Streams, Throughput
from .scan import ScanGeometry, split
from .sinks.group import SinkGroup
from .sinks.protocol import FrameSink
from .spill import SpillRing
from .stream import EndReason, StreamInfo

_log = logging.getLogger(__name__)

__all__ = ["LivePipeline", "PipelineError", "PipelineStatus", "StreamReport"]

DEFAULT_CAPACITY: dict[Policy, int] = {"latest": 1, "all": 64}
DEFAULT_SPILL_BYTES = 8 << 30


class LivePipeline:
    """Registers frames on one worker thread and hands them to sinks, in order.

    ::

        created --start--> warming up --ready--> running --close--> draining --empty--> closed
                                |                   |                   |                  ^
                                +----- exception ---+-------------------+--> failed --close+

    Parameters
    ----------
    process
        Called with each `Frame`, returns its `Registration`; only ever in the worker's thread.
    sinks
        See `FrameSink`; opened, written and closed in the worker's thread.
    policy
        "latest" (preview): a waiting frame is dropped, and counted, when a later one comes and there is no room.
        "all" (recording): nothing is dropped. Frames that find no room in memory hold their producer back, or go to
        disk if the producer must not wait (``put(frame, wait=False)``).
    capacity
        Frames in memory; 1 for "latest" and 64 for "all" by default.
    prepare
        Called with the `StreamInfo` in the worker's thread before the first frame of each stream: load weights, compile
        for this shape, forget temporal state. Frames wait in the queue meanwhile.
    spill_bytes
        Bound on the disk space for policy "all"; 0 for none. At most half of the free space is used.
    spill_folder
        Where that space is; the system's temporary folder by default.
    geometry
        Only for the frames that are passed on unregistered: which lines are the backward ones.
    flush_every_s
        Sinks are flushed this often, so that others can read what was written.

    The first exception, of `process`, of `prepare`, of a sink or of a listener, is kept: `status` shows it, the signal
    `failed` carries it, `raise_if_failed` and `close` raise it. Nothing is registered from then on, as a fault that
    went unnoticed would be worse than one that stops. With policy "all" no measured frame is lost to it: the frame that
    failed and all that follow go on to the sinks that work, as they were acquired and with ``accepted=False``. With
    policy "latest", or when no sink works, the pipeline takes no more frames and counts them as dropped.

    Attributes
    ----------
    registered : Signal(Frame, Registration)
        After each frame, before the sinks. **Emitted in the worker's thread**, as all signals here; what listens must
        be quick, must not wait for the thread that calls `close`, and hands over to a GUI by itself.
    failed : Signal(Exception)
        The first exception, once.
    stream_ended : Signal(StreamReport)
        After the sinks of a stream were closed and counted.
    state_changed : Signal(str)
        May also be emitted by the thread that calls `start` or `close`.
    """

    registered = Signal(object, object)
    failed = Signal(object)
    stream_ended = Signal(object)
    state_changed = Signal(str)

    def __init__(
        self,
        process: Callable[[Frame], Registration],
        sinks: Sequence[FrameSink] = (),
        policy: Policy = "latest",
        capacity: int | None = None,
        *,
        prepare: Callable[[StreamInfo], None] | None = None,
        spill_bytes: int = DEFAULT_SPILL_BYTES,
        spill_folder: str | Path | None = None,
        geometry: ScanGeometry | None = None,
        flush_every_s: float = 1.0,
        name: str = "sasnet-live-pipeline",
    ) -> None:
        spill = SpillRing(spill_bytes, spill_folder) if spill_bytes > 0 else None
        self._queue: FrameQueue[OpenStream] = FrameQueue(policy, capacity or DEFAULT_CAPACITY.get(policy, 1), spill)
        self._process = process
        self._prepare = prepare
        self._sinks = SinkGroup(sinks, self._fail)
        self._geometry = geometry or ScanGeometry()
        self._flush_every_s = flush_every_s

        # One lock for what several threads write; the queue's own lock is never taken inside it, nor the reverse.
        self._lock = threading.Lock()
        self._state: State = "created"
        self._error: Exception | None = None
        self._source: object | None = None
        self._streams = Streams()
        self._throughput = Throughput()
        self._registered = self._unregistered = 0
        self._ready = threading.Event()
        self._told = False

        # Only the worker touches these.
        self._current: OpenStream | None = None
        self._warmed: StreamInfo | None = None

        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    # ------------------------------------------------------------------ owner

    def start(self, stream: StreamInfo | None = None) -> LivePipeline:
        """Start the worker; with a stream, prepare for its shape right away, before any frame."""
        if self._state != "created":
            raise InputError(f"the pipeline is {self._state}; a pipeline is started once, make another one")
        self._warmed = stream
        self._set_state("warming up")
        self._thread.start()
        return self

    def wait_until_ready(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the warm-up (or of the pipeline); whether it came in time."""
        return self._ready.wait(timeout_s)

    def raise_if_failed(self) -> None:
        """Raise the first exception, if there was one."""
        if self._error is not None:
            raise self._error

    @property
    def error(self) -> Exception | None:
        """The first exception, None if there was none."""
        return self._error

    @property
    def takes_frames(self) -> bool:
        """Whether frames that are put now will be processed; False after `close`, and after a failure that ends all."""
        return not self._queue.closed

    @property
    def policy(self) -> Policy:
        """What happens to frames that find no room."""
        return self._queue.policy

    @property
    def reports(self) -> tuple[StreamReport, ...]:
        """Reports of the streams that have ended, the last 1000 of them."""
        with self._lock:
            return self._streams.reports

    def status(self) -> PipelineStatus:
        """A snapshot; any thread may ask."""
        counts = self._queue.counts()
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
            waiting=counts.waiting,
            in_process=counts.in_process,
            spilled=counts.spilled,
            spilled_total=counts.spilled_total,
            held_back_s=counts.held_back_s,
            fps=throughput.fps(now),
            latency_p50_ms=p50,
            latency_p99_ms=p99,
        )

    def close(
        self, *, discard: bool = False, timeout_s: float | None = None, stall_s: float = 60.0
    ) -> tuple[StreamReport, ...]:
        """Take no more frames, finish those that wait, close the sinks, and say how it went.

        Parameters
        ----------
        discard
            Drop what is waiting. May be called while another thread is in `close`, to cut that short.
        timeout_s
            Discard what is still waiting after this time. None: as long as it takes.
        stall_s
            Discard, too, when not one frame was finished for this long.

        Returns
        -------
        Reports of all streams.

        Raises
        ------
        Exception
            The first exception of the pipeline, after all has been closed; the first call only.
        PipelineError
            Frames were not written, for another reason; the message counts them.
        """
        if threading.current_thread() is self._thread:
            raise InputError(
                "close() was called in the worker's thread; call it from the thread that owns the pipeline"
            )
        self.end_stream("stopped")
        if self._state in ("warming up", "running"):
            self._set_state("draining")
        self._queue.close(discard=discard or self._state == "created")
        stuck = self._thread.is_alive() and not self._join(timeout_s, stall_s)
        if not stuck:
            self._queue.give_back()
            self._finish_streams(None)
        self._set_state("closed")
        self._ready.set()
        if self._told:
            return self.reports
        self._told = True
        if self._error is not None:
            raise self._error
        problems = [line for report in self.reports for line in self._losses(report)]
        if stuck:
            problems.insert(0, f"the worker did not return from a frame within {stall_s:g} s; files may be unfinished")
        if problems:
            raise PipelineError("; ".join(problems))
        return self.reports

    def __enter__(self) -> LivePipeline:
        return self.start() if self._state == "created" else self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Exception as closing:
            if error is None:
                raise
            _log.error("while closing after %s: %s", in_words(error), closing)

    # --------------------------------------------------------------- producers

    def attach(self, source: object) -> None:
        """Claim the pipeline for one source, so that frames of two do not mix."""
        with self._lock:
            if self._source is not None and self._source is not source:
                raise InputError(
                    f"the pipeline already takes frames from {self._source}; stop that source first, or use a second "
                    "pipeline"
                )
            self._source = source

    def detach(self, source: object) -> None:
        """Give the pipeline back; ends the source's stream if it is still open."""
        with self._lock:
            if self._source is not source:
                return
            self._source = None
        self.end_stream("stopped")

    def begin_stream(self, stream: StreamInfo) -> None:
        """Announce a run of frames; sinks close what they have and begin anew with the first frame of it."""
        self.end_stream("stopped")
        with self._lock:
            self._streams.begin(stream)

    def put(self, frame: Frame, *, wait: bool = True) -> bool:
        """Hand over a frame, whose pixels nobody may write to from now on. Never raises.

        Parameters
        ----------
        wait
            Only for policy "all": whether the caller may be held back when there is no room in memory. If it may not
            be, the frame goes to disk, and the caller is held back only if the disk takes no more.

        Returns
        -------
        False if the frame was dropped because the pipeline has failed or is closed.
        """
        with self._lock:
            stream = self._streams.newest
            if stream is None or stream.ended:
                stream = self._streams.begin(StreamInfo.of(frame))
            elif not stream.info.fits(frame):
                self._streams.end(stream, "stopped", None)
                changed = replace(stream.info, shape=frame.data.shape, dtype=frame.data.dtype, expected=None)
                stream = self._streams.begin(changed)
            stream.received += 1
        return self._queue.put(frame, stream, wait=wait)

    def end_stream(self, reason: EndReason = "completed", *, missing: int | None = None) -> None:
        """Say that the run is over. Without `missing`, what was announced less what came, unless it was called off."""
        with self._lock:
            stream = self._streams.newest
            if stream is None or stream.ended:
                return
            self._streams.end(stream, reason, missing)
        self._queue.wake()

    # ------------------------------------------------------------------ worker

    def _work(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            # Not a fault of a part but of the loop: without a worker nothing may be put any more.
            self._fail(error if isinstance(error, Exception) else PipelineError(in_words(error)))
            self._queue.close(discard=True)
        finally:
            self._ready.set()

    def _loop(self) -> None:
        if self._warmed is not None:
            self._call_prepare(self._warmed)
        with self._lock:
            warm = self._state == "warming up"
            if warm:
                self._state = "running"
        if warm:
            self._emit(self.state_changed, "running")
        self._ready.set()
        flushed_at = time.perf_counter()
        while not self._queue.finished():
            try:
                item = self._queue.get(timeout_s=self._flush_every_s)
            except OSError as error:
                self._fail(error)
                continue
            if item is not None:
                frame, stream = item
                self._handle(frame, stream)
                del item, frame  # the next frame may be a long time coming; do not hold on to this one
                self._queue.done()
            elif self._queue.counts().waiting == 0:
                self._finish_streams(None)
            if time.perf_counter() - flushed_at >= self._flush_every_s:
                self._sinks.flush()
                flushed_at = time.perf_counter()
        # After a failure the source may still be sending: its files are closed now, its frames counted until `close`.
        self._close_sinks()

    def _handle(self, frame: Frame, stream: OpenStream) -> None:
        """One frame from the queue through registration to every sink that works."""
        if stream is not self._current:
            self._finish_streams(stream)
            self._enter(stream)
        registration = None
        if self._error is None:
            try:
                registration = self._process(frame)
            except Exception as error:
                self._fail(error)
        if registration is None:
            reason = "not registered" if self._error is None else f"registration stopped: {in_words(self._error)}"
            registration = as_acquired(frame, self._geometry, reason)
        with self._lock:
            self._throughput.add(frame.received_s, time.perf_counter())
        self._emit(self.registered, frame, registration)
        self._sinks.write(frame, registration)
        with self._lock:
            stream.processed += 1
            stream.registered += registration.accepted
            self._registered += registration.accepted
            self._unregistered += not registration.accepted

    def _enter(self, stream: OpenStream) -> None:
        self._current = stream
        if self._error is None and self._prepare is not None and stream.info is not self._warmed:
            self._call_prepare(stream.info)
        self._warmed = None
        self._sinks.open(stream.info)

    def _finish_streams(self, entering: OpenStream | None) -> None:
        """Close and report the streams that have ended, up to the one that is being entered."""
        while True:
            with self._lock:
                ended = self._streams.take_ended(entering)
            if ended is None:
                return
            if ended is self._current:
                self._close_sinks()
            with self._lock:
                report = self._streams.finish(ended)
            self._emit(self.stream_ended, report)

    def _close_sinks(self) -> None:
        """Close the files of the current stream, if there is one."""
        if self._current is not None:
            current, self._current = self._current, None
            current.sinks = self._sinks.close()

    def _call_prepare(self, info: StreamInfo) -> None:
        if self._prepare is None:
            return
        try:
            self._prepare(info)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Keep the first exception; take no more frames if they would be lost anyway."""
        with self._lock:
            first = self._error is None
            if first:
                self._error = error
                if self._state != "closed":
                    self._state = "failed"
        if first:
            _log.error("the pipeline failed: %s", in_words(error), exc_info=error)
            self._emit(self.failed, error)
            self._emit(self.state_changed, "failed")
        if self.policy == "latest" or not self._sinks.working:
            self._queue.close(discard=True)

    def _emit(self, signal: object, *values: object) -> None:
        try:
            signal.emit(*values)  # type: ignore[attr-defined]
        except Exception as error:
            self._fail(_cause(error))

    def _set_state(self, state: State) -> None:
        with self._lock:
            if state == self._state:
                return
            self._state = state
        self._emit(self.state_changed, state)

    def _losses(self, report: StreamReport) -> list[str]:
        """What was lost of a stream in here; missing ones are the source's to report."""
        received = report.received if self.policy == "all" else report.processed
        return replace(report, missing=0, received=received).problems()

    def _join(self, timeout_s: float | None, stall_s: float) -> bool:
        """Wait for the worker, and let it discard when the time is up or nothing moves; whether it has ended."""
        start = moved_at = time.perf_counter()
        processed = self._queue.counts().processed
        while True:
            self._thread.join(0.05)
            if not self._thread.is_alive():
                return True
            now, count = time.perf_counter(), self._queue.counts().processed
            if count != processed:
                moved_at, processed = now, count
            if now - moved_at > stall_s or (timeout_s is not None and now - start > timeout_s):
                break
        self._queue.close(discard=True)
        self._thread.join(stall_s)
        return not self._thread.is_alive()


def as_acquired(frame: Frame, geometry: ScanGeometry, reason: str) -> Registration:
    """A frame passed on without registration, flagged."""
    try:
        _, backward = split(frame.data, geometry)
        backward = np.asarray(backward, dtype=np.float32)
    except (ValueError, TypeError):
        backward = np.empty((0, frame.data.shape[-1]), np.float32)
    return Registration(
        image=frame.data,
        rendered=None,
        warped=backward,
        displacement_px=np.zeros(backward.shape, np.float32),
        metrics=RegistrationMetrics(),
        accepted=False,
        reason=reason,
    )


def _cause(error: Exception) -> Exception:
    """What a listener raised, out of psygnal's wrapping."""
    return error.__cause__ if isinstance(error.__cause__, Exception) else error
