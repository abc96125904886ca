"""Where a live pipeline stands, and how its streams went: frozen results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sasnet_live.frame import EndReason
from sasnet_live.layout import Layout
from sasnet_live.sinks.protocol import SinkReport

State = Literal["created", "warming up", "running", "failed", "draining", "closed"]


class PipelineError(RuntimeError):
    """Frames were not written, though no part of the pipeline raised an exception."""


@dataclass(frozen=True)
class QueueCounts:
    """Where all frames are, taken in one instant.

    ``received == processed + dropped + waiting + in_process`` always holds.

    Attributes
    ----------
    received
        Frames that were put, whatever became of them. A frame whose producer is still held back is not among them.
    processed
        Frames that the worker is done with.
    dropped
        Frames that the worker never saw: replaced by a later one (policy "latest"), put after the end, or discarded.
    lost
        Those of the dropped frames that were to be kept (policy "all").
    waiting
        Frames in memory and on disk.
    kept
        Those of the waiting frames that are not dropped for a later one: put under policy "all".
    in_process
        1 while the worker has a frame in hand, else 0.
    spilled
        Those of the waiting frames that are on disk.
    spilled_total
        Frames that ever went by way of the disk.
    held_back_s
        Time for which producers were made to wait, s, all together.
    """

    received: int = 0
    processed: int = 0
    dropped: int = 0
    lost: int = 0
    waiting: int = 0
    kept: int = 0
    in_process: int = 0
    spilled: int = 0
    spilled_total: int = 0
    held_back_s: float = 0.0


@dataclass(frozen=True)
class PipelineStatus:
    """A snapshot of the pipeline.

    Attributes
    ----------
    state
        See `LivePipeline`.
    counts
        Where all frames are.
    registered, unregistered
        Those of the processed frames that were registered, and those that were passed on as they came (not accepted by
        the registrar, or raw after a failure or `LivePipeline.stop_registering`).
    missing
        Frames that sources announced but never delivered, runs that were called off aside.
    fps
        Frames processed per second, over the last two seconds or, if they come more slowly, the last two frames.
    latency_p50_ms, latency_p99_ms
        From the source having a frame to its registration being handed out, over the last 1000 frames; NaN before.
    error
        First exception, in words; empty if there was none.
    """

    state: State = "created"
    counts: QueueCounts = QueueCounts()
    registered: int = 0
    unregistered: int = 0
    missing: int = 0
    fps: float = 0.0
    latency_p50_ms: float = float("nan")
    latency_p99_ms: float = float("nan")
    error: str = ""


@dataclass(frozen=True)
class StreamReport:
    """How one stream went.

    Attributes
    ----------
    stream
        As announced.
    reason
        How the source says it ended.
    received, processed, registered
        Frames of this stream.
    missing
        Frames that the source announced but never delivered.
    sinks
        What each sink wrote of it.
    """

    stream: Layout
    reason: EndReason
    received: int
    processed: int
    registered: int
    missing: int
    sinks: tuple[SinkReport, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every announced frame came, was processed, and is in every sink."""
        return not self.missing and self.received == self.processed and all(sink.complete for sink in self.sinks)

    def problems(self) -> list[str]:
        """What is not as it should be, one line each."""
        lines = []
        if self.missing:
            announced = f" of {self.stream.frames}" if self.stream.frames else ""
            lines.append(f"{self.missing}{announced} frames never came from {self.stream.source or 'the source'}")
        if self.received != self.processed:
            lines.append(f"{self.received - self.processed} of {self.received} frames were dropped")
        for sink in self.sinks:
            if not sink.complete:
                there = "" if sink.verified is None else f"{sink.verified} of {self.processed} frames written"
                lines.append(f"{sink.sink}: " + "; ".join(filter(None, [there, sink.problem])))
        return lines


def in_words(error: BaseException) -> str:
    """An exception as one line."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
