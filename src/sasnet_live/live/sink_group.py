"""Several sinks as one: a sink that fails is left alone, the others go on, and each is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sasnet_live.frame import Frame, Registration
from sasnet_live.layout import Layout
from sasnet_live.sinks.protocol import FrameSink, SinkReport


class SinkGroup:
    """Hands every call to each sink that has not failed in this stream.

    Parameters
    ----------
    sinks
        In the order in which they are called.
    on_error
        Told of every exception that a sink raises, and of every sink that lost frames without raising one.
    """

    def __init__(self, sinks: Sequence[FrameSink], on_error: Callable[[Exception], None]) -> None:
        self._sinks = list(sinks)
        self._on_error = on_error
        self._given = [0] * len(self._sinks)
        self._broken: dict[int, Exception] = {}
        self._is_open = False

    @property
    def working(self) -> bool:
        """Whether there is a sink left that takes frames."""
        return len(self._broken) < len(self._sinks)

    def open(self, stream: Layout) -> None:
        """Open all sinks, those too that failed in the stream before."""
        self._given = [0] * len(self._sinks)
        self._broken.clear()
        self._is_open = True
        self._each(lambda sink: sink.open(stream))

    def write(self, frame: Frame, registration: Registration) -> None:
        """Hand one frame to the sinks that work."""
        for number in self._each(lambda sink: sink.write(frame, registration)):
            self._given[number] += 1

    def flush(self) -> None:
        """Flush the sinks that work, if a stream is open."""
        if self._is_open:
            self._each(lambda sink: sink.flush())

    def close(self) -> tuple[SinkReport, ...]:
        """Close all sinks, those too that failed: what they have may still become a file that can be read."""
        self._is_open = False
        return tuple(self._close_one(number, sink) for number, sink in enumerate(self._sinks))

    def _close_one(self, number: int, sink: FrameSink) -> SinkReport:
        failed = self._broken.get(number)
        try:
            report = sink.close()
        except Exception as error:
            self._on_error(error)
            failed = failed or error
            report = SinkReport(sink.name, self._given[number])
        problem = report.problem if failed is None else f"{type(failed).__name__}: {failed}"
        report = replace(report, given=self._given[number], problem=problem)
        if not report.complete and failed is None:
            counted = f"{report.verified} of {report.given} frames written"
            self._on_error(OSError(f"{report.sink}: {report.problem or counted}"))
        return report

    def _each(self, call: Callable[[FrameSink], None]) -> list[int]:
        """Call each sink that works; the numbers of those that returned."""
        returned = []
        for number, sink in enumerate(self._sinks):
            if number in self._broken:
                continue
            try:
                call(sink)
                returned.append(number)
            except Exception as error:
                self._broken[number] = error
                self._on_error(error)
        return returned
