"""The layers that networks are composed of: each does what its plain formula says, and so do its gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sasnet_live.network.layers import (
    convolved,
    convolved_along_line,
    fold,
    gelu,
    mean_of_neighbours,
    mean_over_lines,
    modulated,
    standardization,
    unfold,
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(batch=st.integers(1, 2), count=st.integers(1, 3), n=st.integers(1, 4), w=st.integers(1, 5), px=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_folded_images_lie_one_after_the_other(batch: int, count: int, n: int, w: int, px: int) -> None:
    images = torch.arange(batch * count * n * w * px).view(count, batch, n, w * px)
    folded = fold(list(images), px)
    assert folded.shape == (batch, count * px, n, w)
    for image, channels in zip(images, folded.split(px, 1), strict=True):
        assert torch.equal(channels[:, :, :, 0], image[:, :, :px].transpose(1, 2))  # neighbours become channels
        assert torch.equal(unfold(channels), image)


def test_folding_one_image_copies_nothing() -> None:
    image = random(2, 6, 12)
    folded = fold([image], 4)
    assert folded.data_ptr() == image.data_ptr()
    assert folded.is_contiguous(memory_format=torch.channels_last)
    assert unfold(folded).data_ptr() == image.data_ptr()


@pytest.mark.parametrize("batch", [1, 2])
def test_gelu_is_torchs(batch: int) -> None:
    features = random(batch, 3, 4, 5).requires_grad_()
    torch.testing.assert_close(gelu(features), F.gelu(features))
    laid_out = features.detach().contiguous(memory_format=torch.channels_last)
    assert gelu(laid_out).is_contiguous(memory_format=torch.channels_last)
    assert torch.autograd.gradcheck(gelu, features)


def standardized(features: Tensor) -> Tensor:
    return modulated(features, *standardization(features))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("level", [0.0, -2.0, 30.0])
def test_standardized_features_have_mean_0_and_deviation_1(batch: int, level: float) -> None:
    features = (level + 5 * random(batch, 3, 8, 9)).float()
    variance, mean = torch.var_mean(standardized(features), (2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(batch, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(variance, torch.ones(batch, 3), rtol=1e-3, atol=0)


def test_nothing_is_blown_up_where_there_is_nothing() -> None:
    assert standardized(torch.ones(1, 1, 4, 4)).abs().max() == 0


def test_moments_of_bfloat16_features_are_summed_in_float32() -> None:
    features = (3 + random(1, 2, 64, 64)).bfloat16()
    for found, exact in zip(standardization(features), standardization(features.double()), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_of_standardized_features(batch: int) -> None:
    features = random(batch, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(standardized, features)


@pytest.mark.parametrize("channels", [(5,), (2, 3), (4, 4, 2)])
def test_parts_are_convolved_as_if_concatenated(channels: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(sum(channels), 3, 3, padding=1).double()
    parts = [random(2, count, 5, 6, seed=count).requires_grad_() for count in channels]
    expected = convolution(torch.cat(parts, 1))
    found = convolved(convolution, *parts)
    torch.testing.assert_close(found, expected)
    weights = [convolution.weight, convolution.bias, *parts]
    of_parts, of_whole = (torch.autograd.grad(values.square().sum(), weights) for values in (found, expected))
    for one, other in zip(of_parts, of_whole, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("taps", [1, 9])
@pytest.mark.parametrize("width", [1, 3, 20])
def test_convolution_along_the_line_is_that_of_torch(taps: int, width: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv1d(3, 4, taps, padding=taps // 2, padding_mode="replicate").double()
    profile = random(2, 3, width)
    torch.testing.assert_close(convolved_along_line(convolution, profile), convolution(profile))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_means(layout: torch.memory_format) -> None:
    features = random(2, 3, 5, 8).float().contiguous(memory_format=layout)
    torch.testing.assert_close(mean_over_lines(features), features.mean(2))
    rounded = mean_over_lines(features.bfloat16())
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, features.bfloat16().float().mean(2))
    torch.testing.assert_close(mean_of_neighbours(features[:, :, 0], 4), F.avg_pool1d(features[:, :, 0], 4))


@pytest.mark.parametrize("width", [1, 8])
def test_profiles_multiply_and_shift_each_line(width: int) -> None:
    """A profile of one value serves the whole line."""
    features, scale, shift = random(2, 3, 5, 8), random(2, 3, width, seed=1), random(2, 3, width, seed=2)
    expected = features * scale[:, :, None] + shift[:, :, None]
    torch.testing.assert_close(modulated(features, scale, shift), expected)
    assert modulated(features.bfloat16(), scale, shift).dtype == torch.bfloat16
