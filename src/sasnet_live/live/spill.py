"""A ring on disk that holds frames which a queue in memory has no room for."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections import deque
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from sasnet_live.frame import Frame, Pixels

_NO_PIXELS: Pixels = np.empty(0, np.uint8)


@dataclass
class _Slot:
    """One frame in the file. `frame` holds everything but its pixels, unless writing them failed."""

    frame: Frame
    offset: int
    n_bytes: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    ready: bool = False


class SpillRing:
    """First in, first out, in one temporary file of bounded size that vanishes in the end.

    Only the pixels go to disk. Bookkeeping (`reserve`, `head`, `release`) and transfers (`write`, `read`) are apart, so
    that a queue keeps its lock for the first and lets go of it for the second: a disk that stalls holds up nobody but
    the thread that writes. One thread reads; any number write.

    Parameters
    ----------
    limit_bytes
        Most that the file may grow to. Half of the free space is the bound if that is less.
    folder
        Where the file goes; the system's temporary folder by default. Choose a disk, where that one is kept in memory.
    """

    def __init__(self, limit_bytes: int, folder: str | Path | None = None) -> None:
        self._limit_wanted = limit_bytes
        self._folder = Path(folder) if folder is not None else Path(tempfile.gettempdir())
        self._limit: int | None = None
        self._writer: FileIO | None = None
        self._reader: FileIO | None = None
        self._path: Path | None = None
        self._writing = Lock()
        self._slots: deque[_Slot] = deque()
        self._write_offset = 0
        self._failed = False  # the disk refused; cleared once the ring is empty

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def limit_bytes(self) -> int:
        """Bound on the size of the file; measured when the first frame is spilled."""
        return self._limit if self._limit is not None else self._limit_wanted

    def reserve(self, frame: Frame) -> _Slot | None:
        """A place at the end of the ring, None if there is no room. Call under the queue's lock."""
        if self._failed and self._slots:
            return None
        self._failed = False
        try:
            self._open()
        except OSError:
            self._failed = True
            return None
        offset = self._place_for(frame.data.nbytes)
        if offset is None:
            return None
        slot = _Slot(replace(frame, data=_NO_PIXELS), offset, frame.data.nbytes, frame.data.shape, frame.data.dtype)
        self._slots.append(slot)
        self._write_offset = offset + slot.n_bytes
        return slot

    def write(self, slot: _Slot, frame: Frame) -> None:
        """Write the pixels; a disk that fails leaves the frame in memory and closes the ring until it is empty.

        Of a ring that was closed meanwhile, all frames are discarded, and this one with them.
        """
        try:
            view, done = np.ascontiguousarray(frame.data).data.cast("B"), 0
            with self._writing:
                if self._writer is None:
                    return
                self._writer.seek(slot.offset)
                while done < slot.n_bytes:
                    done += self._writer.write(view[done:]) or 0
        except OSError:
            slot.frame = frame
            self._failed = True

    def head(self) -> _Slot | None:
        """The oldest frame, None while it is not there or still being written. Call under the queue's lock."""
        return self._slots[0] if self._slots and self._slots[0].ready else None

    def read(self, slot: _Slot) -> Frame:
        """The frame of a slot; the slot stays taken until `release`."""
        if slot.frame.data is not _NO_PIXELS:
            return slot.frame
        assert self._reader is not None
        pixels = bytearray(slot.n_bytes)
        view, done = memoryview(pixels), 0
        self._reader.seek(slot.offset)
        while done < slot.n_bytes:
            n = self._reader.readinto(view[done:])
            if not n:
                raise OSError(f"the spill file in {self._folder} is shorter than what was written to it")
            done += n
        return replace(slot.frame, data=np.frombuffer(pixels, slot.dtype).reshape(slot.shape))

    def release(self) -> None:
        """Forget the oldest frame. Call under the queue's lock."""
        if self._slots:
            self._slots.popleft()
        if not self._slots:
            self._write_offset = 0
            if self._writer is not None:
                with self._writing:
                    self._writer.truncate(0)

    def forget(self, *, keep_oldest: bool) -> None:
        """Forget all frames, or all but the one that is being read. Call under the queue's lock."""
        oldest = self._slots[0] if self._slots and keep_oldest else None
        self._slots.clear()
        if oldest is not None:
            self._slots.append(oldest)

    def close(self) -> None:
        """Give the file back, after what is being written."""
        self._slots.clear()
        with self._writing:
            for file in (self._writer, self._reader):
                if file is not None:
                    file.close()
            self._writer = self._reader = None
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._path = None

    def _open(self) -> None:
        if self._writer is not None:
            return
        self._limit = min(self._limit_wanted, shutil.disk_usage(self._folder).free // 2)
        descriptor, name = tempfile.mkstemp(prefix="sasnet-live-spill-", dir=self._folder)
        # Two handles, each with its own position: one thread writes while another reads.
        self._writer = os.fdopen(descriptor, "r+b", buffering=0)
        self._reader = Path(name).open("rb", buffering=0)  # noqa: SIM115 - closed in `close`
        try:
            os.unlink(name)  # the space comes back even if the process is killed
        except OSError:  # Windows keeps a file that is open; `close` removes it
            self._path = Path(name)

    def _place_for(self, n_bytes: int) -> int | None:
        """Offset of `n_bytes` free bytes in a row, None if there are none."""
        if not self._slots:
            return 0 if n_bytes <= self.limit_bytes else None
        oldest = self._slots[0].offset
        if self._write_offset > oldest:
            if self._write_offset + n_bytes <= self.limit_bytes:
                return self._write_offset
            return 0 if n_bytes < oldest else None
        return self._write_offset if self._write_offset + n_bytes < oldest else None
