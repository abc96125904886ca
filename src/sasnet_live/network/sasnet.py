"""SAS-Net with explicit correspondence: I = R(s, a), rendered as a residual on the moved lines.

A scene encoder with instance normalization sees both passes and keeps what they share; an appearance encoder pools over
lines and keeps how each pass looks along the line; the renderer turns the scene of the backward lines into the
appearance of the forward pass by adaptive instance normalization. What it adds to the moved, gain-matched lines is a
residual that starts at zero: a network that has learned nothing changes nothing.

Shapes: B frames, n backward lines, W px along the line, w = W / fold_px folded px, C channels, A appearance channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import SASNetConfig


def fold(lines: Tensor, px: int) -> Tensor:
    """(B, c, n, W) -> (B, c * px, n, W / px): neighbouring px of a line become channels; lines stay lines."""
    batch, channels, n, width = lines.shape
    return lines.view(batch, channels, n, width // px, px).permute(0, 1, 4, 2, 3).reshape(batch, channels * px, n, -1)


def unfold(folded: Tensor, px: int) -> Tensor:
    """The reverse of `fold`."""
    batch, channels, n, width = folded.shape
    return folded.view(batch, channels // px, px, n, width).permute(0, 1, 3, 4, 2).reshape(batch, -1, n, width * px)


def standardized(features: Tensor) -> Tensor:
    """Instance normalization: each channel of each frame to mean 0 and deviation 1 over lines and px."""
    if len(features) == 1:
        # For a single frame batch normalization is the same, and its kernel several times as fast on a CPU.
        return F.batch_norm(features, None, None, training=True, eps=1e-4)
    variance, mean = torch.var_mean(features, (2, 3), keepdim=True, correction=0)
    return (features - mean) * torch.rsqrt(variance + 1e-4)


@dataclass(frozen=True)
class Rendering:
    """What `SASNet.forward` gives.

    Attributes
    ----------
    rendered
        (B, n, W) the lines in the appearance asked for, in the units of the input.
    scene_source, scene_reference
        (B, C, n, w) scene features of the lines rendered and of the pass that lent its appearance.
    code_source, code_reference
        (B, A, w) their appearance codes, profiles along the line (w = 1 where pooling is over the frame).
    """

    rendered: Tensor
    scene_source: Tensor
    scene_reference: Tensor
    code_source: Tensor
    code_reference: Tensor


class SceneEncoder(nn.Module):
    """Structure that both passes show: convolutions on folded lines, instance-normalized."""

    def __init__(self, config: SASNetConfig) -> None:
        super().__init__()
        channels = config.channels[0]
        self.fold_px = config.fold_px
        self.first = nn.Conv2d(config.fold_px, channels, 3, padding=1)
        self.rest = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(config.scene_blocks))

    def forward(self, lines: Tensor) -> Tensor:
        """(B, n, W) -> (B, C, n, w)."""
        features = self.first(fold(lines[:, None], self.fold_px))  # (B, C, n, w)
        for convolution in self.rest:
            features = features + convolution(F.gelu(features))
        return standardized(features)


class AppearanceEncoder(nn.Module):
    """How a pass looks along the line: moments of the lines and pooled features, smoothed along the line."""

    MOMENTS = 4

    def __init__(self, config: SASNetConfig) -> None:
        super().__init__()
        code = config.appearance_channels
        self.fold_px, self.pooling = config.fold_px, config.pooling
        self.features = nn.Conv2d(config.fold_px, code, 3, padding=1)
        self.mix = nn.Sequential(
            nn.Conv1d(code + self.MOMENTS, code, 9, padding=4, padding_mode="replicate"),
            nn.GELU(),
            nn.Conv1d(code, code, 9, padding=4, padding_mode="replicate"),
        )

    def forward(self, lines: Tensor, other: Tensor) -> Tensor:
        """Code (B, A, w) of `lines` (B, n, W); the other pass (B, n, W) tells how noisy they are."""
        folded = fold(lines[:, None], self.fold_px)  # (B, px, n, w)
        pooled = F.gelu(self.features(folded)).mean(2)  # (B, A, w)
        code: Tensor = self.mix(torch.cat([pooled, self._moments(lines, other)], 1))  # (B, A, w)
        return code.mean(2, keepdim=True) if self.pooling == "frame" else code

    def _moments(self, lines: Tensor, other: Tensor) -> Tensor:
        """(B, 4, w): mean, log deviation, log of the fine detail's deviation, log deviation from the other pass."""
        fine = lines - 0.5 * (torch.roll(lines, 1, -1) + torch.roll(lines, -1, -1))
        rows = [lines.mean(1), _log_deviation(lines), _log_deviation(fine), _log_deviation(lines - other)]
        return F.avg_pool1d(torch.stack(rows, 1), self.fold_px)  # (B, 4, W) -> (B, 4, w)


