"""Recording is switched on and off while frames flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from fake_registrar import FakeRegistrar
from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Registration
from sasnet_live.plugin.recorder import Recorder, RecordingPlan
from sasnet_live.plugin.settings import LiveSettings
from sasnet_live.settings import RegistrarSettings
from sasnet_live.sinks.protocol import SinkReport
from sasnet_live.stream import Axis, StreamInfo


class Memory:
    """A sink that remembers the calls."""

    name = "memory"

    def __init__(self, fails_at: int | None = None) -> None:
        self.calls: list[object] = []
        self.streams: list[StreamInfo] = []
        self.count = 0
        self._fails_at = fails_at

    def open(self, stream: StreamInfo) -> None:
        self.calls.append("open")
        self.streams.append(stream)

    def write(self, frame: Frame, registration: Registration) -> None:
        if frame.sequence_number == self._fails_at:
            raise OSError("disk full")
        self.calls.append(frame.sequence_number)
        self.count += 1

    def flush(self) -> None:
        pass

    def close(self) -> SinkReport:
        self.calls.append("close")
        count, self.count = self.count, 0
        return SinkReport(self.name, 0, count)


STREAM = StreamInfo((8, 8), np.dtype(np.uint8), axes=(Axis("t", 6),), expected=6)
RAW = np.arange(64, dtype=np.uint8).reshape(8, 8)
REGISTRATION = FakeRegistrar().register(RAW)


def feed(recorder: Recorder, *numbers: int) -> None:
    for number in numbers:
        recorder.write(Frame(RAW, {"t": number}, number), REGISTRATION)


def test_only_frames_between_begin_and_end_are_recorded() -> None:
    recorder, memory = Recorder(), Memory()
    recorder.open(STREAM)
    feed(recorder, 0, 1)
    recorder.begin([memory])
    feed(recorder, 2, 3)
    recorder.end()
    assert not recorder.idle  # files are open until the pipeline's thread comes by
    recorder.flush()
    assert recorder.idle
    feed(recorder, 4)
    recorder.close()
    assert memory.calls == ["open", 2, 3, "close"]
    assert memory.streams[0].axes == ()  # begun in the middle: no gaps for what came before
    assert memory.streams[0].expected is None
    assert [(report.given, report.complete) for report in recorder.reports] == [(2, True)]


def test_recording_from_the_start_keeps_the_axes_and_goes_on_in_the_next_stream() -> None:
    recorder, memory = Recorder(), Memory()
    recorder.begin([memory])
    recorder.open(STREAM)
    feed(recorder, 0, 1)
    recorder.close()
    recorder.open(replace(STREAM, source="second"))
    feed(recorder, 2)
    recorder.close()
    assert memory.calls == ["open", 0, 1, "close", "open", 2, "close"]
    assert memory.streams[0] == STREAM
    assert recorder.frames == 3
    assert recorder.recording


def test_a_file_that_fails_does_not_end_the_others_nor_registration() -> None:
    recorder, broken, good = Recorder(), Memory(fails_at=1), Memory()
    recorder.begin([broken, good])
    recorder.open(STREAM)
    feed(recorder, 0, 1, 2)
    assert recorder.close().complete
    assert good.calls == ["open", 0, 1, 2, "close"]
    assert broken.calls == ["open", 0, "close"]
    assert "disk full" in str(recorder.errors[0])
    assert [report.complete for report in recorder.reports] == [False, True]


def test_names_have_the_time_and_nothing_is_replaced(tmp_path: Path) -> None:
    now = datetime(2026, 2, 3, 14, 5, 6)
    settings = LiveSettings(
        registrar=RegistrarSettings(output="both"),
        record_folder=str(tmp_path),
        record_name="ear",
        record_format="ome.zarr",
    )
    plan = RecordingPlan.of(settings, now)
    assert plan.registered.name == "ear_20260203-140506.ome.zarr"
    assert plan.warped is not None
    assert plan.warped.name == "ear_20260203-140506_warped.ome.zarr"
    assert plan.raw is not None
    assert plan.metrics is not None
    assert len(plan.sinks(dict)) == 4
    plain = RecordingPlan.of(
        replace(settings, registrar=RegistrarSettings(), record_raw=False, record_metrics=False), now
    )
    assert len(plain.sinks(dict)) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"record_folder": ""}, "choose one under Recording"),
        ({"record_name": "a/b"}, "signs that file names cannot have"),
        ({"record_folder": "/no/such/folder"}, "does not exist"),
    ],
)
def test_what_cannot_be_recorded_is_refused_at_once(tmp_path: Path, change: dict[str, str], words: str) -> None:
    settings = replace(LiveSettings(record_folder=str(tmp_path)), **change)
    with pytest.raises(InputError, match=words):
        RecordingPlan.of(settings).sinks(dict)


class Turns:
    """The queue of a pipeline, as far as the recorder asks it."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []

    def __call__(self, call: Callable[[], None]) -> None:
        self._calls.append(call)

    def next(self) -> None:
        self._calls.pop(0)()


def test_frames_that_wait_at_the_end_are_recorded_and_those_that_wait_at_the_beginning_are_not() -> None:
    recorder, first, second, turns = Recorder(), Memory(), Memory(), Turns()
    recorder.open(STREAM)
    recorder.begin([first], turns)
    assert recorder.recording
    assert not recorder.begun
    feed(recorder, 0)
    turns.next()
    feed(recorder, 1, 2)
    recorder.end(turns)
    recorder.begin([second], turns)  # while the frames of the first one still wait
    feed(recorder, 3)
    assert recorder.frames == 3
    turns.next()
    turns.next()
    feed(recorder, 4)
    recorder.end(turns)
    assert not recorder.recording
    assert not recorder.idle
    feed(recorder, 5)
    turns.next()
    feed(recorder, 6)
    assert recorder.idle
    assert first.calls == ["open", 1, 2, 3, "close"]
    assert second.calls == ["open", 4, 5, "close"]
    assert recorder.frames == 2


def test_frames_that_were_dropped_between_those_recorded_are_counted() -> None:
    recorder, memory = Recorder(), Memory()
    recorder.open(STREAM)
    feed(recorder, 0, 7)
    recorder.begin([memory])
    feed(recorder, 11, 12, 15, 16)
    assert recorder.missed == 2  # 13 and 14, not what came before
    feed(recorder, 0)  # the source was started again
    assert recorder.missed == 2
    assert recorder.unregistered == 0
    recorder.write(Frame(RAW, {}, 1), replace(REGISTRATION, accepted=False))
    assert recorder.unregistered == 1
    recorder.end()
    recorder.flush()
    recorder.begin([memory])
    assert (recorder.missed, recorder.unregistered) == (0, 0)
