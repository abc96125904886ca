"""The queue alone: frames come out with their tags, and every one is counted."""

from __future__ import annotations

from pathlib import Path

from pipeline_parts import numbered
from sasnet_live.live.queue import FrameQueue
from sasnet_live.live.spill import SpillRing


def test_the_queue_alone_hands_back_tags_with_their_frames() -> None:
    queue: FrameQueue[str] = FrameQueue("all", 2)
    queue.put(numbered(0), "a")
    queue.put(numbered(1), "b")
    for tag in "ab":
        item = queue.get(1)
        assert item is not None
        assert item[1] == tag
        queue.done()
    assert queue.get(0.01) is None


def test_a_queue_that_was_emptied_gives_nothing_more(tmp_path: Path) -> None:
    queue: FrameQueue[str] = FrameQueue("all", 1, SpillRing(1 << 20, tmp_path))
    queue.put(numbered(0), "a")
    assert queue.get(1) is not None
    for number in range(1, 6):
        queue.put(numbered(number), "a", wait=False)
    queue.close(discard=True)
    assert queue.get(0.01) is None
    queue.done()
    counts = queue.counts()
    assert (counts.received, counts.processed, counts.dropped, counts.waiting) == (6, 1, 5, 0)
    assert not queue.put(numbered(6), "a")
    queue.give_back()
