"""NCC and SSIM that gradients go through."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from sasnet_live import metrics
from sasnet_live.training.similarity import ncc, ssim


def frames(shape: tuple[int, ...], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth-and-rough image and a noisy, dimmer copy."""
    rng = np.random.default_rng(seed)
    rough = rng.standard_normal(shape)
    first = np.cumsum(np.cumsum(rough, -1), -2) / math.sqrt(shape[-1] * shape[-2]) + 0.3 * rough
    second = 0.8 * first + 0.2 * rng.standard_normal(shape) + 0.1
    return torch.from_numpy(first).float(), torch.from_numpy(second).float()


@pytest.mark.parametrize(("ours", "theirs"), [(ncc, metrics.ncc), (ssim, metrics.ssim)])
@pytest.mark.parametrize(("scale", "pedestal"), [(1, 0), (1e-20, 0), (3000, 20000), (1, -7)])
@pytest.mark.parametrize("shape", [(11, 11), (2, 3, 24, 33), (10, 40)])
def test_the_same_as_the_metrics(ours: Any, theirs: Any, scale: float, pedestal: float, shape: tuple[int, ...]) -> None:
    first, second = (images * scale + pedestal for images in frames(shape))
    found = ours(first, second)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), theirs(first.numpy(), second.numpy()), atol=2e-5)


@pytest.mark.parametrize("function", [ncc, ssim])
def test_the_gradient_leads_to_a_better_image(function: Any) -> None:
    first, second = frames((14, 15), seed=11)
    image = second.clone().requires_grad_()
    function(first, image).backward()
    assert image.grad is not None
    better = image.detach() + 1e-2 * image.grad / image.grad.norm()
    assert function(first, better) > function(first, second)


def test_constant_frames_have_no_figures() -> None:
    first, _ = frames((20, 20))
    constant = torch.full((20, 20), 0.1)
    assert ncc(first, constant).isnan()
    assert ncc(constant, first).isnan()
    assert ssim(constant, first).isnan()
    assert ssim(first, constant).isfinite()
