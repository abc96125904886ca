"""What the lines of one frame after another have in common: creep, and not the jitter and wander of each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .lines import cosine_basis

FEWEST_FRAMES = 4  # of which fewer tell too little of how frames differ
CAUTION = 4.0  # times the variance of a mean that is taken off its square before it is believed


@dataclass
class LinesMean:
    """Mean of q over frames, each cosine down the frame drawn to 0 as far as frames differ in it.

    Creep is the same in each frame, a random walk is not, and both are strongest in slow cosines: how frames scatter
    tells them apart. A cosine of mean m and variance v over n frames is expected at ``m max(0, 1 - 4 v / (n m^2))`` in
    the next one, after the positive-part estimator of James & Stein 1961.

    Parameters
    ----------
    memory
        In [0, 1): the part of the means that is kept from one frame to the next.
    """

    memory: float = 0.9
    mean: Tensor | None = None
    square: Tensor | None = None
    frames: float = 0.0

    def update(self, lines_px: Tensor) -> None:
        """Take in the lines of a frame, (1, n) px."""
        basis, _ = cosine_basis(lines_px.shape[-1], lines_px.device)
        found = lines_px @ basis.T
        self.frames = min(self.frames, 1 / (1 - self.memory)) + 1
        if self.mean is None or self.square is None:
            self.mean, self.square = found, found.square()
        else:
            self.mean = self.mean + (found - self.mean) / self.frames
            self.square = self.square + (found.square() - self.square) / self.frames

    @property
    def expected_px(self) -> Tensor:
        """(1, n) px, 0 in the first frames."""
        if self.mean is None or self.square is None:
            return torch.zeros(1, 1, dtype=torch.float64)
        if self.frames < FEWEST_FRAMES:
            return torch.zeros_like(self.mean)
        of_mean = (self.square - self.mean.square()).clamp_min(0) / (self.frames - 1)
        believed = (1 - CAUTION * of_mean / self.mean.square().clamp_min(1e-20)).clamp_min(0)
        basis, _ = cosine_basis(self.mean.shape[-1], self.mean.device)
        return (believed * self.mean) @ basis
