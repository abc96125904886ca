"""Scenes of anything but vessels, so that a network trained on them registers scans of what it has never seen.

Each kind gives a `Scene` as `vascular_scene` does; `content_scene` picks, mixes, inverts and blurs them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import fft, ndimage
from scipy.spatial import cKDTree

from sasnet_live.errors import InputError

from .vessels import MARGIN_PX, Centerlines, Floats, Scene, paint_tubes, smooth_field, vascular_scene

CONTENT_KINDS = ("vessels", "texture", "edges", "lattice", "granules", "network", "lines", "relief", "mixture")


def content_scene(
    rng: np.random.Generator,
    kind: str,
    height_px: int,
    width_px: int,
    *,
    samples_per_px: float = 2.0,
    margin_px: tuple[float, float] = MARGIN_PX,
) -> Scene:
    """A random scene of one kind.

    Parameters
    ----------
    kind
        One of `CONTENT_KINDS`. "texture": fractal or band-passed noise of any anisotropy; "edges": polygons and step
        terraces; "lattice": periodic, slightly distorted; "granules": blobs of mixed sizes; "network": cell walls
        and meandering ridges; "lines": straight and bent fibres; "relief": heights lit from the side, as
        error signals show them; "mixture": two of these.
    height_px, width_px, samples_per_px, margin_px
        As for `vascular_scene`.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    if kind not in CONTENT_KINDS:
        raise InputError(f"kind is {kind!r}; expected one of {', '.join(CONTENT_KINDS)}")
    if kind == "vessels":
        scene = vascular_scene(rng, height_px, width_px, samples_per_px=samples_per_px, margin_px=margin_px)
        return scene if rng.random() < 0.9 else _finished(rng, scene.image, samples_per_px, margin_px, inverted=True)
    size_px = (height_px + 2 * margin_px[0], width_px + 2 * margin_px[1])
    shape = (math.ceil(size_px[0] * samples_per_px) + 1, math.ceil(size_px[1] * samples_per_px) + 1)
    draw = _mixture if kind == "mixture" else _DRAW[kind]
    image = draw(rng, shape, samples_per_px)
    return _finished(rng, image, samples_per_px, margin_px, inverted=rng.random() < 0.4)


def _finished(
    rng: np.random.Generator, image: Floats, samples_per_px: float, margin_px: tuple[float, float], *, inverted: bool
) -> Scene:
    """Range 0 to about 1, optics, perhaps inverted, perhaps on an uneven background."""
    low, high = np.quantile(image[::4, ::4], (0.002, 0.998))
    image = ((image - low) / max(float(high - low), 1e-9)).clip(-0.1, 1.1).astype(np.float32)
    if inverted:
        image = 1.0 - image
    background = rng.random()
    if background < 0.3:
        image = image + np.float32(rng.uniform(0.05, 0.4)) * smooth_field(rng, image.shape, 4.0)
    elif background < 0.4:  # a tilted sample, whose slope takes most of the range
        slope = rng.normal(0, 0.6, 2)
        y, x = (np.linspace(-1, 1, size, dtype=np.float32) for size in image.shape)
        plane = (slope[0] * y[:, None] + slope[1] * x).astype(np.float32)
        image = np.float32(np.exp(rng.uniform(np.log(0.08), np.log(0.6)))) * image + plane
    image -= image.min()
    image /= max(1.0, float(image.max()))
    image = ndimage.gaussian_filter(image, float(rng.uniform(0.5, 1.3)) * samples_per_px, truncate=3.0)
    return Scene(image, samples_per_px, (-margin_px[0], -margin_px[1]))


def _filtered_noise(
    rng: np.random.Generator, shape: tuple[int, int], transfer: Callable[[Floats, Floats], Floats]
) -> Floats:
    """White noise through a transfer function of spatial frequency (fy, fx) in cycles a sample; unit variance."""
    size = (fft.next_fast_len(shape[0], real=True), fft.next_fast_len(shape[1], real=True))
    fy = np.fft.fftfreq(size[0]).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(size[1]).astype(np.float32)
    spectrum = rng.standard_normal((size[0], len(fx), 2), np.float32).view(np.complex64)[..., 0]
    spectrum *= transfer(fy, fx)
    spectrum[0, 0] = 0.0
    noise: Floats = fft.irfft2(spectrum, s=size, overwrite_x=True)[: shape[0], : shape[1]]
    noise /= noise[::3, ::3].std() + 1e-12
    return noise


