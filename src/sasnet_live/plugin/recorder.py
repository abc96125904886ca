"""Recording that can be switched on and off while frames flow; no Qt."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Registration
from sasnet_live.sinks.group import SinkGroup
from sasnet_live.sinks.protocol import FrameSink, SinkReport
from sasnet_live.stream import StreamInfo

from .settings import LiveSettings


@dataclass(frozen=True)
class RecordingPlan:
    """The files of one recording."""

    registered: Path
    warped: Path | None = None
    raw: Path | None = None
    metrics: Path | None = None

    @classmethod
    def of(cls, settings: LiveSettings, now: datetime | None = None) -> RecordingPlan:
        """Names with the time, so that no recording replaces another.

        Raises
        ------
        InputError
            If there is no folder, or the name cannot be one.
        """
        if not settings.record_folder:
            raise InputError("no folder to record to; choose one under Recording")
        name = settings.record_name.strip() or "scan"
        if any(sign in name for sign in '/\\:*?"<>|'):
            raise InputError(f"the name {name!r} has signs that file names cannot have; change it under Recording")
        folder = Path(settings.record_folder).expanduser()
        stem = f"{name}_{(now or datetime.now()):%Y%m%d-%H%M%S}"
        image = settings.record_format
        return cls(
            registered=folder / f"{stem}.{image}",
            warped=folder / f"{stem}_warped.{image}" if settings.registrar.output == "both" else None,
            raw=folder / f"{stem}_raw.{image}" if settings.record_raw else None,
            metrics=folder / f"{stem}_metrics.csv" if settings.record_metrics else None,
        )

    def sinks(self, record: Callable[[], Mapping[str, str]]) -> list[FrameSink]:
        """Writers of the files; refuses now what could not be written later."""
        from sasnet_live.sinks.ome_zarr import OmeZarrSink
        from sasnet_live.sinks.recording import MetricsSink, OmeTiffSink

        image = OmeZarrSink if self.registered.suffix == ".zarr" else OmeTiffSink
        sinks: list[FrameSink] = [image(self.registered, "registered", record=lambda: dict(record()))]
        if self.warped is not None:
            sinks.append(image(self.warped, "warped", record=lambda: dict(record())))
        if self.raw is not None:
            sinks.append(image(self.raw, "raw", record=lambda: dict(record())))
        if self.metrics is not None:
            sinks.append(MetricsSink(self.metrics))
        return sinks


InTurn = Callable[[Callable[[], None]], None]
"""Has something called in the pipeline's thread, after the frames before it; see `LivePipeline.in_turn`."""


class Recorder:
    """A sink that hands frames on to the sinks of a recording while there is one.

    `begin` and `end` may be called from any thread at any time; files are opened, written and closed in the pipeline's
    thread. A recording that begins in the middle of an acquisition has its frames one after another, because those
    before it are not in it. A file that cannot be written is given up and its error kept; the other files go on, and
    so does registration.

    Attributes
    ----------
    name
        Of this sink.
    frames
        Written of the recording under way, or of the last one.
    unregistered
        Those of them that were passed on as they came.
    missed
        Frames that came between those written and are not in the files: dropped before they were registered.
    errors, reports
        Of files, the latest last.
    """

    name = "recording"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recording = False
        self._turns = 0  # begins and ends whose turn has not come
        self._wanted: SinkGroup | None = None
        self._active: SinkGroup | None = None
        self._is_open = False
        self._stream: StreamInfo | None = None
        self._stream_frames = 0
        self._last_number: int | None = None
        self.frames = self.missed = self.unregistered = 0
        self.errors: deque[Exception] = deque(maxlen=100)
        self.reports: deque[SinkReport] = deque(maxlen=100)

    def begin(self, sinks: Sequence[FrameSink], in_turn: InTurn | None = None) -> None:
        """Record from the next frame on.

        Parameters
        ----------
        in_turn
            Of the pipeline, so that frames that wait in it are not in the recording; None: no frames wait.
        """
        self._go_over(SinkGroup(sinks, self.errors.append), in_turn)

    def end(self, in_turn: InTurn | None = None) -> None:
        """Record no more; files are complete when `idle`.

        Parameters
        ----------
        in_turn
            Of the pipeline, so that frames that wait in it are still in the recording.
        """
        self._go_over(None, in_turn)

    @property
    def recording(self) -> bool:
        """Whether frames that come now are to be recorded."""
        return self._recording

    @property
    def begun(self) -> bool:
        """Whether all frames that came before the last `begin` or `end` are done with."""
        return not self._turns

    @property
    def idle(self) -> bool:
        """Whether nothing is recorded and all files are complete."""
        with self._lock:
            return not self._recording and not self._turns and not self._is_open

    def _go_over(self, group: SinkGroup | None, in_turn: InTurn | None) -> None:
        with self._lock:
            self._recording = group is not None
            self._turns += 1

        def turn() -> None:
            with self._lock:
                self._turns -= 1
                self._wanted = group
                if group is not None:
                    self.frames = self.missed = self.unregistered = 0
                    self._last_number = None

        if in_turn is None:
            turn()
        else:
            in_turn(turn)

    # ------------------------------------------------- in the pipeline's thread

    def open(self, stream: StreamInfo) -> None:
        """A stream begins."""
        self._stream, self._stream_frames = stream, 0
        self._follow()

    def write(self, frame: Frame, registration: Registration) -> None:
        """Hand a frame on, if it is to be recorded."""
        self._follow()
        self._stream_frames += 1
        if self._active is not None and self._is_open:
            if self._last_number is not None:  # a source that was started again counts anew
                self.missed += max(0, frame.sequence_number - self._last_number - 1)
            self._last_number = frame.sequence_number
            self._active.write(frame, registration)
            self.frames += 1
            self.unregistered += not registration.accepted

    def flush(self) -> None:
        """Let others read what is written; notice that the recording has ended."""
        self._follow()
        if self._active is not None:
            self._active.flush()

    def close(self) -> SinkReport:
        """The stream ends; a recording goes on with the next one, in files of its own."""
        reports = self._close_open()
        self._stream = None
        # What went wrong is in `errors`: a file that is full must not end registration.
        return SinkReport(self.name, 0, paths=tuple(path for one in reports for path in one.paths))

    def _follow(self) -> None:
        """Open and close files as wanted."""
        with self._lock:
            wanted = self._wanted
        if wanted is not self._active:
            self._close_open()
            self._active = wanted
        if self._stream is not None and self._active is not None and not self._is_open:
            whole = not self._stream_frames
            self._active.open(self._stream if whole else replace(self._stream, axes=(), expected=None))
            self._is_open = True

    def _close_open(self) -> tuple[SinkReport, ...]:
        if self._active is None or not self._is_open:
            return ()
        reports = self._active.close()
        self.reports.extend(reports)
        self._is_open = False
        return reports
