"""Where all frames of a live pipeline are: frozen counts."""

from __future__ import annotations

from dataclasses import dataclass


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
    lost
        Those of the dropped frames that were to be kept (policy "all").
    waiting
        Frames in memory and on disk.
    kept
        Those of the waiting frames that are not dropped for a later one: put under policy "all".
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
    lost: int = 0
    waiting: int = 0
    kept: int = 0
    in_process: int = 0
    spilled: int = 0
    spilled_total: int = 0
    held_back_s: float = 0.0
