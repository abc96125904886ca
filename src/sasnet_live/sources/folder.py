"""Frames of TIFF files that another program writes into a folder while it acquires."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from sasnet_live.errors import InputError
from sasnet_live.frame import EndReason, Frame
from sasnet_live.layout import Layout
from sasnet_live.recordings import ReadSettings, Recording, open_recording
from sasnet_live.recordings.settings import LARGEST_MIB
from sasnet_live.sources.folder_listing import Entry, Listing, list_folder
from sasnet_live.sources.folder_memory import Seen, SentFrames
from sasnet_live.sources.folder_report import FolderProblem, FolderReport
from sasnet_live.sources.folder_streams import FolderStreams
from sasnet_live.sources.protocol import FrameConsumer

_log = logging.getLogger(__name__)

SETTLE_S = 0.3
"""Longer than a program takes between two writes of one frame; shorter than a person notices."""
TRIES = 5
"""How often a file that does not open is tried before it is given up: it may be locked, or a drive may be slow."""
REST = 4.0
"""Times as long as it took to look at a folder, before the next look: thousands of files do not take a whole core."""


class FolderSource:
    """Watches a folder and delivers the frames of each file when it is complete, each frame once.

    A file counts as complete when its size and times have not changed for a while and it opens. Of one that has grown
    since, the new frames are delivered; one that was written again with other frames is delivered again: some programs
    write every frame to the same name. Files with one frame each follow one another in one stream, as long as they
    have the same shape, type and pixel size; a file with several frames is a stream with its own axes, which stays
    open for a while in case the file grows. The folder may be made later, and may vanish for a time, as network drives
    do.

    One file never keeps the others from being delivered. What is passed over is in `problems`; what is left out on
    purpose is only told: see `take_news`.

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
        How long a file that does not open is tried before it is passed over, and how long the stream of a file with
        several frames stays open.
    is_registered
        Whether a file came out of this program registered: such files are left out.
    check
        Called with what a file's frames are like; an `InputError` leaves the file out.
    largest_mib
        Memory that a frame may take unpacked: files with larger ones are passed over.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        existing: bool = True,
        settle_s: float = SETTLE_S,
        poll_s: float = 0.1,
        give_up_s: float = 5.0,
        is_registered: Callable[[Path], bool] = lambda path: False,
        check: Callable[[Layout], None] = lambda stream: None,
        largest_mib: float = LARGEST_MIB,
    ) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{self.folder}: is a file; give the folder that files are written into")
        if not 0 <= settle_s < math.inf:
            raise InputError(f"settle_s is {settle_s}; expected 0 s or more")
        self._existing = existing
        self._settle_s, self._poll_s, self._give_up_s = settle_s, poll_s, give_up_s
        self._is_registered, self._check, self._largest_mib = is_registered, check, largest_mib
        self._seen: dict[str, Seen] = {}
        self._report = FolderReport(self.folder)
        self._registered: list[str] = []
        self._away_s: float | None = None
        self._count = 0
        self._cut_short = False  # by `stop`, in the middle of a file
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._busy_s = time.perf_counter()

    def __str__(self) -> str:
        return f"folder {self.folder}"

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
        """Files that are passed over; one that is complete later is no longer among them."""
        return self._report.problems

    def take_news(self) -> list[str]:
        """Lines for people, each once: problems, what is left out on purpose, a folder that has gone. Any thread."""
        return self._report.take_news()

    @property
    def idle_s(self) -> float:
        """Time since the last file was delivered, given up or changed, s; 0 while one is waited for."""
        return max(0.0, time.perf_counter() - self._busy_s)

    def start(self, consumer: FrameConsumer) -> None:
        """Begin to watch; a source is started once."""
        if self._thread is not None:
            raise InputError("this source was started before; make another one")
        consumer.attach(self)
        self._busy_s = time.perf_counter()
        listing = None if self._existing else self._listed()
        for entry in () if listing is None else listing.entries:
            self._seen[entry.name] = Seen(entry.look, self._busy_s, handled=entry.look)
        self._thread = threading.Thread(target=self._run, args=(consumer,), name="sasnet-live-folder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()
        if self._thread is not None and threading.current_thread() is not self._thread:
            self._thread.join()

    # ------------------------------------------------------------ in its thread

    def _run(self, consumer: FrameConsumer) -> None:
        streams = FolderStreams(consumer)
        reason: EndReason = "stopped"
        rest_s = self._poll_s
        try:
            while not self._stopping.wait(rest_s):
                now = time.perf_counter()
                listing = self._listed()
                rest_s = max(self._poll_s, REST * (time.perf_counter() - now))
                if listing is not None:
                    self._go_through(listing, now, streams)
                if self.idle_s >= self._give_up_s:
                    streams.end_file()
            self._tell_unfinished()
            if streams.of_one_file and not self._cut_short:
                reason = "completed"
        except BaseException as error:
            self._error = error
            reason = "errored"
            _log.error("the watch of %s ended: %s", self.folder, error, exc_info=error)
        streams.end(reason)
        consumer.detach(self)

    def _listed(self) -> Listing | None:
        """What is in the folder; None while it cannot be read."""
        now = time.perf_counter()
        try:
            listing = list_folder(self.folder)
        except OSError as error:
            self._away_s = self._away_s or now
            if now - self._away_s >= self._settle_s:
                self._report.tell_once("away", f"{self.folder}: cannot be read ({error.strerror}); waiting for it")
            return None
        self._away_s = None
        if self._report.take_back("away"):
            self._report.tell(f"{self.folder}: can be read again; going on")
            for problem in self._report.problems:  # it may have been the drive
                seen = self._seen[problem.path.name]
                seen.handled = seen.failing_s = None
        return listing

    def _go_through(self, listing: Listing, now: float, streams: FolderStreams) -> None:
        """Deal with what is due."""
        waiting = False
        for entry in listing.entries:
            if self._is_due(entry, now):
                self._busy_s = math.inf  # however long it takes: the model may be loaded for it, or a consumer be full
                self._take(entry, streams)
                self._busy_s = time.perf_counter()
            waiting = waiting or self._seen[entry.name].handled != entry.look
            if self._stopping.is_set():
                return
        if waiting:
            self._busy_s = time.perf_counter()
        registered, self._registered = self._registered, []
        self._report.tell_of(registered, "registered by this program already; left out")
        self._report.tell_of(listing.folders, "a folder; what is in it is not taken: watch it by itself for that")
        if listing.hidden:
            self._report.tell_once("hidden", f"{self.folder / listing.hidden[0]}: hidden; such files are left out")

    def _is_due(self, entry: Entry, now: float) -> bool:
        """Whether a file has settled and is to be dealt with; `now` is when the folder was looked at."""
        seen = self._seen.get(entry.name)
        if seen is None:
            self._seen[entry.name] = Seen(entry.look, now)
            return False
        if seen.look != entry.look:
            seen.changed(entry.look, now)
            return False
        if entry.look == seen.handled or now - seen.since_s < self._settle_s:
            return False
        return seen.failing_s is None or now - seen.tried_s >= self._give_up_s / TRIES

    def _take(self, entry: Entry, streams: FolderStreams) -> None:
        """Deliver a file, or keep why not."""
        seen, path = self._seen[entry.name], self.folder / entry.name
        if entry.oddity:
            self._pass_over(entry, f"{path}: {entry.oddity}; left out")
            return
        try:
            if self._is_registered(path):
                self._registered.append(entry.name)
                self._finish(entry)
                return
            stack = open_recording(path, ReadSettings(largest_mib=self._largest_mib, series="apart"))
        except Exception as error:  # whatever is wrong with one file, the others go on
            self._note_failure(entry, error)
            return
        with stack:
            for remark in stack.remarks:
                self._report.tell_once(remark, remark)
            try:
                self._check(stack.layout)
            except InputError as error:
                self._pass_over(entry, f"{path}: {error}; left out")
                return
            failure = self._deliver(path, stack, seen, streams)
        if failure is not None:
            self._note_failure(entry, failure)
        elif not self._cut_short:
            self._finish(entry)

    def _deliver(self, path: Path, stack: Recording, seen: Seen, streams: FolderStreams) -> Exception | None:
        """Put the frames that were not put yet; what kept the next one from being read, if anything."""
        layout = stack.layout
        stream: Layout | None = None
        try:
            if not seen.sent.begin(stack):
                seen.sent = SentFrames()
        except Exception as error:
            return error
        for index in islice(layout.indices(), len(seen.sent), None):
            self._cut_short = self._stopping.is_set()
            if self._cut_short:
                return None
            try:
                data = stack.read(index)
            except Exception as error:
                return error
            stream = stream or streams.enter(path, layout, seen.sent)
            position = index if stream.axes else {}
            metadata: dict[str, Any] = {"file": path.name}
            if layout.pixel_size_um is not None:
                metadata["pixel_size_um"] = layout.pixel_size_um
            seen.sent.add(data)
            streams.put(Frame(data, position, self._count, time.perf_counter(), metadata))
            self._count += 1
        return None

    # -------------------------------------------------- how it went with a file

    def _finish(self, entry: Entry) -> None:
        self._seen[entry.name].finish()
        self._report.is_fine(entry.name)

    def _pass_over(self, entry: Entry, reason: str) -> None:
        self._seen[entry.name].finish()
        self._report.pass_over(entry.name, reason)

    def _note_failure(self, entry: Entry, error: Exception) -> None:
        """It cannot be read: it is tried again for a while, as another program may still be writing it."""
        seen, path = self._seen[entry.name], self.folder / entry.name
        text = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, InputError):
            text = f"cannot be read ({text}); copy or export it again"
        reason = text if str(path) in text else f"{path}: {text}"
        if len(seen.sent):
            reason += f"; its first {len(seen.sent)} frames were taken"
        if seen.fail(time.perf_counter(), reason) >= self._give_up_s:
            self._pass_over(entry, reason)

    def _tell_unfinished(self) -> None:
        """The watch ends: say which files are there and could not be read yet."""
        for name, seen in self._seen.items():
            if seen.reason and os.path.lexists(self.folder / name):
                self._report.tell(f"{seen.reason}; it was so when the watch ended")
