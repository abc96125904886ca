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

import numpy as np

from sasnet_live.channels import ChannelRegistrar, FrameRegistrar
from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Pixels, Registration, RegistrationMetrics
from sasnet_live.pipeline import LivePipeline
from sasnet_live.pipeline_status import PipelineStatus, StreamReport, in_words
from sasnet_live.scan import ScanGeometry
from sasnet_live.sources.protocol import FrameSource
from sasnet_live.stream import StreamInfo

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
SIMULATED_BUFFER_MB = 48


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
    wanted_pictures
        What of each result is drawn for the GUI in the pipeline's thread, see `pictures.draw`.
    """

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.wanted_pictures: tuple[str, ...] = ()
        self._pipeline: LivePipeline | None = None
        self._source: FrameSource | None = None
        self._core: CMMCorePlus | None = None
        self._own_core: CMMCorePlus | None = None
        self._process: ChannelRegistrar | None = None
        self._geometry = ScanGeometry()
        self._latest: deque[Result] = deque(maxlen=1)
        self._samples: deque[Sample] = deque(maxlen=KEPT_FOR_CHART)
        self._problems: deque[str] = deque(maxlen=10)
        self._collected: deque[Pixels] = deque()
        self._collect = 0
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
        return self._source

    @property
    def own_core(self) -> CMMCorePlus | None:
        """The core of the simulated scanner while it runs."""
        return self._own_core

    def status(self) -> PipelineStatus:
        """Of the pipeline; of the last one when idle."""
        if self._pipeline is not None:
            self._last_status = self._pipeline.status()
        return self._last_status

    def describe(self) -> dict[str, str]:
        """What registers: model, device and so on, as far as it is loaded."""
        return self._description

    def take_latest(self) -> Result | None:
        """The newest result, once."""
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
        return ""

    def start(self, settings: LiveSettings, core: CMMCorePlus | None = None) -> None:
        """Begin to register.

        Parameters
        ----------
        core
            Whose frames are registered where `settings.source` is "camera".

        Raises
        ------
        InputError
            If it runs already, or what is wanted cannot be had: no core, no folder, no place to record to.
        """
        if self.state not in ("idle", "failed"):
            raise InputError("registration is running; stop it first")
        self._discard()
        self._geometry = settings.geometry
        self._closing_error = None
        self._description = {}
        self._latest.clear()
        self._samples.clear()
        source = self._make_source(settings, core)
        make_registrar = self._registrar_factory(settings)
        self._process = ChannelRegistrar(make_registrar, settings.align_on or None)
        policy = settings.policy
        if policy == "auto":
            policy = "all" if self.recorder.recording else "latest"
        self._pipeline = LivePipeline(
            self._process, [self.recorder], policy, prepare=self._prepare, geometry=self._geometry, name="sasnet-live"
        )
        self._pipeline.registered.connect(self._on_registered)
        self._pipeline.stream_ended.connect(self._on_stream_ended)
        self._source = source
        try:
            self._pipeline.start(self._expected_stream(settings))
            source.start(self._pipeline)
            if self._own_core is not None:
                self._own_core.startContinuousSequenceAcquisition(0)
        except BaseException:
            self._discard()
            raise

    def stop(self) -> None:
        """End it; frames that wait are finished if they are recorded. Returns at once, see `state`."""
        pipeline, source, own_core = self._pipeline, self._source, self._own_core
        if pipeline is None:
            return
        self._last_status = pipeline.status()
        self._pipeline = self._source = self._own_core = self._core = None
        keep = self.recorder.recording or pipeline.policy == "all"
        self._collect = 0

        def close() -> None:
            self._stop_source(source, own_core)
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
        from sasnet_live.sources.micromanager import MicroManagerSource

        if core is None or self._own_core is not None or not isinstance(self._source, MicroManagerSource):
            return False
        self._core = core
        return self._source.attach_to(core)

    # ---------------------------------------------------------------- recording

    def begin_recording(self, settings: LiveSettings) -> RecordingPlan:
        """Record from the next frame on, whether or not it runs yet.

        Raises
        ------
        InputError
            If the files could not be written.
        """
        plan = RecordingPlan.of(settings)
        self.recorder.begin(plan.sinks(self.describe))
        return plan

    # --------------------------------------------------------------- collecting

    def collect(self, count: int) -> None:
        """Keep the next so many raw frames, for fine-tuning."""
        self._collected.clear()
        self._collect = count

    @property
    def collected(self) -> int:
        """How many are kept so far."""
        return len(self._collected)

    def take_collected(self) -> list[Pixels]:
        """The frames that were kept; ends the collecting."""
        self._collect = 0
        frames = list(self._collected)
        self._collected.clear()
        return frames

    # ------------------------------------------------------------------ private

    def _registrar_factory(self, settings: LiveSettings) -> Any:
        def make() -> FrameRegistrar:
            # torch is loaded here, in the pipeline's thread.
            from sasnet_live.registrar import Registrar

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

    def _make_source(self, settings: LiveSettings, core: CMMCorePlus | None) -> FrameSource:
        if settings.source == "folder":
            from sasnet_live.sources.folder import FolderSource

            if not settings.folder:
                raise InputError("no folder to watch; choose the one that frames are written into")
            return FolderSource(settings.folder)
        from sasnet_live.sources.micromanager import MicroManagerSource

        if settings.source == "simulated":
            core = self._own_core = simulated_core(settings)
        if core is None:
            raise InputError("no microscope is connected; load a configuration, or choose the simulated scanner")
        self._core = core
        return MicroManagerSource(core)

    def _expected_stream(self, settings: LiveSettings) -> StreamInfo | None:
        """What the frames will look like, so that the model is ready before the first; None: it loads with that one."""
        if settings.source == "folder" or self._core is None:
            return None
        with suppress(RuntimeError):
            shape = (self._core.getImageHeight(), self._core.getImageWidth())
            pixel_bytes = self._core.getBytesPerPixel()
            if min(shape) > 0 and pixel_bytes in (1, 2):
                return StreamInfo(shape, np.dtype(f"uint{8 * pixel_bytes}"))
        return None

    def _prepare(self, stream: StreamInfo) -> None:
        """In the pipeline's thread."""
        if self._process is not None:
            self._process.prepare(stream)
            self._description = self._process.describe()

    def _on_registered(self, frame: Frame, registration: Registration) -> None:
        """In the pipeline's thread, after each frame: leave it where the GUI fetches it."""
        now = time.perf_counter()
        latency_ms = 1e3 * (now - frame.received_s)
        scan = Scan(frame, registration, self._geometry)
        self._latest.append(Result(scan, draw(scan, self.wanted_pictures)))
        self._samples.append(Sample(now, latency_ms, registration.accepted, registration.metrics))
        if self._collect > len(self._collected) and frame.index.get("c", 0) == 0:
            self._collected.append(frame.data)

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
        return None if self._source is None else self._source.error

    def _stop_source(self, source: FrameSource | None, own_core: CMMCorePlus | None) -> None:
        if own_core is not None:
            with suppress(RuntimeError):
                own_core.stopSequenceAcquisition()
        if source is not None:
            source.stop()
        if own_core is not None:
            with suppress(RuntimeError):
                own_core.unloadAllDevices()

    def _discard(self) -> None:
        """Clear away one that failed, or that did not start."""
        recording = self.recorder.recording
        self.stop()
        if self._closing is not None:
            self._closing.join(CLOSING_S)
            self._closing = None
        self._own_core = self._core = None
        if not recording:
            self.recorder.end()


def simulated_core(settings: LiveSettings) -> CMMCorePlus:
    """A core of its own with the simulated scanner as its camera."""
    from pymmcore_plus.experimental.unicore import UniMMCore

    from sasnet_live.simulation.camera import config_path

    core = UniMMCore()
    core.loadSystemConfiguration(str(config_path()))
    core.setProperty("ORPAM", "Level", settings.level)
    # Nobody empties the buffer in live mode: by default it would fill a gigabyte.
    core.setCircularBufferMemoryFootprint(SIMULATED_BUFFER_MB)
    return core
