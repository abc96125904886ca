"""Delays of wide structure that fine structure does not show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sasnet_live.correspondence.choice import either
from sasnet_live.correspondence.displacement import DisplacementParts
from sasnet_live.correspondence.landscape import Comparison
from sasnet_live.correspondence.wide_delay import settled, wide_delay

LINES, WIDTH = 128, 512


def compared(transfer: torch.Tensor, noise: float = 0.05) -> Comparison:
    """White passes, the second through a transfer function of (W // 2 + 1,) frequencies; lines end where they began."""
    rng = torch.Generator().manual_seed(3)
    target = torch.randn(1, LINES, WIDTH, generator=rng)
    images = torch.fft.irfft(torch.fft.rfft(target) * transfer, WIDTH)
    taper = torch.hann_window(WIDTH)
    a, b = (taper * (passes + noise * torch.randn(passes.shape, generator=rng)) for passes in (target, images))
    return Comparison.of(a, b, 0)


def frequency() -> torch.Tensor:
    return 2 * torch.pi * torch.arange(WIDTH // 2 + 1) / WIDTH


@pytest.mark.parametrize("shift_px", [-1.2, -0.3, 0.0, 0.7])
def test_a_shift_comes_back_with_its_sign(shift_px: float) -> None:
    # images(x) = target(x + s) has to be moved to the right by s.
    delay, deviation = wide_delay(compared(torch.exp(1j * frequency() * shift_px)), LINES, 1)
    assert abs(float(delay) - shift_px) < 4 * float(deviation)
    assert float(deviation) < 0.1


@pytest.mark.parametrize("length_px", [0.5, 2.0, 4.0])
def test_slopes_that_are_added_and_tails_are_told_by_their_centroids(length_px: float) -> None:
    lead = 1 + 1j * frequency() * length_px
    for transfer, expected in ((lead, length_px), (1 / lead, -length_px)):
        delay, _ = wide_delay(compared(transfer), LINES, 1)
        assert float(delay) == pytest.approx(expected, rel=0.12)


def test_what_noise_hides_is_uncertain() -> None:
    """Its deviation grows with the noise, and is that of repeated draws."""
    deviations = [float(wide_delay(compared(torch.ones(WIDTH // 2 + 1), noise), LINES, 1)[1]) for noise in (0.1, 1, 4)]
    assert deviations[0] < deviations[1] < deviations[2]
    assert deviations[2] > 0.3


@pytest.mark.parametrize(
    ("tail_px", "kept", "wide_px", "deviation_px", "expected"),
    [
        (0.1, 1.0, 0.15, 0.01, 0.1),  # no clear difference
        (0.1, 1.0, 0.9, 0.05, 0.9),  # clear
        (0.1, 1.0, 0.9, 0.15, 0.1),  # not clear enough against tails that explain what is seen
        (0.1, 0.9, 0.9, 0.15, 0.9),  # clear enough where they do not
        (0.1, 0.9, 0.9, 0.5, 0.0),  # noise, and tails do not explain it
        (0.0, 1.0, -3.0, 0.1, -3.0),  # large and well known
        (0.0, 0.9, -3.0, 0.5, 0.0),  # large, and not well known
    ],
)
def test_wide_structure_counts_where_it_is_clear(
    tail_px: float, kept: float, wide_px: float, deviation_px: float, expected: float
) -> None:
    values = (torch.tensor([value]) for value in (tail_px, kept, wide_px, deviation_px))
    assert float(settled(*values)) == pytest.approx(expected)


def test_one_of_two_results_is_chosen_frame_by_frame() -> None:
    rng = np.random.default_rng(0)
    one, other = (
        DisplacementParts.initial(torch.from_numpy(rng.random((2, 16))), torch.from_numpy(rng.random((2, 8))))
        for _ in range(2)
    )
    chosen, pair = either(torch.tensor([True, False]), (one, (one.lines_px,)), (other, (other.lines_px,)))
    assert torch.equal(chosen.coefficients, torch.stack([one.coefficients[0], other.coefficients[1]]))
    assert torch.equal(pair[0], torch.stack([one.lines_px[0], other.lines_px[1]]))
