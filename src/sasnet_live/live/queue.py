"""The bounded queue between a camera's thread and the worker: what happens when frames come faster than they go."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Condition
from typing import Generic, Literal, TypeVar, get_args

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame

from .spill import SpillRing
from .status import QueueCounts

Policy = Literal["latest", "all"]
Tag = TypeVar("Tag")

DEFAULT_CAPACITY: dict[Policy, int] = {"latest": 1, "all": 64}


class FrameQueue(Generic[Tag]):
    """First in, first out; many producers, one worker.

    Parameters
    ----------
    policy
        "latest": a full queue drops the oldest waiting frame. "all": no frame is dropped; a producer that may wait is
        held back, one that may not has its frame spilled to disk, and is held back only when the disk is full too.
        May be changed at any time, see `set_policy`.
    capacity
        Frames in memory under each policy; 1 for "latest" and 64 for "all" by default.
    spill
        Where frames go that find no room in memory; None: producers are held back instead.

    Each frame carries a tag (the stream that it belongs to), which is handed back with it.
    """

    def __init__(self, policy: Policy, capacity: int | None = None, spill: SpillRing | None = None) -> None:
        self._policy = _checked(policy)
        if capacity is not None and capacity < 1:
            raise InputError(f"capacity is {capacity}; expected 1 frame or more")
        self._capacity = {each: capacity or default for each, default in DEFAULT_CAPACITY.items()}
        self._spill = spill
        # In the order in which they go: the kept ones in memory, those on disk, and those that a later one replaces.
        # Each with its number, which is how many frames had been received with it.
        self._memory: deque[tuple[Frame, Tag, int]] = deque()
        self._on_disk: deque[tuple[Tag, int]] = deque()
        self._replaceable: deque[tuple[Frame, Tag, int]] = deque()
        self._marks: deque[tuple[Callable[[], None], int]] = deque()
        self._changed = Condition()
        self._closed = self._retired = False
        self._woken = False
        self._reading = False  # whether the oldest frame on disk is in the worker's hands
        self._received = self._processed = self._dropped = self._lost = self._in_process = self._spilled_total = 0
        self._held_back_s = 0.0

    @property
    def policy(self) -> Policy:
        """What happens to frames that are put now."""
        return self._policy

    def set_policy(self, policy: Policy) -> None:
        """Change what happens to frames from now on.

        To "all": no frame that waits or comes is dropped any more. (Where frames of an earlier time under "all" are
        still on disk, the one that waits behind them is dropped, and counted, to keep the order.) To "latest": frames
        that wait already are still kept; of those that come, a later one replaces an earlier one that waits.
        """
        with self._changed:
            self._policy = _checked(policy)
            if policy == "all":
                if self._on_disk:
                    self._dropped += len(self._replaceable)
                else:
                    self._memory.extend(self._replaceable)
                self._replaceable.clear()
            self._changed.notify_all()  # a producer that is held back need not be any more

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
            while not self._closed and self._policy == "all" and not self._has_room():
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
                self._lost += self._policy == "all"
                return False
            if slot is None:
                self._put_into_memory(frame, tag)
                self._changed.notify_all()
                return True
            assert self._spill is not None
            self._on_disk.append((tag, self._received))
            self._spilled_total += 1
        self._spill.write(slot, frame)
        with self._changed:
            slot.ready = True
            self._changed.notify_all()
        return True

    def mark(self, call: Callable[[], None]) -> bool:
        """Leave a call for the worker between the frames put so far and those put later; False if it has retired."""
        with self._changed:
            if self._retired:
                return False
            self._marks.append((call, self._received))
            self._changed.notify_all()
            return True

    def take_mark(self) -> Callable[[], None] | None:
        """The oldest call, if the worker is done with the frames before it."""
        with self._changed:
            return self._marks.popleft()[0] if self._mark_is_due() else None

    def retire(self) -> list[Callable[[], None]]:
        """The worker has gone home: the calls that were left over; no more are taken."""
        with self._changed:
            self._retired = True
            calls = [call for call, _ in self._marks]
            self._marks.clear()
            return calls

    def get(self, timeout_s: float | None = None) -> tuple[Frame, Tag] | None:
        """The oldest frame, now in process until `done`; None after the timeout, a `wake`, at a mark, or at the end."""
        until = None if timeout_s is None else time.perf_counter() + timeout_s
        with self._changed:
            while True:
                if self._mark_is_due():
                    return None
                item = self._take_from_memory()
                if item is not None:
                    self._changed.notify_all()
                    return item
                slot = self._spill.head() if self._spill is not None else None
                if slot is not None:
                    tag, _ = self._on_disk.popleft()
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
                self._lost += 1
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

    def close(self, *, discard: bool = False, spare_kept: bool = False) -> None:
        """Take no more frames; held-back producers return.

        Parameters
        ----------
        discard
            Drop what is waiting.
        spare_kept
            But not the frames that are to be kept.
        """
        with self._changed:
            self._closed = True
            if discard:
                self._dropped += len(self._replaceable)
                self._replaceable.clear()
            if discard and not spare_kept:
                self._dropped += self._waiting()
                self._lost += self._waiting()
                self._memory.clear()
                self._on_disk.clear()
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
                lost=self._lost,
                waiting=self._waiting(),
                kept=self._waiting() - len(self._replaceable),
                in_process=self._in_process,
                spilled=len(self._on_disk),
                spilled_total=self._spilled_total,
                held_back_s=self._held_back_s,
            )

    @property
    def closed(self) -> bool:
        """Whether no more frames are taken."""
        return self._closed

    # ---------------------------------------------------------- under the lock

    def _has_room(self) -> bool:
        return len(self._memory) < self._capacity["all"] and not self._on_disk

    def _put_into_memory(self, frame: Frame, tag: Tag) -> None:
        if self._policy == "all":
            self._memory.append((frame, tag, self._received))
            return
        while len(self._replaceable) >= self._capacity["latest"]:
            self._replaceable.popleft()
            self._dropped += 1
        self._replaceable.append((frame, tag, self._received))

    def _take_from_memory(self) -> tuple[Frame, Tag] | None:
        waiting = self._memory or (None if self._on_disk else self._replaceable)
        if not waiting:
            return None
        frame, tag, _ = waiting.popleft()
        self._in_process = 1
        return frame, tag

    def _mark_is_due(self) -> bool:
        """Whether the oldest mark comes before all frames that wait."""
        if not self._marks:
            return False
        oldest = next((waiting[0][-1] for waiting in (self._memory, self._on_disk, self._replaceable) if waiting), None)
        return oldest is None or self._marks[0][1] < oldest

    def _waiting(self) -> int:
        return len(self._memory) + len(self._on_disk) + len(self._replaceable)


def _checked(policy: Policy) -> Policy:
    if policy not in get_args(Policy):
        raise InputError(f"policy is {policy!r}; expected one of {', '.join(get_args(Policy))}")
    return policy
