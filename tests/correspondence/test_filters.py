"""What makes two passes comparable, each filter by its own property."""

from __future__ import annotations

import numpy as np
import pytest

from passes import texture, white
from sasnet_live.correspondence.correlogram import correlation
from sasnet_live.correspondence.filters import (
    BOX_PX,
    GAP_PX,
    WINDOW_LINES,
    blurred,
    coherence_filter,
    filtered,
    locally_normalized,
    reduced,
    root_mean_square,
    with_gap,
)


def test_blur_keeps_a_constant_and_the_mean() -> None:
    np.testing.assert_allclose(blurred(np.full((20, 30), 3, np.float32), 1.5, 2), 3, rtol=1e-6)
    impulse = np.zeros((41, 41), np.float32)
    impulse[20, 20] = 1
    blob = blurred(impulse, 3.0, 2.0)
    assert blob.dtype == np.float32
    assert blob.sum() == pytest.approx(1, abs=1e-4)
    x = np.arange(41) - 20
    assert (blob.sum(0) * x**2).sum() == pytest.approx(4, rel=0.1)
    assert (blob.sum(1) * x**2).sum() == pytest.approx(9, rel=0.1)


@pytest.mark.parametrize(("width", "px"), [(64, 1), (64, 4), (67, 2), (67, 4)])
def test_neighbours_are_averaged(width: int, px: int) -> None:
    images = white(5, width)
    few = reduced(images, px)
    assert few.dtype == np.float32
    assert few.shape == (5, width // px)
    whole = images[:, : width // px * px].reshape(5, -1, px)
    np.testing.assert_allclose(few, whole.mean(2), atol=1e-6)


@pytest.mark.parametrize("shape", [(96, 256), (8, 32), (17, 33), (1, 16)])
def test_local_normalization_forgets_gain_and_offset(shape: tuple[int, int]) -> None:
    images = white(*shape, seed=1)
    np.testing.assert_allclose(locally_normalized(images), locally_normalized(7 * images + 30), atol=2e-3)


@pytest.mark.parametrize("shift", [1, 5, 13])
def test_local_normalization_moves_with_the_content(shift: int) -> None:
    """Else the passes of a displaced scan would be normalized differently, and drawn together where they differ."""
    content = np.zeros((64, 256), np.float32)
    content[:, 120:124] = np.random.default_rng(1).random((64, 4))
    moved = np.roll(locally_normalized(content), shift, 1)
    np.testing.assert_allclose(locally_normalized(np.roll(content, shift, 1)), moved, atol=1e-4)


def test_local_normalization_is_that_of_windows_written_out() -> None:
    """Cells of lines, each with its neighbours; along the line three moving averages; between cells a straight line."""
    lines, width, floor = 4 * WINDOW_LINES, 64, 0.15
    images = 10 + 3 * white(lines, width)

    def window(values: np.ndarray) -> np.ndarray:
        cells = values.reshape(-1, WINDOW_LINES, width).mean(1)
        cells = np.pad(cells, ((1, 1), (0, 0)), mode="edge")
        cells = (cells[:-2] + cells[1:-1] + cells[2:]) / 3
        for _ in range(3):
            cells = np.pad(cells, ((0, 0), (BOX_PX // 2, BOX_PX // 2)), mode="edge")
            cells = np.stack([np.convolve(row, np.ones(BOX_PX) / BOX_PX, "valid") for row in cells])
        return cells

    def at_lines(cells: np.ndarray) -> np.ndarray:
        middles = (np.arange(len(cells)) + 0.5) * WINDOW_LINES - 0.5
        return np.stack([np.interp(np.arange(lines), middles, column) for column in cells.T], 1)

    centred = images - at_lines(window(images))
    variance = window(centred**2)
    expected = centred * at_lines(1 / np.sqrt(variance + floor * variance.mean()))
    np.testing.assert_allclose(locally_normalized(images), expected, atol=1e-4)


@pytest.mark.parametrize("lines", [1, 7, 8, 9, 17, 63, 65, 121, 255])
def test_local_normalization_gives_unit_deviation_whatever_the_number_of_lines(lines: int) -> None:
    normalized = locally_normalized(100 + 5 * white(lines, 128))
    assert normalized.dtype == np.float32
    assert np.abs(normalized.mean()) < 0.1
    assert root_mean_square(normalized) == pytest.approx(1 / np.sqrt(1.15), rel=0.1)


def test_a_constant_pass_stays_finite() -> None:
    assert not locally_normalized(np.full((32, 64), 5.0)).any()


def test_coherence_filter_keeps_what_is_shared_and_drops_noise() -> None:
    passes = [texture() + white(96, 256, seed) for seed in (1, 2)]
    transfer = coherence_filter(*passes)
    assert transfer.dtype == np.float32
    assert transfer.shape == (96, with_gap(256) // 2 + 1)
    assert transfer.min() >= 0
    assert correlation(*(filtered(images, transfer) for images in passes)) > correlation(*passes) + 0.2


def test_filtered_passes_are_of_unit_deviation() -> None:
    images = texture()
    out = filtered(images, coherence_filter(images, images + white(96, 256)))
    assert out.dtype == np.float32
    assert out.flags.c_contiguous
    assert root_mean_square(out) == pytest.approx(1, rel=1e-4)


def test_one_end_of_the_lines_is_filtered_without_the_other() -> None:
    images = texture()
    transfer = coherence_filter(images, images + 0.5 * white(96, 256, 1))
    changed = images.copy()
    changed[:, -20:] += 3
    before, after = (filtered(passes, transfer) for passes in (images, changed))
    # The whole is scaled to unit deviation again: as much of each px as is left where nothing else changed.
    middle = slice(100, 150)
    scale = np.vdot(before[:, middle], after[:, middle]) / np.vdot(before[:, middle], before[:, middle])
    difference = np.abs(after / scale - before).max(0)
    assert difference[-20:].max() > 20 * difference[:20].max()


@pytest.mark.parametrize("width", [16, 33, 128, 500, 1024])
def test_lines_go_on_for_a_gap(width: int) -> None:
    length = with_gap(width)
    assert length >= width + GAP_PX
    assert length % 2 == 0
    assert length < 1.2 * width + 2 * GAP_PX


def test_inputs_are_not_modified() -> None:
    images, other = texture(), texture(seed=1)
    copies = images.copy(), other.copy()
    transfer = coherence_filter(images, other)
    kept = transfer.copy()
    filtered(images, transfer), blurred(images, 1, 1), reduced(images, 2), locally_normalized(images)
    np.testing.assert_array_equal(images, copies[0])
    np.testing.assert_array_equal(other, copies[1])
    np.testing.assert_array_equal(transfer, kept)
