"""What `sasnet-live bench` measures."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import torch

from sasnet_live.errors import InputError
from sasnet_live.evaluation import speed as speed_module
from sasnet_live.evaluation.frame_cost import Operations, timed_stages
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
    assert lite.stages_ms == {}
    assert (lite.operations, lite.kernels, lite.synchronizations) == (3, 3, 0)
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


@pytest.mark.parametrize("model", ["lite", "correspondence"])
def test_stages_of_a_real_registrar_add_up(model: str) -> None:
    found = measure([model], shape=(128, 192), frames=5).models[0]
    assert list(found.stages_ms) == ["inputs", "displacement", "network", "judging", "packing"]
    assert all(ms >= 0 for ms in found.stages_ms.values())
    assert found.stages_ms["displacement"] > 0
    assert sum(found.stages_ms.values()) == pytest.approx(found.frame.median_ms, rel=0.5)
    assert found.synchronizations == 0
    if model == "lite":
        assert 100 < found.kernels < found.operations < 400
        assert found.gflop > 0.1
    else:
        assert found.operations == 0


def test_the_registrar_is_left_as_it_was() -> None:
    from sasnet_live import registrar as module

    registrar, functions = module.Registrar("correspondence"), dict(vars(module))
    with timed_stages(registrar) as spent:
        assert vars(module) != functions
    assert spent == {}
    assert vars(module) == functions
    assert "find" not in vars(registrar._tracker)
    assert "render" not in vars(registrar._renderer)


def test_views_are_no_kernels_and_numbers_read_are_waits() -> None:
    values = torch.ones(4, 6)
    with Operations() as counted:
        values.t()
        values.chunk(2)
        assert (counted.operations, counted.kernels) == (2, 0)
        values.add_(1)
        torch.stack([values, values])
        assert (counted.operations, counted.kernels, counted.synchronizations) == (4, 2, 0)
        values.sum().item()
        assert counted.synchronizations == 1


def test_what_is_brought_from_a_device_is_a_wait() -> None:
    """On "meta", which holds no numbers: a stand-in for the copy gives what the host would get."""
    there, here = torch.empty(3, device="meta"), torch.empty(3)
    with Operations() as counted:
        there + 1
        here.to("meta")
        assert counted.synchronizations == 0

    def copied(*_: object, **__: object) -> torch.Tensor:
        return here

    copied._schema = torch.ops.aten._to_copy.default._schema  # type: ignore[attr-defined]
    counted.__torch_dispatch__(copied, (), (there,), {"device": "cpu"})
    assert counted.synchronizations == 1
