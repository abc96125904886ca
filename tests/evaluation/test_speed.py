"""What `sasnet-live bench` measures."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from sasnet_live.errors import InputError
from sasnet_live.evaluation.speed import convolution_gflop_per_s, measure, timed


def test_timed_counts_and_orders() -> None:
    calls: list[float] = []
    timing = timed(lambda: (calls.append(0.0), time.sleep(0.002)), repeats=5, warm_up=2)
    assert len(calls) == 7
    assert timing.repeats == 5
    assert 2 <= timing.fastest_ms <= timing.median_ms <= timing.p99_ms


def test_the_rate_of_convolution_is_plausible() -> None:
    assert 0.5 < convolution_gflop_per_s() < 1e5


def test_models_are_timed_in_one_run(fake_registrar: Any) -> None:
    said: list[str] = []
    speed = measure(["lite", "full"], shape=(32, 64), frames=4, progress=said.append)
    assert [model.model for model in speed.models] == ["lite", "full"]
    lite = speed.models[0]
    assert lite.frame.repeats == 4
    assert lite.frames_per_s == pytest.approx(1e3 / lite.frame.median_ms)
    assert lite.stages_ms == {"network": 1.5}
    assert lite.described == {"model": "lite"}
    # The stand-in multiplies 4 x 8 by 8 x 16.
    assert lite.gflop == pytest.approx(2 * 4 * 8 * 16 / 1e9)
    ideal_ms = lite.gflop / speed.convolution_gflop_per_s * 1e3
    assert lite.over_arithmetic == pytest.approx(lite.frame.median_ms / ideal_ms)
    assert said[-2:] == ["lite", "full"]
    assert json.loads(json.dumps(speed.as_dict()))["shape"] == [32, 64]


def test_too_few_frames(fake_registrar: Any) -> None:
    with pytest.raises(InputError, match="1 frames came; expected 2 or more"):
        measure(["lite"], frames=1)
