"""Frames of TIFF files that another program writes into a folder while it acquires."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame
from sasnet_live.sources.protocol import FrameConsumer
from sasnet_live.sources.tiff import SUFFIXES, TiffStack
from sasnet_live.stack import StackLayout
from sasnet_live.stream import Axis, EndReason, StreamInfo

_log = logging.getLogger(__name__)


@dataclass
class _Seen:
    """What is known of a file: how it looked last, since when, and how it looked when its frames were delivered."""

    look: tuple[int, int]
    since_s: float
    delivered: tuple[int, int] | None = None
    given_up: tuple[int, int] | None = None


@dataclass(frozen=True)
class FolderProblem:
    """A file that could not be read, and why, in one line."""

    path: Path
    reason: str = field(default="")


class FolderSource:
    """Watches a folder and delivers the frames of each file when it is complete.

    A file counts as complete when its size and time have not changed for a while and it opens. One that is written
    again is delivered again: some programs write every frame to the same name. Files with one frame each follow one
    another in one stream, as long as they have the same shape; a file with several frames is a stream with its own
    axes. The folder may be made later, and may vanish for a time, as network drives do.

    Parameters
    ----------
    folder
        To watch; not the folders in it.
    existing
        Deliver the files that are there already, oldest first.
    settle_s
        How long a file must not have changed.
    poll_s
        How often to look.
    give_up_s
        How long a file that does not open may stay unchanged before it is reported in `problems` and passed over.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        existing: bool = True,
        settle_s: float = 0.3,
        poll_s: float = 0.1,
        give_up_s: float = 5.0,
    ) -> None:
        self._folder = Path(folder)
        if self._folder.exists() and not self._folder.is_dir():
            raise InputError(f"{self._folder}: is a file; give the folder that files are written into")
        self._existing = existing
        self._settle_s, self._poll_s, self._give_up_s = settle_s, poll_s, give_up_s
        self._seen: dict[Path, _Seen] = {}
        self._problems: list[FolderProblem] = []
        self._count = 0
        self._stream: StreamInfo | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._busy_s = time.perf_counter()

    def __str__(self) -> str:
        return f"folder {self._folder}"

    @property
    def running(self) -> bool:
        """Whether frames may still come."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def error(self) -> BaseException | None:
        """What ended the watch, None if nothing did."""
        return self._error

    @property
    def problems(self) -> tuple[FolderProblem, ...]:
        """Files that were passed over."""
        return tuple(self._problems)

    @property
    def idle_s(self) -> float:
        """Time since the last file was delivered or changed, s."""
        return time.perf_counter() - self._busy_s

    def start(self, consumer: FrameConsumer) -> None:
        """Begin to watch; a source is started once."""
        if self._thread is not None:
            raise InputError("this source was started before; make another one")
        consumer.attach(self)
        if not self._existing:
            for path, look in self._look():
                self._seen[path] = _Seen(look, time.perf_counter(), delivered=look)
        self._busy_s = time.perf_counter()
        self._thread = threading.Thread(target=self._run, args=(consumer,), name="sasnet-live-folder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()
        if self._thread is not None and threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self, consumer: FrameConsumer) -> None:
        reason: EndReason = "stopped"
        try:
            while not self._stopping.wait(self._poll_s):
                for path, look in self._look():
                    if self._is_due(path, look):
                        self._deliver(path, look, consumer)
                    if self._stopping.is_set():
                        break
        except BaseException as error:
            self._error = error
            reason = "errored"
            _log.error("the watch of %s ended: %s", self._folder, error, exc_info=error)
        consumer.end_stream(reason)
        consumer.detach(self)

    def _look(self) -> list[tuple[Path, tuple[int, int]]]:
        """TIFF files in the folder, oldest first, each with its (time, size)."""
        found = []
        try:
            for path in self._folder.iterdir():
                if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                    status = path.stat()
                    found.append((path, (status.st_mtime_ns, status.st_size)))
        except OSError:  # the folder, or a file just listed, is not there at the moment
            return []
        return sorted(found, key=lambda item: (item[1][0], item[0].name))

    def _is_due(self, path: Path, look: tuple[int, int]) -> bool:
        now = time.perf_counter()
        seen = self._seen.get(path)
        if seen is None:
            self._seen[path] = _Seen(look, now)
            self._busy_s = now
            return False
        if seen.look != look:
            seen.look, seen.since_s = look, now
            self._busy_s = now
            return False
        return look not in (seen.delivered, seen.given_up) and now - seen.since_s >= self._settle_s

    def _deliver(self, path: Path, look: tuple[int, int], consumer: FrameConsumer) -> None:
        seen = self._seen[path]
        try:
            stack = TiffStack(path)
        except (InputError, OSError) as error:
            # A writer that pauses in the middle of a file looks like a damaged file, for a time.
            if time.perf_counter() - seen.since_s >= self._give_up_s:
                seen.given_up = look
                self._problems.append(FolderProblem(path, str(error)))
                _log.warning("passed over: %s", error)
            return
        with stack:
            for remark in stack.remarks:
                _log.warning("%s", remark)
            self._begin_if_new(path, stack.layout, consumer)
            try:
                for frame in self._frames(path, stack):
                    consumer.put(frame)
                    if self._stopping.is_set():
                        break
            except InputError as error:
                self._problems.append(FolderProblem(path, str(error)))
                _log.warning("read in part: %s", error)
            if (stack.layout.frames or 1) > 1:
                consumer.end_stream("stopped" if self._stopping.is_set() else "completed")
                self._stream = None
        seen.delivered = look
        self._busy_s = time.perf_counter()

    def _begin_if_new(self, path: Path, layout: StackLayout, consumer: FrameConsumer) -> None:
        single = layout.frames == 1
        running = self._stream
        if single and running is not None and running.shape == layout.frame_shape and running.dtype == layout.dtype:
            return
        self._stream = stream_of(path, layout)
        consumer.begin_stream(self._stream)

    def _frames(self, path: Path, stack: TiffStack) -> Iterator[Frame]:
        many = stack.layout.frames != 1
        for index in stack.layout.indices(stack.layout.axes):
            position = {axis.lower(): number for axis, number in index.items()} if many else {}
            data = stack.read(index)
            yield Frame(data, position, self._count, time.perf_counter(), {"file": path.name})
            self._count += 1


def stream_of(path: Path, layout: StackLayout) -> StreamInfo:
    """A file's frames as a stream; without axes if there is only one."""
    many = layout.frames != 1
    names = layout.channel_names
    axes = tuple(
        Axis(axis.lower(), size or 1, names if axis == "C" else ())
        for axis, size in zip(layout.axes, layout.sizes, strict=True)
    )
    return StreamInfo(
        shape=layout.frame_shape,
        dtype=layout.dtype,
        axes=axes if many else (),
        expected=layout.frames if many else None,
        pixel_size_um=None if layout.pixel_size_um is None else layout.pixel_size_um[1],
        z_step_um=layout.z_step_um,
        interval_s=layout.interval_s,
        source=path.name if many else f"folder {path.parent.name}",
    )
