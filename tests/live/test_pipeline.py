"""The pipeline's promises: every frame is accounted for, in order, whatever fails."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_parts import SHAPE, Gate, Memory, balanced, numbered, registered, wait_for
from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Registration
from sasnet_live.layout import Layout
from sasnet_live.live.pipeline import LivePipeline, PipelineError
from sasnet_live.live.spill import SpillRing
from sasnet_live.sinks.protocol import SinkReport

# ---------------------------------------------------------------- the normal run


def test_every_frame_comes_out_once_in_order_on_the_named_thread() -> None:
    sink, seen = Memory(), []
    pipeline = LivePipeline(registered, [sink], policy="all", name="the worker")
    pipeline.registered.connect(lambda frame, registration: seen.append(frame.sequence_number))
    with pipeline:
        for number in range(200):
            assert pipeline.put(numbered(number))
    assert sink.numbers == seen == list(range(200))
    assert sink.threads == {"the worker"}
    status = pipeline.status()
    counts = status.counts
    assert (counts.received, counts.processed, counts.dropped, counts.waiting) == (200, 200, 0, 0)
    assert status.registered == 200
    assert status.state == "closed"
    assert status.latency_p50_ms <= status.latency_p99_ms


def test_latest_drops_the_oldest_waiting_frames_and_counts_them() -> None:
    gate, sink = Gate(), Memory()
    pipeline = LivePipeline(gate, [sink], policy="latest", capacity=2).start()
    pipeline.put(numbered(0))
    wait_for(lambda: pipeline.status().counts.in_process == 1)
    for number in range(1, 10):
        assert pipeline.put(numbered(number))
    counts = pipeline.status().counts
    assert (counts.received, counts.dropped, counts.waiting, counts.in_process) == (10, 7, 2, 1)
    gate.open.set()
    pipeline.close()
    assert sink.numbers == [0, 8, 9]


def test_all_holds_the_producer_back_until_there_is_room() -> None:
    gate, sink = Gate(), Memory()
    pipeline = LivePipeline(gate, [sink], policy="all", capacity=3).start()
    producer = threading.Thread(target=lambda: [pipeline.put(numbered(n)) for n in range(12)])
    producer.start()
    wait_for(lambda: pipeline.status().counts.waiting == 3)
    assert producer.is_alive()
    assert pipeline.status().counts.spilled_total == 0
    gate.open.set()
    producer.join(10)
    pipeline.close()
    assert sink.numbers == list(range(12))
    assert pipeline.status().counts.held_back_s > 0


def test_a_producer_that_must_not_wait_goes_by_way_of_the_disk_and_keeps_the_order() -> None:
    gate, sink = Gate(), Memory()
    pipeline = LivePipeline(gate, [sink], policy="all", capacity=4).start()
    for number in range(100):
        assert pipeline.put(numbered(number), wait=False)
    status = pipeline.status()
    assert status.counts.held_back_s == 0
    assert status.counts.spilled >= 95
    assert balanced(status)
    gate.open.set()
    for number in range(100, 150):
        pipeline.put(numbered(number), wait=number % 2 == 0)
    pipeline.close()
    assert sink.numbers == list(range(150))
    assert sink.pixels == list(range(150))
    assert pipeline.status().counts.spilled == 0


def test_warm_up_happens_before_the_first_frame() -> None:
    order: list[str] = []
    stream = Layout(SHAPE, np.dtype(np.uint16))
    pipeline = LivePipeline(
        lambda frame: order.append("frame") or registered(frame),  # type: ignore[func-returns-value]
        [Memory()],
        policy="all",
        prepare=lambda info: order.append(f"prepare {info.frame_shape}"),
    )
    pipeline.start(stream)
    assert pipeline.wait_until_ready(10)
    assert order == [f"prepare {SHAPE}"]
    pipeline.begin_stream(stream)
    pipeline.put(numbered(0))
    pipeline.close()
    assert order == [f"prepare {SHAPE}", "frame"]


def test_frames_that_come_during_the_warm_up_wait() -> None:
    ready, sink = threading.Event(), Memory()
    pipeline = LivePipeline(registered, [sink], policy="all", prepare=lambda info: ready.wait(10))
    pipeline.start(Layout(SHAPE, np.dtype(np.uint16)))
    pipeline.put(numbered(0))
    assert pipeline.status().state == "warming up"
    assert pipeline.status().counts.waiting == 1
    ready.set()
    pipeline.close()
    assert sink.numbers == [0]


def test_streams_follow_one_another_each_with_its_own_sinks_and_report() -> None:
    sink, reports = Memory(), []
    pipeline = LivePipeline(registered, [sink], policy="all").start()
    pipeline.stream_ended.connect(reports.append)
    for expected, came in ((3, 3), (5, 2), (4, 0)):
        pipeline.begin_stream(Layout(SHAPE, np.dtype(np.uint16), frames=expected, source="the camera"))
        for number in range(came):
            pipeline.put(numbered(number))
        pipeline.end_stream("completed")
    wait_for(lambda: len(reports) == 3)
    assert [(r.received, r.processed, r.missing) for r in reports] == [(3, 3, 0), (2, 2, 3), (0, 0, 4)]
    assert [r.complete for r in reports] == [True, False, False]
    assert reports[1].problems() == ["3 of 5 frames never came from the camera"]
    assert pipeline.status().missing == 7
    assert sink.closes == 2, "a stream without frames opens no files"
    pipeline.close()


def test_a_stream_is_closed_while_the_pipeline_is_idle() -> None:
    sink = Memory()
    pipeline = LivePipeline(registered, [sink], policy="all").start()
    pipeline.put(numbered(0))
    wait_for(lambda: pipeline.status().counts.processed == 1)
    pipeline.end_stream()
    wait_for(lambda: sink.closes == 1)
    pipeline.close()


def test_a_stream_that_comes_as_a_whole_while_the_one_before_is_closed_is_closed_after_its_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = Memory()
    pipeline = LivePipeline(registered, [memory], "all")
    counts = pipeline._queue.counts
    layout = Layout(SHAPE, np.dtype("uint16"))

    def counts_before_another_stream() -> Any:
        """The worker is about to close the first stream: nothing waits, it has just seen."""
        found = counts()
        if pipeline._worker.is_this_thread and found.processed == 1 and not found.waiting and len(memory.streams) == 1:
            monkeypatch.setattr(pipeline._queue, "counts", counts)
            pipeline.begin_stream(layout)
            pipeline.put(numbered(1))
            pipeline.put(numbered(2))
            pipeline.end_stream()
        return found

    monkeypatch.setattr(pipeline._queue, "counts", counts_before_another_stream)
    with pipeline:
        pipeline.begin_stream(layout)
        pipeline.put(numbered(0))
        pipeline.end_stream()
        wait_for(lambda: len(pipeline.reports) == 2)
        assert memory.closes == 2  # each before the next one was opened
    assert [(report.received, report.processed) for report in pipeline.reports] == [(1, 1), (2, 2)]
    assert all(report.sinks[0].given == report.processed for report in pipeline.reports)


def test_a_change_of_frame_size_begins_a_new_stream() -> None:
    sink = Memory()
    with LivePipeline(registered, [sink], policy="all") as pipeline:
        pipeline.begin_stream(Layout(SHAPE, np.dtype(np.uint16), pixel_size_um=(2.0, 1.5)))
        pipeline.put(numbered(0))
        pipeline.put(numbered(1, (8, 6)))
        pipeline.put(numbered(2, (8, 6)))
    assert [stream.frame_shape for stream in sink.streams] == [SHAPE, (8, 6)]
    assert [stream.pixel_size_um for stream in sink.streams] == [(2.0, 1.5), (2.0, 1.5)]
    assert sink.numbers == [0, 1, 2]


def test_sinks_are_flushed_while_no_frames_come() -> None:
    sink = Memory()
    pipeline = LivePipeline(registered, [sink], policy="all", flush_every_s=0.01).start()
    pipeline.put(numbered(0))
    wait_for(lambda: sink.flushes >= 2)
    pipeline.close()


# ---------------------------------------------------------------- faults


def test_the_first_exception_is_kept_and_no_raw_frame_is_lost() -> None:
    def fails_on_third(frame: Frame) -> Registration:
        if frame.sequence_number == 3:
            raise RuntimeError("out of memory")
        return registered(frame)

    sink, failures = Memory(), []
    pipeline = LivePipeline(fails_on_third, [sink], policy="all").start()
    pipeline.failed.connect(failures.append)
    for number in range(8):
        assert pipeline.put(numbered(number))
    wait_for(lambda: pipeline.status().counts.processed == 8)
    status = pipeline.status()
    assert status.state == "failed"
    assert status.error == "RuntimeError: out of memory"
    assert (status.registered, status.unregistered) == (3, 5)
    with pytest.raises(RuntimeError, match="out of memory"):
        pipeline.raise_if_failed()
    with pytest.raises(RuntimeError, match="out of memory"):
        pipeline.close()
    assert sink.numbers == sink.pixels == list(range(8))
    assert sink.accepted == [True] * 3 + [False] * 5
    assert len(failures) == 1
    assert len(pipeline.close()) == 1, "the exception is raised to the owner once"


def test_a_process_that_always_raises_still_records_everything() -> None:
    def broken(frame: Frame) -> Registration:
        raise ValueError("wrong shape")

    sink = Memory()
    pipeline = LivePipeline(broken, [sink], policy="all", capacity=2).start()
    for number in range(50):
        pipeline.put(numbered(number), wait=False)
    with pytest.raises(ValueError, match="wrong shape"):
        pipeline.close()
    assert sink.numbers == list(range(50))
    assert not any(sink.accepted)


def test_a_preview_that_fails_takes_no_more_frames_and_says_so() -> None:
    def broken(frame: Frame) -> Registration:
        raise ValueError("no")

    pipeline = LivePipeline(broken, policy="latest").start()
    pipeline.put(numbered(0))
    wait_for(lambda: pipeline.status().state == "failed")
    wait_for(lambda: not pipeline.put(numbered(1)))
    assert balanced(pipeline.status())
    with pytest.raises(ValueError, match="no"):
        pipeline.close()


class BreaksAt(Memory):
    """A sink that fails in one of its calls."""

    def __init__(self, call: str, at: int = 0) -> None:
        super().__init__()
        self.call, self.at = call, at

    def open(self, stream: Layout) -> None:
        if self.call == "open":
            raise PermissionError("read-only folder")
        super().open(stream)

    def write(self, frame: Frame, registration: Registration) -> None:
        if self.call == "write" and frame.sequence_number >= self.at:
            raise OSError(28, "No space left on device")
        super().write(frame, registration)

    def close(self) -> SinkReport:
        if self.call == "close":
            raise OSError("the folder has gone")
        report = super().close()
        return SinkReport(report.sink, 0, verified=1) if self.call == "count" else report


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("open", "read-only folder"),
        ("write", "No space left"),
        ("close", "the folder has gone"),
        ("count", "1 of 10 frames written"),
    ],
)
def test_a_sink_that_fails_is_reported_and_the_others_get_every_frame(call: str, message: str) -> None:
    broken, healthy = BreaksAt(call, at=4), Memory()
    pipeline = LivePipeline(registered, [broken, healthy], policy="all").start()
    for number in range(10):
        pipeline.put(numbered(number))
    with pytest.raises(OSError, match=message):
        pipeline.close()
    assert healthy.numbers == list(range(10))
    [report] = pipeline.reports
    assert not report.complete
    assert message in " ".join(report.problems())
    assert not report.sinks[0].complete
    assert report.sinks[1].complete


def test_a_recording_whose_folder_is_removed_is_reported_while_it_runs(tmp_path: Path) -> None:
    import shutil

    from sasnet_live.sinks.recording import OmeTiffSink

    folder = tmp_path / "recordings"
    folder.mkdir()
    healthy = Memory()
    sinks = [OmeTiffSink(folder / "a.ome.tiff"), healthy]
    pipeline = LivePipeline(registered, sinks, policy="all", flush_every_s=0.01).start()
    pipeline.put(numbered(0))
    wait_for(lambda: pipeline.status().counts.processed == 1)
    shutil.rmtree(folder)
    wait_for(lambda: pipeline.status().state == "failed")
    for number in range(1, 10):
        assert pipeline.put(numbered(number))
    with pytest.raises(FileNotFoundError, match="has been removed"):
        pipeline.close()
    assert healthy.numbers == list(range(10))


def test_a_run_that_was_called_off_misses_nothing() -> None:
    pipeline = LivePipeline(registered, [Memory()], policy="all").start()
    for reason in ("canceled", "stopped"):
        pipeline.begin_stream(Layout(SHAPE, np.dtype(np.uint16), frames=50))
        pipeline.put(numbered(0))
        pipeline.end_stream(reason)  # type: ignore[arg-type]
    assert all(report.complete for report in pipeline.close())
    assert pipeline.status().missing == 0


def test_when_no_sink_works_frames_are_refused_and_counted() -> None:
    pipeline = LivePipeline(registered, [BreaksAt("write", at=2)], policy="all").start()
    for number in range(10):
        pipeline.put(numbered(number))
        wait_for(lambda: pipeline.status().counts.waiting + pipeline.status().counts.in_process == 0)
    assert not pipeline.put(numbered(10))
    status = pipeline.status()
    assert balanced(status)
    assert status.counts.processed == 3
    assert status.counts.dropped == 8
    with pytest.raises(OSError, match="No space left"):
        pipeline.close()
    assert "2 of 3 frames written" in " ".join(pipeline.reports[0].problems())


def test_a_listener_that_raises_is_an_exception_like_any_other() -> None:
    def listener(frame: Frame, registration: Registration) -> None:
        raise KeyError("a layer is gone")

    sink = Memory()
    pipeline = LivePipeline(registered, [sink], policy="all").start()
    pipeline.registered.connect(listener)
    for number in range(4):
        pipeline.put(numbered(number))
    with pytest.raises(KeyError, match="a layer is gone"):
        pipeline.close()
    assert sink.numbers == [0, 1, 2, 3]


def test_a_failed_warm_up_is_raised_to_the_owner() -> None:
    def prepare(info: Layout) -> None:
        raise RuntimeError("no such model")

    pipeline = LivePipeline(registered, [Memory()], policy="all", prepare=prepare)
    pipeline.start(Layout(SHAPE, np.dtype(np.uint16)))
    assert pipeline.wait_until_ready(10)
    with pytest.raises(RuntimeError, match="no such model"):
        pipeline.raise_if_failed()
    with pytest.raises(RuntimeError, match="no such model"):
        pipeline.close()


# ---------------------------------------------------------------- closing


def test_close_drains() -> None:
    sink = Memory()
    pipeline = LivePipeline(lambda f: time.sleep(0.002) or registered(f), [sink], policy="all").start()  # type: ignore[func-returns-value]
    for number in range(60):
        pipeline.put(numbered(number))
    reports = pipeline.close()
    assert sink.numbers == list(range(60))
    assert reports[0].complete


def when_dropped(pipeline: LivePipeline, count: int, gate: Gate) -> threading.Thread:
    """Let the worker go on once so many frames were dropped, however long that takes."""

    def watch() -> None:
        wait_for(lambda: pipeline.status().counts.dropped == count)
        gate.open.set()

    opening = threading.Thread(target=watch)
    opening.start()
    return opening


def test_close_says_what_was_not_written_when_its_time_is_up() -> None:
    gate, sink = Gate(), Memory()
    pipeline = LivePipeline(gate, [sink], policy="all", capacity=100).start()
    for number in range(20):
        pipeline.put(numbered(number))
    wait_for(lambda: pipeline.status().counts.in_process == 1)
    opening = when_dropped(pipeline, 19, gate)
    with pytest.raises(PipelineError, match="19 of 20 frames were dropped"):
        pipeline.close(timeout_s=0.1)
    opening.join()
    assert sink.numbers == [0]
    assert balanced(pipeline.status())


def test_discarding_frames_on_disk_while_one_from_memory_is_in_process() -> None:
    gate, sink = Gate(), Memory()
    pipeline = LivePipeline(gate, [sink], policy="all", capacity=1).start()
    pipeline.put(numbered(0))
    wait_for(lambda: pipeline.status().counts.in_process == 1)
    for number in range(1, 20):
        pipeline.put(numbered(number), wait=False)
    assert pipeline.status().counts.spilled == 18
    opening = when_dropped(pipeline, 19, gate)
    with pytest.raises(PipelineError, match="19 of 20 frames were dropped"):
        pipeline.close(discard=True)
    opening.join()
    assert sink.numbers == [0]
    assert balanced(pipeline.status())


def test_a_close_under_way_is_cut_short_by_another_thread() -> None:
    gate = Gate()
    pipeline = LivePipeline(gate, [Memory()], policy="all").start()
    for number in range(10):
        pipeline.put(numbered(number), wait=False)
    raised: list[BaseException] = []

    def owner() -> None:
        try:
            pipeline.close()
        except BaseException as error:
            raised.append(error)

    closing = threading.Thread(target=owner)
    closing.start()
    wait_for(lambda: pipeline.status().state == "draining")
    gate.open.set()
    second: list[BaseException] = []
    try:
        pipeline.close(discard=True)
    except PipelineError as error:
        second.append(error)
    closing.join(10)
    assert not closing.is_alive()
    assert balanced(pipeline.status())
    status = pipeline.status()
    assert status.counts.processed + status.counts.dropped == 10
    assert (status.counts.dropped == 0) == (not raised + second)


def test_close_frees_a_producer_that_is_held_back() -> None:
    gate = Gate()
    pipeline = LivePipeline(gate, [Memory()], policy="all", capacity=1).start()
    answers: list[bool] = []
    producer = threading.Thread(target=lambda: answers.extend(pipeline.put(numbered(n)) for n in range(5)))
    producer.start()
    wait_for(lambda: pipeline.status().counts.waiting == 1)
    gate.open.set()
    with pytest.raises(PipelineError, match="dropped"):
        pipeline.close(discard=True)
    producer.join(10)
    assert not producer.is_alive()
    assert False in answers
    assert balanced(pipeline.status())


def test_a_worker_that_hangs_is_reported_and_does_not_hang_its_owner() -> None:
    gate = Gate()
    pipeline = LivePipeline(gate, [Memory()], policy="all").start()
    pipeline.put(numbered(0))
    wait_for(lambda: pipeline.status().counts.in_process == 1)
    with pytest.raises(PipelineError, match="did not return from a frame"):
        pipeline.close(timeout_s=0.05, stall_s=0.05)
    gate.open.set()


_LEFT_OPEN = """
import time
import numpy as np
from sasnet_live.frame import Frame
from sasnet_live.live.pipeline import LivePipeline
from sasnet_live.live.worker import as_acquired
from sasnet_live.geometry import ScanGeometry
from sasnet_live.geometry import ScanGeometry

