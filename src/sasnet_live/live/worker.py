"""The worker of a live pipeline: takes frames from the queue, registers them, and writes them, in one thread."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sasnet_live.frame import Frame, Registration, RegistrationMetrics
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout
from sasnet_live.scan import split

from .ledger import Ledger, OpenStream
from .queue import FrameQueue
from .sink_group import SinkGroup
from .status import PipelineError, StreamReport, in_words


@dataclass(frozen=True)
class Listeners:
    """Who is told of what happens, in the worker's thread; none of them may raise."""

    warm: Callable[[], None]
    registered: Callable[[Frame, Registration], None]
    stream_ended: Callable[[StreamReport], None]
    failed: Callable[[Exception], None]


@dataclass(frozen=True)
class Work:
    """What is done with frames; see `LivePipeline`."""

    process: Callable[[Frame], Registration]
    prepare: Callable[[Layout], None] | None
    geometry: ScanGeometry
    flush_every_s: float


class Worker:
    """Runs from `start` until the queue is closed and empty.

    Parameters
    ----------
    work
        What it does.
    queue, sinks, ledger
        Of the pipeline.
    tell
        Who hears of it.
    name
        Of its thread.

    Attributes
    ----------
    ready
        Set at the end of the warm-up, or of the worker.
    """

    def __init__(
        self,
        work: Work,
        queue: FrameQueue[OpenStream],
        sinks: SinkGroup,
        ledger: Ledger,
        tell: Listeners,
        name: str,
    ) -> None:
        self._todo = work
        self._queue, self._sinks, self._ledger, self._tell = queue, sinks, ledger, tell
        self._current: OpenStream | None = None
        self._warmed: Layout | None = None
        self._told_to_stop = ""  # why no more frames are to be registered
        self.ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    # ------------------------------------------------------------------ owner

    def start(self, stream: Layout | None) -> None:
        """Begin; with a stream, prepare for it before any frame."""
        self._warmed = stream
        self._thread.start()

    @property
    def is_this_thread(self) -> bool:
        """Whether the caller is the worker."""
        return threading.current_thread() is self._thread

    def stop_registering(self, reason: str) -> None:
        """Hand on the frames that wait and come as they were acquired."""
        self._told_to_stop = reason

    def join(self, timeout_s: float | None, stall_s: float) -> bool:
        """Wait for its end, and let it discard when the time is up or nothing moves; whether it has ended."""
        if not self._thread.is_alive():
            return True
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

    def finish_streams(self, entering: OpenStream | None = None, most: float = math.inf) -> None:
        """Close and report the streams that have ended, up to the one that is being entered, and so many at most.

        Called by the worker, and by the owner once the worker has ended.
        """
        while most > 0 and (ended := self._ledger.take_ended(entering)) is not None:
            most -= 1
            if ended is self._current:
                self._close_sinks()
            self._tell.stream_ended(self._ledger.finish(ended))

    # ---------------------------------------------------------- in its thread

    def _work(self) -> None:
        try:
            self._loop()
        except BaseException as error:
            # Not a fault of a part but of the loop: without a worker nothing may be put any more.
            self._tell.failed(error if isinstance(error, Exception) else PipelineError(in_words(error)))
            self._queue.close(discard=True)
        finally:
            for call in self._queue.retire():
                self._call(call)
            self.ready.set()

    def _loop(self) -> None:
        if self._warmed is not None:
            self._call_prepare(self._warmed)
        if self._ledger.move_to("running", only_from="warming up"):
            self._tell.warm()
        self.ready.set()
        flushed_at = time.perf_counter()
        while not self._queue.finished():
            while (call := self._queue.take_mark()) is not None:
                self._call(call)
            try:
                item = self._queue.get(timeout_s=self._todo.flush_every_s)
            except OSError as error:
                self._tell.failed(error)
                continue
            if item is not None:
                frame, stream = item
                self._handle(frame, stream)
                del item, frame  # the next frame may be a long time coming; do not hold on to this one
                self._queue.done()
            else:
                ended = self._ledger.ended
                # In this order: a stream that comes as a whole in between has frames that wait.
                if self._queue.counts().waiting == 0:
                    self.finish_streams(most=ended)
            if time.perf_counter() - flushed_at >= self._todo.flush_every_s:
                self._sinks.flush()
                flushed_at = time.perf_counter()
        # After a failure the source may still be sending: its files are closed now, its frames counted until `close`.
        self._close_sinks()

    def _handle(self, frame: Frame, stream: OpenStream) -> None:
        """One frame from the queue through registration to every sink that works."""
        if stream is not self._current:
            self.finish_streams(stream)
            self._enter(stream)
        registration = None
        if self._registers:
            try:
                registration = self._todo.process(frame)
            except Exception as error:
                self._tell.failed(error)
        if registration is None:
            failure = self._ledger.error
            reason = self._told_to_stop if failure is None else f"registration stopped: {in_words(failure)}"
            registration = as_acquired(frame, self._todo.geometry, reason)
        self._ledger.finished(frame)
        self._tell.registered(frame, registration)
        self._sinks.write(frame, registration)
        self._ledger.delivered(registration, stream)

    def _enter(self, stream: OpenStream) -> None:
        self._current = stream
        if self._registers and stream.info is not self._warmed:
            self._call_prepare(stream.info)
        self._warmed = None
        self._sinks.open(stream.info)

    @property
    def _registers(self) -> bool:
        return self._ledger.error is None and not self._told_to_stop

    def _call(self, call: Callable[[], None]) -> None:
        """What was asked for between two frames."""
        try:
            call()
        except Exception as error:
            self._tell.failed(error)

    def _close_sinks(self) -> None:
        """Close the files of the current stream, if there is one."""
        if self._current is not None:
            current, self._current = self._current, None
            current.sinks = self._sinks.close()

    def _call_prepare(self, info: Layout) -> None:
        if self._todo.prepare is None:
            return
        try:
            self._todo.prepare(info)
        except Exception as error:
            self._tell.failed(error)


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
