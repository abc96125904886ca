"""What electronics add to the displacement: delays that differ between fine and wide structure.

A detector that rings or decays leaves a tail behind every structure, along the scan direction: to the right in forward
lines, to the left in backward lines. Matching fine structure aligns the sharp fronts and leaves the tails apart; the
content's centroids, which is what a displacement is about here, are then still off by both tails' mean length. The
phase between aligned passes tells: a tail delays low frequencies and not high ones.

Other electronics move wide structure against fine, too: feedback loops that add the slope of a signal, edges that shine
in one pass and are dark in the other. Each of them delays the lowest frequencies by the distance of the passes'
centroids.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import fft
from scipy.ndimage import correlate1d

from .arrays import Floats
from .correlogram import CrossSpectrum, SpectralSums

LENGTHS_PX = (0.3, 0.5, 0.8, 1.2, 1.8, 2.6, 3.6, 5.0)
WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0)
USUAL_CENTROID_PX = 0.8
LARGEST_CENTROID_PX = 3.0
HIGHEST_FREQUENCY = 0.5  # of Nyquist
LOWEST_BIN = 2.5
TAIL_BINS = 5  # that spectra are averaged over
TAPERED_BINS = 2.5  # that a Hann taper of the line and that average leave telling the same

LOWEST = 0.05  # rad / px: wider structure is lost by local normalization
# Highest frequency, rad / px, and deviation of the cubic term, px^3: tails of 2 px and half of the signal leave 3.
# Large delays leave the series at lower frequencies, and a larger cubic term.
BAND, BAND_OF_LARGE = (0.3, 5.0), (0.2, 100.0)
LARGE_PX = 1.5
TAIL_TOLERANCE = 0.97  # passes that become less alike by moving them by the tails' share differ by more than tails
LEAST_PX = 0.2  # and so many deviations: by which wide structure has to differ from what tails explain to be preferred
DEVIATIONS, DEVIATIONS_WITHOUT_TAILS = 7.0, 2.5  # where tails explain what is seen, and where they do not
WELL_KNOWN = 10.0  # deviations that a large delay has to be of
HANN_BINS = 1.5  # of a spectrum that tell the same after a Hann window
SPECTRAL_CELL = 5 / 512  # cycles / px that spectra are averaged over


class WideDelay(NamedTuple):
    """px to be added to the displacement for wide structure to be aligned, and its standard deviation."""

    px: float
    deviation_px: float


class TailDelay(NamedTuple):
    """px to be added to the displacement for tails; the part of the passes' correlation that moving by it leaves."""

    px: float
    kept: float


class _Phase(NamedTuple):
    """(F,) of the cross-spectrum at frequencies in rad / px, and the weight (inverse variance) of each."""

    frequency: Floats
    phase: Floats
    weight: Floats


def _phase(spectrum: CrossSpectrum, lines: int, bins: int, independent: float, px_per_sample: int) -> _Phase:
    """The phase has a variance of ``(1 - c^2) / (2 n c^2)``, c the coherence of n lines; spectra averaged over bins."""
    parts = np.stack([spectrum.power_target, spectrum.power_images, spectrum.shared.real, spectrum.shared.imag]).astype(
        np.float64
    )
    # A cell is averaged as far as it lies within the spectrum.
    box = np.ones(bins)
    parts = correlate1d(parts, box, axis=1, mode="constant")
    parts /= correlate1d(np.ones(parts.shape[1]), box, mode="constant")
    power_a, power_b, real, imaginary = parts
    coherence = (real**2 + imaginary**2) / (power_a * power_b + 1e-20)
    coherence = (coherence - 1 / lines).clip(0, 0.995)
    frequency = 2 * np.pi * np.arange(len(coherence)) / (spectrum.length * px_per_sample)
    return _Phase(frequency, np.arctan2(imaginary, real), 2 * lines * independent * coherence / (1 - coherence))


