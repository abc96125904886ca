"""From the values of the widgets to a running registration: source, pipeline, recorder; no Qt."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sasnet_live.channels import ChannelRegistrar, FrameRegistrar
from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Pixels, Registration, RegistrationMetrics
from sasnet_live.pipeline import LivePipeline
from sasnet_live.pipeline_status import PipelineStatus, StreamReport, in_words
from sasnet_live.scan import ScanGeometry
from sasnet_live.sources.protocol import FrameSource
from sasnet_live.stream import StreamInfo
from sasnet_live.watching import refuse_output_in

from .by_channel import NewestByChannel, names_of_channels
from .cores import leave_one_core
from .courtesy import Courtesy
from .frame_collector import FrameCollector
from .live_source import LiveSource
from .pictures import Scan, draw
from .recorder import Recorder, RecordingPlan
from .settings import LiveSettings

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

_log = logging.getLogger(__name__)

EngineState = Literal["idle", "starting", "running", "stopping", "failed"]

KEPT_FOR_CHART = 4096
"""Results that wait for the chart while the GUI is busy."""
CLOSING_S = 30.0
"""How long the frames of a recording may take to be written when its window is closed."""


@dataclass(frozen=True)
class Result:
    """One registered frame, for display, and the pictures of it that were drawn already."""

    scan: Scan
    pictures: Mapping[str, tuple[Pixels, ...]]


@dataclass(frozen=True)
class Sample:
    """The figures of one frame, for the chart."""

    finished_s: float
    latency_ms: float
    accepted: bool
    metrics: RegistrationMetrics


class LiveEngine:
    """Runs one registration at a time.

    ::

        idle --start--> starting --loaded--> running --stop--> stopping --closed--> idle
                            |                   |
                            +----- fault -------+--> failed --stop or start--> ...

    All methods are for one thread, the GUI's; none but `shutdown` waits. What comes in other threads is left in bounded
    queues for the GUI to fetch when it is ready.

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
        self._pipeline: LivePipeline | None = None
        self._live: LiveSource | None = None
        self._process: ChannelRegistrar | None = None
        self._geometry = ScanGeometry()
        self._plan: RecordingPlan | None = None
        self._latest: NewestByChannel[Result] = NewestByChannel()
        self._channels: tuple[str, ...] = ()
        self._samples: deque[Sample] = deque(maxlen=KEPT_FOR_CHART)
        self._problems: deque[str] = deque(maxlen=10)
        self._closing: threading.Thread | None = None
        self._closing_error: Exception | None = None
        self._last_status = PipelineStatus()
        self._description: dict[str, str] = {}

    # -------------------------------------------------------------- for the GUI

    @property
    def state(self) -> EngineState:
        """See the class."""
        if self._closing is not None:
            if self._closing.is_alive():
                return "stopping"
            self._closing = None
        if self._pipeline is None:
            return "idle"
        status = self._pipeline.status()
        if status.state == "failed" or self._error_of_source() is not None:
            return "failed"
        return "starting" if status.state in ("created", "warming up") else "running"

    @property
    def error(self) -> BaseException | None:
        """What ended the registration, None if nothing did."""
        if self._pipeline is None:
            return self._closing_error
        return self._pipeline.error or self._error_of_source()

    @property
    def source(self) -> FrameSource | None:
        """Where frames come from while it runs."""
        return None if self._live is None else self._live.source

    @property
    def own_core(self) -> CMMCorePlus | None:
        """The core of the simulated scanner while it runs."""
        return None if self._live is None else self._live.own_core

    def status(self) -> PipelineStatus:
        """Of the pipeline; of the last one when idle."""
        if self._pipeline is not None:
            self._last_status = self._pipeline.status()
        return self._last_status

    def describe(self) -> dict[str, str]:
        """What registers: model, device and so on, as far as it is loaded."""
        return self._description

    def take_latest(self) -> Result | None:
        """The newest result of a channel, once; of another one at the next call, None when there is nothing new."""
        with suppress(IndexError):
            return self._latest.pop()
        return None

    def take_samples(self) -> list[Sample]:
        """The figures of all frames since the last call."""
        samples = []
        with suppress(IndexError):
            while True:
                samples.append(self._samples.popleft())
        return samples

    def take_problem(self) -> str:
        """What went wrong with an acquisition that did not end the registration, once; or empty."""
        with suppress(IndexError):
            return self._problems.popleft()
        return self._live.take_news() if self._live is not None and self.state == "running" else ""

    def start(self, settings: LiveSettings, core: CMMCorePlus | None = None) -> None:
        """Begin to register.

        Parameters
        ----------
        core
            Whose frames are registered where `settings.source` is "camera".

        Raises
        ------
        InputError
            If it runs already, or what is wanted cannot be had: no core, no folder, no place to record to; if what is
            recorded would lie in the folder that is watched.
        """
        if self.state not in ("idle", "failed"):
            raise InputError("registration is running; stop it first")
        self._discard()
        self._geometry = settings.geometry
        self._closing_error = None
        self._description = {}
        self.courtesy.allow()
        self._latest.clear()
        self._samples.clear()
        live = LiveSource(settings, core)
        if live.folder is not None and self.recorder.recording and self._plan is not None:
            refuse_output_in(live.folder, self._plan.registered)
        make_registrar = self._registrar_factory(settings)
        self._process = ChannelRegistrar(make_registrar, settings.align_on or None)
        policy = settings.policy
        if policy == "auto":
            policy = "all" if self.recorder.recording else "latest"
        self._pipeline = LivePipeline(
            self._register, [self.recorder], policy, prepare=self._prepare, geometry=self._geometry, name="sasnet-live"
        )
        self._pipeline.registered.connect(self._on_registered)
        self._pipeline.stream_ended.connect(self._on_stream_ended)
        self._live = live
        try:
            self._pipeline.start(live.expected_stream())
            live.start(self._pipeline)
        except BaseException:
            self._discard()
            raise

    def stop(self) -> None:
        """End it; frames that wait are finished if they are recorded. Returns at once, see `state`."""
        pipeline, live = self._pipeline, self._live
        if pipeline is None:
            return
        self._last_status = pipeline.status()
        self._pipeline = self._live = None
        keep = self.recorder.recording or pipeline.policy == "all"
        self.collector.end()
        self.courtesy.end()

        def close() -> None:
            try:
                if live is not None:
                    live.stop()
            except Exception as error:
                self._closing_error = error
                _log.warning("while the source was stopped: %s", in_words(error))
            try:
                pipeline.close(discard=not keep)
            except Exception as error:
                # A failure that was shown while it ran is not news.
                if pipeline.error is None:
                    self._closing_error = error
                _log.warning("while closing: %s", in_words(error))
            finally:
                pipeline.registered.disconnect(self._on_registered)
                pipeline.stream_ended.disconnect(self._on_stream_ended)

        self._closing = threading.Thread(target=close, name="sasnet-live-closing", daemon=True)
        self._closing.start()

    def shutdown(self) -> str:
        """End it and wait until threads are gone and files complete; what was not written, in words, or empty."""
        self.stop()
        self.recorder.end()
        closing = self._closing
        if closing is not None:
            closing.join(CLOSING_S)
            if closing.is_alive():
                return f"closing took more than {CLOSING_S:g} s; the last frames of the recording may be missing"
            self._closing = None
        return "" if self._closing_error is None else in_words(self._closing_error)

    def follow(self, core: CMMCorePlus | None) -> bool:
        """Go over to another core where the one in use was replaced, as napari-micromanager does; whether it was."""
        return core is not None and self._live is not None and self._live.follow(core)

    # ---------------------------------------------------------------- recording

    def begin_recording(self, settings: LiveSettings) -> RecordingPlan:
        """Record from the next frame on, whether or not it runs yet.

        Raises
        ------
        InputError
            If the files could not be written, or would lie in the folder that is watched.
        """
        plan = RecordingPlan.of(settings)
        watched = None if self._live is None else self._live.folder
        if watched is not None or (self._live is None and settings.source == "folder" and settings.folder):
            refuse_output_in(watched or settings.folder, plan.registered)
        self.recorder.begin(plan.sinks(self.describe))
        self._plan = plan
        return plan

    # ------------------------------------------------------------------ private

    def _registrar_factory(self, settings: LiveSettings) -> Any:
        def make() -> FrameRegistrar:
            # torch is loaded here, in the pipeline's thread.
            from sasnet_live.registrar import Registrar

            leave_one_core()
            return Registrar(
                settings.model,
                geometry=settings.geometry,
                device=settings.device,
                output=settings.output,
                precision=settings.precision,
                temporal=settings.temporal,
                search_px=settings.search_px or None,
            )

        return make

    def _prepare(self, stream: StreamInfo) -> None:
        """In the pipeline's thread."""
        self._channels = names_of_channels(stream)
        if self._process is not None:
            self._process.prepare(stream)
            self._description = self._process.describe()

    def _register(self, frame: Frame) -> Registration:
        """In the pipeline's thread."""
        assert self._process is not None
        self.courtesy.begin()
        return self._process(frame)

    def _on_registered(self, frame: Frame, registration: Registration) -> None:
        """In the pipeline's thread, after each frame: leave it where the GUI fetches it."""
        now = time.perf_counter()
        latency_ms = 1e3 * (now - frame.received_s)
        scan = Scan(frame, registration, self._geometry, self._channels)
        self._latest.append(Result(scan, draw(scan, self.wanted_pictures)))
        self._samples.append(Sample(now, latency_ms, registration.accepted, registration.metrics))
        self.collector.offer(frame)
        pipeline = self._pipeline
        if pipeline is not None and pipeline.policy == "latest" and not self.recorder.recording:
            self.courtesy.rest()

    def _on_stream_ended(self, report: StreamReport) -> None:
        """In the pipeline's thread: an acquisition or live session came to its end."""
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

    def _error_of_source(self) -> BaseException | None:
        return None if self._live is None else self._live.error

    def _discard(self) -> None:
        """Clear away one that failed, or that did not start."""
        recording = self.recorder.recording
        self.stop()
        if self._closing is not None:
            self._closing.join(CLOSING_S)
            self._closing = None
        if not recording:
            self.recorder.end()
