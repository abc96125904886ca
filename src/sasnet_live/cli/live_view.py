"""What a live run shows: a table on a terminal, now and then a line elsewhere, or a JSON object a frame."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from .printing import echo, styled

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from sasnet_live.frame import Frame, Registration
    from sasnet_live.layout import Layout
    from sasnet_live.live.status import PipelineStatus
    from sasnet_live.sinks.protocol import SinkReport

_ROWS = 12
_PLAIN_EVERY_S = 1.0
_WIDE = 80
"""Columns of a window from which on SSIM is shown; all else fits 60."""
_MARK = "x"
_COLUMNS = ("frame", "NCC", "SSIM", "shift px", "confidence", "ms", "")


class View(Protocol):
    """Shows how a run goes; `seen` is called in the worker's thread, the rest in the main thread."""

    def seen(self, frame: Frame, registration: Registration) -> None: ...

    def update(self, status: PipelineStatus) -> None: ...

    def waits_for(self, what: str) -> None: ...

    def end(self) -> None: ...


class PlainView:
    """A line about the latest frame every second."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._latest: tuple[Frame, Registration] | None = None
        self._said_s = 0.0
        self._said: Frame | None = None

    def seen(self, frame: Frame, registration: Registration) -> None:
        """Remember the latest frame."""
        self._latest = frame, registration

    def update(self, status: PipelineStatus) -> None:
        """Say it, if a second has gone by and there is something new."""
        if time.monotonic() - self._said_s >= _PLAIN_EVERY_S:
            self._say(status)

    def waits_for(self, what: str) -> None:
        """Say it once."""
        echo(f"waiting for {what}", self._stream)

    def end(self) -> None:
        """Nothing to take away."""

    def _say(self, status: PipelineStatus) -> None:
        if self._latest is None or self._latest[0] is self._said:
            return
        frame, registration = self._latest
        self._said, self._said_s = frame, time.monotonic()
        number, ncc, ssim, shift, confidence, ms, flag = row_of(frame, registration)
        echo(
            f"frame {number}  NCC {ncc}  SSIM {ssim}  shift {shift} px  confidence {confidence}  {ms} ms  "
            f"{counts_of(status)}{f'  {flag}' if flag else ''}",
            self._stream,
        )


class TableView:
    """The latest frames and the counts, redrawn in place."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._rows: deque[tuple[str, ...]] = deque(maxlen=_ROWS)
        self._waits_for = ""
        # Standard error that goes to a file stays there.
        self._live = Live(console=console, auto_refresh=False, transient=False, redirect_stderr=sys.stderr.isatty())
        self._live.start()

    def seen(self, frame: Frame, registration: Registration) -> None:
        """Add a row; the oldest one goes."""
        self._rows.append(row_of(frame, registration))

    def update(self, status: PipelineStatus) -> None:
        """Redraw."""
        self._live.update(self._drawn(status), refresh=True)

    def waits_for(self, what: str) -> None:
        """Say it in place of the table, while that is empty."""
        self._waits_for = what

    def end(self) -> None:
        """Leave the last state on the terminal."""
        self._live.stop()

    def _drawn(self, status: PipelineStatus) -> RenderableType:
        from rich.console import Group
        from rich.table import Table

        rows = list(self._rows)
        if not rows and self._waits_for and not status.error:
            return styled(f"waiting for {self._waits_for}")
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        shown = [
            number for number, title in enumerate(_COLUMNS) if title != "SSIM" or self._live.console.width >= _WIDE
        ]
        for number in shown:
            title = _COLUMNS[number]
            table.add_column(title, justify="right" if title else "left", no_wrap=True)
        for row in rows:
            cells: list[str | Text] = [row[number] for number in shown]
            # Only a mark: the reason stands below, where it has room.
            cells[-1] = styled(_MARK if row[-1] else "", "yellow")
            table.add_row(*cells)
        below = [styled(counts_of(status), "red" if status.error else "dim")]
        passed_through = [row for row in rows if row[-1]]
        if passed_through:
            below.append(styled(f"{_MARK} frame {passed_through[-1][0]} passed through: {passed_through[-1][-1]}"))
        return Group(table, *below)


class JsonLines:
    """One JSON object a frame on standard output; a sink, so that no frame is left out, and a view that shows nothing.

    Not-a-number becomes null.
    """

    name = "JSON on standard output"

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._written = 0

    def open(self, stream: Layout) -> None:
        """Begin to count."""
        self._written = 0

    def write(self, frame: Frame, registration: Registration) -> None:
        """Print one object."""
        figures: dict[str, Any] = {
            "frame": frame.sequence_number,
            **frame.index,
            **{name: None if math.isnan(value) else value for name, value in registration.metrics.as_row().items()},
            "accepted": registration.accepted,
            "reason": registration.reason,
            "latency_ms": (time.perf_counter() - frame.received_s) * 1e3,
        }
        if "file" in frame.metadata:
            figures["file"] = frame.metadata["file"]
        echo(json.dumps(figures), self._stream)
        self._written += 1

    def flush(self) -> None:
        """Every line is flushed when it is written."""

    def close(self) -> SinkReport:
        """Count the lines."""
        from sasnet_live.sinks.protocol import SinkReport

        return SinkReport(self.name, self._written, self._written)

    def seen(self, frame: Frame, registration: Registration) -> None:
        """Lines are written as a sink."""

    def waits_for(self, what: str) -> None:
        """On standard error: nothing but frames goes to standard output."""
        echo(f"waiting for {what}", sys.stderr)

    def end(self) -> None:
        """Nothing to take away."""

    def update(self, status: PipelineStatus) -> None:
        """Nothing but frames goes to standard output."""


def row_of(frame: Frame, registration: Registration) -> tuple[str, ...]:
    """The columns of a frame as text."""
    metrics = registration.metrics
    number = str(frame.sequence_number)
    place = " ".join(f"{axis}{position}" for axis, position in frame.index.items())
    return (
        f"{number} ({place})" if place else number,
        f"{metrics.ncc_before:.3f} -> {metrics.ncc_after:.3f}",
        f"{metrics.ssim_before:.3f} -> {metrics.ssim_after:.3f}",
        f"{metrics.displacement_px_mean:+.2f}",
        f"{metrics.confidence:.2f}",
        f"{metrics.elapsed_ms:.1f}",
        registration.reason,
    )


def counts_of(status: PipelineStatus) -> str:
    """The counts of a run as text."""
    counts = status.counts
    spilled = f" ({counts.spilled} on disk)" if counts.spilled else ""
    error = f"  {status.error}" if status.error else ""
    return (
        f"{counts.processed} frames  {status.fps:.1f} fps  {counts.waiting} waiting{spilled}  {counts.dropped} dropped"
        f"{error}"
    )
