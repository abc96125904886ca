"""Arithmetic of the convolutions: which one a device gets, and how little it changes what is rendered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sasnet_live.errors import InputError
from sasnet_live.metrics import ncc, ssim
from sasnet_live.network.backend import NetworkRenderer, open_renderer
from sasnet_live.network.config import PRESETS
from sasnet_live.network.inputs import Lines, RenderInputs, render_inputs
from sasnet_live.network.precision import computes_bfloat16, resolved_precision, with_convolutions_in
from sasnet_live.network.sasnet import SASNet
from sasnet_live.scan import split
from sasnet_live.simulation import random_scanner, scan, vascular_scene

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True}, "bf16"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bf16"),
        ({"avx512_bf16": False, "avx512_f": True}, "fp32"),  # emulated: many times as slow
        ({}, "fp32"),
    ],
)
def test_a_cpu_gets_bfloat16_where_it_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolved_precision("auto", CPU) == expected
    assert computes_bfloat16(CPU) == (expected == "bf16")


def test_a_torch_that_does_not_tell_gets_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert resolved_precision("auto", CPU) == "fp32"


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_what_is_asked_for_is_given(device: torch.device) -> None:
    assert resolved_precision("auto", CUDA) == "fp16"
    for name in ("fp32", "bf16"):
        assert resolved_precision(name, device) == name


def test_half_precision_on_a_cpu_is_refused() -> None:
    with pytest.raises(InputError, match="auto, bf16 or fp32"):
        resolved_precision("fp16", CPU)


def test_only_image_convolutions_are_converted_and_not_the_first() -> None:
    network = with_convolutions_in(SASNet(PRESETS["lite"]), torch.bfloat16)
    kept = {name for name, parameter in network.named_parameters() if parameter.dtype == torch.float32}
    assert "scene_encoder.first.weight" in kept
    assert {name.rpartition(".")[0] for name in kept - {"scene_encoder.first.weight", "scene_encoder.first.bias"}} == {
        name for name, module in network.named_modules() if isinstance(module, nn.Conv1d)
    }
    assert network.renderer.enter.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.fixture(scope="module", name="case")
def _case() -> tuple[RenderInputs, Lines]:
    """What the renderer gets of a simulated frame whose displacement is known, and the truth."""
    rng = np.random.default_rng(5)
    scanner, scene = random_scanner(rng, "medium", 256), vascular_scene(rng, 256, 256, samples_per_px=2)
    frame = scan(scene, scanner, rng, height=256, width=256)
    passes = (lines.astype(np.float32) for lines in (*split(frame.raw, frame.geometry), frame.displacement_px))
    return render_inputs(*passes, frame.geometry), frame.truth


def rendered(inputs: RenderInputs, name: str) -> Lines:
    renderer = open_renderer("lite", CPU, name)
    assert isinstance(renderer, NetworkRenderer)
    return renderer.render(inputs)


def test_bfloat16_renders_what_float32_does(case: tuple[RenderInputs, Lines]) -> None:
    """NCC and SSIM against the truth within 2e-4, and px within 3 % of what the network changes."""
    inputs, truth = case
    exact, fast = (rendered(inputs, name) for name in ("fp32", "bf16"))
    assert fast.dtype == np.float32
    for likeness in (ncc, ssim):
        figures = [float(likeness(truth, image)) for image in (inputs.matched, exact, fast)]
        assert figures[1] > figures[0] + 0.01  # the network does something here
        assert figures[2] == pytest.approx(figures[1], abs=2e-4)
    assert 0 < (fast - exact).std() < 0.03 * (exact - inputs.matched).std()


@pytest.mark.parametrize("shape", [(1, 8, 32), (1, 13, 71), (3, 31, 62)])
def test_any_size_of_frame_in_bfloat16(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = with_convolutions_in(SASNet(PRESETS["lite"]).eval(), torch.bfloat16)
    nn.init.normal_(network.renderer.leave.weight, 0, 0.1)
    scene = 500 + 100 * torch.rand(shape)
    lines = [scene + 20 * torch.rand(shape) for _ in range(4)]
    with torch.inference_mode():
        together = network(*lines).rendered
        alone = network(*(images[:1] for images in lines)).rendered
    assert together.shape == shape
    assert together.dtype == torch.float32
    assert (together - lines[0]).std() > 0.1
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=0.05 * float((together - lines[0]).std()))