def slow(frame):
    time.sleep(0.01)
    return as_acquired(frame, ScanGeometry(), "")

seen = []
pipeline = LivePipeline(slow, policy="all").start()
pipeline.registered.connect(lambda frame, registration: seen.append(frame.sequence_number))
pipeline.state_changed.connect(lambda state: state == "closed" and print(len(seen), flush=True))
for number in range(20):
    pipeline.put(Frame(np.zeros((4, 4), np.uint16), {}, number))
"""


def test_one_that_nobody_closed_finishes_its_frames_when_the_interpreter_ends() -> None:
    done = subprocess.run([sys.executable, "-c", _LEFT_OPEN], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "20"), done.stderr


def test_closing_from_the_worker_is_refused() -> None:
    pipeline = LivePipeline(registered, [Memory()], policy="all").start()
    pipeline.registered.connect(lambda frame, registration: pipeline.close())
    pipeline.put(numbered(0))
    with pytest.raises(InputError, match="worker's thread"):
        pipeline.close()


def test_a_pipeline_that_was_never_started_says_what_it_did_not_write() -> None:
    pipeline = LivePipeline(registered, [Memory()], policy="all")
    pipeline.put(numbered(0))
    with pytest.raises(PipelineError, match="1 of 1 frames were dropped"):
        pipeline.close()


def test_an_error_in_the_with_block_is_not_hidden_by_one_in_closing() -> None:
    def broken(frame: Frame) -> Registration:
        raise ValueError("second")

    def block() -> None:
        with LivePipeline(broken, [Memory()], policy="all") as pipeline:
            pipeline.put(numbered(0))
            raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        block()


@pytest.mark.parametrize("wrong", [{"policy": "newest"}, {"capacity": -1}])
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="expected"):
        LivePipeline(registered, **wrong)  # type: ignore[arg-type]


def test_two_sources_cannot_mix_their_frames() -> None:
    pipeline = LivePipeline(registered, policy="latest")
    first, second = object(), object()
    pipeline.attach(first)
    pipeline.attach(first)
    with pytest.raises(InputError, match="already takes frames"):
        pipeline.attach(second)
    pipeline.detach(second)
    pipeline.detach(first)
    pipeline.attach(second)
    pipeline.close()


# ---------------------------------------------------------------- the invariant, under fire


@settings(max_examples=12, deadline=None)
@given(
    policy=st.sampled_from(["latest", "all"]),
    capacity=st.integers(1, 5),
    producers=st.integers(1, 4),
    count=st.integers(1, 60),
    wait=st.booleans(),
    discard=st.booleans(),
    fail_at=st.one_of(st.none(), st.integers(0, 30)),
)
def test_received_is_processed_dropped_waiting_and_in_process_at_all_times(
    policy: str, capacity: int, producers: int, count: int, wait: bool, discard: bool, fail_at: int | None
) -> None:
    def process(frame: Frame) -> Registration:
        if frame.sequence_number == fail_at:
            raise RuntimeError("as asked")
        return registered(frame)

    sink, snapshots, stop = Memory(), [], threading.Event()
    pipeline = LivePipeline(process, [sink], policy=policy, capacity=capacity).start()  # type: ignore[arg-type]

    def watch() -> None:
        while not stop.is_set():
            snapshots.append(pipeline.status())

    threads = [
        threading.Thread(target=lambda: [pipeline.put(numbered(n), wait=wait) for n in range(count)])
        for _ in range(producers)
    ]
    watcher = threading.Thread(target=watch)
    watcher.start()
    for thread in threads:
        thread.start()
    if not discard:
        for thread in threads:
            thread.join(20)
    with contextlib.suppress(RuntimeError):
        pipeline.close(discard=discard)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    stop.set()
    watcher.join(20)
    assert all(balanced(status) for status in snapshots)
    assert [s.counts.received for s in snapshots] == sorted(s.counts.received for s in snapshots)
    end = pipeline.status().counts
    assert (end.received, end.waiting, end.in_process) == (producers * count, 0, 0)
    assert end.processed == len(sink.numbers)
    if policy == "all" and not discard:
        assert end.dropped == 0, "policy all loses nothing, not even when registration fails"


# ---------------------------------------------------------------- the disk ring


def test_when_memory_and_disk_are_full_the_producer_is_held_back_and_nothing_is_lost(tmp_path: Path) -> None:
    gate, sink = Gate(), Memory()
    limit = 5 * numbered(0).data.nbytes
    pipeline = LivePipeline(gate, [sink], "all", capacity=2, spill_bytes=limit, spill_folder=tmp_path).start()
    producer = threading.Thread(target=lambda: [pipeline.put(numbered(n), wait=False) for n in range(40)])
    producer.start()
    wait_for(lambda: pipeline.status().counts.spilled == 5)
    assert producer.is_alive()
    gate.open.set()
    producer.join(10)
    pipeline.close()
    assert sink.numbers == sink.pixels == list(range(40))


def test_a_spill_folder_that_is_not_there_holds_the_producer_back(tmp_path: Path) -> None:
    sink = Memory()
    pipeline = LivePipeline(registered, [sink], "all", capacity=1, spill_folder=tmp_path / "none").start()
    for number in range(20):
        pipeline.put(numbered(number), wait=False)
    pipeline.close()
    assert sink.numbers == list(range(20))


def test_a_disk_that_fails_while_spilling_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    write = SpillRing.write

    class Full:
        """A file on a disk that has become full."""

        def seek(self, offset: int) -> None:
            raise OSError(28, "No space left on device")

    def full_at_third(ring: SpillRing, slot: Any, frame: Frame) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            with monkeypatch.context() as patch:
                patch.setattr(ring, "_writer", Full())
                write(ring, slot, frame)
            assert slot.frame is frame, "it stays in memory"
        else:
            write(ring, slot, frame)

    monkeypatch.setattr(SpillRing, "write", full_at_third)
    gate, sink = Gate(), Memory()
    pipeline = LivePipeline(gate, [sink], "all", capacity=1, spill_folder=tmp_path).start()
    producer = threading.Thread(target=lambda: [pipeline.put(numbered(n), wait=False) for n in range(20)])
    producer.start()
    wait_for(lambda: calls >= 3)
    gate.open.set()
    producer.join(10)
    pipeline.close()
    assert sink.numbers == sink.pixels == list(range(20))


def test_where_an_open_file_cannot_be_removed_it_is_when_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: str) -> None:
        raise PermissionError("the file is open")

    monkeypatch.setattr("sasnet_live.live.spill.os.unlink", refused)
    ring = SpillRing(10_000, tmp_path)
    slot = ring.reserve(numbered(0))
    assert slot is not None
    ring.write(slot, numbered(0))
    np.testing.assert_array_equal(ring.read(slot).data, numbered(0).data)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    ring.close()
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- leaks and names


def test_a_hundred_pipelines_leave_no_thread_and_no_file_behind() -> None:
    import psutil

    process = psutil.Process()

    def once() -> None:
        with LivePipeline(registered, [Memory()], "all", capacity=1) as pipeline:
            for number in range(5):
                pipeline.put(numbered(number), wait=False)

    once()
    gc.collect()
    threads, files = threading.active_count(), process.num_fds()
    for _ in range(100):
        once()
    assert threading.active_count() == threads
    assert process.num_fds() == files
