"""How alike two passes are at each displacement, summed over lines: where peaks lie, and how high."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .filters import power_over_lines

ENOUGH_LINES = 128
FAST = 64  # transforms of its multiples take a third of the time of those of other lengths with small factors


def lines_apart(lines: int) -> int:
    """Every how many of so many lines are enough to compare two passes as a whole by."""
    return max(1, lines // ENOUGH_LINES)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """(B,) normalized correlation of passes (B, n, W) of zero mean, about, as they lie."""
    return (a * b).sum((1, 2)) / ((a.square().sum((1, 2)) * b.square().sum((1, 2))).sqrt() + 1e-12)


@dataclass(frozen=True)
class Comparison:
    """Spectra along the line of two passes, summed over lines: enough for every displacement of one as a whole.

    Attributes
    ----------
    shared
        (B, F) complex cross-spectrum.
    power_target, power_images
        (B, F).
    width, length
        Samples of a line, and of the transform: so many that displacements do not wrap round.
    """

    shared: Tensor
    power_target: Tensor
    power_images: Tensor
    width: int
    length: int

    @classmethod
    def of(cls, target: Tensor, images: Tensor, largest_shift: int) -> Comparison:
        """From (B, n, W) passes of zero mean, about."""
        width = target.shape[-1]
        length = -(-(width + largest_shift) // FAST) * FAST
        a, b = (torch.fft.rfft(passes, length) for passes in (target, images))
        return cls((a * b.conj()).sum(1), power_over_lines(a), power_over_lines(b), width, length)

    @property
    def slopes(self) -> Comparison:
        """Of the differences from sample to sample, which have ``4 sin^2(w / 2)`` times the power."""
        frequency = torch.arange(self.shared.shape[-1], device=self.shared.device) * (torch.pi / self.length)
        gain = 4 * frequency.sin().square()
        return Comparison(
            self.shared * gain, self.power_target * gain, self.power_images * gain, self.width, self.length
        )

    def landscape(self, shifts: Tensor) -> Tensor:
        """(B, S) normalized correlation with `images` displaced by (S,) samples.

        What a displacement leaves without a counterpart, W - |shift| samples remaining, is allowed for.
        """
        energy = (self._at_zero(self.power_target) * self._at_zero(self.power_images)).clamp_min(0).sqrt() + 1e-12
        products = torch.fft.irfft(self.shared, self.length)[:, shifts % self.length]
        landscape: Tensor = products / energy * (self.width / (self.width - shifts.abs()))
        return landscape

    def own(self, shifts: Tensor) -> Tensor:
        """(B, S) correlation of the target with itself, 1 at 0."""
        products = torch.fft.irfft(self.power_target, self.length)[:, shifts % self.length]
        normalized: Tensor = products / self._at_zero(self.power_target).clamp_min(1e-20)
        return normalized

    def _at_zero(self, power: Tensor) -> Tensor:
        energy: Tensor = torch.fft.irfft(power, self.length)[:, :1]
        return energy
