"""The loops over every px, fused and compiled: each goes through a pass once, without Python's lock.

Images are (n, W) float32, C-contiguous. Lines are independent of each other but where a docstring says so: parts of a
frame may be given to several threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sasnet_live.compiled import compiled

from .arrays import Floats

# Of differences 2, 4 and 6 px apart: a derivative that is exact for polynomials of degree 6.
SLOPE_WEIGHTS = (np.float32(3 / 4), np.float32(-3 / 20), np.float32(1 / 60))


@compiled
def _slopes(line: Floats, slopes: Floats) -> None:
    """Derivative at each px of a line (W,), which goes on with its end values."""
    width = line.shape[0]
    first, second, third = SLOPE_WEIGHTS
    for x in range(3, width - 3):
        slopes[x] = (
            first * (line[x + 1] - line[x - 1])
            + second * (line[x + 2] - line[x - 2])
            + third * (line[x + 3] - line[x - 3])
        )
    last = width - 1
    for k in range(min(6, width)):
        x = k if k < 3 else last - (k - 3)
        slopes[x] = (
            first * (line[min(x + 1, last)] - line[max(x - 1, 0)])
            + second * (line[min(x + 2, last)] - line[max(x - 2, 0)])
            + third * (line[min(x + 3, last)] - line[max(x - 3, 0)])
        )


@compiled
def _read(line: Floats, slopes: Floats, profile: Floats, creep: Floats, q: float, y: float, out: Floats) -> None:
    """``out(x) = line(x - d(x))`` by the cubic through values and slopes; beyond its ends the line's end values.

    With central differences for slopes (Keys 1981) the cubic blurs what is narrow, by up to 2 % at 1 rad/px half-way
    between two px and not at all on a px, and a fit squeezes single narrow vessels by 1.5 % to make up for that.
    """
    width = line.shape[0]
    last = np.float32(width - 1)
    for x in range(width):
        position = np.float32(x) - (profile[x] + np.float32(q) + np.float32(y) * creep[x])
        position = min(max(position, np.float32(0)), last)
        left = max(min(int(position), width - 2), 0)  # also where it is NaN
        t = position - np.float32(left)
        begin, rise, further = line[left], slopes[left], slopes[left + 1]
        step = line[left + 1] - begin
        third = rise + further - np.float32(2) * step
        out[x] = begin + t * (rise + t * (step - rise - third + t * third))


@compiled
def move(images: Floats, profile: Floats, creep: Floats, q: Floats, down: Floats, out: Floats) -> None:
    """Lines displaced by ``profile(x) + q(y) + y creep(x)``.

    Parameters
    ----------
    images, out
        (n, W).
    profile, creep
        (W,) float32, px.
    q, down
        (n,) px of each line, and its y in [-1, 1].
    """
    slopes = np.empty(images.shape[1], np.float32)
    for i in range(images.shape[0]):
        _slopes(images[i], slopes)
        _read(images[i], slopes, profile, creep, q[i], down[i], out[i])


@compiled
def linearize(
    target: Floats,
    images: Floats,
    profile: Floats,
    creep: Floats,
    q: Floats,
    down: Floats,
    compared: Floats,
    robust_scale: float,
    curvature: Floats,
    gradient: Floats,
    shared: Floats,
) -> None:
    """What each px says of a small further displacement in samples: ``-curvature d^2 / 2 + gradient d``, robustly.

    Residuals are weighted by Cauchy's function. `shared` sums over each line the curvature that both passes show, the
    product of their slopes instead of the square of the mean slope: noise has slopes, but shares none.

    Parameters
    ----------
    target, images
        (n, W) passes.
    profile, creep, q, down
        As for `move`, in samples.
    compared
        (W,) float32, 1 for samples that count and 0 for others: at both ends at least one.
    robust_scale
        Residual at which a sample has half its weight.
    curvature, gradient
        (n, W), written to.
    shared
        (n,), written to.
    """
    width = target.shape[1]
    slopes, moved = np.empty(width, np.float32), np.empty(width, np.float32)
    sharpness = np.float32(1 / robust_scale)
    for i in range(target.shape[0]):
        line = target[i]
        _slopes(images[i], slopes)
        _read(images[i], slopes, profile, creep, q[i], down[i], moved)
        both = np.float32(0)
        curvature[i, 0] = curvature[i, width - 1] = gradient[i, 0] = gradient[i, width - 1] = 0
        for x in range(1, width - 1):
            residual = line[x] - moved[x]
            rise, moved_rise = line[x + 1] - line[x - 1], moved[x + 1] - moved[x - 1]
            slope = np.float32(0.25) * (rise + moved_rise)
            scaled = residual * sharpness
            weight = compared[x] / (np.float32(1) + scaled * scaled)
            both += weight * rise * moved_rise
            weighted = weight * slope
            curvature[i, x] = weighted * slope
            gradient[i, x] = -weighted * residual
        shared[i] = np.float32(0.25) * both


@compiled
def autocorrelation(values: Floats, every: int, along: Floats, down: Floats) -> None:
    """Sums of products of (n, W) values with themselves so many px along the line, and so many lines further down.

    Parameters
    ----------
    every
        Of how many lines one is enough for `along`.
    along, down
        (lags + 1,) float64, written to; lag 0 of both first.
    """
    lines, width = values.shape
    for lag in range(along.shape[0]):
        total = 0.0
        for i in range(0, lines, every):
            of_line: Any = np.float32(0)
            for x in range(width - lag):
                of_line += values[i, x] * values[i, x + lag]
            total += of_line
        along[lag] = total
    for lag in range(down.shape[0]):
        total = 0.0
        for i in range(lines - lag):
            of_line = np.float32(0)
            for x in range(width):
                of_line += values[i, x] * values[i + lag, x]
            total += of_line
        down[lag] = total


@compiled
def solve_tridiagonal(diagonal: Floats, coupling: float, right: Floats) -> None:
    """``(diag(diagonal) + coupling L) x = right``, L the Laplacian of a path with free ends; solved in place.

    Parameters
    ----------
    diagonal
        (n,) float64, positive.
    coupling
        0 or more.
    right
        (n, m) float64; holds the solution afterwards.
    """
    n, columns = right.shape
    ratio = np.empty(n)
    pivot = diagonal[0] + (coupling if n > 1 else 0.0)
    for k in range(columns):
        right[0, k] /= pivot
    for i in range(1, n):
        ratio[i - 1] = -coupling / pivot
        neighbours = 2.0 if i < n - 1 else 1.0
        pivot = diagonal[i] + neighbours * coupling + coupling * ratio[i - 1]
        for k in range(columns):
            right[i, k] = (right[i, k] + coupling * right[i - 1, k]) / pivot
    for i in range(n - 2, -1, -1):
        for k in range(columns):
            right[i, k] -= ratio[i] * right[i + 1, k]


@compiled
def cell_means(images: Floats, size: int, cells: Floats) -> None:
    """Means (c, W) of (n, W) over cells of `size` lines, the last one of those that are left.

    Not for parts of a frame: cells belong to all of it. Nor are the next ones.
    """
    lines, width = images.shape
    for k in range(cells.shape[0]):
        of_cell = cells[k]
        of_cell[:] = 0
        end = min((k + 1) * size, lines)
        for i in range(k * size, end):
            for x in range(width):
                of_cell[x] += images[i, x]
        share = np.float32(1 / (end - k * size))
        for x in range(width):
            of_cell[x] *= share


@compiled
def smooth_cells(cells: Floats, box: int, repeats: int, out: Floats) -> None:
    """(c, W) averaged with the cells above and below, then by moving averages along the line; ends go on.

    Parameters
    ----------
    box, repeats
        Odd width of the moving average, and how many follow each other.
    """
    count, width = cells.shape
    reach = box // 2
    longer = np.empty(width + 2 * reach)
    for k in range(count):
        above, below = max(k - 1, 0), min(k + 1, count - 1)
        for x in range(width):
            longer[reach + x] = (cells[above, x] + cells[k, x] + cells[below, x]) / 3
        for _ in range(repeats):
            longer[:reach] = longer[reach]
            longer[reach + width :] = longer[reach + width - 1]
            total = 0.0
            for x in range(box):
                total += longer[x]
            for x in range(width):
                out[k, x] = total / box
                if x < width - 1:
                    total += longer[x + box] - longer[x]
            for x in range(width):
                longer[reach + x] = out[k, x]


@compiled
def sum_spectra(
    first: Floats, second: Floats, of_first: Floats, of_second: Floats, shared: Floats, products: Floats
) -> None:
    """Powers, cross-spectrum and products of powers of spectra (n, F) complex64, summed over lines.

    Parameters
    ----------
    of_first, of_second, products
        (F,) float64, written to.
    shared
        (F,) complex128, written to.
    """
    of_first[:] = 0
    of_second[:] = 0
    shared[:] = 0
    products[:] = 0
    for i in range(first.shape[0]):
        for k in range(first.shape[1]):
            a, b = first[i, k], second[i, k]
            power_a, power_b = a.real * a.real + a.imag * a.imag, b.real * b.real + b.imag * b.imag
            of_first[k] += power_a
            of_second[k] += power_b
            products[k] += power_a * power_b
            shared[k] += complex(a.real * b.real + a.imag * b.imag, a.imag * b.real - a.real * b.imag)


@compiled
def subtract_between(images: Floats, cells: Floats, out: Floats, squares: Floats) -> None:
    """Images less what (cells, W) values, interpolated linearly down the frame, say; squares of it averaged by cell.

    Parameters
    ----------
    images, out
        (n, W).
    cells, squares
        (c, W) float32; cell k is of the lines from ``k ceil(n / c)`` on.
    """
    lines, width = images.shape
    count = cells.shape[0]
    size = -(-lines // count)
    squares[:] = 0
    for i in range(lines):
        place = min(max((i + 0.5) * count / lines - 0.5, 0.0), count - 1.0)
        above = min(int(place), max(count - 2, 0))
        below = min(above + 1, count - 1)
        t = np.float32(place - above)
        of_cell = squares[i // size]
        for x in range(width):
            value = images[i, x] - (cells[above, x] + t * (cells[below, x] - cells[above, x]))
            out[i, x] = value
            of_cell[x] += value * value
    for k in range(count):
        share = np.float32(1 / (min((k + 1) * size, lines) - k * size))
        for x in range(width):
            squares[k, x] *= share


@compiled
def multiply_between(images: Floats, cells: Floats) -> None:
    """Images (n, W) times (c, W) values that are interpolated linearly down the frame; in place."""
    lines, width = images.shape
    count = cells.shape[0]
    for i in range(lines):
        place = min(max((i + 0.5) * count / lines - 0.5, 0.0), count - 1.0)
        above = min(int(place), max(count - 2, 0))
        below = min(above + 1, count - 1)
        t = np.float32(place - above)
        for x in range(width):
            images[i, x] *= cells[above, x] + t * (cells[below, x] - cells[above, x])
