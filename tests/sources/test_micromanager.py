"""Frames of a core: all of them, in order, whatever happens to the core; and its owner never notices."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Registration, RegistrationMetrics
from sasnet_live.live.pipeline import LivePipeline

from .conftest import Collector, wait_for

pymmcore_plus = pytest.importorskip("pymmcore_plus")
useq = pytest.importorskip("useq")

from sasnet_live.sources import live_poll  # noqa: E402
from sasnet_live.sources.core import connect_direct, find_core  # noqa: E402
from sasnet_live.sources.live_poll import LivePoll  # noqa: E402
from sasnet_live.sources.micromanager import MicroManagerSource  # noqa: E402
from sasnet_live.sources.pixel_size import pixel_size  # noqa: E402
from sasnet_live.sources.useq_stream import layout_of  # noqa: E402


def run(core: Any, sequence: Any) -> None:
    core.run_mda(sequence, block=True)


def timelapse(loops: int, **more: Any) -> Any:
    return useq.MDASequence(time_plan={"interval": 0, "loops": loops}, **more)


def passed(frame: Frame) -> Registration:
    lines = frame.data[1::2].astype(np.float32)
    return Registration(frame.data, None, lines, np.zeros_like(lines), RegistrationMetrics(), True)


@pytest.fixture
def source(demo_core: Any, collector: Collector) -> Iterator[MicroManagerSource]:
    source = MicroManagerSource(demo_core)
    source.start(collector)
    yield source
    source.stop()
    assert source.error is None


# ---------------------------------------------------------------- acquisitions


@pytest.mark.parametrize("sequenced", [True, False])
def test_an_acquisition_is_one_stream_with_its_axes(
    demo_core: Any, source: MicroManagerSource, collector: Collector, sequenced: bool
) -> None:
    demo_core.mda.engine.use_hardware_sequencing = sequenced
    run(demo_core, timelapse(4, channels=["DAPI", "FITC"], z_plan={"range": 2, "step": 1}, axis_order="tzc"))
    [stream] = collector.streams
    assert stream.frame_shape == (48, 64)
    assert stream.dtype == np.uint16
    assert (stream.axes, stream.sizes, stream.channel_names) == (("t", "z", "c"), (4, 3, 2), ("DAPI", "FITC"))
    assert (stream.frames, stream.pixel_size_um, stream.z_step_um, stream.exposure_ms) == (24, (1.0, 1.0), 1.0, 2.0)
    assert stream.source == 'camera "Camera"'
    assert stream.metadata["useq"]["axis_order"] == ["t", "z", "c"]
    indices = [tuple(frame.index[axis] for axis in "tzc") for frame in collector.frames]
    assert indices == [(t, z, c) for t in range(4) for z in range(3) for c in range(2)]
    assert [frame.sequence_number for frame in collector.frames] == list(range(24))
    assert collector.ends == [("completed", None, 24)]
    assert collector.waits == {False}, "a camera's thread is never made to wait"
    assert all(frame.metadata["exposure_ms"] == 2.0 for frame in collector.frames)


def test_each_frame_is_kept_as_it_was(demo_core: Any, source: MicroManagerSource, collector: Collector) -> None:
    seen: list[np.ndarray[Any, Any]] = []
    demo_core.mda.events.frameReady.connect(lambda image, event, meta: seen.append(image.copy()))
    run(demo_core, timelapse(10))
    assert len({frame.data.tobytes() for frame in collector.frames}) > 1
    for frame, image in zip(collector.frames, seen, strict=True):
        np.testing.assert_array_equal(frame.data, image)


def test_acquisitions_back_to_back_are_streams_of_their_own(
    demo_core: Any, source: MicroManagerSource, collector: Collector
) -> None:
    for loops in (3, 1, 5):
        run(demo_core, timelapse(loops))
    assert [end[2] for end in collector.ends] == [3, 1, 5]
    assert [stream.frames for stream in collector.streams] == [3, 1, 5]


def test_an_image_that_the_acquisition_leaves_in_the_buffer_is_delivered(
    demo_core: Any, source: MicroManagerSource, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine asks whether images wait, is told no, asks whether the camera runs, is told no, and goes.

    Between the two questions the last image came. Played by answering the first one too early.
    """
    remaining, running, pop = demo_core.getRemainingImageCount, demo_core.isSequenceRunning, demo_core.popNextImageAndMD
    state = {"popped": 0, "lied": False}

    def popped(*args: Any) -> Any:
        state["popped"] += 1
        return pop(*args)

    def too_early() -> int:
        if state["popped"] == 11 and not state["lied"]:
            state["lied"] = True
            wait_for(lambda: remaining() == 1 and not running())
            return 0
        return int(remaining())

    monkeypatch.setattr(demo_core, "popNextImageAndMD", popped)
    monkeypatch.setattr(demo_core, "getRemainingImageCount", too_early)
    run(demo_core, timelapse(12))
    assert state["lied"]
    assert [frame.index["t"] for frame in collector.frames] == list(range(12))
    assert collector.ends == [("completed", None, 12)]
    assert all(frame.data.shape == (48, 64) for frame in collector.frames)
    numbers = [int(frame.metadata["camera_metadata"]["ImageNumber"]) for frame in collector.frames]
    assert numbers == list(range(12))


