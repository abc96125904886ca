"""SAS-Net with explicit correspondence: I = R(s, a), rendered as a residual on the moved lines.

A scene encoder with instance normalization sees both passes and keeps what they share; an appearance encoder pools over
lines and keeps how each pass looks along the line; the renderer turns the scene of the backward lines into the
appearance of the forward pass by adaptive instance normalization. What it adds to the moved, gain-matched lines is a
residual that starts at zero: a network that has learned nothing changes nothing.

Shapes: B frames, n backward lines, W px along the line, w = W / fold_px folded px, C channels, A appearance channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import SASNetConfig
from .layers import (
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
        features = convolved(self.first, fold([lines], self.fold_px))  # (B, C, n, w)
        for convolution in self.rest:
            features = features + convolved(convolution, gelu(features))  # type: ignore[arg-type]
        return modulated(features, *standardization(features))


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
        features = gelu(convolved(self.features, fold([lines], self.fold_px)))  # (B, A, n, w)
        known = torch.cat([mean_over_lines(features), self._moments(lines, other)], 1)  # (B, A + 4, w)
        first, activation, second = self.mix
        code = convolved_along_line(first, known)  # type: ignore[arg-type]
        code = convolved_along_line(second, activation(code))  # type: ignore[arg-type]
        return code.mean(2, keepdim=True) if self.pooling == "frame" else code

    def _moments(self, lines: Tensor, other: Tensor) -> Tensor:
        """(B, 4, w): mean, log deviation, log of the fine detail's deviation, log deviation from the other pass."""
        mean, other_mean = lines.mean(1), other.mean(1)  # (B, W)
        around, around_mean = (_sum_of_neighbours(values) for values in (lines, mean))
        rows = [
            mean,
            _log_deviation(lines, mean),
            _log_deviation(torch.sub(lines, around, alpha=0.5), mean - 0.5 * around_mean),
            _log_deviation(lines - other, mean - other_mean),
        ]
        return mean_of_neighbours(torch.stack(rows, 1), self.fold_px)  # (B, 4, W) -> (B, 4, w)


def _sum_of_neighbours(lines: Tensor) -> Tensor:
    """(..., W): the px before and the px after each; a line goes on with its other end, as the weights have learned."""
    padded = torch.cat([lines[..., -1:], lines, lines[..., :1]], -1)
    return padded[..., :-2] + padded[..., 2:]


def _log_deviation(lines: Tensor, mean: Tensor) -> Tensor:
    """(B, n, W) and their mean (B, W) -> (B, W); the plain formula will do, for levels are near 0 here."""
    variance = lines.square().mean(1) - mean.square()
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
        scale, shift = convolved_along_line(self.modulation, code).chunk(2, 1)  # (B, C, w) each
        factor, summand = standardization(features)
        adapted = modulated(features, factor * (1 + scale), summand * (1 + scale) + shift)  # AdaIN along the line
        return features + self.second(gelu(self.first(gelu(adapted))))  # type: ignore[no-any-return]


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

    def forward(self, scenes: Sequence[Tensor], images: Sequence[Tensor], codes: Sequence[Tensor]) -> Tensor:
        """Two scenes (B, C, n, w), three images (B, n, W), two codes (B, A, w) -> residual (B, n, W)."""
        code = torch.cat([*codes], 1)  # (B, 2 A, w)
        features = convolved(self.enter, *scenes, fold(images, self.fold_px))  # (B, C, n, w)
        for block in self.fine:
            features = block(features, code)
        passed = []
        for down, blocks in zip(self.down, self.coarse, strict=True):
            passed.append(features)
            features = down(features)  # (B, C', n / 2, w / 2)
            code = mean_of_neighbours(code, 2) if code.shape[-1] > 1 else code
            for block in blocks:  # type: ignore[attr-defined]
                features = block(features, code)
        for up, skip in zip(reversed(self.up), reversed(passed), strict=True):
            features = skip + up(features)
        return unfold(self.leave(gelu(features)))


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
        level, scale = intensity_scale(reference)
        # Both passes go through the encoders as one batch: half the operations.
        passes = self._padded(torch.stack([source, reference]).sub_(level).div_(scale))  # (2, B, n, W)
        # Differences are taken before they are rounded to the dtype of the weights.
        neighbours = self._padded(torch.stack([earlier, later]).sub_(source).div_(scale))
        lines, other = passes.flatten(0, 1), passes.flip(0).flatten(0, 1)  # (2 B, n, W)

        scenes = self.scene_encoder(lines).chunk(2)
        codes = self.appearance_encoder(lines, other).chunk(2)
        residual = self.renderer(scenes, (passes[0], *neighbours), codes)
        rendered = torch.addcmul(source, residual[:, :n, :width].to(source.dtype), scale)
        return Rendering(rendered, *scenes, *codes)

    def _padded(self, lines: Tensor) -> Tensor:
        """(..., n, W) with lines and px appended, copies of the last ones, up to the multiples that all scales need."""
        n, width = lines.shape[-2:]
        of_lines, of_px = self.config.multiple
        missing = (0, -width % of_px, 0, -n % of_lines)
        return F.pad(lines, missing, mode="replicate") if any(missing) else lines


def intensity_scale(reference: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of frames (B, n, W), (B, 1, 1) each: the units a network works in."""
    level = reference.mean((1, 2), keepdim=True)
    # Not `std`, whose one pass with running means takes forty times as long on a CPU.
    length = torch.linalg.vector_norm(reference - level, dim=(1, 2), keepdim=True)
    return level, (length / (reference[0].numel() - 1) ** 0.5).clamp_min(1e-12)
