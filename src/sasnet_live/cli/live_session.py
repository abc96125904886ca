"""What ``run`` and ``watch`` have in common: sinks, pipeline and view, from the first frame to the exit status."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sasnet_live.errors import InputError
from sasnet_live.files import name_and_ending, renamed
from sasnet_live.parameters import parameter
from sasnet_live.settings import RegistrarSettings

from .interrupts import interrupts
from .printing import complain, console, echo

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus
    from useq import MDASequence

    from sasnet_live.channels import ChannelRegistrar
    from sasnet_live.cli.live_view import View
    from sasnet_live.frame import Frame
    from sasnet_live.pipeline import LivePipeline
    from sasnet_live.sinks.output import Content
    from sasnet_live.sinks.protocol import FrameSink
    from sasnet_live.stream import EndReason, StreamInfo

_LOOK_EVERY_S = 0.05
_CAMERA_ENDS_WITHIN_S = 5.0  # of the second Ctrl-C; one that hangs may hold up neither the files nor the user
_ANSWERS = (
    "interrupted; finishing the frames that wait (Ctrl-C again drops them)",
    "interrupted again; dropping the frames that wait",
)
"""What is said to the first and to the second Ctrl-C."""


@dataclass(frozen=True)
class Job:
    """What to do with frames, wherever they come from.

    Attributes
    ----------
    policy
        None: "all" where frames are written, else "latest".
    """

    out: Path | None = parameter(None, "Write the registered frames.")
    raw: Path | None = parameter(None, "Write the raw frames, too.")
    metrics: Path | None = parameter(None, "Table with a row a frame; by default beside --out.")
    side_by_side: bool = parameter(False, "Write raw and registered beside each other to --out.")
    policy: Literal["latest", "all"] | None = parameter(
        None,
        "When frames come faster than they are registered: drop older ones, or keep all, on disk if need be. By "
        "default all where --out is given or an acquisition runs.",
    )
    align_on: str | None = parameter(
        None, "Move all channels with the displacement of this one; by default each has its own."
    )
    registrar: RegistrarSettings = RegistrarSettings()
    dtype: str | None = parameter(None, "Data type to write, such as float32; by default the input's.")
    overwrite: bool = parameter(False, "Replace outputs that are there.")
    json: bool = parameter(False, "Print one JSON object a frame, and nothing else.")

    @property
    def images(self) -> dict[Content, Path]:
        """The stacks to write, by what is in them."""
        named: dict[Content, Path] = {}
        if self.out is not None and self.side_by_side:
            named["side by side"] = self.out
        elif self.out is not None and self.registrar.output == "both":
            named |= {"registered": renamed(self.out, "_rendered"), "warped": renamed(self.out, "_warped")}
        elif self.out is not None:
            named["registered"] = self.out
        if self.raw is not None:
            named["raw"] = self.raw
        return named

    @property
    def table(self) -> Path | None:
        """The table of figures to write."""
        if self.metrics is None and self.out is not None:
            return self.out.with_name(name_and_ending(self.out)[0] + "_metrics.csv")
        return self.metrics

    @property
    def outputs(self) -> list[Path]:
        """All files to write."""
        return [*self.images.values(), *([] if self.table is None else [self.table])]

    def sinks(self, record: Callable[[], dict[str, str]]) -> list[FrameSink]:
        """Where frames go; refuses now what cannot be written later."""
        from sasnet_live.sinks.recording import MetricsSink

        found: list[FrameSink] = []
        _dtype(self.dtype)
        for content, path in self.images.items():
            dtype = None if content == "raw" else self.dtype
            found.append(_image_sink(path, content, dtype, record, self.overwrite))
        if self.table is not None:
            found.append(MetricsSink(self.table, overwrite=self.overwrite))
        return found


class Session:
    """A pipeline with its view, from the first frame to the exit status.

    Use it within ``interrupts().looked_at()``: it looks whether an end was asked for. The first time, the acquisition
    stops and the frames that wait are finished; the second time they are dropped; after that nothing changes.
    """

    def __init__(self, job: Job) -> None:
        from sasnet_live.channels import ChannelRegistrar
        from sasnet_live.cli.live_view import JsonLines
        from sasnet_live.pipeline import LivePipeline

        self._job = job
        self._process: ChannelRegistrar = ChannelRegistrar(job.registrar.make, job.align_on)
        sinks = job.sinks(self._process.describe)
        self._view: View
        if job.json:
            lines = JsonLines()
            sinks.append(lines)
            self._view = lines
        else:
            self._view = _view_for_standard_output()
        self.pipeline: LivePipeline = LivePipeline(
            self._process, sinks, job.policy or "latest", prepare=self._process.prepare, geometry=job.registrar.geometry
        )
        self.pipeline.registered.connect(self._view.seen)
        self.status = 0
        self._answered = self._problems_told = 0
        self._failure_told: Exception | None = None
        self._stops: list[Callable[[], None]] = []

    def start(self, stream: StreamInfo | None) -> None:
        """Load and compile, so that the first frame does not wait; a setting that cannot be used ends the run here."""
        interrupts().raise_if_any()
        if stream is None:
            self._process.describe()  # makes a registrar: also before files come, their size is all that is not known
        self.pipeline.start(stream)
        while not self.pipeline.wait_until_ready(_LOOK_EVERY_S):
            interrupts().raise_if_any()
        self.pipeline.raise_if_failed()
        interrupts().raise_if_any()

    def on_stop(self, *stops: Callable[[], None]) -> None:
        """What ends the acquisition, in order."""
        self._stops.extend(stops)

    def waits_for(self, what: str) -> None:
        """Say what frames will come from, for as long as there is none."""
        self._view.waits_for(what)

    def follow(self, goes_on: Callable[[], bool], news: Callable[[], Sequence[str]] = tuple) -> None:
        """Show how it goes until it ends, is interrupted, or the pipeline takes no more frames.

        Parameters
        ----------
        goes_on
            Whether frames may still come.
        news
            What has come up since it was asked last, one line each; it is said when it happens, for a watch may last
            for days.
        """
        while goes_on() and self.pipeline.takes_frames and not interrupts().count:
            self._look(news)
        self._answer()
        self._stop()
        while self._has_frames() and interrupts().count < 2:
            self._look(news)
        self._look(news)

    def complain(self, message: object) -> None:
        """One line to standard error; the run has failed."""
        complain(message)
        self.status = self.status or 1

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._stop()
        try:
            self.pipeline.close(discard=self._has_frames())
        except Exception as error:
            if kind is None and error is not self._failure_told:
                self.complain(_in_one_line(error))
        self._view.update(self.pipeline.status())
        self._view.end()
        if kind is None:
            self._summarize()
        if interrupts().count:
            self.status = interrupts().status

    def _look(self, news: Callable[[], Sequence[str]]) -> None:
        """Show how it goes, say what is new, and wait a moment."""
        self._answer()
        self._view.update(self.pipeline.status())
        error = self.pipeline.error
        if error is not None and self._failure_told is None:
            self._failure_told = error
            self.complain(_in_one_line(error))
        for line in news():
            complain(line)
        time.sleep(_LOOK_EVERY_S)

    def _answer(self) -> None:
        for answer in _ANSWERS[self._answered : interrupts().count]:
            complain(answer)
            self._answered += 1
            interrupts().answered = True

    def _has_frames(self) -> bool:
        status = self.pipeline.status()
        return bool(status.waiting or status.in_process)

    def _stop(self) -> None:
        while self._stops:
            self._stops.pop(0)()

    def _summarize(self) -> None:
        for report in self.pipeline.reports:
            stopped = report.reason in ("canceled", "stopped")
            if report.missing and not stopped:
                self.complain(replace(report, sinks=(), processed=report.received).problems()[0])
        if self._job.json:
            return
        status = self.pipeline.status()
        echo(
            f"{status.processed} frames, {status.registered} registered, {status.dropped} dropped, latency "
            f"{status.latency_p50_ms:.0f} ms (p99 {status.latency_p99_ms:.0f} ms)"
        )
        for report in self.pipeline.reports:
            for sink in report.sinks:
                for path in sink.paths:
                    echo(f"wrote {path} ({sink.verified} frames)")


class Acquisition:
    """A camera at work: an acquisition in a thread of its own, or live mode."""

    def __init__(self, core: CMMCorePlus, sequence: MDASequence | None) -> None:
        self._core = core
        self._sequence = sequence
        self._thread = threading.Thread(target=self._acquire, name="sasnet-live-acquisition", daemon=True)
        self._live = False
        self.error: BaseException | None = None

    @property
    def running(self) -> bool:
        """Whether frames may still come."""
        if self._sequence is not None:
            return self._thread.is_alive()
        return self._live and bool(self._core.isSequenceRunning())

    def start(self) -> None:
        """Begin."""
        if self._sequence is not None:
            self._thread.start()
        else:
            self._core.startContinuousSequenceAcquisition(0)
            self._live = True

    def stop(self) -> None:
        """End it as soon as the camera lets go of the frame under way, or soon after the second Ctrl-C."""
        if self._sequence is not None:
            given_up_s = math.inf
            while self._thread.is_alive() and time.monotonic() < given_up_s:
                self._core.mda.cancel()
                self._thread.join(0.1)
                if interrupts().count > 1:
                    given_up_s = min(given_up_s, time.monotonic() + _CAMERA_ENDS_WITHIN_S)
            if self._thread.is_alive():
                self.error = RuntimeError("the camera did not let go of its frame; it is left to itself")
        elif self._live:
            self._live = False
            if self._core.isSequenceRunning():
                self._core.stopSequenceAcquisition()
            else:
                self.error = RuntimeError("the camera stopped by itself")

    def _acquire(self) -> None:
        assert self._sequence is not None
        try:
            self._core.mda.run(self._sequence)
        except BaseException as error:
            self.error = error


class Limited:
    """Hands the first so many frames on to a pipeline."""

    def __init__(self, pipeline: LivePipeline, count: int | None) -> None:
        self._pipeline = pipeline
        self._left = count
        self.attach, self.detach = pipeline.attach, pipeline.detach
        self.begin_stream = pipeline.begin_stream

    @property
    def full(self) -> bool:
        """Whether all frames that are wanted have come."""
        return self._left == 0

    def put(self, frame: Frame, *, wait: bool = True) -> bool:
        """Hand a frame on, if it is still wanted."""
        if self._left is not None:
            if self._left == 0:
                return False
            self._left -= 1
        return self._pipeline.put(frame, wait=wait)

    def end_stream(self, reason: EndReason = "completed", *, missing: int | None = None) -> None:
        """Hand on; frames that are not wanted are not missing."""
        self._pipeline.end_stream(reason, missing=0 if self.full else missing)


def _image_sink(
    path: Path, content: Content, dtype: str | None, record: Callable[[], dict[str, str]], overwrite: bool
) -> FrameSink:
    suffix = path.suffix.lower()
    if suffix in (".tif", ".tiff"):
        from sasnet_live.sinks.recording import OmeTiffSink

        return OmeTiffSink(path, content, dtype=_dtype(dtype), record=record, overwrite=overwrite)
    if suffix == ".zarr":
        from sasnet_live.sinks.ome_zarr import OmeZarrSink

        return OmeZarrSink(path, content, dtype=_dtype(dtype), record=record, overwrite=overwrite)
    raise InputError(f"{path}: frames are written as .ome.tiff or .ome.zarr; choose such a name")


def _dtype(name: str | None) -> Any:
    import numpy as np

    try:
        dtype = None if name is None else np.dtype(name)
    except TypeError:
        dtype = np.dtype(object)
    if dtype is not None and dtype.kind not in "uif":
        raise InputError(f"dtype is {name!r}; expected a name such as uint16 or float32") from None
    return dtype


def _in_one_line(error: Exception) -> object:
    from sasnet_live.pipeline_status import in_words

    return error if isinstance(error, InputError) else in_words(error)


def _view_for_standard_output() -> View:
    from sasnet_live.cli.live_view import PlainView, TableView

    terminal = console()
    return TableView(terminal) if terminal.is_terminal else PlainView()
