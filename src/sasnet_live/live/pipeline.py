"""The live pipeline: frames go in from any thread, are registered on one worker thread, and go out to sinks."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from psygnal import Signal

from sasnet_live.errors import InputError
from sasnet_live.frame import EndReason, Frame, Registration
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout
from sasnet_live.sinks.protocol import FrameSink

from .ledger import Ledger, OpenStream
from .queue import FrameQueue, Policy
from .sink_group import SinkGroup
from .spill import SpillRing
from .status import PipelineError, PipelineStatus, State, StreamReport, in_words
from .worker import Listeners, Work, Worker

_log = logging.getLogger(__name__)

__all__ = ["LivePipeline", "PipelineError", "PipelineStatus", "StreamReport"]

DEFAULT_SPILL_BYTES = 8 << 30
ENDING_S, STALLED_S = 30.0, 10.0
"""How long one that nobody closed may take to finish its frames when the interpreter ends, and a single frame of it."""


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
        disk if the producer must not wait (``put(frame, wait=False)``). See `set_policy` for a change while it runs.
    capacity
        Frames in memory; 1 for "latest" and 64 for "all" by default.
    prepare
        Called with the `Layout` in the worker's thread before the first frame of each stream: load weights, compile
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

    One that nobody closed is closed when the interpreter ends, within 30 s.

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
        prepare: Callable[[Layout], None] | None = None,
        spill_bytes: int = DEFAULT_SPILL_BYTES,
        spill_folder: str | Path | None = None,
        geometry: ScanGeometry | None = None,
        flush_every_s: float = 1.0,
        name: str = "sasnet-live-pipeline",
    ) -> None:
        spill = SpillRing(spill_bytes, spill_folder) if spill_bytes > 0 else None
        self._queue: FrameQueue[OpenStream] = FrameQueue(policy, capacity, spill)
        self._sinks = SinkGroup(sinks, self._fail)
        self._ledger = Ledger()
        self._worker = Worker(
            Work(process, prepare, geometry or ScanGeometry(), flush_every_s),
            self._queue,
            self._sinks,
            self._ledger,
            Listeners(
                warm=lambda: self._emit(self.state_changed, "running"),
                registered=lambda frame, registration: self._emit(self.registered, frame, registration),
                stream_ended=lambda report: self._emit(self.stream_ended, report),
                failed=self._fail,
            ),
            name,
        )
        self._source: object | None = None
        self._source_lock = threading.Lock()
        self._told = False

    # ------------------------------------------------------------------ owner

    def start(self, stream: Layout | None = None) -> LivePipeline:
        """Start the worker; with a stream, prepare for its shape right away, before any frame."""
        if self._ledger.state != "created":
            raise InputError(f"the pipeline is {self._ledger.state}; a pipeline is started once, make another one")
        self._set_state("warming up")
        _close_at_exit(self)
        self._worker.start(stream)
        return self

    def wait_until_ready(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the warm-up (or of the pipeline); whether it came in time."""
        return self._worker.ready.wait(timeout_s)

    def raise_if_failed(self) -> None:
        """Raise the first exception, if there was one."""
        if self._ledger.error is not None:
            raise self._ledger.error

    @property
    def error(self) -> Exception | None:
        """The first exception, None if there was none."""
        return self._ledger.error

    @property
    def takes_frames(self) -> bool:
        """Whether frames that are put now will be processed; False after `close`, and after a failure that ends all."""
        return not self._queue.closed

    @property
    def policy(self) -> Policy:
        """What happens to frames that find no room."""
        return self._queue.policy

    @property
    def kept(self) -> int:
        """How many frames wait that are not dropped for a later one."""
        return self._queue.counts().kept

    def set_policy(self, policy: Policy) -> None:
        """Change what happens to frames from now on; any thread may, at any time.

        To "all": no frame that waits or comes is dropped any more. To "latest": the frames that wait already are still
        registered and written, all of them; those that come replace one another behind these.
        """
        self._queue.set_policy(policy)
        if self._ledger.error is not None:
            self._take_no_more_in_vain()

    def in_turn(self, call: Callable[[], None]) -> None:
        """Have the worker call this after the frames that were put so far and before those put later.

        It is called here where there is no worker any more. (A frame whose producer is still held back was not put.)
        """
        if not self._queue.mark(call):
            call()

    def stop_registering(self, reason: str) -> None:
        """Register no more: frames that wait and come go on to the sinks as acquired, flagged with this reason.

        So a `close` under way is cut short without losing a frame. Returns at once.
        """
        self._worker.stop_registering(reason)

    @property
    def reports(self) -> tuple[StreamReport, ...]:
        """Reports of the streams that have ended, the last 1000 of them."""
        return self._ledger.reports

    def status(self) -> PipelineStatus:
        """A snapshot; any thread may ask."""
        return self._ledger.status(self._queue.counts())

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
        if self._worker.is_this_thread:
            raise InputError(
                "close() was called in the worker's thread; call it from the thread that owns the pipeline"
            )
        self.end_stream("stopped")
        if self._ledger.state in ("warming up", "running"):
            self._set_state("draining")
        self._queue.close(discard=discard or self._ledger.state == "created")
        stuck = not self._worker.join(timeout_s, stall_s)
        if not stuck:
            self._queue.give_back()
            for call in self._queue.retire():  # of a worker that was never started
                call()
            self._worker.finish_streams()
        self._set_state("closed")
        self._worker.ready.set()
        if self._told:
            return self.reports
        self._told = True
        self.raise_if_failed()
        problems = [line for report in self.reports for line in _losses(report)]
        counts = self._queue.counts()
        if counts.lost:
            problems.insert(0, f"{counts.lost} of {counts.received} frames were dropped")
        if stuck:
            problems.insert(0, f"the worker did not return from a frame within {stall_s:g} s; files may be unfinished")
        if problems:
            raise PipelineError("; ".join(problems))
        return self.reports

    def __enter__(self) -> LivePipeline:
        return self.start() if self._ledger.state == "created" else self

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
        with self._source_lock:
            if self._source is not None and self._source is not source:
                raise InputError(
                    f"the pipeline already takes frames from {self._source}; stop that source first, or use a second "
                    "pipeline"
                )
            self._source = source

    def detach(self, source: object) -> None:
        """Give the pipeline back; ends the source's stream if it is still open."""
        with self._source_lock:
            if self._source is not source:
                return
            self._source = None
        self.end_stream("stopped")

    def begin_stream(self, stream: Layout) -> None:
        """Announce a run of frames; sinks close what they have and begin anew with the first frame of it."""
        self.end_stream("stopped")
        self._ledger.begin(stream)

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
        return self._queue.put(frame, self._ledger.receive(frame), wait=wait)

    def end_stream(self, reason: EndReason = "completed", *, missing: int | None = None) -> None:
        """Say that the run is over. Without `missing`, what was announced less what came, unless it was called off."""
        if self._ledger.end(reason, missing):
            self._queue.wake()

    # ------------------------------------------------------------------ private

    def _fail(self, error: Exception) -> None:
        """Keep the first exception; take no more frames if they would be lost anyway."""
        if self._ledger.fail(error):
            _log.error("the pipeline failed: %s", in_words(error), exc_info=error)
            self._emit(self.failed, error)
            self._emit(self.state_changed, "failed")
        self._take_no_more_in_vain()

    def _take_no_more_in_vain(self) -> None:
        """After a failure: take no more frames where they would be lost, or where nobody asked to keep them."""
        if not self._sinks.working:
            self._queue.close(discard=True)
        elif self.policy == "latest":
            self._queue.close(discard=True, spare_kept=True)

    def _emit(self, signal: object, *values: object) -> None:
        try:
            signal.emit(*values)  # type: ignore[attr-defined]
        except Exception as error:
            self._fail(_cause(error))

    def _set_state(self, state: State) -> None:
        if self._ledger.move_to(state):
            self._emit(self.state_changed, state)


_open: weakref.WeakSet[LivePipeline] = weakref.WeakSet()


def _close_at_exit(pipeline: LivePipeline) -> None:
    """Have it closed if nobody did: the interpreter cuts its worker off, which aborts the process if it is in torch."""
    atexit.unregister(_close_all)
    atexit.register(_close_all)  # what is registered last is called first: torch is still whole then
    _open.add(pipeline)


def _close_all() -> None:
    for pipeline in list(_open):
        with suppress(Exception):
            unwanted = pipeline.policy == "latest" and not pipeline.status().counts.kept
            pipeline.close(discard=unwanted, timeout_s=ENDING_S, stall_s=STALLED_S)


def _losses(report: StreamReport) -> list[str]:
    """What was lost of a stream in its sinks; missing frames are the source's to report, dropped ones the queue's."""
    return replace(report, missing=0, received=report.processed).problems()


def _cause(error: Exception) -> Exception:
    """What a listener raised, out of psygnal's wrapping."""
    return error.__cause__ if isinstance(error.__cause__, Exception) else error
