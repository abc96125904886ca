"""The bounded queue between a camera's thread and the worker: what happens when frames come faster than they go."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from threading import Condition
from typing import Generic, Literal, TypeVar, get_args

from .errors import InputError
from .frame import Frame
from .spill import SpillRing

Policy = Literal["latest", "all"]
Tag = TypeVar("Tag")


@dataclass(frozen=True)
class QueueCounts:
    """Where all frames are, taken in one instant.

    ``received == processed + dropped + waiting + in_process`` always holds.

    Attributes
    ----------
    received
        Frames that were put, whatever became of them. A frame whose producer is still held back is not among them.
    processed
        Frames that the worker is done with.
    dropped
        Frames that the worker never saw: replaced by a later one (policy "latest"), put after the end, or discarded.
    waiting
        Frames in memory and on disk.
    in_process
        1 while the worker has a frame in hand, else 0.
    spilled
        Those of the waiting frames that are on disk.
    spilled_total
        Frames that ever went by way of the disk.
    held_back_s
        Time for which producers were made to wait, s, all together.
    """

    received: int = 0
    processed: int = 0
    dropped: int = 0
    waiting: int = 0
    in_process: int = 0
    spilled: int = 0
    spilled_total: int = 0
    held_back_s: float = 0.0


class FrameQueue(Generic[Tag]):
    """First in, first out; many producers, one worker.

    Parameters
    ----------
    policy
        "latest": a full queue drops the oldest waiting frame. "all": no frame is dropped; a producer that may wait is
        held back, one that may not has its frame spilled to disk, and is held back only when the disk is full too.
    capacity
        Frames in memory.
    spill
        Where frames go that find no room in memory; None: producers are held back instead.

    Each frame carries a tag (the stream that it belongs to), which is handed back with it.
    """

    def __init__(self, policy: Policy, capacity: int, spill: SpillRing | None = None) -> None:
        if policy not in get_args(Policy):
            raise InputError(f"policy is {policy!r}; expected one of {', '.join(get_args(Policy))}")
        if capacity < 1:
            raise InputError(f"capacity is {capacity}; expected 1 frame or more")
        self.policy = policy
        self.capacity = capacity
        self._spill = spill if policy == "all" else None
        self._memory: deque[tuple[Frame, Tag]] = deque()
        self._spill_tags: deque[Tag] = deque()
        self._changed = Condition()
        self._closed = False
        self._woken = False
        self._reading = False  # whether the oldest frame on disk is in the worker's hands
        self._received = self._processed = self._dropped = self._in_process = self._spilled_total = 0
        self._held_back_s = 0.0

    def put(self, frame: Frame, tag: Tag, *, wait: bool = True) -> bool:
        """Add a frame; False if it was dropped because the queue is closed.

        Parameters
        ----------
        wait
            False where the caller must not be held back (a camera's thread): policy "all" then spills to disk.
        """
        with self._changed:
            slot = None
            since = time.perf_counter()
            held_back = False
            while not self._closed:
                if self._has_room():
                    break
                if self.policy == "latest":
                    self._memory.popleft()
                    self._dropped += 1
                    continue
                # Frames already on disk are older than this one, so it goes behind them even when memory is free.
                if self._spill is not None and (not wait or len(self._spill)):
                    slot = self._spill.reserve(frame)
                    if slot is not None:
                        break
                held_back = True
                self._changed.wait()
            if held_back:
                self._held_back_s += time.perf_counter() - since
            self._received += 1
            if self._closed:
                self._dropped += 1
                return False
            if slot is None:
                self._memory.append((frame, tag))
                self._changed.notify_all()
                return True
            assert self._spill is not None
            self._spill_tags.append(tag)
            self._spilled_total += 1
        self._spill.write(slot, frame)
        with self._changed:
            slot.ready = True
            self._changed.notify_all()
        return True

    def get(self, timeout_s: float | None = None) -> tuple[Frame, Tag] | None:
        """The oldest frame, now in process until `done`; None after the timeout, a `wake`, or at the end."""
        until = None if timeout_s is None else time.perf_counter() + timeout_s
        with self._changed:
            while True:
                if self._memory:
                    item = self._memory.popleft()
                    self._in_process = 1
                    self._changed.notify_all()
                    return item
                slot = self._spill.head() if self._spill is not None else None
                if slot is not None:
                    tag = self._spill_tags.popleft()
                    self._in_process = 1
                    self._reading = True
                    break
                if self._woken or (self._closed and not self._waiting()):
                    self._woken = False
                    return None
                remaining = None if until is None else until - time.perf_counter()
                if remaining is not None and remaining <= 0:
                    return None
                self._changed.wait(remaining)
        assert self._spill is not None
        try:
            frame = self._spill.read(slot)
        except OSError:
            with self._changed:
                self._in_process = 0
                self._dropped += 1
            raise
        finally:
            with self._changed:
                self._spill.release()
                self._reading = False
                self._changed.notify_all()
        return frame, tag

    def done(self) -> None:
        """The worker is done with the frame in process."""
        with self._changed:
            self._in_process = 0
            self._processed += 1
            self._changed.notify_all()

    def wake(self) -> None:
        """Let a waiting `get` return None once."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self, *, discard: bool = False) -> None:
        """Take no more frames; held-back producers return. With `discard`, drop what is waiting."""
        with self._changed:
            self._closed = True
            if discard:
                self._dropped += self._waiting()
                self._memory.clear()
                self._spill_tags.clear()
                if self._spill is not None:
                    self._spill.forget(keep_oldest=self._reading)
            self._changed.notify_all()

    def give_back(self) -> None:
        """Close the file of the spill, after the worker has ended."""
        with self._changed:
            if self._spill is not None:
                self._spill.close()

    def finished(self) -> bool:
        """Whether the queue is closed and empty: the worker may go home."""
        with self._changed:
            return self._closed and not self._waiting()

    def counts(self) -> QueueCounts:
        """A snapshot of all counters."""
        with self._changed:
            return QueueCounts(
                received=self._received,
                processed=self._processed,
                dropped=self._dropped,
                waiting=self._waiting(),
                in_process=self._in_process,
                spilled=len(self._spill_tags),
                spilled_total=self._spilled_total,
                held_back_s=self._held_back_s,
            )

    @property
    def closed(self) -> bool:
        """Whether no more frames are taken."""
        return self._closed

    @property
    def spill_problem(self) -> str:
        """Why the disk took no more frames, empty if it did."""
        return self._spill.problem if self._spill is not None else ""

    def _has_room(self) -> bool:
        return len(self._memory) < self.capacity and not self._spill_tags

    def _waiting(self) -> int:
        return len(self._memory) + len(self._spill_tags)
