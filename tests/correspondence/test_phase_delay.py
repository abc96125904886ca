"""Delays of wide structure that fine structure does not show."""

from __future__ import annotations

import numpy as np
import pytest

from passes import texture, white
from sasnet_live.correspondence.correlogram import CrossSpectrum
from sasnet_live.correspondence.phase_delay import TailDelay, WideDelay, select_delay, tail_delay, wide_delay

LINES, WIDTH = 128, 512


def through(images: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    """Lines through a transfer function of (W // 2 + 1,) frequencies; they end where they began."""
    passed: np.ndarray = np.fft.irfft(np.fft.rfft(images) * transfer, images.shape[1])
    return passed.astype(np.float32)


def compared(transfer: np.ndarray, noise: float = 0.05) -> CrossSpectrum:
    """White passes, the second through a transfer function."""
    target = white(LINES, WIDTH, 3)
    # A scalar keeps float32.
    taper = np.sin(np.pi * np.arange(WIDTH) / WIDTH).astype(np.float32) ** 2
    level = np.float32(noise)
    passes = (target, through(target, transfer))
    a, b = (taper * (images + level * white(LINES, WIDTH, seed)) for images, seed in zip(passes, (4, 5), strict=True))
    return CrossSpectrum.of(a, b, 0)


def frequency(width: int = WIDTH) -> np.ndarray:
    """(W // 2 + 1,) rad / px."""
    return 2 * np.pi * np.arange(width // 2 + 1) / width


@pytest.mark.parametrize("shift_px", [-1.2, -0.3, 0.0, 0.7])
def test_a_shift_comes_back_with_its_sign(shift_px: float) -> None:
    # images(x) = target(x + s) has to be moved to the right by s.
    delay = wide_delay(compared(np.exp(1j * frequency() * shift_px)), LINES, 1)
    assert abs(delay.px - shift_px) < 4 * delay.deviation_px
    assert delay.deviation_px < 0.1


@pytest.mark.parametrize("length_px", [0.5, 2.0, 4.0])
def test_slopes_that_are_added_and_tails_are_told_by_their_centroids(length_px: float) -> None:
    lead = 1 + 1j * frequency() * length_px
    for transfer, expected in ((lead, length_px), (1 / lead, -length_px)):
        assert wide_delay(compared(transfer), LINES, 1).px == pytest.approx(expected, rel=0.12)


def test_what_noise_hides_is_uncertain() -> None:
    """Its deviation grows with the noise."""
    steady = np.ones(WIDTH // 2 + 1)
    deviations = [wide_delay(compared(steady, noise), LINES, 1).deviation_px for noise in (0.1, 1, 4)]
    assert deviations[0] < deviations[1] < deviations[2]
    assert deviations[2] > 0.3


def test_a_delay_is_in_px_of_unreduced_lines() -> None:
    spectrum = compared(np.exp(1j * frequency() * 0.3))
    assert wide_delay(spectrum, LINES, 4).px == pytest.approx(1.2, abs=0.1)


@pytest.mark.parametrize(("weight", "length_px"), [(0.0, 1.0), (0.3, 1.5), (0.5, 2.0)])
def test_tails_hidden_from_fine_structure_are_measured(weight: float, length_px: float) -> None:
    """Passes with opposite tails around the same structure: what is missing is both centroids."""
    content = white(96, WIDTH, 4)
    tail = 1 - weight + weight / (1 + 1j * frequency() * length_px)
    found = tail_delay(*(through(content, transfer) for transfer in (tail, tail.conj())))
    assert found.px == pytest.approx(2 * weight * length_px, abs=0.12 + 0.1 * weight * length_px)


@pytest.mark.parametrize(("shift_px", "at_least", "at_most"), [(0.0, 0.99, 1.01), (1.0, 1.03, 1.3)])
def test_a_delay_that_makes_passes_more_alike_keeps_their_correlation(
    shift_px: float, at_least: float, at_most: float
) -> None:
    content = texture(96, WIDTH)
    found = tail_delay(content, through(content, np.exp(1j * frequency() * shift_px)))
    assert found.px == pytest.approx(shift_px, abs=0.1)
    assert at_least < found.kept < at_most


@pytest.mark.parametrize("width", [63, 64, 200])
def test_lines_of_any_length_may_have_tails(width: int) -> None:
    content = white(200, width, 4)
    tail = 1 - 0.5 + 0.5 / (1 + 1j * frequency(width) * 1.5)
    found = tail_delay(*(through(content, transfer) for transfer in (tail, tail.conj())))
    assert found.px == pytest.approx(1.5, abs=0.35)


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
    assert select_delay(TailDelay(tail_px, kept), WideDelay(wide_px, deviation_px)) == pytest.approx(expected)
