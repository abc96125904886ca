"""How alike passes are at each displacement, and what is only chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from passes import texture, white
from sasnet_live.correspondence.correlogram import CrossSpectrum, correlation, lines_apart, significance
from sasnet_live.scan import move_lines


def noise(rng: np.random.Generator, lines: int, width: int, blur: tuple[float, float]) -> np.ndarray:
    image: np.ndarray = ndimage.gaussian_filter(rng.standard_normal((lines, width), np.float32), blur, mode="wrap")
    return image


@pytest.mark.parametrize("shift", [-7, 0, 12])
def test_the_correlogram_peaks_at_the_displacement_and_does_not_wrap(shift: int) -> None:
    target = texture(width=128)
    displaced = move_lines(target, np.array(-float(shift)), "linear")
    shifts = np.arange(-20, 21)
    spectrum = CrossSpectrum.of(target, displaced, 20)
    correlogram = spectrum.correlogram(shifts)
    assert shifts[correlogram.argmax()] == shift
    assert correlogram.max() == pytest.approx(1, abs=0.1)
    by_hand = (target[:, 20:] * displaced[:, :-20]).sum()
    energy = np.sqrt(np.square(target).sum() * np.square(displaced).sum())
    assert correlogram[-1] == pytest.approx(by_hand / energy * 128 / 108, abs=1e-4)
    assert spectrum.own(np.array([0])) == pytest.approx(1)


def test_slopes_are_compared_through_the_same_spectra() -> None:
    target = texture(width=128)
    noisy = target + 0.5 * white(96, 128, 5)
    by_hand = correlation(*(np.diff(images, axis=1) for images in (target, noisy)))
    assert CrossSpectrum.of(target, noisy, 0).slopes.correlogram(np.array([0])) == pytest.approx(by_hand, abs=0.05)


@pytest.mark.parametrize("width", [63, 64, 65, 200])
def test_the_correlogram_is_the_correlation_where_nothing_is_displaced(width: int) -> None:
    first, second = white(40, width, 1), white(40, width, 2) + white(40, width, 1)
    found = CrossSpectrum.of(first, second, 9).correlogram(np.array([0]))
    assert found == pytest.approx(correlation(first, second), abs=1e-4)
    normalized = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    assert correlation(first, second) == pytest.approx(normalized, abs=0.01)


def test_enough_lines_are_taken() -> None:
    assert [lines_apart(lines) for lines in (1, 128, 255, 256, 600)] == [1, 1, 1, 2, 4]


@pytest.mark.parametrize("blur", [(0, 0), (0, 4), (3, 0), (2, 4)], ids=str)
def test_chance_is_of_unit_deviation_whatever_the_noise(blur: tuple[float, float]) -> None:
    """Correlation itself is not: of noise blurred over 2 lines and 4 px it varies ten times as much as of white."""
    rng = np.random.default_rng(3)
    figures = np.array([significance(*(noise(rng, 64, 96, blur) for _ in range(2))) for _ in range(150)])
    # The larger of two that hang together: a mean between 0 and 0.6, a deviation a little below 1.
    assert -0.2 < figures.mean() < 0.8
    assert 0.6 < figures.std() < 1.3
    assert figures.max() < 4.6


def test_what_is_shared_is_the_more_significant_the_more_there_is_of_it() -> None:
    rng = np.random.default_rng(4)

    def figure(lines: int) -> float:
        content = noise(rng, lines, 128, (1, 1))
        content /= content.std()
        return significance(*(content + 2 * noise(rng, lines, 128, (0, 0)) for _ in range(2)))

    few, many = (np.mean([figure(lines) for _ in range(6)]) for lines in (32, 128))
    assert few > 4.6
    assert many / few == pytest.approx(2, rel=0.25)


def test_a_wave_that_fits_at_some_phase_is_no_evidence() -> None:
    x = np.arange(128)
    waves = [np.tile(np.sin(2 * np.pi * x / 31 + phase), (64, 1)).astype(np.float32) for phase in (0.0, 0.1)]
    assert (waves[0] * waves[1]).mean() > 0.45
    assert significance(*waves) < 4.6


def test_agreement_is_judged_in_any_unit() -> None:
    rng = np.random.default_rng(5)
    first, second = (noise(rng, 40, 70, (1, 1)) for _ in range(2))
    apart = significance(first, second)
    assert significance(np.float32(1e-3) * first, 50 * second) == pytest.approx(apart, rel=1e-3, abs=1e-3)
    assert significance(first, first) > 10 > apart


@pytest.mark.parametrize("dark", [0, 1])
def test_a_pass_without_content_agrees_with_nothing(dark: int) -> None:
    passes = [white(40, 64), np.zeros((40, 64), np.float32)][:: 1 if dark else -1]
    assert significance(*passes) == 0
    assert correlation(*passes) == 0
    assert not CrossSpectrum.of(*passes, 5).correlogram(np.arange(-5, 6)).any()
