"""From the values of the widgets to a running registration: source, pipeline, recorder."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Registration
from sasnet_live.live.queue import Policy
from sasnet_live.live.status import PipelineStatus, StreamReport, in_words
from sasnet_live.session.watching import refuse_output_in
from sasnet_live.sources.protocol import FrameSource

from .courtesy import Courtesy
from .frame_collector import FrameCollector
from .live_run import Hooks, LiveRun
from .pictures import Scan, draw
from .recorder import Recorder
from .recording_plan import RecordingPlan
from .results import Result, Results, Sample
from .settings import LiveSettings, PolicyChoice

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

EngineState = Literal["idle", "starting", "running", "stopping", "failed"]

REGISTERING_S, CLOSING_S = 15.0, 30.0
"""How long, when its window is closed, the frames of a recording may still be registered, and then be written."""


class LiveEngine:
    """Runs one registration at a time.

    ::

        idle --start--> starting --loaded--> running --stop--> stopping --closed--> idle
                            |                   |                 ^
                            +----- fault -------+--> failed --stop+

    All methods are for one thread, the GUI's; none but `shutdown` waits. What comes in other threads is left in bounded
    queues for the GUI to fetch when it is ready.

    While something is recorded every frame is kept, unless the user chose otherwise. A recording ends with the frames
    that came before its end was asked for: they are still registered and written, while the view follows the newest.

    Attributes
    ----------
    recorder
        A sink of every pipeline.
    collector
        Keeps raw frames for fine-tuning.
    wanted_pictures
        What of each result is drawn for the GUI in the pipeline's thread, see `pictures.draw`.
    courtesy
        Rests between frames beside another preview, where frames may be dropped.
    """

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.collector = FrameCollector()
        self.wanted_pictures: tuple[str, ...] = ()
        self.courtesy = Courtesy()
        self._hooks = Hooks(self.courtesy.begin, self._on_registered, self._on_stream_ended)
        self._run: LiveRun | None = None
        self._ending: LiveRun | None = None
        self._plan: RecordingPlan | None = None
        self._choice: PolicyChoice = "auto"
        self._results = Results()
        self._problems: deque[str] = deque(maxlen=10)
        self._closing_error: Exception | None = None
        self._last_status = PipelineStatus()
        self._description: dict[str, str] = {}

    # -------------------------------------------------------------- for the GUI

    @property
    def state(self) -> EngineState:
        """See the class."""
        if self._ending is not None:
            if not self._ending.is_ended:
                return "stopping"
            self._last_status, self._closing_error = self._ending.status(), self._ending.closing_error
            self._ending = None
        if self._run is None:
            return "idle"
        status = self._run.status()
        if status.state == "failed" or self._run.live.error is not None:
            return "failed"
        return "starting" if status.state in ("created", "warming up") else "running"

    @property
    def error(self) -> BaseException | None:
        """What ended the registration, or what went wrong while the last one was closed; None if nothing did."""
        return self._closing_error if self._run is None else self._run.error

    @property
    def is_cut_short(self) -> bool:
        """Whether it is stopping and registers no more."""
        return self._ending is not None and self._ending.is_cut_short

    @property
    def source(self) -> FrameSource | None:
        """Where frames come from while it runs."""
        return None if self._run is None else self._run.live.source

    @property
    def own_core(self) -> CMMCorePlus | None:
        """The core of the simulated scanner while it runs."""
        return None if self._run is None else self._run.live.own_core

    @property
    def policy(self) -> Policy:
        """Whether every frame is kept at present, or the newest."""
        if self._choice == "auto":
            return "all" if self.recorder.recording else "latest"
        return self._choice

    def status(self) -> PipelineStatus:
        """Of the pipeline that runs or is being closed; of the last one when idle."""
        run = self._run or self._ending
        if run is not None:
            self._last_status = run.status()
        return self._last_status

    def describe(self) -> dict[str, str]:
        """What registers: model, device and so on, as far as it is loaded."""
        run = self._run  # files that are closed ask in the pipeline's thread
        if run is not None:
            self._description = run.description
        return self._description

    def take_latest(self) -> Result | None:
        """What is to be shown next, once: the newest result, with the newest raw frame where frames wait."""
        run = self._run or self._ending
        newest = run.newest if run is not None and run.pipeline.kept else None
        return self._results.take_latest(newest, self.wanted_pictures)

    def take_samples(self) -> list[Sample]:
        """The figures of all frames since the last call."""
        return self._results.take_samples()

    def take_problem(self) -> str:
        """What went wrong with an acquisition that did not end the registration, once; or empty."""
        with suppress(IndexError):
            return self._problems.popleft()
        return self._run.take_news() if self._run is not None and self.state == "running" else ""

    def start(self, settings: LiveSettings, core: CMMCorePlus | None = None) -> None:
        """Begin to register.

        Parameters
        ----------
        core
            Whose frames are registered where `settings.source` is "camera".

        Raises
        ------
        InputError
            If it is not idle, or what is wanted cannot be had: no core, no folder, no place to record to; if what is
            recorded would lie in the folder that is watched.
        """
        if self.state != "idle":
            raise InputError(f"registration is {self.state}; stop it first, and wait until it has ended")
        self._closing_error = None
        self._description = {}
        self._choice = settings.policy
        self.courtesy.allow()
        self._results.clear()
        self._problems.clear()
        run = LiveRun(settings, core, [self.recorder], self.policy, self._hooks)
        if run.live.folder is not None and self.recorder.recording and self._plan is not None:
            refuse_output_in(run.live.folder, *self._plan.images.values())
        self._run = run
        try:
            run.begin()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it; frames that were to be kept are finished. Returns at once, see `state`."""
        run = self._run
        if run is None:
            return
        self._description = run.description
        self._run, self._ending = None, run
        self._problems.clear()
        self.collector.end()
        self.courtesy.end()
        run.end(unfinished=not self.recorder.idle or run.policy == "all" or run.pipeline.kept > 0)

    def cut_short(self) -> None:
        """While stopping, register no more: frames that wait are written as acquired, where they are recorded."""
        if self._ending is not None:
            self._ending.cut_short()

    def shutdown(self) -> str:
        """End it and wait until threads are gone and files complete; what was not written, in words, or empty."""
        self.end_recording()
        self.stop()
        run = self._ending
        if run is None:
            return "" if self._closing_error is None else in_words(self._closing_error)
        problem = ""
        if self.recorder.idle:  # the frames that wait are of no use to anybody
            run.cut_short()
        elif not run.join(REGISTERING_S):
            problem = f"the last {run.status().counts.kept} frames were written as acquired, not registered"
            run.cut_short()
        if not run.join(CLOSING_S):
            waiting = run.status().counts.waiting
            return f"after {CLOSING_S:g} s {waiting} frames still wait; they may be missing in the recording"
        self._ending = None
        return problem if run.closing_error is None else in_words(run.closing_error)

    def follow(self, core: CMMCorePlus | None) -> bool:
        """Go over to another core where the one in use was replaced, as napari-micromanager does; whether it was."""
        return core is not None and self._run is not None and self._run.live.follow(core)

    # ---------------------------------------------------------------- recording

    def choose_policy(self, choice: PolicyChoice) -> None:
        """What the user wants to happen with frames that come too fast, from now on."""
        self._choice = choice
        if self._run is not None:
            self._run.pipeline.set_policy(self.policy)

    def begin_recording(self, settings: LiveSettings) -> RecordingPlan:
        """Record from the next frame on, whether or not it runs yet.

        Raises
        ------
        InputError
            If the files could not be written, or would lie in the folder that is watched, or those of the last
            recording are still being finished.
        """
        if self.state == "stopping":
            raise InputError("the last frames are still being written; wait until they are, then press Record again")
        plan = RecordingPlan.timed(settings)
        watched = None if self._run is None else self._run.live.folder
        if watched is not None or (self._run is None and settings.source == "folder" and settings.folder):
            refuse_output_in(watched or settings.folder, *plan.images.values())
        sinks = plan.sinks(self.describe)
        if self._run is None:
            self.recorder.begin(sinks)
            self._plan = plan
            return plan
        # In this order: no frame that comes after the mark may be dropped.
        if self._choice == "auto":
            self._run.pipeline.set_policy("all")
        self.recorder.begin(sinks, self._run.pipeline.in_turn)
        self._plan = plan
        return plan

    def end_recording(self) -> None:
        """Record no more of the frames that come from now on; those that wait are still written."""
        if not self.recorder.recording:
            return
        self.recorder.end(None if self._run is None else self._run.pipeline.in_turn)
        self.choose_policy(self._choice)

    # ----------------------------------------------- in the pipeline's thread

    def _on_registered(self, run: LiveRun, frame: Frame, registration: Registration) -> None:
        """After each frame: leave it where the GUI fetches it."""
        if run.is_cut_short:
            return
        now = time.perf_counter()
        scan = Scan(frame, registration, run.geometry, run.channels)
        sample = Sample(now, 1e3 * (now - frame.received_s), registration.accepted, registration.metrics)
        self._results.add(Result(scan, draw(scan, self.wanted_pictures)), sample)
        self.collector.offer(frame)
        if self.policy == "latest" and self.recorder.idle and not run.pipeline.kept:
            self.courtesy.rest()

    def _on_stream_ended(self, run: LiveRun, report: StreamReport) -> None:
        """An acquisition or live session came to its end."""
        if run is not self._run or run.live.tells_of_missing_frames:
            return
        name = report.stream.source or "the camera"
        if report.reason == "errored":
            self._problems.append(
                f"{name} stopped by itself after {report.received} frames. Check the camera, then start it again; "
                "registration is waiting."
            )
        elif report.missing:
            self._problems.append(
                f"{report.missing} frames of the acquisition never came from {name}. Check the camera's buffer."
            )
