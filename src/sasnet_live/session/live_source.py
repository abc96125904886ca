"""Where the frames of a live session come from: a camera, a simulated scanner, a folder or another program."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sasnet_live.errors import InputError
from sasnet_live.layout import Layout
from sasnet_live.sources.live_poll import REFUSALS
from sasnet_live.sources.protocol import FrameConsumer, FrameSource

from .acquisition import Acquisition
from .settings import LiveSettings

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus

    from sasnet_live.live.pipeline import LivePipeline
    from sasnet_live.sources.folder import FolderSource
    from sasnet_live.sources.tcp import TcpSource

SIMULATED_BUFFER_MB = 48


class LiveSource:
    """A source, and the core behind it.

    Parameters
    ----------
    settings
        Which source, and what it needs.
    core
        Whose frames are wanted where `settings.source` is "camera".

    Raises
    ------
    InputError
        If what is wanted cannot be had: no core, no folder.

    Attributes
    ----------
    source
        Where frames come from.
    own_core
        The core of the simulated scanner; None for other sources.
    """

    def __init__(self, settings: LiveSettings, core: CMMCorePlus | None = None) -> None:
        self.source: FrameSource
        self.own_core: CMMCorePlus | None = None
        self._core: CMMCorePlus | None = None
        self._scan: Acquisition | None = None
        self._folder: FolderSource | None = None
        self._program: TcpSource | None = None
        if settings.source == "folder":
            from sasnet_live.session.watching import watch_folder

            if not settings.folder:
                raise InputError("no folder to watch; choose the one that frames are written into")
            self.source = self._folder = watch_folder(
                settings.folder,
                settings.registrar.geometry,
                align_on=settings.align_on or None,
                settle_s=settings.settle_s,
                largest_mib=settings.largest_mib,
            )
            return
        if settings.source == "tcp":
            from sasnet_live.session.serving import listen_for

            self.source = self._program = listen_for(
                settings.registrar.geometry,
                host=settings.tcp_host,
                port=settings.tcp_port,
                align_on=settings.align_on or None,
            )
            return
        from sasnet_live.sources.micromanager import MicroManagerSource

        if settings.source == "simulated":
            core = self.own_core = simulated_core(settings)
            self._scan = Acquisition(core)
        if core is None:
            raise InputError("no microscope is connected; load a configuration, or choose the simulated scanner")
        self._core = core
        self.source = MicroManagerSource(core)

    @property
    def error(self) -> BaseException | None:
        """What ended the source early, None if nothing did."""
        return self.source.error

    @property
    def folder(self) -> Path | None:
        """The folder that is watched, if one is."""
        return None if self._folder is None else self._folder.folder

    @property
    def tells_of_missing_frames(self) -> bool:
        """Whether `take_news` says it when frames never came."""
        return self._program is not None

    def take_news(self) -> str:
        """What the source has to say since it was last asked, in one line; or empty.

        Files are named without the folder, which is shown in the form: a notification is short.
        """
        lines: list[str] = []
        if self._folder is not None:
            lines = [line.replace(f"{self._folder.folder}{os.sep}", "") for line in self._folder.take_news()]
        elif self._program is not None:
            lines = self._program.take_news()
        more = f" (and {len(lines) - 1} more such lines)" if len(lines) > 1 else ""
        return f"{lines[0]}{more}" if lines else ""

    def expected_stream(self) -> Layout | None:
        """What the frames will look like, so that the model is ready before the first; None: it loads with that one."""
        from sasnet_live.sources.configuration import layout_of_camera

        return None if self._core is None else layout_of_camera(self._core)

    def answer_from(self, pipeline: LivePipeline) -> None:
        """Send back what comes out of a pipeline, where another program may ask for that."""
        from sasnet_live.session.serving import answer_from

        if self._program is not None:
            answer_from(pipeline, self._program)

    def start(self, consumer: FrameConsumer) -> None:
        """Deliver frames from now on; the simulated scanner begins to scan."""
        self.source.start(consumer)
        if self._scan is not None:
            self._scan.start()

    def follow(self, core: CMMCorePlus) -> bool:
        """Go over to another core where the one in use was replaced, as napari-micromanager does; whether it was."""
        from sasnet_live.sources.micromanager import MicroManagerSource

        if self.own_core is not None or not isinstance(self.source, MicroManagerSource):
            return False
        self._core = core
        return self.source.attach_to(core)

    def stop(self) -> None:
        """Deliver nothing more; waits for threads that may still ask the core, before its devices go.

        For any thread. A core of somebody else is left as it is.
        """
        if self._scan is not None:
            with suppress(*REFUSALS):
                self._scan.stop()
        self.source.stop()
        if self.own_core is not None:
            with suppress(*REFUSALS):
                self.own_core.unloadAllDevices()


def simulated_core(settings: LiveSettings) -> CMMCorePlus:
    """A core of its own with the simulated scanner as its camera."""
    from sasnet_live.simulation.camera import config_path
    from sasnet_live.sources.configuration import load_core

    core = load_core(config_path())
    core.setProperty("ORPAM", "Level", settings.level)
    # Nobody empties the buffer in live mode: by default it would fill a gigabyte.
    core.setCircularBufferMemoryFootprint(SIMULATED_BUFFER_MB)
    return core