def _standardized(image: Floats) -> Floats:
    """Zero mean and about unit variance."""
    scaled: Floats = (image - image.mean()) / (image[::3, ::3].std() + 1e-9)
    return scaled


def _gaussian(t: Floats) -> Floats:
    bell: Floats = np.exp(-0.5 * t * t)
    return bell


def _turned(rng: np.random.Generator, fy: Floats, fx: Floats, stretch: float) -> Floats:
    """Squared frequency measured on an ellipse of random direction."""
    angle = rng.uniform(0, np.pi)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = c * fx + s * fy, c * fy - s * fx
    return (along * np.float32(stretch)) ** 2 + (across / np.float32(stretch)) ** 2


def _texture(rng: np.random.Generator, shape: tuple[int, int], samples_per_px: float) -> Floats:
    stretch = float(np.exp(rng.uniform(0, 1.0)))
    if rng.random() < 0.5:
        exponent = float(rng.uniform(0.6, 1.9))  # of amplitude: power falls with twice it

        def transfer(fy: Floats, fx: Floats) -> Floats:
            corner = np.float32(1.0 / (max(shape) * rng.uniform(0.1, 1.0)))
            return (_turned(rng, fy, fx, stretch) + corner**2) ** np.float32(-0.5 * exponent)

    else:
        centre = 1.0 / (samples_per_px * float(np.exp(rng.uniform(np.log(4), np.log(40)))))
        width = centre * float(rng.uniform(0.2, 0.8))

        def transfer(fy: Floats, fx: Floats) -> Floats:
            frequency = np.sqrt(_turned(rng, fy, fx, stretch))
            return _gaussian((frequency - np.float32(centre)) / np.float32(width))

    noise = _filtered_noise(rng, shape, transfer)
    return np.exp(0.5 * noise) if rng.random() < 0.3 else noise


def _edges(rng: np.random.Generator, shape: tuple[int, int], samples_per_px: float) -> Floats:
    if rng.random() < 0.5:  # terraces: contour levels of a smooth surface, with some roughness on top
        exponent = float(rng.uniform(1.8, 2.6))

        def surface(fy: Floats, fx: Floats) -> Floats:
            corner = np.float32(2.0 / max(shape))
            return (_turned(rng, fy, fx, float(rng.uniform(1, 2))) + corner**2) ** np.float32(-0.5 * exponent)

        steps = float(rng.uniform(0.8, 4.0))
        image = np.floor(_filtered_noise(rng, shape, surface) * steps) / steps
        image += np.float32(0.3) * smooth_field(rng, shape, 2.0)
    else:
        image = np.float32(rng.uniform(0, 0.3)) * smooth_field(rng, shape, 3.0)
        for _ in range(int(rng.integers(15, 90))):
            _add_polygon(rng, image, samples_per_px)
    if rng.random() < 0.5:
        image += np.float32(rng.uniform(0.02, 0.3)) * _texture(rng, shape, samples_per_px)
    return image


def _add_polygon(rng: np.random.Generator, image: Floats, samples_per_px: float) -> None:
    """A convex polygon of random brightness: what lies inside three to seven half-planes around a centre."""
    size = samples_per_px * float(np.exp(rng.uniform(np.log(4), np.log(70))))
    row, column = rng.uniform(0, image.shape[0]), rng.uniform(0, image.shape[1])
    top, bottom = max(0, int(row - 1.6 * size)), min(image.shape[0], int(row + 1.6 * size) + 1)
    left, right = max(0, int(column - 1.6 * size)), min(image.shape[1], int(column + 1.6 * size) + 1)
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(row)
    x = np.arange(left, right, dtype=np.float32) - np.float32(column)
    inside = y * y + x * x < np.float32((1.5 * size) ** 2)
    count = int(rng.integers(3, 8))
    for k in range(count):
        angle = 2 * np.pi * (k + rng.uniform(-0.3, 0.3)) / count
        inside &= np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y < np.float32(
            size * rng.uniform(0.5, 1.0)
        )
    patch = image[top:bottom, left:right]
    level = np.float32(rng.uniform(-1, 1))
    patch[inside] = level if rng.random() < 0.5 else patch[inside] + level


