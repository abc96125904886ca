"""What the networks are composed of, laid out so that a frame is read and written as seldom as possible.

Features are in the memory layout "channels last": the channels of a px lie side by side, the px of a line follow each
other. Convolutions are fastest in it, and a line of W px read as groups of neighbours is already such a tensor. Sums
over a frame are in float32 at least. Each function is differentiable and computes what its plain formula says; times
are of one thread of a Zen 4 CPU in bfloat16, for 24 channels on 256 lines of 128 folded px.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def fold(images: Sequence[Tensor], px: int) -> Tensor:
    """k images (B, n, W) -> (B, k * px, n, W / px): neighbouring px of a line become channels; lines stay lines.

    For one image a view; several are copied once.
    """
    groups = [image.view(*image.shape[:2], -1, px) for image in images]  # (B, n, w, px) each
    folded = groups[0] if len(groups) == 1 else torch.stack(groups, 3).flatten(3)  # (B, n, w, k * px)
    return folded.permute(0, 3, 1, 2)


def unfold(folded: Tensor) -> Tensor:
    """The reverse of `fold` for one image: (B, px, n, W / px) -> (B, n, W)."""
    return folded.permute(0, 2, 3, 1).flatten(2)


def gelu(features: Tensor) -> Tensor:
    """(B, C, n, w) -> the same, by the error function, as `torch.nn.functional.gelu`.

    Read with the channels last, which is how they lie in memory: torch has two kernels for this, and takes the faster
    one (0.6 instead of 1.2 ms for 0.5 M numbers of float32) only for what is contiguous in the order of its axes.
    """
    return F.gelu(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def convolved(convolution: nn.Conv2d, *parts: Tensor) -> Tensor:
    """Convolution of the parts as if they were concatenated along the channels; in the dtype of its weight.

    A convolution is a sum over channels, so each part meets its own slice of the weight. Adding a result costs
    0.15 ms, concatenating 60 channels 0.7 ms.
    """
    dtype = convolution.weight.dtype
    if len(parts) == 1:
        return convolution(parts[0].to(dtype))  # type: ignore[no-any-return]
    weights = torch.split(convolution.weight, [part.shape[1] for part in parts], 1)
    total = F.conv2d(parts[0].to(dtype), weights[0], convolution.bias, padding=convolution.padding)
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total.add_(F.conv2d(part.to(dtype), weight, padding=convolution.padding))
    return total


def convolved_along_line(convolution: nn.Conv1d, profile: Tensor) -> Tensor:
    """(B, C, w) -> (B, C', w), the ends replicated.

    As a matrix product: torch's own convolution along one axis falls back to a slow path on a CPU.
    """
    reach = convolution.kernel_size[0] // 2
    padded = F.pad(profile, (reach, reach), mode="replicate") if reach else profile
    patches = padded.unfold(2, 2 * reach + 1, 1).transpose(1, 2).flatten(2)  # (B, w, C * taps)
    return F.linear(patches, convolution.weight.flatten(1), convolution.bias).transpose(1, 2)


def mean_over_lines(features: Tensor) -> Tensor:
    """(B, C, n, w) -> (B, C, w).

    Read as n long rows: torch's mean over an inner axis takes 1.4 ms, this 0.2 ms.
    """
    batch, channels, _, width = features.shape
    rows = summable(features).permute(0, 2, 3, 1).flatten(2)  # (B, n, w * C)
    return rows.mean(1).view(batch, width, channels).transpose(1, 2)


def mean_of_neighbours(profile: Tensor, count: int) -> Tensor:
    """(B, C, w) -> (B, C, w / count): each `count` neighbours to their mean."""
    return profile.reshape(*profile.shape[:2], -1, count).mean(3)


def standardization(features: Tensor) -> tuple[Tensor, Tensor]:
    """Instance normalization as a factor and a summand, (B, C, 1) each.

    ``features * factor + summand`` has mean 0 and deviation 1 over lines and px, for each channel of each frame. Left
    to the caller because what follows is linear too: one pass over the features does for both. torch's `var_mean` takes
    4.7 ms; its batch normalization takes 0.5 ms, on however many threads; this takes 0.3 ms, on two threads half.
    """
    features = summable(features)
    mean = mean_over_lines(features).mean(2, keepdim=True)
    variance = mean_over_lines(features.square()).mean(2, keepdim=True) - mean.square()
    factor = torch.rsqrt(variance.clamp_min(0) + 1e-4)
    return factor, -mean * factor


def modulated(features: Tensor, factor: Tensor, summand: Tensor) -> Tensor:
    """``features * factor + summand`` for (B, C, n, w) and profiles along the line, (B, C, w) or (B, C, 1).

    The profiles are brought to the layout of the features, in which a line is one run of memory.
    """
    width = features.shape[-1]
    factor, summand = (
        profile[:, :, None].expand(-1, -1, -1, width).to(features.dtype).contiguous(memory_format=torch.channels_last)
        for profile in (factor, summand)
    )
    return torch.addcmul(summand, features, factor)


def summable(features: Tensor) -> Tensor:
    """In float32 at least."""
    return features.to(torch.promote_types(features.dtype, torch.float32))
