"""The network in use: recorded as one call, and its ways to a device and back."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from sasnet_live.network.backend import NetworkRenderer
from sasnet_live.network.checkpoint import ModelCard
from sasnet_live.network.config import PRESETS
from sasnet_live.network.inputs import Lines, RenderInputs
from sasnet_live.network.recorded import KEPT_SHAPES, RecordedNetwork
from sasnet_live.network.sasnet import SASNet

LITE = PRESETS["lite"]
CPU, META = torch.device("cpu"), torch.device("meta")


def network() -> SASNet:
    torch.manual_seed(0)
    made = SASNet(LITE).eval()
    nn.init.normal_(made.renderer.leave.weight, 0, 0.1)
    return made


def images(n: int = 16, width: int = 64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(n)
    return [torch.rand((1, n, width), generator=generator) for _ in range(4)]


def inputs(n: int = 16, width: int = 64) -> RenderInputs:
    matched, target, earlier, later = (image[0].numpy() for image in images(n, width))
    return RenderInputs(matched, matched, target, earlier, later)


def renderer(device: torch.device = CPU, precision: str = "fp32") -> NetworkRenderer:
    return NetworkRenderer(network(), ModelCard("tiny", LITE), device, precision)


@pytest.mark.parametrize("n", [16, 13])
def test_what_is_recorded_computes_what_the_network_does(n: int) -> None:
    recorded, plain = RecordedNetwork(network()), network()
    for _ in range(4):  # torch optimizes a recording in its first calls
        with torch.inference_mode():
            torch.testing.assert_close(recorded(*images(n)), plain(*images(n)).rendered, rtol=0, atol=0)


def test_other_content_than_what_was_recorded() -> None:
    """No number of the first frame is kept: nor its level, nor its deviation."""
    recorded, plain = RecordedNetwork(network()), network()
    with torch.inference_mode():
        recorded(*images())
        other = [300 + 40 * image.flip(2) for image in images()]
        torch.testing.assert_close(recorded(*other), plain(*other).rendered)


def test_recordings_are_bounded_and_kept_by_use(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    trace = torch.jit.trace

    def traced(module: Any, given: Any, **options: Any) -> Any:
        shapes.append(tuple(given[0].shape))
        return trace(module, given, **options)

    monkeypatch.setattr(torch.jit, "trace", traced)
    recorded = RecordedNetwork(network())
    with torch.inference_mode():
        for n in (8, *range(10, 10 + 2 * KEPT_SHAPES, 2)):
            recorded(*images(n))
            if n < 8 + 2 * KEPT_SHAPES:
                recorded(*images(10))
        assert len(recorded._recorded) == KEPT_SHAPES
        assert len(shapes) == KEPT_SHAPES + 1
        recorded(*images(10))  # in use all along
        assert len(shapes) == KEPT_SHAPES + 1
        recorded(*images(8))  # the oldest was given up
        assert len(shapes) == KEPT_SHAPES + 2


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError, AttributeError])
def test_where_nothing_can_be_recorded_the_network_runs_all_the_same(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise error("torch.jit is gone")

    expected = renderer().render(inputs())
    monkeypatch.setattr(torch.jit, "trace", refuse)
    np.testing.assert_array_equal(renderer().render(inputs()), expected)


def test_recording_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    renderer().render(inputs(13, 62))
    assert not recwarn.list


class CallsFromPython(TorchFunctionMode):
    """Counts what Python asks of torch, each time with its lock taken again afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        self.count += 1
        return function(*arguments, **(named or {}))


def test_what_is_recorded_asks_for_pythons_lock_once() -> None:
    recorded, plain, given = RecordedNetwork(network()), network(), images()
    with torch.inference_mode():
        recorded(*given)
        with CallsFromPython() as of_plain:
            plain(*given)
        with CallsFromPython() as of_recorded:
            recorded(*given)
    assert of_plain.count > 200
    assert of_recorded.count <= 2


@pytest.mark.parametrize("spoil", ["read-only", "float64", "strided"])
def test_inputs_are_taken_as_they_come(spoil: str, recwarn: pytest.WarningsRecorder) -> None:
    given, expected = inputs(), renderer().render(inputs())

    def spoilt(lines: Lines) -> Lines:
        if spoil == "read-only":
            lines = lines.copy()
            lines.flags.writeable = False
            return lines
        return lines.astype(np.float64) if spoil == "float64" else np.repeat(lines, 2, 1)[:, ::2]

    fields = ("moved", "matched", "target", "earlier", "later")
    found = renderer().render(RenderInputs(**{name: spoilt(getattr(given, name)) for name in fields}))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not recwarn.list


class Transfers(TorchDispatchMode):
    """Counts what goes to a device without numbers and back; whatever else would need numbers fails there."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        named = named or {}
        name = function.overloadpacket.__name__
        if name in ("_to_copy", "to", "copy_", "cpu"):
            source = arguments[1 if name == "copy_" else 0]
            goal = (
                arguments[0].device if name == "copy_" else torch.device(named.get("device") or _device_in(arguments))
            )
            if goal != source.device:
                self.counted[f"{source.device} to {goal}"] += 1
                if goal == CPU:
                    return torch.zeros(source.shape, dtype=source.dtype)
        return function(*arguments, **named)


def _device_in(arguments: tuple[Any, ...]) -> torch.device:
    found = [each for each in arguments[1:] if isinstance(each, torch.device)]
    return found[0] if found else arguments[0].device


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_one_way_to_a_device_and_one_back(precision: str) -> None:
    """On "meta", a device without numbers: what asks for one in between, by `item` or by a shape, cannot be done."""
    used = renderer(META, precision)
    for shape in ((16, 64), (16, 64), (13, 62)):
        with Transfers() as transfers:
            rendered = used.render(inputs(*shape))
        assert transfers.counted == {"cpu to meta": 1, "meta to cpu": 1}
        assert rendered.shape == shape


def test_that_test_would_notice() -> None:
    with torch.inference_mode(), Transfers(), pytest.raises((RuntimeError, NotImplementedError)):
        torch.ones(3, device=META).sum().item()
    with torch.inference_mode(), Transfers() as transfers:
        torch.ones(3).to(META)
        torch.ones(3, device=META).cpu()
        torch.empty(3, device=META).copy_(torch.ones(3))
    assert transfers.counted == {"cpu to meta": 2, "meta to cpu": 1}


def test_memory_for_the_transfer_is_used_again() -> None:
    used = renderer(META)
    with Transfers():
        used.render(inputs())
        staging = used._staging
        used.render(inputs())
        assert used._staging is staging
        np.testing.assert_array_equal(staging[0, 0].numpy(), inputs().matched)
        np.testing.assert_array_equal(staging[3, 0].numpy(), inputs().later)


class Operations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        self.count += 1
        return function(*arguments, **(named or {}))


def test_how_many_operations_a_frame_takes() -> None:
    """278 when this was written; both passes through the encoders one after the other took 376."""
    plain = network()
    with torch.inference_mode(), Operations() as operations:
        plain(*images())
    assert operations.count <= 300
