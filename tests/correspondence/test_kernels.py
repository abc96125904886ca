"""The compiled loops do what a line or two of plain NumPy does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.fft import idct

from passes import texture, white
from sasnet_live.correspondence import kernels
from sasnet_live.correspondence.displacement import down_the_frame
from sasnet_live.correspondence.filters import WINDOW_LINES
from sasnet_live.scan import move_lines

SHAPES = [(1, 16), (2, 17), (5, 33), (24, 64)]
pytestmark = pytest.mark.parametrize("shape", SHAPES, ids=str)


def by_hand(images: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Lines moved by (n, W) px: the cubic through values and slopes of sixth order, float64."""
    images, width = images.astype(float), images.shape[1]
    longer = np.pad(images, ((0, 0), (3, 3)), mode="edge")
    slopes = sum(
        weight * (longer[:, 3 + k : 3 + k + width] - longer[:, 3 - k : 3 - k + width])
        for k, weight in enumerate((3 / 4, -3 / 20, 1 / 60), 1)
    )
    position = np.clip(np.arange(width) - displacement, 0, width - 1)
    left = np.minimum(position.astype(int), width - 2)
    t = position - left
    begin, end, rise, further = (
        np.take_along_axis(values, index, 1) for values in (images, slopes) for index in (left, left + 1)
    )
    return (
        (1 + 2 * t) * (1 - t) ** 2 * begin
        + t * (1 - t) ** 2 * rise
        + t**2 * (3 - 2 * t) * end
        - t**2 * (1 - t) * further
    )


