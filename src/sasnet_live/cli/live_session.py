"""What ``run`` and ``watch`` have in common: sinks, pipeline and view, from the first frame to the exit status."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sasnet_live.errors import CannotRegister, InputError
from sasnet_live.parameters import parameter
from sasnet_live.session.recording_plan import RecordingPlan
from sasnet_live.settings import RegistrarSettings

from .interrupts import interrupts
from .printing import complain, console, echo

if TYPE_CHECKING:
    from sasnet_live.cli.live_view import View
    from sasnet_live.layout import Layout
    from sasnet_live.live.channels import ChannelRegistrar
    from sasnet_live.live.pipeline import LivePipeline

_LOOK_EVERY_S = 0.05
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
    def plan(self) -> RecordingPlan:
        """The files to write."""
        both = self.registrar.output == "both"
        plan = RecordingPlan.named(self.out, self.raw, self.metrics, both=both, side_by_side=self.side_by_side)
        return replace(plan, dtype=self.dtype, overwrite=self.overwrite)


class Session:
    """A pipeline with its view, from the first frame to the exit status.

    Use it within ``interrupts().looked_at()``: it looks whether an end was asked for. The first time, the acquisition
    stops and the frames that wait are finished; the second time they are dropped; after that nothing changes.
    """

    def __init__(self, job: Job) -> None:
        from sasnet_live.cli.live_view import JsonLines
        from sasnet_live.live.channels import ChannelRegistrar
        from sasnet_live.live.pipeline import LivePipeline

        self._job = job
        self._process: ChannelRegistrar = ChannelRegistrar(job.registrar.make, job.align_on)
        sinks = job.plan.sinks(self._process.describe)
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

    def start(self, stream: Layout | None) -> None:
        """Load and compile, so that the first frame does not wait; a setting that cannot be used ends the run here.

        Raises
        ------
        CannotRegister
            If there is no such model or device, or what was chosen does not fit the frames.
        """
        interrupts().raise_if_any()
        try:
            if stream is None:
                self._process.describe()  # makes a registrar: before files come, only their size is not known
            self.pipeline.start(stream)
            while not self.pipeline.wait_until_ready(_LOOK_EVERY_S):
                interrupts().raise_if_any()
            self.pipeline.raise_if_failed()
        except InputError as error:
            raise CannotRegister(str(error)) from error
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
        if remark := self._process.take_remark():
            complain(remark)
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
        return bool(status.counts.waiting or status.counts.in_process)

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
            f"{status.counts.processed} frames, {status.registered} registered, {status.counts.dropped} dropped, "
            f"latency {status.latency_p50_ms:.0f} ms (p99 {status.latency_p99_ms:.0f} ms)"
        )
        for report in self.pipeline.reports:
            for sink in report.sinks:
                for path in sink.paths:
                    echo(f"wrote {path} ({sink.verified} frames)")


def _in_one_line(error: Exception) -> object:
    from sasnet_live.live.status import in_words

    return error if isinstance(error, InputError) else in_words(error)


def _view_for_standard_output() -> View:
    from sasnet_live.cli.live_view import PlainView, TableView

    terminal = console()
    return TableView(terminal) if terminal.is_terminal else PlainView()
