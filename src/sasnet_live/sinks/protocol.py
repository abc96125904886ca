"""What the pipeline asks of whatever takes registered frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sasnet_live.frame import Frame, Registration
from sasnet_live.layout import Layout


@dataclass(frozen=True)
class SinkReport:
    """What a sink says of one stream after it was closed.

    Attributes
    ----------
    sink
        Name of the sink.
    given
        Frames handed to `FrameSink.write` without an error.
    verified
        Frames that the sink counted in what it wrote, after closing it; None if there is nothing to count.
    paths
        Files or folders written.
    problem
        What went wrong, one line; empty if nothing did.
    """

    sink: str
    given: int
    verified: int | None = None
    paths: tuple[Path, ...] = ()
    problem: str = ""

    @property
    def complete(self) -> bool:
        """Whether all that was given is there."""
        return not self.problem and (self.verified is None or self.verified == self.given)


class FrameSink(Protocol):
    """Takes the frames of one stream after another, all in the worker's thread.

    The order of calls is ``open (write | flush)* close``, and again for the next stream. A sink that raises is not
    written to again before the next stream, but is closed; what it raises reaches the owner of the pipeline.
    """

    @property
    def name(self) -> str:
        """For messages: a file name, "display"."""
        ...

    def open(self, stream: Layout) -> None:
        """Get ready for the frames of a stream."""
        ...

    def write(self, frame: Frame, registration: Registration) -> None:
        """Take one frame, raw and registered. Neither may be modified."""
        ...

    def flush(self) -> None:
        """Let another process read what was written so far."""
        ...

    def close(self) -> SinkReport:
        """Finish the stream and count what is there: a writer's word is not enough."""
        ...
