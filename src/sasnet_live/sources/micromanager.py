"""Frames of a pymmcore-plus core that somebody else owns: acquisitions, live mode and snaps."""

from __future__ import annotations

import atexit
import logging
import math
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Pixels
from sasnet_live.sources.protocol import FrameConsumer
from sasnet_live.stream import Axis, EndReason, StreamInfo

if TYPE_CHECKING:
    import useq
    from pymmcore_plus import CMMCorePlus

_log = logging.getLogger(__name__)

POLL_INTERVAL_S = 0.002
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

    Live mode has no signal for a frame. A thread asks the core for its last image and takes each image number once;
    numbers it did not see in time are fetched from the circular buffer, from which nothing is ever removed.
    """

    def __init__(self, core: CMMCorePlus, *, mda: bool = True, live: bool = True, snap: bool = True) -> None:
        self._core = core
        self._mda, self._live, self._snap = mda, live, snap
        self._consumer: FrameConsumer | None = None
        self._disconnect: list[Callable[[], None]] = []
        self._acquiring = False
        self._poll: _LivePoll | None = None
        # The live session whose frames count. A poll that ends late must not touch the stream that came after it.
        self._session: _LivePoll | None = None
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
        _silence_at_exit(core)
        acquisition, events = core.mda.events, core.events
        wanted: list[tuple[bool, Any, Callable[..., None]]] = [
            (self._mda, acquisition.sequenceStarted, self._on_sequence_started),
            (self._mda, acquisition.frameReady, self._on_frame_ready),
            (True, acquisition.sequenceFinished, self._on_sequence_finished),
            (self._live, events.continuousSequenceAcquisitionStarted, self._on_live_started),
            (self._live, events.sequenceAcquisitionStopped, self._on_live_stopped),
            (self._snap, events.imageSnapped, self._on_snapped),
        ]
        if not self._mda:
            wanted[0] = (True, acquisition.sequenceStarted, self._on_other_sequence_started)
        for is_wanted, signal, callback in wanted:
            if is_wanted:
                self._disconnect.append(connect_direct(signal, self._guarded(callback)))
        self._acquiring = bool(core.mda.is_running())
        if self._live and not self._acquiring and core.isSequenceRunning():
            self._on_live_started()

    def _release(self) -> None:
        for disconnect in self._disconnect:
            disconnect()
        self._disconnect.clear()
        self._stop_polling(wait=True)
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
        self._stop_polling(wait=False)
        with self._session_lock:
            self._session = None
            if self._consumer is not None:
                stream = stream_of(sequence, meta, self._core)
                self._announced, self._delivered = stream.expected or 0, 0
                self._consumer.begin_stream(stream)

    def _on_other_sequence_started(self, sequence: useq.MDASequence, meta: Mapping[str, Any]) -> None:
        self._acquiring = True

    def _on_frame_ready(self, image: Pixels, event: useq.MDAEvent, meta: Mapping[str, Any]) -> None:
        kept = {name: meta[name] for name in _KEPT_METADATA if name in meta}
        index = {str(getattr(axis, "value", axis)): int(position) for axis, position in event.index.items()}
        self._delivered += 1
        self._put(image, index, kept)

    def _on_sequence_finished(self, sequence: useq.MDASequence) -> None:
        self._acquiring = False
        if self._mda and self._consumer is not None:
            reason = str(getattr(self._core.mda.status, "finish_reason", None) or "completed")
            if reason == "completed":
                self._deliver_left_over(sequence)
            self._consumer.end_stream(cast("EndReason", reason))

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
        if self._consumer is None or self._acquiring:
            return
        self._stop_polling(wait=False)
        self._poll = _LivePoll(self._core, self._put_live, self._on_live_ended, self._keep)
        with self._session_lock:
            if self._session is not None:
                self._consumer.end_stream("stopped")
            self._session = self._poll
        self._poll.start()

    def _on_live_stopped(self, camera: str) -> None:
        self._stop_polling(wait=False)

    def _on_live_ended(self, poll: _LivePoll, reason: EndReason, missing: int) -> None:
        with self._session_lock:
            if self._session is poll and self._consumer is not None:
                self._session = None
                self._consumer.end_stream(reason, missing=missing)

    def _on_snapped(self, camera: str) -> None:
        # An acquisition that is not sequenced snaps, too; its frames come by `frameReady`.
        if self._acquiring or self._consumer is None or self._core.mda.is_running():
            return
        image = np.array(self._core.getImage())
        self._put(image, {}, self._state_of_core(camera))
        self._consumer.end_stream("completed", missing=0)

    # ------------------------------------------------------------------ frames

    def _put(self, image: Pixels, index: Mapping[str, int], metadata: Mapping[str, Any]) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        frame = Frame(image, index, self._count, time.perf_counter(), metadata)
        self._count += 1
        consumer.put(frame, wait=False)

    def _put_live(self, poll: _LivePoll, image: Pixels, tags: Mapping[str, Any]) -> None:
        metadata = self._state_of_core(str(tags.get("Camera", "")))
        with self._session_lock:
            if self._session is poll:
                self._put(image, {}, {**metadata, "camera_metadata": dict(tags)})

    def _state_of_core(self, camera: str) -> dict[str, Any]:
        state: dict[str, Any] = {"camera_device": camera or self._core.getCameraDevice()}
        # A configuration that is being loaded has no camera to ask.
        with suppress(RuntimeError):
            state["exposure_ms"] = self._core.getExposure()
            state["pixel_size_um"] = self._core.getPixelSizeUm()
        return state

    def _stop_polling(self, *, wait: bool) -> None:
        poll, self._poll = self._poll, None
        if poll is not None:
            poll.stop(wait=wait)


class _LivePoll:
    """Takes each image of a live session once, in its own thread."""

    def __init__(
        self,
        core: CMMCorePlus,
        put: Callable[[_LivePoll, Pixels, Mapping[str, Any]], None],
        ended: Callable[[_LivePoll, EndReason, int], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._core, self._put, self._ended, self._failed = core, put, ended, failed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sasnet-live-poll", daemon=True)
        self._last: int | None = None
        self._missing = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, wait: bool) -> None:
        """End the thread; wait for it only where that cannot hold up a GUI for long."""
        self._stopping.set()
        if wait and threading.current_thread() is not self._thread:
            self._thread.join(5)

    def _run(self) -> None:
        reason: EndReason = "stopped"
        quiet_since = time.perf_counter()
        try:
            while not self._stopping.wait(POLL_INTERVAL_S):
                if self._take():
                    quiet_since = time.perf_counter()
                elif time.perf_counter() - quiet_since > 0.1:
                    # Asked only when no image came: a camera that failed or a core that was reset sends no signal.
                    quiet_since = time.perf_counter()
                    if not self._sequence_running():
                        reason = "stopped" if self._stopping.is_set() else "errored"
                        break
            if reason == "stopped" and not self._sequence_running():
                self._take()  # the last image of this session, unless the next one is under way
        except BaseException as error:
            reason = "errored"
            self._failed(error)
        self._ended(self, reason, self._missing)

    def _take(self) -> bool:
        """Deliver what came since the last time; whether anything did."""
        try:
            image, metadata = self._core.getLastImageAndMD()
        except (IndexError, RuntimeError):
            return False
        tags = dict(metadata)
        number = _image_number(tags)
        if number is not None and number == self._last:
            return False
        if number is not None and self._last is not None and number > self._last + 1:
            for earlier in self._recover(self._last + 1, number):
                self._put(self, *earlier)
        self._last = number
        self._put(self, image, tags)
        return True

    def _recover(self, first: int, end: int) -> Iterator[tuple[Pixels, dict[str, Any]]]:
        """Images numbered [first, end) from the circular buffer, in order; those gone are counted as missing."""
        back = end - first
        for wanted in range(first, end):
            found = None
            for _ in range(10):  # images go on coming: where one is, counted from the last, changes meanwhile
                try:
                    image, metadata = self._core.getNBeforeLastImageAndMD(max(0, back))
                except (IndexError, RuntimeError):
                    break
                tags = dict(metadata)
                number = _image_number(tags)
                if number is None:
                    break
                if number == wanted:
                    found = image, tags
                    break
                back += number - wanted
            back -= 1
            if found is None:
                self._missing += 1
            else:
                yield found

    def _sequence_running(self) -> bool:
        try:
            return bool(self._core.isSequenceRunning())
        except RuntimeError:
            return False


def find_core() -> CMMCorePlus:
    """The core in use in this process: napari-micromanager's if it is open, else the global instance.

    napari-micromanager makes a core of its own, and another one when it needs to; ask again from time to time and hand
    the answer to `MicroManagerSource.attach_to`.
    """
    window = sys.modules.get("napari_micromanager.main_window")
    if window is not None:
        with suppress(Exception):
            return cast("CMMCorePlus", window.get_core())
    from pymmcore_plus import CMMCorePlus

    return CMMCorePlus.instance()


def connect_direct(signal: Any, callback: Callable[..., None]) -> Callable[[], None]:
    """Connect so that the callback runs in the thread that emits, whichever signals the core uses.

    A core made while a QApplication exists has Qt's signals, which would queue a call to the GUI thread for every
    frame, without bound.

    Returns
    -------
    A function that disconnects, and does nothing the second time.
    """
    from psygnal import SignalInstance

    if isinstance(signal, SignalInstance):
        signal.connect(callback)
    else:
        # Qt is loaded already, by whoever made the core; only its connection type is looked up here.
        qt_core = sys.modules[type(signal).__module__.split(".")[0] + ".QtCore"]
        signal.connect(callback, qt_core.Qt.ConnectionType.DirectConnection)

    def disconnect() -> None:
        with suppress(ValueError, TypeError, RuntimeError):
            signal.disconnect(callback)

    return disconnect


def stream_of(sequence: useq.MDASequence, meta: Mapping[str, Any], core: CMMCorePlus) -> StreamInfo:
    """What the start of an acquisition tells of its frames."""
    image: Mapping[str, Any] = next(iter(meta.get("image_infos") or ()), {})
    width, height = image.get("width") or core.getImageWidth(), image.get("height") or core.getImageHeight()
    dtype = image.get("dtype") or f"uint{8 * core.getBytesPerPixel()}"
    camera = image.get("camera_label") or core.getCameraDevice()
    sizes = getattr(sequence, "sizes", None) or {}
    channels = tuple(channel.config for channel in getattr(sequence, "channels", ()) or ())
    axes = tuple(
        Axis(name, sizes[name], channels if name == "c" else ()) for name in sequence.axis_order if sizes.get(name)
    )
    return StreamInfo(
        shape=(int(height), int(width)),
        dtype=np.dtype(dtype),
        axes=axes,
        expected=_expected_frames(sequence, image),
        pixel_size_um=float(image.get("pixel_size_um") or 0) or None,
        z_step_um=_step(getattr(sequence, "z_plan", None)),
        interval_s=_interval(getattr(sequence, "time_plan", None)),
        exposure_ms=core.getExposure() or None,
        source=f'camera "{camera}"',
        metadata={"useq": sequence.model_dump(mode="json", exclude_unset=True)},
    )


def _expected_frames(sequence: useq.MDASequence, image: Mapping[str, Any]) -> int | None:
    """Number of frames announced; None for a sequence that is made up as it goes."""
    sizes = getattr(sequence, "sizes", None)
    if not sizes:
        return None
    cameras = int(image.get("num_camera_adapter_channels") or 1)
    regular = (
        all(channel.acquire_every == 1 and channel.do_stack for channel in sequence.channels)
        and all(position.sequence is None for position in sequence.stage_positions)
        and sequence.autofocus_plan is None
    )
    if regular:  # the product at once: to walk through a long sequence would hold up the acquisition
        return cameras * math.prod(int(size) for size in sizes.values() if size)
    return cameras * sum(1 for event in sequence if event.action.type == "acquire_image")


def _step(z_plan: Any) -> float | None:
    step = getattr(z_plan, "step", None)
    return float(step) if step else None


def _interval(time_plan: Any) -> float | None:
    interval = getattr(time_plan, "interval", None)
    return float(interval.total_seconds()) if interval else None


def _image_number(tags: Mapping[str, Any]) -> int | None:
    try:
        return int(tags["ImageNumber"])
    except (KeyError, ValueError):
        return None


_silenced: weakref.WeakSet[Any] = weakref.WeakSet()


def _silence_at_exit(core: Any) -> None:
    """Keep a core that is alive when the interpreter ends from calling back into it, which aborts the process."""
    if not _silenced:
        atexit.register(_silence_all)
    _silenced.add(core)


def _silence_all() -> None:
    import pymmcore

    for core in list(_silenced):
        pymmcore.CMMCore.registerCallback(core, None)
