"""Lines read between their px, again and again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Lines:
    """Lines that are read many times, their ends continued once.

    Attributes
    ----------
    padded
        (B, n, 1 + W + 2): each end px repeated as far as the kernel reaches.
    """

    padded: Tensor

    @classmethod
    def of(cls, lines: Tensor) -> Lines:
        """From (B, n, W)."""
        return cls(F.pad(lines, (1, 2), mode="replicate"))

    def at(self, position: Tensor) -> Tensor:
        """Values (B, n, w) at positions (B, n, w), px of a line of W; beyond the ends the end's.

        Cubic convolution (Keys 1981, a = -1/2): between two px the cubic through their values and central differences.
        """
        width = self.padded.shape[-1] - 3
        position = position.clamp(0, width - 1)
        left = position.detach().floor()
        t = position - left
        index = left.long()
        a, b, c, d = (self.padded[..., k : k + width].gather(-1, index) for k in range(4))
        third = torch.add(d - a, b - c, alpha=3)
        second = torch.add(a + c, b, alpha=-2) - third
        return torch.addcmul(b, t, torch.addcmul(c - a, t, torch.addcmul(second, third, t)), value=0.5)
