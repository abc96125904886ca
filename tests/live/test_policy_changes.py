"""A policy that changes while frames flow: what is kept stays kept, in order, and every frame is accounted for."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_parts import Gate, Memory, balanced, numbered, registered, wait_for
from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Registration
from sasnet_live.live.pipeline import LivePipeline, PipelineError
from sasnet_live.live.queue import FrameQueue
from sasnet_live.live.spill import SpillRing


def take_all(queue: FrameQueue[str]) -> list[int]:
    numbers = []
    while (item := queue.get(0)) is not None:
        numbers.append(item[0].sequence_number)
        queue.done()
    return numbers


# ---------------------------------------------------------------- the queue alone


def test_what_waits_when_every_frame_is_no_longer_wanted_is_still_delivered() -> None:
    queue: FrameQueue[str] = FrameQueue("all", 4)
    for number in range(3):
        queue.put(numbered(number), "")
    queue.set_policy("latest")
    for number in range(3, 20):
        queue.put(numbered(number), "", wait=False)
    counts = queue.counts()
    assert (counts.waiting, counts.kept, counts.dropped, counts.lost) == (3 + 4, 3, 13, 0)
    assert take_all(queue) == [0, 1, 2, 16, 17, 18, 19]


def test_the_newest_frame_waits_behind_those_on_disk(tmp_path: Path) -> None:
    queue: FrameQueue[str] = FrameQueue("all", 1, SpillRing(1 << 20, tmp_path))
    for number in range(5):
        queue.put(numbered(number), "", wait=False)
    queue.set_policy("latest")
    for number in range(5, 9):
        queue.put(numbered(number), "")
    assert queue.counts().spilled == 4
    assert take_all(queue) == [0, 1, 2, 3, 4, 8]


def test_a_frame_that_waits_is_kept_from_the_change_on() -> None:
    queue: FrameQueue[str] = FrameQueue("latest", None)
    for number in range(4):
        queue.put(numbered(number), "")
    queue.set_policy("all")
    for number in range(4, 8):
        queue.put(numbered(number), "")
    assert queue.counts().kept == 5
    assert take_all(queue) == [3, 4, 5, 6, 7]


def test_a_producer_that_is_held_back_is_let_go_when_the_newest_is_enough() -> None:
    queue: FrameQueue[str] = FrameQueue("all", 1)
    queue.put(numbered(0), "")
    producer = threading.Thread(target=lambda: [queue.put(numbered(number), "") for number in (1, 2, 3)])
    producer.start()
    queue.set_policy("latest")
    producer.join(10)
    assert not producer.is_alive()
    assert take_all(queue) == [0, 3]


def test_a_mark_lies_between_the_frames_before_it_and_those_after() -> None:
    queue: FrameQueue[str] = FrameQueue("all", 9)
    seen: list[Any] = []
    for number in range(2):
        queue.put(numbered(number), "")
    assert queue.mark(lambda: seen.append("mark"))
    queue.put(numbered(2), "")
    assert queue.take_mark() is None
    assert take_all(queue) == [0, 1]
    mark = queue.take_mark()
    assert mark is not None
    assert take_all(queue) == [2]
    queue.mark(lambda: None)
    assert queue.take_mark() is not None  # at once where nothing waits
    queue.mark(lambda: None)
    assert len(queue.retire()) == 1
    assert not queue.mark(lambda: None)


def test_closing_may_spare_what_is_to_be_kept() -> None:
    queue: FrameQueue[str] = FrameQueue("all", 4)
    for number in range(3):
        queue.put(numbered(number), "")
    queue.set_policy("latest")
    queue.put(numbered(3), "")
    queue.close(discard=True, spare_kept=True)
    assert (queue.counts().dropped, queue.counts().lost) == (1, 0)
    assert take_all(queue) == [0, 1, 2]
    assert queue.finished()


def test_a_policy_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="'newest'"):
        FrameQueue("all").set_policy("newest")  # type: ignore[arg-type]


STEPS = st.lists(st.sampled_from(["put", "put", "put", "take", "latest", "all", "mark"]), max_size=60)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, capacity=st.integers(1, 4), first=st.sampled_from(["latest", "all"]), ends=st.sampled_from("kdsn"))
def test_whatever_the_order_kept_frames_come_once_in_order_and_all_are_counted(
    steps: list[str], capacity: int, first: Any, ends: str
) -> None:
    """Nothing blocks in here: what finds no room goes to disk."""
    ring = SpillRing(1 << 20)
    queue: FrameQueue[str] = FrameQueue(first, capacity, ring)
    delivered: list[int] = []
    kept: set[int] = set()
    count = 0

    def check() -> None:
        counts = queue.counts()
        assert counts.received == counts.processed + counts.dropped + counts.waiting + counts.in_process
        assert 0 <= counts.kept <= counts.waiting
        assert counts.waiting - counts.kept <= capacity

    def take() -> None:
        while (call := queue.take_mark()) is not None:
            call()
        item = queue.get(0)
        if item is not None:
            assert int(item[0].data.flat[0]) == item[0].sequence_number
            delivered.append(item[0].sequence_number)
            check()
            queue.done()

    def expect(before: int) -> None:
        """At a mark: all that was kept before it has come, nothing of what was put after it."""
        assert all(number < before for number in delivered)
        assert {number for number in kept if number < before} <= set(delivered)

    for step in steps:
        if step == "put":
            if queue.policy == "all":
                kept.add(count)
            queue.put(numbered(count), "", wait=False)
            count += 1
        elif step == "take":
            take()
        elif step == "mark":
            queue.mark(lambda before=count: expect(before))  # type: ignore[misc]
        else:
            queue.set_policy(step)  # type: ignore[arg-type]
        check()
    queue.close(discard=ends in "ds", spare_kept=ends == "s")
    while not queue.finished():
        take()
    for call in queue.retire():
        call() if ends != "d" else None
    check()
    assert delivered == sorted(set(delivered))
    counts = queue.counts()
    assert counts.received == count
    if ends == "d":
        assert len(kept - set(delivered)) <= counts.lost
    else:
        assert kept <= set(delivered)
        assert counts.lost == 0
    queue.give_back()


# ---------------------------------------------------------------- in the pipeline


def test_a_preview_becomes_a_recording_and_a_preview_again() -> None:
    gate, sink, seen = Gate(), Memory(), []
    pipeline = LivePipeline(gate, [sink], policy="latest").start()
    pipeline.put(numbered(0))
    wait_for(lambda: pipeline.status().counts.in_process == 1)
    for number in range(1, 4):
        pipeline.put(numbered(number))  # 3 waits, 1 and 2 were dropped
    pipeline.set_policy("all")
    pipeline.in_turn(lambda: seen.append(("begin", list(sink.numbers))))
    for number in range(4, 90):
        pipeline.put(numbered(number), wait=False)
    pipeline.in_turn(lambda: seen.append(("end", list(sink.numbers))))
    pipeline.set_policy("latest")
    for number in range(90, 200):
        pipeline.put(numbered(number))
    status = pipeline.status()
    assert (status.counts.kept, status.counts.waiting, status.counts.dropped) == (87, 88, 2 + 109)
    assert balanced(status)
    gate.open.set()
    pipeline.close()
    assert sink.numbers == [0, *range(3, 90), 199]
    assert seen == [("begin", [0, 3]), ("end", [0, *range(3, 90)])]
    assert pipeline.status().counts.lost == 0


def test_a_call_in_turn_comes_though_no_frame_does() -> None:
    called = threading.Event()
    pipeline = LivePipeline(registered, [Memory()], policy="all").start()
    pipeline.in_turn(called.set)
    assert called.wait(10)
    pipeline.close()
    called.clear()
    pipeline.in_turn(called.set)  # no worker any more: here and now
    assert called.is_set()
    called.clear()
    never_started = LivePipeline(registered, [Memory()], policy="all")
    never_started.in_turn(called.set)
    never_started.close()
    assert called.is_set()


def test_a_call_in_turn_that_raises_is_an_exception_like_any_other() -> None:
    def call() -> None:
        raise KeyError("no file")

    pipeline = LivePipeline(registered, [Memory()], policy="all").start()
    pipeline.in_turn(call)
    wait_for(lambda: pipeline.error is not None)
    with pytest.raises(KeyError, match="no file"):
        pipeline.close()


def test_closing_is_cut_short_without_losing_a_frame() -> None:
    gate, sink = Gate(), Memory()
    pipeline = LivePipeline(gate, [sink], policy="all").start()
    for number in range(100):
        pipeline.put(numbered(number), wait=False)
    wait_for(lambda: pipeline.status().counts.in_process == 1)
    closing = threading.Thread(target=pipeline.close)
    closing.start()
    wait_for(lambda: pipeline.status().state == "draining")
    pipeline.stop_registering("the user was in a hurry")
    gate.open.set()
    closing.join(10)
    assert not closing.is_alive()
    assert sink.numbers == sink.pixels == list(range(100))
    assert sink.accepted == [True] + [False] * 99
    status = pipeline.status()
    assert (status.registered, status.unregistered, status.counts.dropped, status.counts.lost) == (1, 99, 0, 0)
    assert pipeline.reports[0].complete


def test_a_failure_after_the_recording_ended_loses_none_of_its_frames() -> None:
    gate, sink = Gate(), Memory()

    def fails_on_third(frame: Frame) -> Registration:
        if frame.sequence_number == 3:
            raise RuntimeError("out of memory")
        return gate(frame)

    pipeline = LivePipeline(fails_on_third, [sink], policy="all").start()
    for number in range(10):
        pipeline.put(numbered(number), wait=False)
    pipeline.set_policy("latest")
    pipeline.put(numbered(10))
    gate.open.set()
    wait_for(lambda: not pipeline.takes_frames)
    assert not pipeline.put(numbered(11))
    with pytest.raises(RuntimeError, match="out of memory"):
        pipeline.close()
    assert sink.numbers == list(range(10))
    assert sink.accepted == [True] * 3 + [False] * 7
    assert balanced(pipeline.status())


def test_one_that_has_failed_takes_no_more_once_nothing_is_recorded() -> None:
    def broken(frame: Frame) -> Registration:
        raise RuntimeError("no")

    sink = Memory()
    pipeline = LivePipeline(broken, [sink], policy="all").start()
    pipeline.put(numbered(0))
    wait_for(lambda: pipeline.error is not None)
    assert pipeline.takes_frames
    pipeline.set_policy("latest")
    assert not pipeline.takes_frames
    with pytest.raises(RuntimeError, match="no"):
        pipeline.close()
    assert sink.numbers == [0]


def test_what_is_lost_is_told_whatever_the_policy_is_in_the_end() -> None:
    gate = Gate()
    pipeline = LivePipeline(gate, [Memory()], policy="all").start()
    pipeline.put(numbered(0))
    wait_for(lambda: pipeline.status().counts.in_process == 1)
    for number in range(1, 5):
        pipeline.put(numbered(number))
    pipeline.set_policy("latest")
    for number in range(5, 9):
        pipeline.put(numbered(number))
    closing = threading.Timer(0.2, gate.open.set)
    closing.start()
    with pytest.raises(PipelineError, match="4 of 9 frames were dropped"):
        pipeline.close(discard=True)
    closing.join()


def test_frames_dropped_while_only_the_newest_was_wanted_are_no_loss() -> None:
    gate = Gate()
    pipeline = LivePipeline(gate, [Memory()], policy="latest").start()
    for number in range(5):
        pipeline.put(numbered(number))
    pipeline.set_policy("all")
    gate.open.set()
    for number in range(5, 9):
        pipeline.put(numbered(number))
    pipeline.close()
    assert pipeline.status().counts.dropped >= 3


def test_changes_under_fire(tmp_path: Path) -> None:
    """Producers put and a third thread changes the policy; what was put while all is wanted is there in the end."""
    sink = Memory()
    pipeline = LivePipeline(registered, [sink], policy="latest", capacity=2, spill_folder=tmp_path).start()
    stop, wanted, count = threading.Event(), [], 0

    def change() -> None:
        while not stop.is_set():
            for policy in ("all", "latest"):
                pipeline.set_policy(policy)  # type: ignore[arg-type]
                assert balanced(pipeline.status())

    changing = threading.Thread(target=change)
    changing.start()
    rng = np.random.default_rng(0)
    for number in range(2000):
        if rng.random() < 0.02:
            stop.set()
            changing.join(10)
            pipeline.set_policy("all")
            wanted += range(count, count + 5)
            for _ in range(5):
                pipeline.put(numbered(count), wait=False)
                count += 1
            stop.clear()
            changing = threading.Thread(target=change)
            changing.start()
        pipeline.put(numbered(count), wait=number % 2 == 0)
        count += 1
    stop.set()
    changing.join(10)
    pipeline.close()
    assert sink.numbers == sorted(set(sink.numbers))
    assert set(wanted) <= set(sink.numbers)
    assert sink.numbers == sink.pixels
    status = pipeline.status()
    assert (status.counts.received, status.counts.lost) == (count, 0)
    assert status.counts.processed + status.counts.dropped == count
