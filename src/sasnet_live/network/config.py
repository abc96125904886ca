"""What a SAS-Net is made of: the settings that a checkpoint carries, and the named presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from sasnet_live.errors import InputError

Pooling = Literal["lines", "frame"]
CorrespondenceKind = Literal["explicit", "implicit"]


@dataclass(frozen=True)
class SASNetConfig:
    """Architecture of one SAS-Net.

    Parameters
    ----------
    correspondence
        "explicit": lines are moved by a measured displacement before they are rendered. "implicit": as published, the
        network must find the shift by itself.
    pooling
        "lines": the appearance code is a profile along the line. "frame": one code for the whole frame, as published.
    fold_px
        Px along the line that are folded into channels before the first convolution.
    channels
        Feature channels at each scale; each further scale halves lines and px.
    blocks
        AdaIN residual blocks at each scale of the renderer.
    scene_blocks
        Convolutions after the first in the scene encoder.
    appearance_channels
        Width of the appearance code.
    """

    correspondence: CorrespondenceKind = "explicit"
    pooling: Pooling = "lines"
    fold_px: int = 4
    channels: tuple[int, ...] = (24, 48)
    blocks: tuple[int, ...] = (1, 2)
    scene_blocks: int = 1
    appearance_channels: int = 16

    def __post_init__(self) -> None:
        for name, kinds in (("correspondence", CorrespondenceKind), ("pooling", Pooling)):
            if getattr(self, name) not in get_args(kinds):
                raise InputError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(get_args(kinds))}")
        object.__setattr__(self, "channels", tuple(self.channels))
        object.__setattr__(self, "blocks", tuple(self.blocks))
        if len(self.channels) != len(self.blocks) or not self.channels:
            raise InputError(
                f"channels {self.channels} and blocks {self.blocks} must name the same, at least one, scale"
            )
        numbers = (self.fold_px, self.appearance_channels, *self.channels)
        if min(numbers) < 1 or min(*self.blocks, self.scene_blocks) < 0:
            raise InputError(f"{self} has a size below 1; all widths must be 1 or more")

    @property
    def multiple(self) -> tuple[int, int]:
        """Numbers that lines and px of the network's input must be multiples of (it pads)."""
        halvings = 2 ** (len(self.channels) - 1)
        return halvings, self.fold_px * halvings

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SASNetConfig:
        """The reverse of `to_dict`; unknown keys are refused."""
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise InputError(f"a network configuration has unknown keys {sorted(unknown)}; update sasnet-live")
        return cls(**values)


PRESETS: dict[str, SASNetConfig] = {
    # For CPU: about 1 GMAC for a 512 x 512 frame; CPUs compute 16 channels at a time, so 16 cost a third of 24.
    "lite": SASNetConfig(channels=(16, 48), blocks=(1, 1), scene_blocks=1, appearance_channels=16),
    # For GPU: about 4.5 GMAC; a third scale sees further along and across lines.
    "full": SASNetConfig(channels=(32, 64, 128), blocks=(1, 2, 2), scene_blocks=1, appearance_channels=32),
    # arXiv 2602.09050: one global appearance code, no displacement, the whole image painted.
    "paper": SASNetConfig(
        correspondence="implicit",
        pooling="frame",
        fold_px=1,
        channels=(32, 64, 128),
        blocks=(0, 0, 4),
        scene_blocks=4,
        appearance_channels=128,
    ),
}
