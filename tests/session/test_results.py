"""Which frame the window shows while others wait to be registered."""

from __future__ import annotations

import numpy as np
import pytest

from fake_registrar import FakeRegistrar
from sasnet_live.frame import Frame, RegistrationMetrics
from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import merge, split
from sasnet_live.session.pictures import Scan
from sasnet_live.session.results import BEHIND_S, KEPT_FOR_CHART, Result, Results, Sample

SAMPLE = Sample(0.0, 1.0, True, RegistrationMetrics())


def frame(at_s: float, shape: tuple[int, int] = (8, 8)) -> Frame:
    rng = np.random.default_rng(int(at_s * 100))
    return Frame(rng.integers(0, 99, shape, dtype=np.uint8), received_s=at_s)


def result(frame: Frame, geometry: ScanGeometry | None = None) -> Result:
    registration = FakeRegistrar(geometry=geometry).register(frame.data)
    return Result(Scan(frame, registration, geometry or ScanGeometry()), {"registered": (registration.image,)})


def test_without_frames_that_wait_each_result_is_shown_once() -> None:
    results, first = Results(), result(frame(1))
    assert results.take_latest(None, ("raw",)) is None
    results.add(first, SAMPLE)
    assert results.take_latest(None, ("raw",)) is first
    assert results.take_latest(None, ("raw",)) is None


def test_the_newest_frame_is_in_place_of_the_raw_one_until_it_is_registered() -> None:
    results, first, newest = Results(), result(frame(1)), frame(3)
    results.add(first, SAMPLE)
    shown = results.take_latest(newest, ("raw", "registered"))
    assert shown is not None
    assert shown.scan is first.scan
    assert shown.pictures["raw"][0] is newest.data
    assert shown.pictures["registered"] is first.pictures["registered"]
    assert (shown.newest, shown.behind_s) == ("raw", 2.0)
    assert results.take_latest(newest, ("raw", "registered")) is None  # nothing new
    later = results.take_latest(frame(4), ("raw", "registered"))
    assert later is not None  # though nothing was registered meanwhile
    assert later.behind_s == 3.0
    assert results.take_latest(None, ("raw",)) is first  # the two belong together again
    assert results.take_latest(None, ("raw",)) is None


@pytest.mark.parametrize(
    "geometry",
    [
        ScanGeometry(),
        ScanGeometry(crop=(2, 1)),
        ScanGeometry(backward_mirrored=True),
        ScanGeometry(line_axis="columns"),
    ],
)
def test_where_the_raw_frame_is_not_seen_the_newest_is_in_place_of_the_registered_one(geometry: ScanGeometry) -> None:
    results, newest = Results(), frame(3)
    results.add(result(frame(1), geometry), SAMPLE)
    shown = results.take_latest(newest, ("registered", "displacement"))
    assert shown is not None
    assert shown.newest == "registered"
    pixels = shown.pictures["registered"][0]
    assert pixels.shape == shown.scan.registration.image.shape
    assert np.array_equal(pixels, merge(*split(newest.data, geometry), geometry))


@pytest.mark.parametrize(
    "newest", [frame(1), frame(1 + 0.9 * BEHIND_S), frame(0), frame(9, (4, 8)), Frame(np.zeros((8, 8)), received_s=9.0)]
)
def test_a_frame_that_is_hardly_newer_or_of_another_kind_is_not_mixed_with_the_registered_one(newest: Frame) -> None:
    results, first = Results(), result(frame(1))
    results.add(first, SAMPLE)
    assert results.take_latest(newest, ("raw",)) is first


def test_memory_is_bounded_and_a_new_session_begins_with_nothing() -> None:
    results = Results()
    for _ in range(KEPT_FOR_CHART + 10):
        results.add(result(frame(1)), SAMPLE)
    assert len(results.take_samples()) == KEPT_FOR_CHART
    assert results.take_samples() == []
    results.clear()
    assert results.take_latest(frame(9), ("raw",)) is None
