"""What the pipeline's thread leaves for the window: the newest result, the figures of all, and the newest raw frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from sasnet_live.frame import Frame, Pixels, RegistrationMetrics
from sasnet_live.scan import merge, split

from .by_channel import NewestByChannel
from .pictures import Scan

KEPT_FOR_CHART = 4096
"""Results that wait for the chart while the GUI is busy."""
BEHIND_S = 0.25
"""From which lag on the newest raw frame is shown ahead of the registered one: less than this is hardly seen."""

Newest = Literal["", "raw", "registered"]


@dataclass(frozen=True)
class Result:
    """One registered frame, for display, and the pictures of it that were drawn already.

    Attributes
    ----------
    newest
        The layer in whose place the newest frame is, as acquired, because frames wait to be registered; or empty.
    behind_s
        By how much that one is newer than the registered frame, seconds.
    """

    scan: Scan
    pictures: Mapping[str, tuple[Pixels, ...]]
    newest: Newest = ""
    behind_s: float = 0.0


@dataclass(frozen=True)
class Sample:
    """The figures of one frame, for the chart."""

    finished_s: float
    latency_ms: float
    accepted: bool
    metrics: RegistrationMetrics


class Results:
    """Left by the pipeline's thread, fetched by the GUI's; never more than a fixed number."""

    def __init__(self) -> None:
        self._latest: NewestByChannel[Result] = NewestByChannel()
        self._samples: deque[Sample] = deque(maxlen=KEPT_FOR_CHART)
        # Of the GUI's thread alone.
        self._registered: dict[int, Result] = {}  # by channel
        self._raw: Frame | None = None

    def clear(self) -> None:
        """A session begins."""
        self._latest.clear()
        self._samples.clear()
        self._registered.clear()
        self._raw = None

    def add(self, result: Result, sample: Sample) -> None:
        """One more frame is registered; in the pipeline's thread."""
        self._latest.append(result)
        self._samples.append(sample)

    def take_samples(self) -> list[Sample]:
        """The figures of all frames since the last call."""
        samples = []
        with suppress(IndexError):
            while True:
                samples.append(self._samples.popleft())
        return samples

    def take_latest(self, newest: Frame | None, seen: tuple[str, ...]) -> Result | None:
        """What is to be shown next, once: a channel's newest result, with the newest raw frame where that is ahead.

        Parameters
        ----------
        newest
            Came last from the source, where frames wait to be registered; else None.
        seen
            The kinds of layers that are not hidden.
        """
        result = None
        with suppress(IndexError):
            result = self._latest.pop()
            self._registered[result.scan.channel] = result
        shown = None if newest is None else self._registered.get(_channel(newest))
        if newest is None or shown is None or not _ahead(newest, shown.scan.frame):
            was_ahead, self._raw = self._raw, None
            return result if result is not None or was_ahead is None else self._registered.get(_channel(was_ahead))
        if result is not None and result is not shown:
            return result  # of another channel
        if result is None and newest is self._raw:
            return None
        self._raw = newest
        return _with_newest(shown, newest, seen)


def _channel(frame: Frame) -> int:
    return int(frame.index.get("c", 0))


def _ahead(newest: Frame, shown: Frame) -> bool:
    same_kind = newest.data.shape == shown.data.shape and newest.data.dtype == shown.data.dtype
    return same_kind and newest.received_s - shown.received_s >= BEHIND_S


def _with_newest(shown: Result, newest: Frame, seen: tuple[str, ...]) -> Result:
    """In place of the raw frame; where that is not seen, of the registered one."""
    pictures, behind_s = dict(shown.pictures), newest.received_s - shown.scan.frame.received_s
    instead_of: Newest = "registered" if "registered" in seen and "raw" not in seen else "raw"
    geometry = shown.scan.geometry
    pictures[instead_of] = (newest.data if instead_of == "raw" else merge(*split(newest.data, geometry), geometry),)
    return replace(shown, pictures=pictures, newest=instead_of, behind_s=behind_s)