def test_a_canceled_acquisition_says_so(demo_core: Any, source: MicroManagerSource, collector: Collector) -> None:
    demo_core.mda.engine.use_hardware_sequencing = False
    thread = demo_core.run_mda(useq.MDASequence(time_plan={"interval": 0.02, "loops": 1000}))
    wait_for(lambda: len(collector.frames) >= 3)
    demo_core.mda.cancel()
    thread.join(10)
    assert collector.ends[0][0] == "canceled"
    assert collector.ends[0][2] < 1000


def test_an_acquisition_made_up_as_it_goes_has_no_expected_number(
    demo_core: Any, source: MicroManagerSource, collector: Collector
) -> None:
    run(demo_core, iter([useq.MDAEvent(index={"t": n}) for n in range(3)]))
    assert collector.streams[0].frames is None
    assert [frame.index["t"] for frame in collector.frames] == [0, 1, 2]


@pytest.mark.parametrize(
    "sequence",
    [
        {
            "channels": [{"config": "DAPI"}, {"config": "FITC", "acquire_every": 2}],
            "time_plan": {"interval": 0, "loops": 5},
        },
        {"stage_positions": [(0, 0, 0), {"x": 1, "sequence": {"z_plan": {"range": 2, "step": 1}}}]},
        {"stage_positions": [(0, 0, 0), (1, 1, 0)], "grid_plan": {"rows": 2, "columns": 2}},
        {"channels": [{"config": "DAPI", "do_stack": False}, "FITC"], "z_plan": {"range": 2, "step": 1}},
        {"time_plan": [{"interval": 0, "loops": 2}, {"interval": 0.01, "loops": 2}]},
    ],
)
def test_what_is_announced_is_what_comes(
    demo_core: Any, source: MicroManagerSource, collector: Collector, sequence: Mapping[str, Any]
) -> None:
    run(demo_core, useq.MDASequence(**sequence))
    assert collector.streams[0].frames == len(collector.frames)


def test_pausing_loses_no_frame(demo_core: Any, source: MicroManagerSource, collector: Collector) -> None:
    demo_core.mda.engine.use_hardware_sequencing = False
    thread = demo_core.run_mda(useq.MDASequence(time_plan={"interval": 0.01, "loops": 20}))
    wait_for(lambda: len(collector.frames) >= 3)
    demo_core.mda.set_paused(True)
    demo_core.mda.set_paused(False)
    thread.join(20)
    assert collector.ends == [("completed", None, 20)]


# ---------------------------------------------------------------- live and snaps


@pytest.mark.parametrize("core_name", ["demo_core", "python_core"])
def test_live_mode_delivers_each_image_once_in_order(
    core_name: str, collector: Collector, request: pytest.FixtureRequest
) -> None:
    core = request.getfixturevalue(core_name)
    source = MicroManagerSource(core)
    source.start(collector)
    core.startContinuousSequenceAcquisition(0)
    wait_for(lambda: len(collector.frames) >= 40)
    core.stopSequenceAcquisition()
    wait_for(lambda: bool(collector.ends))
    source.stop()
    numbers = [int(frame.metadata["camera_metadata"]["ImageNumber"]) for frame in collector.frames]
    missing = collector.ends[0][1]
    assert numbers == sorted(set(numbers))
    assert missing is not None
    assert numbers[-1] - numbers[0] + 1 == len(numbers) + missing, "what was not delivered is counted"
    assert collector.ends[0][0] == "stopped"
    assert collector.threads == {"sasnet-live-poll"}


