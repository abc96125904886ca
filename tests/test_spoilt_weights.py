"""Weights that are not what they were: refused where they say nothing, and never a worse frame for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from sasnet_live import InputError, Registrar, ScanGeometry, split
from sasnet_live.judgement import MOVED_ONLY, WORSE
from sasnet_live.metrics import ncc, ssim
from sasnet_live.network.names import shipped_weights
from sasnet_live.scan import forward_at_backward_lines
from sasnet_live.simulation.dataset import SimulatedPairs

LEVELS = {"easy": 0, "medium": 1, "hard": 2}
Change = Callable[[str, Tensor], Tensor]


@lru_cache
def raw_of(level: str) -> np.ndarray:
    pairs = SimulatedPairs(height=128, width=192)
    assert pairs.level(LEVELS[level]) == level
    return pairs.load_pair("test", LEVELS[level]).raw


def spoilt(path: Path, change: Change, dtype: torch.dtype = torch.float32) -> Path:
    """The weights that ship, changed, under the same card."""
    with safe_open(str(shipped_weights()["lite"]), framework="pt") as file:
        tensors = {name: change(name, file.get_tensor(name).float()) for name in file.keys()}  # noqa: SIM118
        save_file({name: tensor.to(dtype).contiguous() for name, tensor in tensors.items()}, path, file.metadata())
    return path


def with_one(value: float) -> Change:
    def change(name: str, tensor: Tensor) -> Tensor:
        if name == "renderer.leave.weight":
            tensor.view(-1)[7] = value
        return tensor

    return change


def permuted(name: str, tensor: Tensor) -> Tensor:
    return tensor[torch.randperm(len(tensor), generator=torch.Generator().manual_seed(len(name)))]


def noisy(name: str, tensor: Tensor) -> Tensor:
    return tensor + torch.randn(tensor.shape, generator=torch.Generator().manual_seed(len(name)))


FINITE: dict[str, Change] = {
    "a thousand times": lambda name, tensor: 1000 * tensor,
    "a million times": lambda name, tensor: 1e6 * tensor,
    "1e30 times": lambda name, tensor: 1e30 * tensor,
    "negated": lambda name, tensor: -tensor,
    "the last layer negated": lambda name, tensor: -tensor if "leave" in name else tensor,
    "the last layer a thousand times": lambda name, tensor: 1000 * tensor if "leave" in name else tensor,
    "channels permuted": permuted,
    "noise": noisy,
    "ones": lambda name, tensor: torch.ones_like(tensor),
    "one weight of 1e30": with_one(1e30),
}
# Renderings that are still nearer to both passes than these are to each other, on this frame.
HARMLESS: dict[str, Change] = {
    "zeros": lambda name, tensor: torch.zeros_like(tensor),
    "the last layer zero": lambda name, tensor: 0 * tensor if "leave" in name else tensor,
    "taps mirrored": lambda name, tensor: tensor.flip(-1) if tensor.ndim == 4 else tensor,
    "as they were": lambda name, tensor: tensor,
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", FINITE)
def test_a_network_that_spoils_frames_costs_its_rendering_alone(name: str, level: str, tmp_path: Path) -> None:
    raw = raw_of(level)
    registrar = Registrar(spoilt(tmp_path / "w.safetensors", FINITE[name]), output="both", temporal=False)
    found = registrar.register(raw)
    assert_delivered(found, raw)
    plain = Registrar("correspondence", output="both", temporal=False).register(raw)
    np.testing.assert_allclose(found.displacement_px, plain.displacement_px, atol=1e-3)
    np.testing.assert_allclose(found.warped, plain.warped, rtol=1e-3)
    assert found.reason.startswith(f"{MOVED_ONLY}: its ")
    np.testing.assert_array_equal(found.image, found.warped_image)
    np.testing.assert_array_equal(found.rendered, found.warped)
    assert_delivered(registrar.apply(raw, found), raw)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_network_that_changes_nothing_or_is_right_is_used(name: str, tmp_path: Path) -> None:
    found = Registrar(spoilt(tmp_path / "w.safetensors", HARMLESS[name])).register(raw_of("medium"))
    assert_delivered(found, raw_of("medium"))
    assert found.reason == ""


def assert_delivered(found: object, raw: np.ndarray) -> None:
    """What came out is finite and no worse than what came in, and the figures are of what came out."""
    geometry = ScanGeometry()
    assert found.accepted, found.reason  # type: ignore[attr-defined]
    forward, backward = (lines.astype(np.float32) for lines in split(raw, geometry))
    target = forward_at_backward_lines(forward, len(backward), geometry)
    kept, delivered = split(found.image, geometry)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(kept, forward)
    figures = found.metrics  # type: ignore[attr-defined]
    assert all(math.isfinite(value) for value in figures.as_row().values())
    for figure, before, after in (
        (ncc, figures.ncc_before, figures.ncc_after),
        (ssim, figures.ssim_before, figures.ssim_after),
    ):
        assert figure(target, backward) == pytest.approx(before, abs=1e-3)
        assert figure(target, delivered) == pytest.approx(after, abs=1e-3)
        assert after >= before - WORSE


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_that_are_not_finite_are_refused(value: float, dtype: torch.dtype, tmp_path: Path) -> None:
    path = spoilt(tmp_path / "w.safetensors", with_one(value), dtype)
    with pytest.raises(
        InputError, match=r"renderer\.leave\.weight holds NaN or infinite numbers; get or train it anew"
    ):
        Registrar(path)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_device_that_overflows_costs_the_rendering_alone(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    registrar = Registrar("lite")
    render = registrar._renderer.render

    def overflowing(inputs: object) -> np.ndarray:
        lines = render(inputs).copy()  # type: ignore[arg-type]
        lines[5, 9] = value
        return lines

    monkeypatch.setattr(registrar._renderer, "render", overflowing)
    found = registrar.register(raw_of("easy"))
    assert_delivered(found, raw_of("easy"))
    assert found.reason == f"{MOVED_ONLY}: its values are not finite"