def _log_deviation(lines: Tensor) -> Tensor:
    """(B, n, W) -> (B, W); the plain formula will do, for levels are within a few deviations of 0 here."""
    variance = lines.square().mean(1) - lines.mean(1).square()
    return 0.5 * (variance.clamp_min(0) + 1e-4).log()


class AdaptiveBlock(nn.Module):
    """Residual block: two convolutions, each after adaptive instance normalization by a code along the line."""

    def __init__(self, channels: int, code: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = nn.Conv1d(code, 2 * channels, 1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor, code: Tensor) -> Tensor:
        """(B, C, n, w) and (B, A, w) or (B, A, 1) -> (B, C, n, w)."""
        scale, shift = self.modulation(code)[:, :, None].chunk(2, 1)  # (B, C, 1, w) each
        adapted = standardized(features) * (1 + scale) + shift  # AdaIN with a profile along the line
        return features + self.second(F.gelu(self.first(F.gelu(adapted))))  # type: ignore[no-any-return]


class Renderer(nn.Module):
    """A small U-Net over scales: scene of both passes and their codes to a residual for each px."""

    def __init__(self, config: SASNetConfig) -> None:
        super().__init__()
        code, channels = 2 * config.appearance_channels, config.channels
        self.fold_px = config.fold_px
        self.enter = nn.Conv2d(2 * channels[0] + 3 * config.fold_px, channels[0], 3, padding=1)
        self.fine = nn.ModuleList(AdaptiveBlock(channels[0], code) for _ in range(config.blocks[0]))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(channels))
        self.coarse = nn.ModuleList(
            nn.ModuleList(AdaptiveBlock(c, code) for _ in range(n))
            for c, n in zip(channels[1:], config.blocks[1:], strict=True)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(channels))
        self.leave = nn.Conv2d(channels[0], config.fold_px, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, scenes: Tensor, images: Tensor, code: Tensor) -> Tensor:
        """Scenes (B, 2 C, n, w), images (B, 3, n, W), codes (B, 2 A, w) -> residual (B, n, W)."""
        features = self.enter(torch.cat([scenes, fold(images, self.fold_px)], 1))  # (B, C, n, w)
        for block in self.fine:
            features = block(features, code)
        passed = []
        for down, blocks in zip(self.down, self.coarse, strict=True):
            passed.append(features)
            features = down(features)  # (B, C', n / 2, w / 2)
            code = F.avg_pool1d(code, 2) if code.shape[-1] > 1 else code
            for block in blocks:  # type: ignore[attr-defined]
                features = block(features, code)
        for up, skip in zip(reversed(self.up), reversed(passed), strict=True):
            features = skip + up(features)
        return unfold(self.leave(F.gelu(features)), self.fold_px)[:, 0]


class SASNet(nn.Module):
    """The whole network: scene and appearance of both passes, and the rendering of one in the look of the other."""

    def __init__(self, config: SASNetConfig) -> None:
        super().__init__()
        self.config = config
        self.scene_encoder = SceneEncoder(config)
        self.appearance_encoder = AppearanceEncoder(config)
        self.renderer = Renderer(config)

    def forward(self, source: Tensor, reference: Tensor, earlier: Tensor, later: Tensor) -> Rendering:
        """Render lines in the appearance of the other pass.

        Parameters
        ----------
        source
            (B, n, W) lines to render: already moved and gain-matched to the reference, any units.
        reference
            (B, n, W) the other pass at the same slow-axis positions.
        earlier, later
            (B, n, W) the lines of the other pass on either side of each line.
        """
        n, width = source.shape[-2:]
        of_lines, of_px = self.config.multiple
        pad = (0, -width % of_px, 0, -n % of_lines)
        images = torch.stack([source, reference, earlier, later], 1)  # (B, 4, n, W)
        level, scale = intensity_scale(reference)
        images = F.pad((images - level[:, None]) / scale[:, None], pad, mode="replicate")
        source_, reference_, earlier_, later_ = images.unbind(1)

        scene_source, scene_reference = self.scene_encoder(source_), self.scene_encoder(reference_)
        code_source = self.appearance_encoder(source_, reference_)
        code_reference = self.appearance_encoder(reference_, source_)
        residual = self.renderer(
            torch.cat([scene_source, scene_reference], 1),
            torch.stack([source_, earlier_ - source_, later_ - source_], 1),
            torch.cat([code_source, code_reference], 1),
        )
        rendered = source + residual[:, :n, :width] * scale
        return Rendering(rendered, scene_source, scene_reference, code_source, code_reference)


def intensity_scale(reference: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of frames (B, n, W), (B, 1, 1) each: the units a network works in."""
    level = reference.mean((1, 2), keepdim=True)
    scale = reference.std((1, 2), keepdim=True).clamp_min(1e-12)
    return level, scale
