"""The simulated scanner as a source."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.sources.simulated import SimulatedSource

from .conftest import Collector, wait_for

SMALL: dict[str, Any] = {"shape": (48, 64), "frame_rate_hz": None}


def test_frames_come_in_order_as_one_stream(collector: Collector) -> None:
    source = SimulatedSource(5, **SMALL)
    source.start(collector)
    assert source.wait(30)
    [stream] = collector.streams
    assert (stream.frame_shape, stream.dtype, stream.frames) == ((48, 64), np.dtype(np.uint16), 5)
    assert [frame.index["t"] for frame in collector.frames] == list(range(5))
    assert all(frame.data.shape == (48, 64) and frame.data.dtype == np.uint16 for frame in collector.frames)
    assert collector.ends == [("completed", None, 5)]
    assert collector.sources == []
    assert source.error is None


def test_the_same_seed_gives_the_same_frames() -> None:
    collectors = [Collector(), Collector(), Collector()]
    for seed, collector in zip((1, 1, 2), collectors, strict=True):
        source = SimulatedSource(2, seed=seed, **SMALL)
        source.start(collector)
        source.wait()
    first, same, other = (collector.frames[1].data for collector in collectors)
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_no_frame_comes_before_its_time(collector: Collector) -> None:
    source = SimulatedSource(11, shape=(48, 64), frame_rate_hz=20)
    began = time.perf_counter()
    source.start(collector)
    source.wait()
    for number, frame in enumerate(collector.frames):
        assert frame.received_s - began >= number / 20


def test_it_stops_when_asked(collector: Collector) -> None:
    source = SimulatedSource(None, **SMALL)
    source.start(collector)
    wait_for(lambda: len(collector.frames) >= 2)
    source.stop()
    assert not source.running
    assert collector.ends[0][0] == "canceled"
    with pytest.raises(InputError, match="started before"):
        source.start(collector)


def test_it_waits_for_its_consumer_or_not_as_asked() -> None:
    for may_drop in (False, True):
        collector = Collector()
        source = SimulatedSource(2, may_drop=may_drop, **SMALL)
        source.start(collector)
        source.wait()
        assert collector.waits == {not may_drop}


@pytest.mark.parametrize("wrong", [{"frame_rate_hz": 0}, {"count": -1}])
def test_what_cannot_be_scanned_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        SimulatedSource(**{**SMALL, **wrong})


def test_an_error_while_scanning_is_kept(collector: Collector) -> None:
    def put(frame: Any, *, wait: bool = True) -> bool:
        raise RuntimeError("no more room")

    collector.put = put  # type: ignore[method-assign]
    source = SimulatedSource(3, **SMALL)
    source.start(collector)
    source.wait()
    assert str(source.error) == "no more room"
    assert collector.ends[0][0] == "errored"