def tail_delay(target: Floats, moved: Floats) -> TailDelay:
    """What is missing of the displacement after fine structure is aligned, if opposite exponential tails explain it.

    With a tail of weight a and length tau, ``k(w) = 1 - a + a / (1 + i w tau)``, opposite in the two passes, the phase
    is ``2 arg k(w) - w d0`` and the missing displacement ``d0 + 2 a tau``. Lengths and weights are tried on a grid,
    each with its best remaining shift, and averaged by their likelihood times a prior for short tails.

    Parameters
    ----------
    target, moved
        (n, W) aligned, locally normalized passes.
    """
    lines, width = target.shape
    sums = SpectralSums.of(*(fft.rfft(images * _hann(width)) for images in (target, moved)))
    spectrum = CrossSpectrum(sums.shared, sums.of_target, sums.of_images, width, width)
    frequency, phase, weight = _phase(spectrum, lines, TAIL_BINS, 1 / TAPERED_BINS, 1)
    used = (frequency > LOWEST_BIN * 2 * np.pi / width) & (frequency < HIGHEST_FREQUENCY * np.pi)
    weight = weight * used  # (F,)

    tail_phase, centroid = _tails(width)
    unexplained = phase - tail_phase  # (G, F)
    stiffness = (weight * frequency**2).sum() + 1e-9
    shift = -(unexplained @ (weight * frequency)) / stiffness  # (G,)
    misfit = np.square(unexplained + shift[:, None] * frequency) @ weight
    cost = misfit + (centroid / USUAL_CENTROID_PX) ** 2
    cost[centroid > LARGEST_CENTROID_PX] = np.inf
    likelihood = np.exp(-0.5 * (cost - cost.min()))
    tail = float((likelihood * (shift + centroid)).sum() / likelihood.sum())
    smooth = correlate1d(spectrum.shared, np.ones(TAIL_BINS) / TAIL_BINS, mode="constant")
    further = (smooth * np.exp(1j * tail * frequency)).real.sum()
    return TailDelay(tail, float(further / max(smooth.real.sum(), 1e-20)))


def wide_delay(spectrum: CrossSpectrum, lines: int, px_per_sample: int) -> WideDelay:
    """What the wide structure of aligned passes says of their displacement.

    With ``1 / (1 + i w tau)`` (a tail) or ``1 + i w tau`` (a slope added), the phase is
    ``w tau - (w tau)^3 / 3 + ...``: a delay, and a cubic term that tells how far the frequencies at hand are from the
    lowest.

    Parameters
    ----------
    spectrum
        Of aligned passes, or of their slopes, tapered at the ends of the line (Hann).
    lines
        That it was summed over.
    px_per_sample
        Px that one of its samples stands for.
    """
    bins = max(1, round(SPECTRAL_CELL * spectrum.length * px_per_sample) // 2 * 2 + 1)
    # Of a tapered line with zeros appended, so much of the spectrum is independent.
    phase = _phase(spectrum, lines, bins, spectrum.width / spectrum.length / HANN_BINS, px_per_sample)
    delay = _fitted(phase, *BAND)
    return delay if abs(delay.px) <= LARGE_PX else _fitted(phase, *BAND_OF_LARGE)


def _fitted(phase: _Phase, highest: float, cubic_px3: float) -> WideDelay:
    frequency = phase.frequency
    weight = phase.weight * ((frequency > LOWEST) & (frequency < highest))
    terms = np.stack([-frequency, frequency**3], 1)  # (F, 2)
    information = (terms.T * weight) @ terms + np.diag([1e-6, cubic_px3**-2])
    covariance = np.linalg.inv(information)
    delay = covariance @ (terms.T @ (weight * phase.phase))
    return WideDelay(float(delay[0]), float(np.sqrt(covariance[0, 0])))


def select_delay(tail: TailDelay, wide: WideDelay) -> float:
    """px to be added to the displacement: what tails explain, unless wide structure clearly says otherwise.

    A model of tails is the better measure where it holds, and wide structure where it does not.
    """
    holds = tail.kept > TAIL_TOLERANCE
    of_tails = tail.px if holds else 0.0
    deviations = DEVIATIONS if holds else DEVIATIONS_WITHOUT_TAILS
    clearly = abs(wide.px - of_tails) > LEAST_PX + deviations * wide.deviation_px
    # Signals whose passes hardly agree may suggest large delays by what little they share.
    well = abs(wide.px) < LARGE_PX or abs(wide.px) > WELL_KNOWN * wide.deviation_px
    return wide.px if clearly and well else of_tails


@lru_cache(maxsize=8)
def _hann(width: int) -> Floats:
    """(W,) periodic Hann window, float32."""
    window: Floats = (np.sin(np.pi * np.arange(width) / width) ** 2).astype(np.float32)
    return window


@lru_cache(maxsize=8)
def _tails(width: int) -> tuple[Floats, Floats]:
    """(G, F) phase that each tail of the grid leaves at each frequency, and (G,) its two centroids' distance in px."""
    frequency = 2 * np.pi * np.arange(width // 2 + 1) / width
    length, weight = (axis.reshape(-1, 1) for axis in np.meshgrid(LENGTHS_PX, WEIGHTS, indexing="ij"))
    # arg k(w) = -atan2(a w tau / (1 + w^2 tau^2), 1 - a + a / (1 + w^2 tau^2))
    lorentz = weight / (1 + (frequency * length) ** 2)
    phase = -2 * np.arctan2(lorentz * frequency * length, 1 - weight + lorentz)
    return phase, 2 * (length * weight)[:, 0]