def _lattice(rng: np.random.Generator, shape: tuple[int, int], samples_per_px: float) -> Floats:
    period = samples_per_px * float(np.exp(rng.uniform(np.log(6), np.log(48))))
    angle = rng.uniform(0, np.pi)
    between = float(rng.choice([np.pi / 2, np.pi / 3])) + rng.normal(0, 0.05)
    y = np.arange(shape[0], dtype=np.float32)[:, None]
    x = np.arange(shape[1], dtype=np.float32)
    image = np.zeros(shape, np.float32)
    distortion = float(rng.uniform(0.3, 3.0))
    for k in range(int(rng.integers(1, 4))):
        direction = angle + k * between
        phase = (np.cos(direction) * x + np.sin(direction) * y) * np.float32(2 * np.pi / period)
        phase = phase.astype(np.float32) + np.float32(distortion) * smooth_field(rng, shape, 5.0)
        image += np.float32(rng.uniform(0.4, 1.0)) * np.cos(phase)
    if rng.random() < 0.5:
        image = np.exp(image * np.float32(rng.uniform(0.5, 1.5)))  # narrow peaks, as of atoms
        image /= image.std()
    # What is perfectly periodic has no single displacement; defects and roughness decide.
    image *= 1 + np.float32(rng.uniform(0.1, 0.6)) * smooth_field(rng, shape, 8.0)
    return image + np.float32(rng.uniform(0.2, 0.8)) * _granules(rng, shape, samples_per_px)


def _granules(rng: np.random.Generator, shape: tuple[int, int], samples_per_px: float) -> Floats:
    """Blobs, Gaussian or flat, of several sizes: random points through the transfer function of each size."""
    size = (fft.next_fast_len(shape[0], real=True), fft.next_fast_len(shape[1], real=True))
    squared = (
        np.fft.fftfreq(size[0]).astype(np.float32)[:, None] ** 2 + np.fft.rfftfreq(size[1]).astype(np.float32) ** 2
    )
    total = np.zeros(squared.shape, np.complex64)
    for _ in range(int(rng.integers(2, 5))):
        radius = samples_per_px * float(np.exp(rng.uniform(np.log(0.8), np.log(14))))
        cover = float(np.exp(rng.uniform(np.log(0.02), np.log(0.4))))
        count = max(3, int(cover * shape[0] * shape[1] / (np.pi * radius**2)))
        points = np.zeros(size, np.float32)
        index = rng.integers(0, size[0], count), rng.integers(0, size[1], count)
        points[index] = rng.uniform(0.3, 1.0, count) * 2 * np.pi * radius**2
        total += fft.rfft2(points) * np.exp(np.float32(-2 * (np.pi * radius) ** 2) * squared)
    image: Floats = fft.irfft2(total, s=size, overwrite_x=True)[: shape[0], : shape[1]]
    if rng.random() < 0.4:
        steepness = np.float32(rng.uniform(2, 12))
        image = np.tanh(steepness * (image - np.float32(rng.uniform(0.3, 0.6))))
    return _standardized(image)


def _network(rng: np.random.Generator, shape: tuple[int, int], samples_per_px: float) -> Floats:
    if rng.random() < 0.5:  # where band-passed noise crosses zero: meandering ridges
        centre = 1.0 / (samples_per_px * float(np.exp(rng.uniform(np.log(10), np.log(60)))))

        def transfer(fy: Floats, fx: Floats) -> Floats:
            frequency = np.sqrt(_turned(rng, fy, fx, float(rng.uniform(1, 1.6))))
            return _gaussian((frequency - np.float32(centre)) / np.float32(0.4 * centre))

        noise = _filtered_noise(rng, shape, transfer)
        image = np.exp(-((noise / np.float32(rng.uniform(0.1, 0.5))) ** 2))
    else:  # walls between the cells of random seeds, drawn at 1 sample a px: the optics blur it anyway
        spacing = float(np.exp(rng.uniform(np.log(10), np.log(50))))
        size = (shape[0] / samples_per_px, shape[1] / samples_per_px)
        seeds = rng.uniform(0, 1, (max(4, int(size[0] * size[1] / spacing**2)), 2)) * size
        rows, columns = math.ceil(size[0]) + 1, math.ceil(size[1]) + 1
        grid = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1).reshape(-1, 2)
        distance, cell = cKDTree(seeds).query(grid, k=2)
        thickness = np.exp(rng.uniform(np.log(1.5), np.log(0.6 * spacing)))  # up to domes that touch
        wall = np.exp(-(((distance[:, 1] - distance[:, 0]) / thickness) ** 2))
        wall += rng.uniform(0, 0.8) * rng.uniform(0, 1, len(seeds))[cell[:, 0]]
        coarse = wall.reshape(rows, columns).astype(np.float32)
        y = np.arange(shape[0], dtype=np.float32)[:, None] / np.float32(samples_per_px)
        x = np.arange(shape[1], dtype=np.float32) / np.float32(samples_per_px)
        image = ndimage.map_coordinates(coarse, np.stack(np.broadcast_arrays(y, x)), np.float32, order=1)
    return image + np.float32(rng.uniform(0.0, 0.25)) * _texture(rng, shape, samples_per_px)


