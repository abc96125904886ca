"""One registration from its start until all is closed: source, pipeline and registrar."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sasnet_live.frame import Frame, Registration
from sasnet_live.layout import Layout
from sasnet_live.live.channels import ChannelRegistrar, FrameRegistrar
from sasnet_live.live.pipeline import LivePipeline
from sasnet_live.live.queue import Policy
from sasnet_live.live.status import PipelineStatus, StreamReport, in_words
from sasnet_live.settings import RegistrarSettings
from sasnet_live.sinks.protocol import FrameSink

from .by_channel import names_of_channels
from .cores import leave_one_core
from .live_source import LiveSource
from .settings import LiveSettings

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

_log = logging.getLogger(__name__)

CUT_SHORT = "not registered: finishing was cut short"


@dataclass(frozen=True)
class Hooks:
    """What the owner does in the pipeline's thread."""

    begins: Callable[[], None]
    registered: Callable[[LiveRun, Frame, Registration], None]
    stream_ended: Callable[[LiveRun, StreamReport], None]


class LiveRun:
    """Begun once, ended once; for one thread, none of whose calls waits but `join`.

    Parameters
    ----------
    settings
        What registers what.
    core
        Whose frames are registered where `settings.source` is "camera".
    sinks, policy
        See `LivePipeline`.

    Raises
    ------
    InputError
        If what is wanted cannot be had: no core, no folder.

    Attributes
    ----------
    live, pipeline, geometry
        Of this run.
    channels
        Names by number; empty where there is only one.
    description
        What registers: model, device and so on, as far as it is loaded.
    newest
        The frame that came last from the source; None before the first.
    closing_error
        What went wrong while closing and was not seen before.
    """

    def __init__(
        self,
        settings: LiveSettings,
        core: CMMCorePlus | None,
        sinks: Sequence[FrameSink],
        policy: Policy,
        hooks: Hooks,
    ) -> None:
        self.geometry = settings.registrar.geometry
        self.live = LiveSource(settings, core)
        self.channels: tuple[str, ...] = ()
        self.description: dict[str, str] = {}
        self.newest: Frame | None = None
        self.closing_error: Exception | None = None
        self.is_cut_short = False
        self._hooks = hooks
        self._process = ChannelRegistrar(_registrar_factory(settings.registrar), settings.align_on or None)
        self.pipeline = LivePipeline(
            self._register, sinks, policy, prepare=self._prepare, geometry=self.geometry, name="sasnet-live"
        )
        # Whatever the source is to do with the pipeline, it does.
        self.attach, self.detach = self.pipeline.attach, self.pipeline.detach
        self.begin_stream, self.end_stream = self.pipeline.begin_stream, self.pipeline.end_stream
        self._closing: threading.Thread | None = None

    def begin(self) -> None:
        """Register from now on."""
        self.pipeline.registered.connect(self._on_registered)
        self.pipeline.stream_ended.connect(self._on_stream_ended)
        self.live.answer_from(self.pipeline)
        self.pipeline.start(self.live.expected_stream())
        self.live.start(self)

    def put(self, frame: Frame, *, wait: bool = True) -> bool:
        """From the source to the pipeline."""
        self.newest = frame
        return self.pipeline.put(frame, wait=wait)

    @property
    def error(self) -> BaseException | None:
        """What ended the registration, None if nothing did."""
        return self.pipeline.error or self.live.error

    @property
    def policy(self) -> Policy:
        """What happens to the frames that come now."""
        return self.pipeline.policy

    def take_news(self) -> str:
        """What source and registration have to say since they were last asked, in one line; or empty."""
        return self.live.take_news() or self._process.take_remark()

    def status(self) -> PipelineStatus:
        """Of the pipeline."""
        return self.pipeline.status()

    # --------------------------------------------------------------------- end

    def end(self, *, unfinished: bool) -> None:
        """Close all in a thread of its own.

        Parameters
        ----------
        unfinished
            Whether somebody needs the frames that wait; else they are dropped.
        """
        self._closing = threading.Thread(target=self._close, args=(not unfinished,), name="sasnet-live-closing")
        self._closing.daemon = True
        self._closing.start()

    def cut_short(self) -> None:
        """Register no more; what waits goes on as acquired."""
        self.is_cut_short = True
        self.pipeline.stop_registering(CUT_SHORT)

    @property
    def is_ended(self) -> bool:
        """Whether all is closed."""
        return self._closing is not None and not self._closing.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait until all is closed; whether it is."""
        if self._closing is not None:
            self._closing.join(timeout_s)
        return self.is_ended

    def _close(self, discard: bool) -> None:
        try:
            self.live.stop()
        except Exception as error:
            self.closing_error = error
            _log.warning("while the source was stopped: %s", in_words(error))
        try:
            self.pipeline.close(discard=discard)
        except Exception as error:
            # A failure that was shown while it ran is not news.
            if self.pipeline.error is None:
                self.closing_error = error
            _log.warning("while closing: %s", in_words(error))
        finally:
            self.pipeline.registered.disconnect(self._on_registered)
            self.pipeline.stream_ended.disconnect(self._on_stream_ended)

    # -------------------------------------------------- in the pipeline's thread

    def _prepare(self, stream: Layout) -> None:
        self.channels = names_of_channels(stream)
        self._process.prepare(stream)
        self.description = self._process.describe()

    def _register(self, frame: Frame) -> Registration:
        self._hooks.begins()
        return self._process(frame)

    def _on_registered(self, frame: Frame, registration: Registration) -> None:
        self._hooks.registered(self, frame, registration)

    def _on_stream_ended(self, report: StreamReport) -> None:
        self._hooks.stream_ended(self, report)


def _registrar_factory(settings: RegistrarSettings) -> Callable[[], FrameRegistrar]:
    def make() -> FrameRegistrar:
        # torch is loaded here, in the pipeline's thread.
        leave_one_core()
        return settings.make()

    return make
