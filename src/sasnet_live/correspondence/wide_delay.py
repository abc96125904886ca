"""What the wide structure of aligned passes says of their displacement.

Electronics, not the scanner, may displace wide structure against fine: exponential tails, feedback loops that add the
slope of a signal, edges that shine in one pass and are dark in the other. Each of them delays the lowest frequencies by
the distance of the passes' centroids, which is what a displacement is about here, and higher ones by something else.
With ``1 / (1 + i w tau)`` (a tail) or ``1 + i w tau`` (a slope added), the phase is ``w tau - (w tau)^3 / 3 + ...``: a
delay, and a cubic term that tells how far the frequencies at hand are from the lowest.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .landscape import Comparison

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


@torch.no_grad()
def wide_delay(comparison: Comparison, lines: int, px_per_sample: int) -> tuple[Tensor, Tensor]:
    """(B,) px to be added to the displacement for wide structure to be aligned, and its standard deviation (B,).

    The phase at each frequency has a variance of ``(1 - c^2) / (2 n c^2)``, c the coherence of n lines.

    Parameters
    ----------
    comparison
        Of aligned passes, or of their slopes, tapered at the ends of the line (Hann).
    lines
        That it was summed over.
    px_per_sample
        Px that one of its samples stands for.
    """
    size = comparison.length * px_per_sample  # px
    bins = max(1, round(SPECTRAL_CELL * size) // 2 * 2 + 1)
    spectra = torch.stack(
        [comparison.power_target, comparison.power_images, comparison.shared.real, comparison.shared.imag], 1
    )
    # A cell is averaged as far as it lies within the spectrum.
    spectra = F.avg_pool1d(spectra, bins, stride=1, padding=bins // 2, count_include_pad=False)
    power_a, power_b, real, imaginary = spectra.unbind(1)
    coherence = (real.square() + imaginary.square()) / (power_a * power_b + 1e-20)
    coherence = (coherence - 1 / lines).clamp(0, 0.995)
    frequency = 2 * torch.pi * torch.arange(coherence.shape[-1], device=coherence.device) / size
    # Of a tapered line with zeros appended, so much of the spectrum is independent.
    independent = comparison.width / comparison.length / HANN_BINS
    weight = (2 * lines * independent) * coherence / (1 - coherence)
    phase = torch.atan2(imaginary, real)
    delay, deviation = _fitted(frequency, phase, weight, *BAND)
    large = delay.abs() > LARGE_PX
    if not bool(large.any()):
        return delay, deviation
    of_large = _fitted(frequency, phase, weight, *BAND_OF_LARGE)
    return torch.where(large, of_large[0], delay), torch.where(large, of_large[1], deviation)


def _fitted(
    frequency: Tensor, phase: Tensor, weight: Tensor, highest: float, cubic_px3: float
) -> tuple[Tensor, Tensor]:
    """(B,) delay and its deviation, from phases (B, F) of so much weight."""
    weight = (weight * ((frequency > LOWEST) & (frequency < highest))).double()
    terms = torch.stack([-frequency, frequency.pow(3)], 1).double()  # (F, 2)
    information = (terms.T * weight[:, None]) @ terms
    information = information + torch.diag(information.new_tensor([1e-6, cubic_px3**-2]))
    covariance = torch.linalg.inv(information)
    delay = (covariance @ (terms.T @ (weight * phase.double())[..., None]))[:, 0, 0]
    return delay.float(), covariance[:, 0, 0].sqrt().float()


def settled(tail_px: Tensor, kept: Tensor, wide_px: Tensor, deviation_px: Tensor) -> Tensor:
    """(B,) px to be added to the displacement: what tails explain, unless wide structure clearly says otherwise.

    A model of tails is the better measure where it holds, and wide structure where it does not.

    Parameters
    ----------
    tail_px, kept
        Of `tail_displacement`.
    wide_px, deviation_px
        Of `wide_delay`.
    """
    holds = kept > TAIL_TOLERANCE
    tail_px = holds * tail_px
    deviations = torch.where(holds, DEVIATIONS, DEVIATIONS_WITHOUT_TAILS)
    clearly = (wide_px - tail_px).abs() > LEAST_PX + deviations * deviation_px
    # Signals whose passes hardly agree may suggest large delays by what little they share.
    well = (wide_px.abs() < LARGE_PX) | (wide_px.abs() > WELL_KNOWN * deviation_px)
    return torch.where(clearly & well, wide_px, tail_px)