@pytest.mark.parametrize("core_name", ["demo_core", "python_core"])
def test_nobody_asks_the_core_once_live_mode_was_stopped(
    core_name: str, collector: Collector, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be started again at once; a core of Python devices that is asked meanwhile takes itself for stopped."""
    core = request.getfixturevalue(core_name)
    asked = LivePoll._sequence_running
    monkeypatch.setattr(LivePoll, "_sequence_running", lambda poll: bool(time.sleep(0.2)) or asked(poll))
    source = MicroManagerSource(core)
    source.start(collector)
    for count in range(1, 4):
        core.startContinuousSequenceAcquisition(0)
        wait_for(lambda: len(collector.frames) >= 3)
        core.stopSequenceAcquisition()
        assert not [thread for thread in threading.enumerate() if thread.name == "sasnet-live-poll"]
        assert [reason for reason, *_ in collector.ends] == ["stopped"] * count
        collector.frames.clear()
    source.stop()


def test_images_missed_by_the_poll_are_fetched_from_the_buffer(
    demo_core: Any, source: MicroManagerSource, collector: Collector
) -> None:
    put = collector.put
    collector.put = lambda frame, wait=True: time.sleep(0.02) or put(frame, wait=wait)  # type: ignore[method-assign, func-returns-value]
    demo_core.setExposure(4)
    demo_core.startContinuousSequenceAcquisition(0)
    wait_for(lambda: len(collector.frames) >= 20)
    demo_core.stopSequenceAcquisition()
    source.stop()
    numbers = [int(frame.metadata["camera_metadata"]["ImageNumber"]) for frame in collector.frames]
    assert numbers[:20] == list(range(numbers[0], numbers[0] + 20))


def test_nothing_is_taken_out_of_the_buffer_of_live_mode(
    demo_core: Any, source: MicroManagerSource, collector: Collector
) -> None:
    demo_core.startContinuousSequenceAcquisition(0)
    wait_for(lambda: len(collector.frames) >= 10)
    assert demo_core.getRemainingImageCount() >= 10
    demo_core.stopSequenceAcquisition()


def test_a_source_joins_a_live_session_under_way(demo_core: Any, collector: Collector) -> None:
    demo_core.startContinuousSequenceAcquisition(0)
    source = MicroManagerSource(demo_core)
    source.start(collector)
    wait_for(lambda: len(collector.frames) >= 3)
    source.stop()
    assert demo_core.isSequenceRunning(), "its owner's session goes on"
    demo_core.stopSequenceAcquisition()


def test_live_mode_stopped_and_started_again_goes_on(
    demo_core: Any, source: MicroManagerSource, collector: Collector
) -> None:
    for session in range(1, 4):
        before = len(collector.frames)
        demo_core.startContinuousSequenceAcquisition(0)
        wait_for(lambda before=before: len(collector.frames) > before + 2)  # type: ignore[misc]
        demo_core.stopSequenceAcquisition()
        wait_for(lambda session=session: len(collector.ends) == session)  # type: ignore[misc]


def test_an_acquisition_right_after_live_mode_is_not_cut_short(
    demo_core: Any, source: MicroManagerSource, collector: Collector
) -> None:
    for _ in range(5):
        demo_core.startContinuousSequenceAcquisition(0)
        wait_for(lambda before=len(collector.frames): len(collector.frames) > before)  # type: ignore[misc]
        demo_core.stopSequenceAcquisition()
        before, ends = len(collector.frames), len(collector.ends)
        run(demo_core, timelapse(10))
        acquired = [frame for frame in collector.frames[before:] if "t" in frame.index]
        assert [frame.index["t"] for frame in acquired] == list(range(10))
        assert collector.ends[-1] == ("completed", None, 10), collector.ends[ends:]


def test_snaps_are_delivered_and_those_of_an_acquisition_are_not_doubled(
    demo_core: Any, source: MicroManagerSource, collector: Collector
) -> None:
    image = demo_core.snap()
    assert len(collector.frames) == 1
    np.testing.assert_array_equal(collector.frames[0].data, image)
    assert collector.frames[0].metadata["pixel_size_um"] == 1.0
    demo_core.mda.engine.use_hardware_sequencing = False
    run(demo_core, timelapse(3))
    assert len(collector.frames) == 4


@pytest.mark.parametrize(("which", "expected"), [("mda", 3), ("snap", 1), ("live", 0)])
def test_only_what_is_wanted_is_delivered(demo_core: Any, collector: Collector, which: str, expected: int) -> None:
    source = MicroManagerSource(demo_core, **{"mda": False, "live": False, "snap": False, which: True})
    source.start(collector)
    demo_core.mda.engine.use_hardware_sequencing = False
    run(demo_core, timelapse(3))
    demo_core.snap()
    source.stop()
    assert len(collector.frames) == expected


# ---------------------------------------------------------------- a core that changes


def test_a_change_of_region_or_binning_in_live_mode_is_survived(
    demo_core: Any, source: MicroManagerSource, collector: Collector
) -> None:
    for change, shape in (
        (lambda: demo_core.setROI(8, 4, 32, 16), (16, 32)),
        (lambda: demo_core.clearROI(), (48, 64)),
        (lambda: demo_core.setProperty("Camera", "Binning", "2"), (24, 32)),
    ):
        demo_core.startContinuousSequenceAcquisition(0)
        wait_for(lambda: bool(collector.frames))
        demo_core.stopSequenceAcquisition()
        change()
        demo_core.startContinuousSequenceAcquisition(0)
        wait_for(lambda shape=shape: collector.frames[-1].data.shape == shape)  # type: ignore[misc]
        demo_core.stopSequenceAcquisition()


@pytest.mark.parametrize("core_name", ["demo_core", "python_core"])
def test_a_configuration_loaded_while_live_is_survived(
    core_name: str, collector: Collector, request: pytest.FixtureRequest
) -> None:
    core = request.getfixturevalue(core_name)
    configuration = core.systemConfigurationFile()
    source = MicroManagerSource(core)
    source.start(collector)
    core.startContinuousSequenceAcquisition(0)
    wait_for(lambda: len(collector.frames) >= 3)
    # A C++ core refuses while a sequence runs, and has unloaded its devices by then; one of Python devices goes ahead.
    with suppress(OSError):
        core.loadSystemConfiguration(configuration)
    if core.isSequenceRunning():
        core.stopSequenceAcquisition()
    wait_for(lambda: len(collector.ends) == 1)
    core.loadSystemConfiguration(configuration)
    core.setExposure(2)
    before = len(collector.frames)
    run(core, timelapse(2))
    assert len(collector.frames) == before + 2
    core.startContinuousSequenceAcquisition(0)
    wait_for(lambda: len(collector.frames) > before + 5)
    core.stopSequenceAcquisition()
    source.stop()
    assert source.error is None


@pytest.mark.parametrize("core_name", ["demo_core", "python_core"])
def test_the_pixel_size_is_never_asked_for_beside_a_configuration_that_is_loaded(
    core_name: str, collector: Collector, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A core that is asked for its pixel size in one thread while another one loads devices ends the process."""
    core = request.getfixturevalue(core_name)
    asking, ask = set(), core.getPixelSizeUm

    def noted(*cached: bool) -> float:
        asking.add(threading.current_thread())
        return float(ask(*cached))

    monkeypatch.setattr(core, "getPixelSizeUm", noted)
    source = MicroManagerSource(core)
    source.start(collector)
    core.startContinuousSequenceAcquisition(0)
    wait_for(lambda: len(collector.frames) >= 3)
    source.stop()
    core.stopSequenceAcquisition()
    assert collector.frames[-1].metadata["pixel_size_um"] == ask()
    assert asking == {threading.current_thread()}


def test_a_pixel_size_that_changes_in_live_mode_is_noticed(
    demo_core: Any, source: MicroManagerSource, collector: Collector
) -> None:
    demo_core.startContinuousSequenceAcquisition(0)
    wait_for(lambda: bool(collector.frames))
    demo_core.setConfig("Objective", "20X")
    wait_for(lambda: collector.frames[-1].metadata["pixel_size_um"] == 0.5)


@pytest.mark.parametrize("how", ["acquisition", "live mode", "snap"])
def test_a_px_that_is_not_square_has_both_its_sizes(
    demo_core: Any, source: MicroManagerSource, collector: Collector, how: str
) -> None:
    """As OR-PAM scanners have it: steps along the slow axis are longer. Micro-Manager's pixel size is one number."""
    demo_core.setPixelSizeAffine("Res20x", (0.5, 0.0, 0.0, 0.0, 1.5, 0.0))
    for config, expected in (("20X", (1.5, 0.5)), ("10X", 1.0)):
        demo_core.setConfig("Objective", config)
        before = len(collector.frames)
        if how == "acquisition":
            run(demo_core, timelapse(2))
            assert collector.streams[-1].pixel_size_um == (expected if expected != 1.0 else (1.0, 1.0))
        elif how == "snap":
            demo_core.snap()
        else:
            demo_core.startContinuousSequenceAcquisition(0)
        wait_for(lambda before=before: len(collector.frames) > before)  # type: ignore[misc]
        assert collector.frames[-1].metadata["pixel_size_um"] == expected
        if how == "live mode":
            other, size = ("10X", 1.0) if config == "20X" else ("20X", (1.5, 0.5))
            demo_core.setConfig("Objective", other)
            wait_for(lambda size=size: collector.frames[-1].metadata["pixel_size_um"] == size)  # type: ignore[misc]
            demo_core.stopSequenceAcquisition()


@pytest.mark.parametrize(
    ("size_um", "affine", "expected"),
    [
        (1.25, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), 1.25),  # nobody set the affine
        (1.0, (), 1.0),
        (0.0, (0.0,) * 6, 0.0),
        (1.0, (1.002, 0.0, 0.0, 0.0, 0.998, 0.0), 1.0),
        (0.5, (0.5, 0.0, 0.0, 0.0, -2.0, 0.0), (2.0, 0.5)),
        (0.5, (0.0, 2.0, 0.0, 0.5, 0.0, 0.0), (2.0, 0.5)),  # the scanner is turned by 90 degrees
        (0.0, (0.5, 0.0, 0.0, 0.0, 2.0, 0.0), (2.0, 0.5)),
        (1.0, (float("nan"), 0.0, 0.0, 0.0, 2.0, 0.0), 1.0),
    ],
)
def test_the_size_of_a_px_from_both_calibrations(size_um: float, affine: tuple[float, ...], expected: object) -> None:
    assert pixel_size(size_um, affine) == pytest.approx(expected)