def where_to(shape: tuple[int, int], reach_px: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Profile, creep and lines of up to so many px each, and y down the frame."""
    lines, width = shape
    rng = np.random.default_rng(lines)
    profile, creep = reach_px * rng.uniform(-1, 1, (2, width)).astype(np.float32)
    return profile, creep, reach_px * rng.uniform(-1, 1, lines).astype(np.float32), down_the_frame(lines)


def total(profile: np.ndarray, creep: np.ndarray, q: np.ndarray, down: np.ndarray) -> np.ndarray:
    return profile + q[:, None] + down[:, None] * creep


def moved(images: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Lines through the kernel, one at a time, so that each may have a displacement (n, W) of its own."""
    out = np.empty_like(images)
    nothing = np.zeros(images.shape[1], np.float32)
    for k, of_line in enumerate(displacement.astype(np.float32)):
        kernels.move(images[k : k + 1], of_line, nothing, np.zeros(1, np.float32), np.zeros(1), out[k : k + 1])
    return out


@pytest.mark.parametrize("reach_px", [0.0, 0.7, 5.0, 60.0])
def test_lines_are_moved_by_their_cubic(shape: tuple[int, int], reach_px: float) -> None:
    images, where = white(*shape), where_to(shape, reach_px)
    out = np.empty_like(images)
    kernels.move(images, *where, out)
    np.testing.assert_allclose(out, by_hand(images, total(*where)), atol=2e-4)


def test_lines_are_read_where_move_lines_reads_them(shape: tuple[int, int]) -> None:
    images = texture(*shape)
    displacement = 30 * np.random.default_rng(1).uniform(-0.5, 0.5, shape)
    np.testing.assert_allclose(moved(images, displacement), move_lines(images, displacement, "cubic"), atol=0.1)


def test_lines_are_read_without_blur(shape: tuple[int, int]) -> None:
    """A vessel of 1.5 px half-way between two px: central differences would be off by 0.9 % of its height."""
    x = np.arange(shape[1])

    def vessel(at_px: np.ndarray) -> np.ndarray:
        one = np.exp(-((at_px - shape[1] // 2) ** 2) / (2 * 1.5**2))
        return np.broadcast_to(one, shape).astype(np.float32)

    assert np.abs(moved(vessel(x), np.full(shape, 0.5)) - vessel(x - 0.5)).max() < 2.5e-3
    np.testing.assert_allclose(moved(vessel(x), np.zeros(shape)), vessel(x), atol=1e-6)
    np.testing.assert_allclose(moved(vessel(x), np.full(shape, 2.0))[:, 2:], vessel(x)[:, :-2], atol=1e-6)


def test_every_px_says_where_to(shape: tuple[int, int]) -> None:
    target, images = white(*shape, seed=1), white(*shape, seed=2)
    profile, creep, q, down = where_to(shape, 1.5)
    compared = (np.random.default_rng(3).random(shape[1]) > 0.3).astype(np.float32)
    compared[[0, -1]] = 0
    curvature, gradient = (np.full(shape, np.nan, np.float32) for _ in range(2))
    shared = np.full(shape[0], np.nan, np.float32)
    kernels.linearize(target, images, profile, creep, q, down, compared, 0.8, curvature, gradient, shared)

    at = by_hand(images, total(profile, creep, q, down))
    rise, moved_rise = (np.pad(lines[:, 2:] - lines[:, :-2], ((0, 0), (1, 1))) / 2 for lines in (target, at))
    residual, slope = target - at, (rise + moved_rise) / 2
    weight = compared / (1 + (residual / 0.8) ** 2)
    np.testing.assert_allclose(curvature, weight * slope**2, atol=1e-4)
    np.testing.assert_allclose(gradient, -weight * slope * residual, atol=1e-4)
    np.testing.assert_allclose(shared, (weight * rise * moved_rise).sum(1), atol=1e-3)


@pytest.mark.parametrize("every", [1, 4])
def test_autocorrelation_is_a_sum_of_products(shape: tuple[int, int], every: int) -> None:
    values = white(*shape)
    along, down = np.full(min(8, shape[1] - 1) + 1, np.nan), np.full(min(4, shape[0] - 1) + 1, np.nan)
    kernels.autocorrelation(values, every, along, down)
    some, width = values[::every].astype(float), shape[1]
    expected = [(some[:, : width - lag] * some[:, lag:]).sum() for lag in range(len(along))]
    np.testing.assert_allclose(along, expected, rtol=1e-4, atol=1e-3)
    expected = [(values[: len(values) - lag] * values[lag:]).sum() for lag in range(len(down))]
    np.testing.assert_allclose(down, expected, rtol=1e-4, atol=1e-3)


def laplacian(n: int) -> np.ndarray:
    """(n, n) of a path with free ends."""
    difference = np.diff(np.eye(n), axis=0)
    return difference.T @ difference


@pytest.mark.parametrize("coupling", [0.0, 0.3, 1e6])
def test_tridiagonal_systems_are_solved(shape: tuple[int, int], coupling: float) -> None:
    rng = np.random.default_rng(4)
    diagonal, right = rng.uniform(0.1, 3, shape[0]), rng.standard_normal(shape)
    solution = right.copy()
    kernels.solve_tridiagonal(diagonal, coupling, solution)
    expected = np.linalg.solve(np.diag(diagonal) + coupling * laplacian(shape[0]), right)
    np.testing.assert_allclose(solution, expected, rtol=1e-6, atol=1e-8)


def test_a_cosine_down_the_frame_stays_one(shape: tuple[int, int]) -> None:
    """The coupling is diagonal among cosines: that is what the priors of lines rest on."""
    n = shape[0]
    cosines = idct(np.eye(n), axis=0, norm="ortho")
    solution = cosines.copy()
    kernels.solve_tridiagonal(np.ones(n), 2.5, solution)
    eigenvalues = 4 * np.sin(np.pi * np.arange(n) / (2 * n)) ** 2
    np.testing.assert_allclose(solution, cosines / (1 + 2.5 * eigenvalues), atol=1e-12)


def test_cells_hold_the_means_of_their_lines(shape: tuple[int, int]) -> None:
    images = white(*shape)
    for size in (1, 3, WINDOW_LINES):
        starts = range(0, shape[0], size)
        cells = np.full((len(starts), shape[1]), np.nan, np.float32)
        kernels.cell_means(images, size, cells)
        np.testing.assert_allclose(cells, [images[k : k + size].mean(0) for k in starts], atol=1e-5)


@pytest.mark.parametrize(("box", "repeats"), [(1, 1), (5, 2), (25, 3)])
def test_cells_are_smoothed_by_moving_averages(shape: tuple[int, int], box: int, repeats: int) -> None:
    cells = white(*shape)
    out = np.full(shape, np.nan, np.float32)
    kernels.smooth_cells(cells, box, repeats, out)
    expected = ndimage.uniform_filter1d(cells.astype(float), 3, axis=0, mode="nearest")
    for _ in range(repeats):
        expected = ndimage.uniform_filter1d(expected, box, axis=1, mode="nearest")
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_spectra_are_summed_over_lines(shape: tuple[int, int]) -> None:
    first, second = (np.fft.rfft(white(*shape, seed=seed)).astype(np.complex64) for seed in (1, 2))
    of_first, of_second, products = np.full((3, first.shape[1]), np.nan)
    shared = np.full(first.shape[1], np.nan, complex)
    kernels.sum_spectra(first, second, of_first, of_second, shared, products)
    power_first, power_second = np.abs(first) ** 2, np.abs(second) ** 2
    np.testing.assert_allclose(of_first, power_first.sum(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(of_second, power_second.sum(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(products, (power_first * power_second).sum(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(shared, (first * second.conj()).sum(0), rtol=1e-4, atol=1e-3)


def between(cells: np.ndarray, lines: int) -> np.ndarray:
    """(n, W): values in the middle of cells, interpolated linearly; beyond the outer ones they go on."""
    middles = (np.arange(len(cells)) + 0.5) * lines / len(cells) - 0.5
    return np.stack([np.interp(np.arange(lines), middles, column) for column in cells.T], 1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_cells_say_is_interpolated_between_them(shape: tuple[int, int], count: int) -> None:
    lines, width = shape
    size = -(-lines // count)
    count = -(-lines // size)
    images, cells = white(lines, width, 1), white(count, width, 2)
    out, squares = np.full(shape, np.nan, np.float32), np.full(cells.shape, np.nan, np.float32)
    kernels.subtract_between(images, cells, out, squares)
    expected = images - between(cells, lines)
    np.testing.assert_allclose(out, expected, atol=1e-5)
    means = [np.square(expected[k * size : (k + 1) * size]).mean(0) for k in range(count)]
    np.testing.assert_allclose(squares, means, rtol=1e-4, atol=1e-5)
    multiplied = images.copy()
    kernels.multiply_between(multiplied, cells)
    np.testing.assert_allclose(multiplied, images * between(cells, lines), atol=1e-5)