def _lines(rng: np.random.Generator, shape: tuple[int, int], samples_per_px: float) -> Floats:
    """Fibres: straight or evenly bent, of one direction or of all, thin and thick."""
    count = int(rng.integers(20, 140))
    reach = math.hypot(*shape) / samples_per_px
    along = np.arange(-0.5 * reach, 0.5 * reach, 0.75 / samples_per_px)
    spread = float(rng.choice([0.1, 0.5, 3.2]))
    heading = rng.uniform(0, 2 * np.pi) + rng.normal(0, spread, (count, 1))
    heading = heading + rng.normal(0, 0.6 / reach, (count, 1)) * along * float(rng.integers(0, 2))
    step = 0.75 / samples_per_px
    y = rng.uniform(0, shape[0] / samples_per_px, (count, 1)) + (np.cumsum(np.sin(heading), 1)) * step
    x = rng.uniform(0, shape[1] / samples_per_px, (count, 1)) + (np.cumsum(np.cos(heading), 1)) * step
    middle = y.shape[1] // 2
    y, x = y - (y[:, middle] - y[:, 0])[:, None], x - (x[:, middle] - x[:, 0])[:, None]
    inside = (y > -9) & (x > -9) & (y < shape[0] / samples_per_px + 9) & (x < shape[1] / samples_per_px + 9)
    if rng.random() < 0.5:  # pieces only
        inside &= np.abs(along) < rng.uniform(8, 0.4 * reach, (count, 1))
    radius = np.broadcast_to(np.exp(rng.uniform(np.log(0.4), np.log(5), (count, 1))), y.shape)
    brightness = np.broadcast_to(rng.uniform(0.2, 1, (count, 1)), y.shape)
    image = np.zeros(shape, np.float32)
    heading = np.broadcast_to(heading, y.shape)
    paint_tubes(
        image, Centerlines(y[inside], x[inside], radius[inside], heading[inside], brightness[inside]), samples_per_px
    )
    return image + np.float32(rng.uniform(0.0, 0.1)) * _texture(rng, shape, samples_per_px)


def _relief(rng: np.random.Generator, shape: tuple[int, int], samples_per_px: float) -> Floats:
    """Grains, terraces or a rough surface, by slope in one direction and a little by height."""
    height = (_granules, _network, _edges, _texture)[int(rng.integers(4))](rng, shape, samples_per_px)
    height = ndimage.gaussian_filter(height, samples_per_px * float(rng.uniform(0.5, 2.0)), truncate=3.0)
    angle = float(rng.uniform(0, 2 * np.pi)) if rng.random() < 0.5 else 0.0  # 0: along the scan lines
    down, right = np.gradient(height)
    slope = _standardized(np.float32(np.sin(angle)) * down + np.float32(np.cos(angle)) * right)
    return slope.clip(-5, 5) + np.float32(rng.uniform(0.0, 0.5)) * _standardized(height)


_DRAW: dict[str, Callable[[np.random.Generator, tuple[int, int], float], Floats]] = {
    "texture": _texture,
    "edges": _edges,
    "lattice": _lattice,
    "granules": _granules,
    "network": _network,
    "lines": _lines,
    "relief": _relief,
}


def _mixture(rng: np.random.Generator, shape: tuple[int, int], samples_per_px: float) -> Floats:
    """Two kinds added, the brighter of the two, or side by side along a soft border."""
    one, two = (str(name) for name in rng.choice(list(_DRAW), 2, replace=False))
    first, second = (_DRAW[name](rng, shape, samples_per_px) for name in (one, two))
    first, second = _standardized(first), _standardized(second)
    how = rng.integers(0, 3)
    if how == 0:
        first += np.float32(rng.uniform(0.2, 1.0)) * second
    elif how == 1:
        np.maximum(first, second, out=first)
    else:
        border = 1 / (1 + np.exp(-8 * smooth_field(rng, shape, 3.0)))
        first = second + border * (first - second)
    return first
