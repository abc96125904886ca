"""SAS-Net as published (arXiv 2602.09050), from its description: implicit registration, one global appearance code.

No code or weights were public, so widths are chosen to meet the stated 3.35 M parameters. The whole image is painted
from scene features of the backward lines and the forward pass's code; how far lines are displaced, the network has to
learn from the one scanner that it is trained on. It is here so that the published claims can be tested again.

Shapes: B frames, n lines, W px, C scene channels at a quarter of the lines and px, A appearance channels.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import SASNetConfig
from .sasnet import Rendering, intensity_scale


class PublishedSceneEncoder(nn.Module):
    """Convolutions with instance normalization, halving lines and px at each scale, then residual blocks."""

    def __init__(self, config: SASNetConfig) -> None:
        super().__init__()
        widths = config.channels
        layers: list[nn.Module] = [*_convolution(1, widths[0], 7)]
        for a, b in pairwise(widths):
            layers += [*_convolution(a, b, 3, stride=2)]
        self.layers = nn.Sequential(*layers, *(_ResidualBlock(widths[-1]) for _ in range(config.scene_blocks)))

    def forward(self, lines: Tensor) -> Tensor:
        """(B, 1, n, W) -> (B, C, n / 4, W / 4)."""
        return self.layers(lines)  # type: ignore[no-any-return]


class PublishedAppearanceEncoder(nn.Module):
    """Strided convolutions without normalization, which would remove what is looked for, and global average pooling."""

    def __init__(self, config: SASNetConfig) -> None:
        super().__init__()
        widths = (1, *config.channels, config.appearance_channels)
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, lines: Tensor) -> Tensor:
        """(B, 1, n, W) -> (B, A)."""
        return self.layers(lines).mean((2, 3))  # type: ignore[no-any-return]


class PublishedRenderer(nn.Module):
    """Residual blocks whose instance normalization is set by the appearance code, then up to full size."""

    def __init__(self, config: SASNetConfig) -> None:
        super().__init__()
        widths, blocks = config.channels, config.blocks[-1]
        self.blocks = nn.ModuleList(_AdaptiveBlock(widths[-1]) for _ in range(blocks))
        code = config.appearance_channels
        self.modulation = nn.Sequential(
            nn.Linear(code, 2 * code), nn.ReLU(), nn.Linear(2 * code, 4 * blocks * widths[-1])
        )
        layers: list[nn.Module] = []
        for b, a in pairwise(reversed(widths)):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(b, a, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
        self.up = nn.Sequential(*layers, nn.Conv2d(widths[0], 1, 7, padding=3, padding_mode="reflect"))

    def forward(self, scene: Tensor, code: Tensor) -> Tensor:
        """(B, C, n / 4, W / 4) and (B, A) -> (B, 1, n, W)."""
        modulation = self.modulation(code).unflatten(1, (len(self.blocks), 4, -1))[..., None, None]
        for block, parameters in zip(self.blocks, modulation.unbind(1), strict=True):
            scene = block(scene, parameters)
        return self.up(scene)  # type: ignore[no-any-return]


class PublishedSASNet(nn.Module):
    """I = R(s, a): the backward lines' scene rendered with the forward pass's appearance."""

    def __init__(self, config: SASNetConfig) -> None:
        super().__init__()
        self.config = config
        self.scene_encoder = PublishedSceneEncoder(config)
        self.appearance_encoder = PublishedAppearanceEncoder(config)
        self.renderer = PublishedRenderer(config)

    def forward(self, source: Tensor, reference: Tensor, earlier: Tensor, later: Tensor) -> Rendering:
        """As `SASNet.forward`, with `source` as it was recorded, not moved; the neighbouring lines are not used."""
        n, width = source.shape[-2:]
        multiple = 2 ** (len(self.config.channels) - 1)
        pad = (0, -width % multiple, 0, -n % multiple)
        level, scale = intensity_scale(reference)
        source_, reference_ = (
            F.pad((image[:, None] - level[:, None]) / scale[:, None], pad, mode="replicate")
            for image in (source, reference)
        )
        scene_source, code_source = self.scene_encoder(source_), self.appearance_encoder(source_)
        scene_reference, code_reference = scene_source, code_source
        if source is not reference:  # a pass that is rendered in its own appearance is encoded once
            scene_reference, code_reference = self.scene_encoder(reference_), self.appearance_encoder(reference_)
        painted = self.renderer(scene_source, code_reference)[:, 0, :n, :width]
        return Rendering(
            painted * scale + level, scene_source, scene_reference, code_source[..., None], code_reference[..., None]
        )


def _convolution(a: int, b: int, size: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(a, b, size, stride, padding=size // 2, padding_mode="reflect")
    return convolution, nn.InstanceNorm2d(b), nn.ReLU()


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_convolution(channels, channels, 3), *_convolution(channels, channels, 3)[:-1])

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features)  # type: ignore[no-any-return]


class _AdaptiveBlock(nn.Module):
    """Residual block; scale and shift of both instance normalizations, (B, 4, C, 1, 1), come from the code (AdaIN)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.second = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")

    def forward(self, features: Tensor, modulation: Tensor) -> Tensor:
        scale_1, shift_1, scale_2, shift_2 = modulation.unbind(1)
        inner = F.instance_norm(self.first(features)) * (1 + scale_1) + shift_1
        inner = F.instance_norm(self.second(torch.relu(inner))) * (1 + scale_2) + shift_2
        return features + inner
