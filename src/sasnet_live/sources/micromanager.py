"""Frames of a pymmcore-plus core that somebody else owns: acquisitions, live mode and snaps."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import EndReason, Frame, Pixels
from sasnet_live.sources.core import connect_direct, silence_at_exit
from sasnet_live.sources.core import find_core as find_core
from sasnet_live.sources.live_poll import REFUSALS, LivePoll
from sasnet_live.sources.pixel_size import Affine, affine_in, pixel_size
from sasnet_live.sources.protocol import FrameConsumer
from sasnet_live.sources.useq_stream import layout_of

if TYPE_CHECKING:
    import useq
    from pymmcore_plus import CMMCorePlus

_log = logging.getLogger(__name__)

MOST_LEFT_OVER = 4  # images that an acquisition may leave in the buffer by the race that is mended here
_KEPT_METADATA = ("runner_time_ms", "exposure_ms", "pixel_size_um", "camera_device", "position", "camera_metadata")


class MicroManagerSource:
    """Delivers the frames of a core to a pipeline, without taking part in how they are acquired.

    ::

        core = CMMCorePlus.instance()
        source = MicroManagerSource(core)
        source.start(pipeline)      # from now on every acquisition, live session and snap is registered
        core.run_mda(sequence)
        ...
        source.stop()               # nothing stays connected

    Parameters
    ----------
    core
        Whoever owns it goes on using it; this object keeps it alive while it runs. See `find_core`.
    mda, live, snap
        Which frames to deliver.

    Each acquisition is one stream with the axes of its useq sequence; so is each live session and each snap. At the end
    of an acquisition the frames that were announced are counted against those that came, because a camera that fails in
    the middle of a sequence looks like a finished run to the acquisition engine.

    The callbacks run in the thread that emits the signal, whether the core uses Qt's signals or psygnal's. They keep a
    frame and put it, never raise, and never wait: frames that find no room go to the pipeline's disk ring. An exception
    in one is logged and kept in `error`.

    Live mode has no signal for a frame: a thread asks for its images, see `LivePoll`.
    """

    def __init__(self, core: CMMCorePlus, *, mda: bool = True, live: bool = True, snap: bool = True) -> None:
        self._core = core
        self._mda, self._live, self._snap = mda, live, snap
        self._consumer: FrameConsumer | None = None
        self._disconnect: list[Callable[[], None]] = []
        self._acquiring = False
        self._poll: LivePoll | None = None
        # Those whose threads may still ask the core for something; `_poll` is one of them. Live mode may begin in one
        # thread while another one stops this source: no poll is made after that.
        self._polls: list[LivePoll] = []
        self._connected = False
        self._polls_lock = threading.Lock()
        # Of the live session. Asked in the thread that begins it and kept by a signal: a core whose pixel size is asked
        # for in one thread while another one loads a configuration ends the process.
        self._pixel_size_um: float | None = None
        self._affine: Affine = ()
        # The live session whose frames count. A poll that ends late must not touch the stream that came after it.
        self._session: LivePoll | None = None
        self._session_lock = threading.Lock()
        self._count = 0
        # Of the acquisition under way.
        self._announced = self._delivered = 0
        self._error: BaseException | None = None

    def __str__(self) -> str:
        return "Micro-Manager"

    # ------------------------------------------------------------------ owner

    @property
    def core(self) -> CMMCorePlus:
        """The core that frames come from."""
        return self._core

    @property
    def running(self) -> bool:
        """Whether frames may come."""
        return self._consumer is not None

    @property
    def error(self) -> BaseException | None:
        """The first exception in a callback, None if there was none."""
        return self._error

    def start(self, consumer: FrameConsumer) -> None:
        """Connect; joins a live session that is under way, but not an acquisition.

        Raises
        ------
        InputError
            If the source is running, or the consumer takes frames from another source.
        """
        if self._consumer is not None:
            raise InputError("this source is running; stop it first, or make another one")
        consumer.attach(self)
        self._consumer = consumer
        self._error = None
        self._count = 0
        self._connect()

    def stop(self) -> None:
        """Disconnect and leave nothing behind. Safe to call more than once, and while frames come."""
        self._release()
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.detach(self)

    def attach_to(self, core: CMMCorePlus) -> bool:
        """Go over to another core, as napari-micromanager makes one when a configuration with Python devices is loaded.

        Returns
        -------
        Whether it is another one; nothing is done if not. The stream that is open ends. Cheap enough for a timer.
        """
        if core is self._core:
            return False
        consumer = self._consumer
        if consumer is not None:
            self._release()
            consumer.end_stream("stopped")
        self._core = core
        if consumer is not None:
            self._connect()
        return True

    # ------------------------------------------------------------- connections

    def _connect(self) -> None:
        core = self._core
        self._connected = True
        silence_at_exit(core)
        acquisition, events = core.mda.events, core.events
        wanted: list[tuple[bool, Any, Callable[..., None]]] = [
            (self._mda, acquisition.sequenceStarted, self._on_sequence_started),
            (self._mda, acquisition.frameReady, self._on_frame_ready),
            (True, acquisition.sequenceFinished, self._on_sequence_finished),
            (self._live, events.continuousSequenceAcquisitionStarted, self._on_live_started),
            (self._live, events.sequenceAcquisitionStopped, self._on_live_stopped),
            (self._live, events.pixelSizeChanged, self._on_pixel_size_changed),
            (self._live or self._mda, events.pixelSizeAffineChanged, self._on_affine_changed),
            (self._snap, events.imageSnapped, self._on_snapped),
        ]
        if not self._mda:
            wanted[0] = (True, acquisition.sequenceStarted, self._on_other_sequence_started)
        for is_wanted, signal, callback in wanted:
            if is_wanted:
                self._disconnect.append(connect_direct(signal, self._guarded(callback)))
        self._acquiring = bool(core.mda.is_running())
        with suppress(*REFUSALS):
            if self._live and not self._acquiring and core.isSequenceRunning():
                self._on_live_started()

    def _release(self) -> None:
        for disconnect in self._disconnect:
            disconnect()
        self._disconnect.clear()
        with self._polls_lock:
            self._connected, self._poll = False, None
            polls = self._polls.copy()
            self._polls.clear()
        # Also those that a signal ended: whoever stops this source may unload the devices next.
        for poll in polls:
            poll.stop()
        for poll in polls:
            poll.join()
        self._acquiring = False

    def _guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """The callback, never raising: an exception in `sequenceStarted` would end somebody's acquisition."""

        def guarded(*args: Any) -> None:
            try:
                callback(*args)
            except BaseException as error:
                self._keep(error)

        return guarded

    def _keep(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
        _log.error("a frame of Micro-Manager could not be delivered: %s", error, exc_info=error)

    # --------------------------------------------------------------- callbacks

    def _on_sequence_started(self, sequence: useq.MDASequence, meta: Mapping[str, Any]) -> None:
        self._acquiring = True
        self._stop_polling()
        consumer = self._consumer
        with self._session_lock:
            self._session = None
            if consumer is not None:
                stream = layout_of(sequence, meta, self._core)
                self._affine = affine_in(meta)
                self._announced, self._delivered = stream.frames or 0, 0
                consumer.begin_stream(stream)

    def _on_other_sequence_started(self, sequence: useq.MDASequence, meta: Mapping[str, Any]) -> None:
        self._acquiring = True

    def _on_frame_ready(self, image: Pixels, event: useq.MDAEvent, meta: Mapping[str, Any]) -> None:
        kept = {name: meta[name] for name in _KEPT_METADATA if name in meta}
        if "pixel_size_um" in kept:
            kept["pixel_size_um"] = pixel_size(kept["pixel_size_um"], self._affine)
        index = {str(getattr(axis, "value", axis)): int(position) for axis, position in event.index.items()}
        self._delivered += 1
        self._put(image, index, kept)

    def _on_sequence_finished(self, sequence: useq.MDASequence) -> None:
        self._acquiring = False
        consumer = self._consumer
        if self._mda and consumer is not None:
            reason = str(getattr(self._core.mda.status, "finish_reason", None) or "completed")
            if reason == "completed":
                self._deliver_left_over(sequence)
            consumer.end_stream(cast("EndReason", reason))

    def _deliver_left_over(self, sequence: useq.MDASequence) -> None:
        """Frames of a hardware sequence that the acquisition left in the circular buffer.

        pymmcore-plus 0.18 stops when the buffer is empty and then the camera does not run; an image that arrives
        between the two questions is never asked for (one in 120 short acquisitions beside a busy thread). It was
        measured, and it is still in the buffer: nothing is taken out of it here either.
        """
        missing = self._announced - self._delivered
        if not 0 < missing <= MOST_LEFT_OVER or self._core.getRemainingImageCount() != missing:
            return
        events = deque((event for event in sequence if event.action.type == "acquire_image"), maxlen=missing)
        state = self._state_of_core(self._core.getCameraDevice())
        for back, event in zip(range(missing - 1, -1, -1), events, strict=True):
            image, tags = self._core.getNBeforeLastImageAndMD(back)
            self._on_frame_ready(image, event, {**state, "camera_metadata": dict(tags)})

    def _on_live_started(self) -> None:
        consumer = self._consumer
        if consumer is None or self._acquiring:
            return
        with suppress(*REFUSALS):
            self._pixel_size_um = self._core.getPixelSizeUm()
            self._affine = tuple(self._core.getPixelSizeAffine())
        poll = LivePoll(self._core, self._put_live, self._on_live_ended, self._keep)
        with self._polls_lock:
            if not self._connected:
                return
            before, self._poll = self._poll, poll
            self._polls = [*(other for other in self._polls if other.running), poll]
        if before is not None:
            before.stop()
        with self._session_lock:
            if self._session is not None:
                consumer.end_stream("stopped")
            self._session = poll
        poll.start()

    def _on_live_stopped(self, camera: str) -> None:
        """Whoever stopped may start again at once, and a core that is asked meanwhile whether it runs forgets that.

        pymmcore-plus 0.18: `isSequenceRunning` finds the thread of a Python camera ended, and takes the new one for it.
        """
        poll = self._stop_polling()
        if poll is not None:
            poll.join()

    def _on_pixel_size_changed(self, size_um: float) -> None:
        self._pixel_size_um = size_um

    def _on_affine_changed(self, *affine: float) -> None:
        self._affine = affine

    def _on_live_ended(self, poll: LivePoll, reason: EndReason, missing: int) -> None:
        consumer = self._consumer
        with self._session_lock:
            if self._session is poll and consumer is not None:
                self._session = None
                consumer.end_stream(reason, missing=missing)

    def _on_snapped(self, camera: str) -> None:
        consumer = self._consumer
        # An acquisition that is not sequenced snaps, too; its frames come by `frameReady`.
        if self._acquiring or consumer is None or self._core.mda.is_running():
            return
        image = np.array(self._core.getImage())
        self._put(image, {}, self._state_of_core(camera))
        consumer.end_stream("completed", missing=0)

    # ------------------------------------------------------------------ frames

    def _put(self, image: Pixels, index: Mapping[str, int], metadata: Mapping[str, Any]) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        frame = Frame(image, index, self._count, time.perf_counter(), metadata)
        self._count += 1
        consumer.put(frame, wait=False)

    def _put_live(self, poll: LivePoll, image: Pixels, tags: Mapping[str, Any]) -> None:
        metadata = self._camera_of_core(str(tags.get("Camera", "")))
        if self._pixel_size_um is not None:
            metadata["pixel_size_um"] = pixel_size(self._pixel_size_um, self._affine)
        with self._session_lock:
            if self._session is poll:
                self._put(image, {}, {**metadata, "camera_metadata": dict(tags)})

    def _state_of_core(self, camera: str) -> dict[str, Any]:
        """For the threads of the core's owner, in which its signals are emitted."""
        state = self._camera_of_core(camera)
        with suppress(*REFUSALS):
            state["pixel_size_um"] = pixel_size(self._core.getPixelSizeUm(), self._core.getPixelSizeAffine())
        return state

    def _camera_of_core(self, camera: str) -> dict[str, Any]:
        """For any thread, also while a configuration is being loaded, which has no camera for a while."""
        state: dict[str, Any] = {"camera_device": camera or self._core.getCameraDevice()}
        with suppress(*REFUSALS):
            state["exposure_ms"] = self._core.getExposure()
        return state

    def _stop_polling(self) -> LivePoll | None:
        """Ask the poll to end, without waiting; which one it was."""
        with self._polls_lock:
            poll, self._poll = self._poll, None
        if poll is not None:
            poll.stop()
        return poll
