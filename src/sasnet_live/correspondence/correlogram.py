"""How alike two passes are at each displacement, summed over lines: where peaks lie, and how high above chance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import fft

from . import kernels
from .arrays import Floats

ENOUGH_LINES = 128
FAST = 64  # transforms of its multiples are fast
LARGEST = 0.9999  # correlation, beyond which Fisher's transform runs away


def lines_apart(lines: int) -> int:
    """Every how many of so many lines are enough to compare two passes as a whole by."""
    return max(1, lines // ENOUGH_LINES)


def correlation(a: Floats, b: Floats) -> float:
    """Normalized correlation of passes (n, W) of zero mean, about, as they lie."""
    return float(np.vdot(a, b) / (np.sqrt(float(np.vdot(a, a)) * float(np.vdot(b, b))) + 1e-12))


class SpectralSums(NamedTuple):
    """Of two passes' spectra along the line (n, F), summed over lines: powers, cross-spectrum, products of powers."""

    of_target: Floats
    of_images: Floats
    shared: Floats
    products: Floats

    @classmethod
    def of(cls, target: Floats, images: Floats) -> SpectralSums:
        """(F,) float64 each, the cross-spectrum complex."""
        frequencies = target.shape[1]
        of_target, of_images, products = np.empty((3, frequencies))
        shared = np.empty(frequencies, complex)
        kernels.sum_spectra(target, images, of_target, of_images, shared, products)
        return cls(of_target, of_images, shared, products)


@dataclass(frozen=True)
class CrossSpectrum:
    """Spectra along the line of two passes, summed over lines: enough for every displacement of one as a whole.

    Attributes
    ----------
    shared
        (F,) complex cross-spectrum.
    power_target, power_images
        (F,).
    width, length
        Samples of a line, and of the transform: so many that displacements do not wrap round.
    """

    shared: Floats
    power_target: Floats
    power_images: Floats
    width: int
    length: int

    @classmethod
    def of(cls, target: Floats, images: Floats, largest_shift: int) -> CrossSpectrum:
        """From (n, W) passes of zero mean, about."""
        width = target.shape[-1]
        length = -(-(width + largest_shift) // FAST) * FAST
        sums = SpectralSums.of(*(fft.rfft(passes, length) for passes in (target, images)))
        return cls(sums.shared, sums.of_target, sums.of_images, width, length)

    @property
    def slopes(self) -> CrossSpectrum:
        """Of the differences from sample to sample, which have ``4 sin^2(w / 2)`` times the power."""
        gain = 4 * np.sin(np.arange(len(self.shared)) * (np.pi / self.length)) ** 2
        return replace(
            self,
            shared=self.shared * gain,
            power_target=self.power_target * gain,
            power_images=self.power_images * gain,
        )

    def correlogram(self, shifts: Floats) -> Floats:
        """(S,) normalized correlation with `images` displaced by (S,) samples.

        What a displacement leaves without a counterpart, W - |shift| samples remaining, is allowed for.
        """
        energy = np.sqrt(max(self._at_zero(self.power_target) * self._at_zero(self.power_images), 0)) + 1e-12
        products = fft.irfft(self.shared, self.length)[shifts % self.length]
        normalized: Floats = products / energy * (self.width / np.maximum(self.width - np.abs(shifts), 1))
        return normalized

    def own(self, shifts: Floats) -> Floats:
        """(S,) correlation of the target with itself, 1 at 0."""
        products = fft.irfft(self.power_target, self.length)[shifts % self.length]
        normalized: Floats = products / max(self._at_zero(self.power_target), 1e-20)
        return normalized

    def _at_zero(self, spectrum: Floats) -> float:
        return float((2 * spectrum.sum() - spectrum[0] - spectrum[-1]) / self.length)


def significance(target: Floats, images: Floats) -> float:
    """Agreement of aligned passes in standard deviations of what chance brings about.

    Of N independent samples that share nothing, ``atanh(r)`` has a deviation of ``1 / sqrt(N - 3)``, r the correlation
    (Fisher 1921). Neighbouring samples are not independent: with autocorrelations c_a and c_b they are worth
    ``N / sum(c_a c_b)`` (Bartlett 1935), in powers P at all spatial frequencies ``sum(P_a) sum(P_b) / sum(P_a P_b)``.
    Correlation is taken twice, as the passes are and blurred along the line, because noise drowns fine structure first;
    the more significant one counts.

    A displacement that was fitted to the passes makes them agree, so that those that share nothing reach 2 or 3, rarely
    4.5.

    Parameters
    ----------
    target, images
        (n, w) passes of zero mean, about, not filtered in view of each other: a filter that lets through what two
        passes have in common makes them agree.
    """
    lines, width = target.shape
    size = tuple(-(-length // FAST) * FAST for length in (lines, width))
    sums = SpectralSums.of(*(fft.rfft2(passes, size) for passes in (target, images)))
    once, twice = _weights(size[1])
    of_a, of_b, of_both = (by_frequency @ once for by_frequency in (sums.of_target, sums.of_images, sums.shared.real))
    correlations = of_both / (np.sqrt(of_a * of_b) + 1e-20)
    # Zeros appended to the passes are not samples.
    share = lines * width / (size[0] * size[1])
    samples = share * of_a * of_b / (sums.products @ twice + 1e-20)
    deviations = np.arctanh(correlations.clip(-LARGEST, LARGEST)) * np.sqrt((samples - 3).clip(0))
    return float(deviations.max())


@lru_cache(maxsize=8)
def _weights(length: int) -> tuple[Floats, Floats]:
    """(F, 2) of each frequency's power along the line, as it is and blurred, and (F, 2) of products of two powers."""
    frequency = np.arange(length // 2 + 1) * (2 * np.pi / length)
    # A mean of two neighbours, taken twice, has a gain of (cos w/2)^2.
    gain = np.stack([np.ones_like(frequency), np.cos(0.5 * frequency) ** 4], 1)
    # Half of the spectrum stands for all of it.
    stands_for = np.full(len(frequency), 2.0)
    stands_for[[0, -1]] = 1
    return stands_for[:, None] * gain, stands_for[:, None] * gain**2
