"""The newest of each channel, left by one thread and fetched by another."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from sasnet_live.layout import Layout

from .pictures import Scan


class HasScan(Protocol):
    """What is kept."""

    @property
    def scan(self) -> Scan: ...


T = TypeVar("T", bound=HasScan)


class NewestByChannel(Generic[T]):
    """Like a deque of length one for each channel: one thread appends, one pops.

    With a single place, one channel that is registered fast would be shown instead of the others.
    """

    def __init__(self) -> None:
        self._newest: dict[int, T] = {}

    def append(self, result: T) -> None:
        """In place of the one before of its channel."""
        self._newest[result.scan.channel] = result

    def pop(self) -> T:
        """That which has waited longest, once.

        Raises
        ------
        IndexError
            If there is none.
        """
        waiting = list(self._newest.items())
        if not waiting:
            raise IndexError("nothing new")
        channel, _ = min(waiting, key=lambda item: item[1].scan.frame.received_s)
        return self._newest.pop(channel)

    def clear(self) -> None:
        """Forget all."""
        self._newest.clear()


def names_of_channels(stream: Layout) -> tuple[str, ...]:
    """For people, by number; empty where there is only one."""
    count = stream.size("c") or 1
    if count < 2:
        return ()
    return stream.channel_names or tuple(f"channel {number}" for number in range(count))
