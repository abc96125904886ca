"""What `sasnet-live bench` measures."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from sasnet_live.errors import InputError
from sasnet_live.evaluation import speed as speed_module
from sasnet_live.evaluation.speed import convolution_gflop_per_s, measure, timed


def test_timed_counts_and_orders() -> None:
    calls: list[float] = []
    timing = timed(lambda: (calls.append(0.0), time.sleep(0.002)), repeats=5, warm_up=2)
    assert len(calls) == 7
    assert timing.repeats == 5
    assert 2 <= timing.fastest_ms <= timing.median_ms <= timing.p99_ms


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_rate_of_convolution_is_plausible(precision: str) -> None:
    assert 0.5 < convolution_gflop_per_s(precision=precision) < 1e5


def test_a_model_is_put_beside_convolutions_in_its_own_precision(
    fake_registrar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {"fp32": 80.0, "bf16": 200.0}
    monkeypatch.setattr(speed_module, "convolution_gflop_per_s", lambda device, precision="fp32": rates[precision])
    monkeypatch.setattr(fake_registrar, "describe", lambda self: {"precision": "bf16"})
    found = measure(["lite"], shape=(32, 64), frames=4)
    assert found.convolution_gflop_per_s == rates
    lite = found.models[0]
    assert lite.over_arithmetic == pytest.approx(lite.frame.median_ms / (lite.gflop / 200.0 * 1e3))


def test_models_are_timed_in_one_run(fake_registrar: Any) -> None:
    said: list[str] = []
    speed = measure(["lite", "full"], shape=(32, 64), frames=4, progress=said.append)
    assert [model.model for model in speed.models] == ["lite", "full"]
    lite = speed.models[0]
    assert lite.frame.repeats == 4
    assert lite.frames_per_s == pytest.approx(1e3 / lite.frame.median_ms)
    assert lite.described == {"model": "lite"}
    # The stand-in multiplies 4 x 8 by 8 x 16.
    assert lite.gflop == pytest.approx(2 * 4 * 8 * 16 / 1e9)
    ideal_ms = lite.gflop / speed.convolution_gflop_per_s["fp32"] * 1e3
    assert lite.over_arithmetic == pytest.approx(lite.frame.median_ms / ideal_ms)
    assert said[-2:] == ["lite", "full"]
    assert json.loads(json.dumps(speed.as_dict()))["shape"] == [32, 64]


def test_too_few_frames(fake_registrar: Any) -> None:
    with pytest.raises(InputError, match="1 frames came; expected 2 or more"):
        measure(["lite"], frames=1)