def test_nothing_asks_the_core_for_anything_once_the_source_is_stopped(
    python_core: Any, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner may unload the devices then. The signal that live mode ended must not make it forget its poll."""
    ask, asked_at = python_core.getLastImageAndMD, []

    def slow(*channel: int) -> Any:
        try:
            return ask(*channel)
        finally:
            time.sleep(0.3)
            asked_at.append(time.perf_counter())

    monkeypatch.setattr(python_core, "getLastImageAndMD", slow)
    source = MicroManagerSource(python_core)
    source.start(collector)
    python_core.startContinuousSequenceAcquisition(0)
    wait_for(lambda: bool(asked_at))
    python_core.stopSequenceAcquisition()
    source.stop()
    stopped_at = time.perf_counter()
    assert not [thread for thread in threading.enumerate() if thread.name == "sasnet-live-poll"]
    time.sleep(0.4)
    assert asked_at[-1] < stopped_at


def test_a_core_that_refuses_to_answer_is_no_fault_of_the_camera(
    python_core: Any, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a core raised when the poll asked for the last image while its devices were unloaded."""
    source = MicroManagerSource(python_core)
    source.start(collector)
    python_core.startContinuousSequenceAcquisition(0)
    wait_for(lambda: bool(collector.frames))
    refused: list[str] = []
    for name, error in (("getLastImageAndMD", SystemError), ("isSequenceRunning", KeyError), ("getExposure", KeyError)):

        def refuse(*_: Any, name: str = name, error: type[Exception] = error) -> Any:
            refused.append(name)
            raise error("there is no such camera")

        monkeypatch.setattr(python_core, name, refuse)
    wait_for(lambda: "getLastImageAndMD" in refused)
    source.stop()
    monkeypatch.undo()
    python_core.stopSequenceAcquisition()
    assert source.error is None
    assert [reason for reason, *_ in collector.ends] in (["stopped"], [])


def test_an_image_cut_to_the_size_of_a_changed_camera_is_not_delivered(
    demo_core: Any, source: MicroManagerSource, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, cut = demo_core.getLastImageAndMD, []

    def smaller(*_: Any) -> Any:
        image, tags = ask()
        cut.append(tags["ImageNumber"])
        return image[: image.shape[0] // 2], tags

    monkeypatch.setattr(demo_core, "getLastImageAndMD", smaller)
    demo_core.startContinuousSequenceAcquisition(0)
    wait_for(lambda: len(set(cut)) >= 3)
    demo_core.stopSequenceAcquisition()
    source.stop()
    assert collector.frames == []


def test_live_mode_that_begins_while_the_source_is_stopped_leaves_no_thread(
    demo_core: Any, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread stops the source when it is just about to make its poll.

    Only Qt's signals let that happen, psygnal's are not disconnected in the middle of a call; so it is called here.
    """
    source = MicroManagerSource(demo_core)
    source.start(collector)
    ask = demo_core.getPixelSizeUm

    def stopped_meanwhile(*cached: bool) -> float:
        other = threading.Thread(target=source.stop)
        other.start()
        other.join(20)
        assert not other.is_alive()
        return float(ask(*cached))

    monkeypatch.setattr(demo_core, "getPixelSizeUm", stopped_meanwhile)
    source._on_live_started()
    assert not source.running
    assert not [thread for thread in threading.enumerate() if thread.name == "sasnet-live-poll"]
    assert (collector.frames, source.error) == ([], None)


def test_a_poll_that_is_stopped_before_it_began_asks_nothing() -> None:
    poll = LivePoll(None, None, None, None)  # type: ignore[arg-type]  # any question would raise
    poll.stop()
    poll.start()
    poll.join()
    assert not poll.running


def test_a_camera_at_rest_before_its_signal_says_so_has_not_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops live mode stops the camera first; the signal comes when its thread goes on."""

    class AtRest:
        def getLastImageAndMD(self) -> Any:
            raise IndexError("no image")

        def isSequenceRunning(self) -> bool:
            threading.Timer(0.05, poll.stop).start()
            return False

    monkeypatch.setattr(live_poll, "STOPPED_WITHIN_S", 60.0)
    reasons: list[str] = []
    poll = LivePoll(
        AtRest(),  # type: ignore[arg-type]
        lambda *_: None,
        lambda _, reason, missing: reasons.append(reason),
        lambda error: reasons.append(repr(error)),
    )
    poll.start()
    wait_for(lambda: bool(reasons))
    assert reasons == ["stopped"]


def test_a_steady_camera_is_asked_seldom_and_misses_nothing() -> None:
    """Each question is a copy of the image, and interrupts the GUI."""

    class Steady:
        """An image every 50 ms, and all of them kept."""

        asked = 0

        def __init__(self) -> None:
            self.began_s = time.perf_counter()

        def isSequenceRunning(self) -> bool:
            return True

        def getLastImageAndMD(self) -> Any:
            self.asked += 1
            return self.getNBeforeLastImageAndMD(0)

        def getNBeforeLastImageAndMD(self, back: int) -> Any:
            number = int((time.perf_counter() - self.began_s) / 0.05) - back
            return np.full((4, 6), number, np.uint16), {"ImageNumber": str(number), "Height": "4", "Width": "6"}

    core, numbers, ended = Steady(), [], []
    poll = LivePoll(
        core,  # type: ignore[arg-type]
        lambda _, image, tags: numbers.append(int(image[0, 0])),
        lambda _, reason, missing: ended.append((reason, missing)),
        lambda error: ended.append(error),
    )
    poll.start()
    wait_for(lambda: len(numbers) >= 20)
    poll.stop()
    poll.join()
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    # About four an image: the first of all comes before it is known how fast they follow each other.
    assert core.asked <= 7 * len(numbers) + 30
    assert ended == [("stopped", 0)]


def test_many_configurations_loaded_while_live(python_core: Any, collector: Collector) -> None:
    configuration = python_core.systemConfigurationFile()
    source = MicroManagerSource(python_core)
    source.start(collector)
    for _ in range(20):
        python_core.setProperty("ORPAM", "Lines", 32)
        python_core.setProperty("ORPAM", "PixelsPerLine", 32)
        before = len(collector.frames)
        python_core.startContinuousSequenceAcquisition(0)
        wait_for(lambda before=before: len(collector.frames) > before)  # type: ignore[misc]
        python_core.stopSequenceAcquisition()
        python_core.loadSystemConfiguration(configuration)
    source.stop()
    assert source.error is None


def test_the_source_goes_over_to_another_core(demo_core: Any, python_core: Any, collector: Collector) -> None:
    source = MicroManagerSource(demo_core)
    source.start(collector)
    demo_core.snap()
    assert not source.attach_to(demo_core)
    assert source.attach_to(python_core)
    demo_core.snap()
    python_core.snap()
    run(python_core, timelapse(2))
    source.stop()
    assert [frame.data.shape for frame in collector.frames] == [(48, 64)] + 3 * [(128, 128)]


def test_a_source_that_is_not_running_changes_its_core_too(demo_core: Any, python_core: Any) -> None:
    source = MicroManagerSource(demo_core)
    assert source.attach_to(python_core)
    assert source.core is python_core
    assert not source.running


def test_a_live_camera_that_fails_is_reported(python_core: Any, collector: Collector) -> None:
    failing(python_core, after=5)
    source = MicroManagerSource(python_core)
    source.start(collector)
    python_core.startContinuousSequenceAcquisition(0)
    wait_for(lambda: bool(collector.ends))
    assert collector.ends[0][0] == "errored"
    source.stop()


@pytest.mark.parametrize("sequenced", [True, False])
def test_a_camera_that_fails_in_a_sequence_does_not_look_like_a_finished_run(python_core: Any, sequenced: bool) -> None:
    failing(python_core, after=4)
    python_core.mda.engine.use_hardware_sequencing = sequenced
    pipeline = LivePipeline(passed, policy="all").start()
    source = MicroManagerSource(python_core)
    source.start(pipeline)
    thread = python_core.run_mda(timelapse(10))
    thread.join(20)
    wait_for(lambda: bool(pipeline.reports))
    source.stop()
    [report] = pipeline.close()
    assert report.received == 4
    assert report.missing == 6
    assert report.problems() == ['6 of 10 frames never came from camera "ORPAM"']
    assert pipeline.status().missing == 6


def failing(core: Any, after: int) -> None:
    """Make the camera of a core raise after some images."""
    device = core._pydevices["ORPAM"] if hasattr(core, "_pydevices") else core._py_camera("ORPAM")
    snap, left = device.snap, [after]

    def limited(buffer: np.ndarray[Any, Any]) -> Mapping[str, str]:
        if not left[0]:
            raise RuntimeError("the laser is off")
        left[0] -= 1
        return snap(buffer)  # type: ignore[no-any-return]

    device.snap = limited


# ---------------------------------------------------------------- manners


def test_stopping_leaves_no_connection_and_no_thread(demo_core: Any, collector: Collector) -> None:
    def connections() -> int:
        signals = (
            demo_core.mda.events.sequenceStarted,
            demo_core.mda.events.frameReady,
            demo_core.mda.events.sequenceFinished,
            demo_core.events.continuousSequenceAcquisitionStarted,
            demo_core.events.sequenceAcquisitionStopped,
            demo_core.events.imageSnapped,
        )
        return sum(len(signal) for signal in signals)

    before, threads = connections(), threading.active_count()
    source = MicroManagerSource(demo_core)
    source.start(collector)
    assert connections() > before
    demo_core.startContinuousSequenceAcquisition(0)
    wait_for(lambda: bool(collector.frames))
    source.stop()
    source.stop()
    assert connections() == before
    assert threading.active_count() == threads
    assert collector.sources == []
    count = len(collector.frames)
    demo_core.stopSequenceAcquisition()
    demo_core.snap()
    assert len(collector.frames) == count


def test_callbacks_never_raise_into_the_acquisition(demo_core: Any, collector: Collector) -> None:
    def put(frame: Frame, *, wait: bool = True) -> bool:
        raise RuntimeError("a broken consumer")

    def begin(stream: Any) -> None:
        raise RuntimeError("a broken consumer")

    collector.put = put  # type: ignore[method-assign]
    collector.begin_stream = begin  # type: ignore[method-assign]
    source = MicroManagerSource(demo_core)
    source.start(collector)
    seen: list[int] = []
    demo_core.mda.events.frameReady.connect(lambda image, event, meta: seen.append(1))
    run(demo_core, timelapse(3))
    source.stop()
    assert len(seen) == 3
    assert str(demo_core.mda.status.finish_reason) == "completed"
    assert "a broken consumer" in str(source.error)


def test_a_source_is_started_once_and_a_consumer_has_one_source(demo_core: Any) -> None:
    pipeline = LivePipeline(passed)
    first, second = MicroManagerSource(demo_core), MicroManagerSource(demo_core)
    first.start(pipeline)
    with pytest.raises(InputError, match="is running"):
        first.start(pipeline)
    with pytest.raises(InputError, match="already takes frames from Micro-Manager"):
        second.start(pipeline)
    assert not second.running
    first.stop()
    second.start(pipeline)
    second.stop()
    pipeline.close()


def test_two_pipelines_on_one_core_both_get_every_frame(demo_core: Any) -> None:
    collectors = Collector(), Collector()
    sources = [MicroManagerSource(demo_core) for _ in collectors]
    for source, collector in zip(sources, collectors, strict=True):
        source.start(collector)
    run(demo_core, timelapse(7))
    sources[0].stop()
    run(demo_core, timelapse(2))
    sources[1].stop()
    assert [len(collector.frames) for collector in collectors] == [7, 9]


def test_disconnecting_twice_is_harmless(demo_core: Any) -> None:
    disconnect = connect_direct(demo_core.events.imageSnapped, lambda camera: None)
    disconnect()
    disconnect()


def test_the_global_core_is_found() -> None:
    core = pymmcore_plus.CMMCorePlus.instance()
    assert find_core() is core


def test_a_stream_without_image_infos_is_read_from_the_core(demo_core: Any) -> None:
    stream = layout_of(timelapse(2), {}, demo_core)
    assert (stream.frame_shape, stream.dtype, stream.frames) == ((48, 64), np.dtype(np.uint16), 2)


# ---------------------------------------------------------------- with the pipeline


@pytest.mark.parametrize("sequenced", [True, False])
def test_no_frame_is_lost_and_the_acquisition_does_not_wait_for_a_slow_registrar(
    demo_core: Any, sequenced: bool
) -> None:
    """The registrar does not begin before the acquisition is over, which must not wait for it."""
    numbers: list[tuple[int, int]] = []
    acquired = threading.Event()

    def slow(frame: Frame) -> Registration:
        assert acquired.wait(60)
        numbers.append((frame.index["t"], frame.index["c"]))
        return passed(frame)

    demo_core.mda.engine.use_hardware_sequencing = sequenced
    pipeline = LivePipeline(slow, policy="all", capacity=4).start()
    source = MicroManagerSource(demo_core)
    source.start(pipeline)
    run(demo_core, timelapse(30, channels=["DAPI", "FITC", "Cy5"], axis_order="tc"))
    assert pipeline.status().counts.received == 90
    acquired.set()
    source.stop()
    pipeline.close()
    status = pipeline.status()
    assert numbers == [(t, c) for t in range(30) for c in range(3)]
    assert status.counts.dropped == status.missing == 0
    assert status.counts.held_back_s == 0


def test_acquisitions_back_to_back_leave_nothing_behind(demo_core: Any) -> None:
    import psutil

    process = psutil.Process()
    pipeline = LivePipeline(passed, policy="all").start()
    source = MicroManagerSource(demo_core)
    source.start(pipeline)

    def acquire(times: int) -> None:
        for _ in range(times):
            run(demo_core, timelapse(3))

    acquire(5)
    gc.collect()
    threads, handles, memory = threading.active_count(), process.num_fds(), process.memory_info().rss
    acquire(40)
    gc.collect()
    assert threading.active_count() <= threads
    assert process.num_fds() <= handles
    assert process.memory_info().rss - memory < 20e6
    source.stop()
    reports = pipeline.close()
    assert len(reports) == 45
    assert all(report.complete for report in reports)


_QT_SCRIPT = """
import sys, threading, useq
from qtpy.QtCore import QCoreApplication
app = QCoreApplication([])
from pymmcore_plus import CMMCorePlus
from psygnal import SignalInstance
from sasnet_live.sources.micromanager import MicroManagerSource
core = CMMCorePlus()
core.loadSystemConfiguration()
assert not isinstance(core.mda.events.frameReady, SignalInstance), "the core does not use Qt's signals"

class Consumer:
    threads, ends = [], []
    def attach(self, source): pass
    def detach(self, source): pass
    def begin_stream(self, stream): pass
    def put(self, frame, *, wait): self.threads.append(threading.current_thread()); return True
    def end_stream(self, reason, *, missing=None): self.ends.append(reason)

consumer = Consumer()
source = MicroManagerSource(core)
source.start(consumer)
thread = core.run_mda(useq.MDASequence(time_plan={"interval": 0, "loops": 5}))
thread.join()  # no event loop runs: a queued callback would never be called
assert len(consumer.threads) == 5, consumer.threads
assert set(consumer.threads) == {thread}
assert consumer.ends == ["completed"]
source.stop()
core.run_mda(useq.MDASequence(time_plan={"interval": 0, "loops": 2})).join()
assert len(consumer.threads) == 5, "still connected"
"""


def test_frames_of_a_core_with_qt_signals_come_in_the_thread_that_acquires() -> None:
    pytest.importorskip("qtpy.QtCore")
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYMM_SIGNALS_BACKEND": "qt"}
    result = subprocess.run([sys.executable, "-c", _QT_SCRIPT], capture_output=True, timeout=60, env=environment)
    assert result.returncode == 0, result.stderr.decode()


def test_a_core_that_is_alive_at_the_end_does_not_abort_the_process() -> None:
    script = """
from pymmcore_plus import CMMCorePlus
from sasnet_live.sources.micromanager import MicroManagerSource
from sasnet_live.live.pipeline import LivePipeline
core = CMMCorePlus.instance()
core.loadSystemConfiguration()
pipeline = LivePipeline(lambda frame: None).start()
source = MicroManagerSource(core)
source.start(pipeline)
core.startContinuousSequenceAcquisition(0)
while pipeline.status().counts.received == 0:
    pass
core.stopSequenceAcquisition()
"""
    for _ in range(2):
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
        assert result.returncode == 0, result.stderr.decode()
