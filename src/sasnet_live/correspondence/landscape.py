"""How alike two passes are at each displacement, summed over lines: where peaks lie, and how high."""

from __future__ import annotations

import scipy.fft
import torch
from torch import Tensor


def correlation_landscape(target: Tensor, images: Tensor, shifts: Tensor) -> Tensor:
    """Normalized cross-correlation of two passes with `images` displaced as a whole.

    Parameters
    ----------
    target, images
        (B, n, W) of zero mean, about.
    shifts
        (S,) whole displacements of `images`, px.

    Returns
    -------
    (B, S); what a displacement leaves without a counterpart, W - |shift| px remaining, is allowed for.
    """
    width = target.shape[-1]
    # As long as it takes for no displacement to wrap round.
    length = scipy.fft.next_fast_len(width + int(shifts.abs().max()), real=True)
    first = torch.fft.rfft(target, length)
    second = first if images is target else torch.fft.rfft(images, length)
    correlation = torch.fft.irfft((first * second.conj()).sum(1), length)[:, shifts % length]
    energy = (target.square().sum((1, 2)) * images.square().sum((1, 2))).sqrt()[:, None] + 1e-12
    landscape: Tensor = correlation / energy * (width / (width - shifts.abs()))
    return landscape
