"""How far the agreement of two passes lies above what chance brings about.

Passes that share nothing agree a little, the more so the fewer independent samples they hold: noise that is blurred
over 8 px and 8 lines has a few hundredths of the samples that its px suggest, hum has a dozen in all. A correlation is
worth as much as the number of samples it rests on, and that the passes' own spectra tell.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

FAST = 64  # transforms of its multiples are fast
LARGEST = 0.9999  # correlation, beyond which Fisher's transform runs away


@torch.no_grad()
def significance(target: Tensor, images: Tensor) -> Tensor:
    """(B,) agreement of aligned passes in standard deviations of what chance brings about.

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
        (B, n, w) passes of zero mean, about, not filtered in view of each other: a filter that lets through what two
        passes have in common makes them agree.
    """
    lines, width = target.shape[-2:]
    size = tuple(-(-length // FAST) * FAST for length in (lines, width))
    a, b = (torch.fft.rfft2(passes, size) for passes in (target, images))
    power_a, power_b = (spectrum.real.square() + spectrum.imag.square() for spectrum in (a, b))
    shared = (a * b.conj()).real
    once, twice = _weights(size[1], target.dtype, target.device)
    of_a, of_b, of_both = (by_frequency.sum(1) @ once for by_frequency in (power_a, power_b, shared))
    correlation = of_both / ((of_a * of_b).sqrt() + 1e-20)
    # Zeros appended to the passes are not samples.
    share = lines * width / (size[0] * size[1])
    samples = share * of_a * of_b / ((power_a * power_b).sum(1) @ twice + 1e-20)
    deviations = correlation.clamp(-LARGEST, LARGEST).atanh() * (samples - 3).clamp_min(0).sqrt()
    larger: Tensor = deviations.amax(-1)
    return larger


@lru_cache(maxsize=8)
def _weights(length: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """(F, 2) of each frequency's power along the line, as it is and blurred, and (F, 2) of products of two powers."""
    # Kept for later calls, some of which differentiate: no inference tensors.
    with torch.inference_mode(False):
        frequency = torch.arange(length // 2 + 1, dtype=dtype, device=device) * (2 * torch.pi / length)
        # A mean of two neighbours, taken twice, has a gain of (cos w/2)^2.
        gain = torch.stack([torch.ones_like(frequency), (0.5 * frequency).cos().pow(4)], 1)
        # Half of the spectrum stands for all of it.
        stands_for = torch.full_like(frequency, 2)
        stands_for[0] = stands_for[-1] = 1
        return stands_for[:, None] * gain, stands_for[:, None] * gain.square()
