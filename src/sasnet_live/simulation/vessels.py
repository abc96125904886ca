"""Continuous scenes, and scenes of blood vessels: what lies under the microscope before any scanner sees it.

A scene is a raster finer than the frame's px, already blurred by the optical point-spread function and linearly
interpolated between its samples. For a Gaussian point-spread function of standard deviation ``sigma`` px and ``n``
samples a px, the interpolated curve differs from the blurred one by at most ``1 / (8 n^2 sigma^2)`` of the contrast:
1.4 % for one px and three samples, 3.1 % for two. The scanned passes and their truth read the same interpolated
curve, so this bounds the realism of the scene, not the accuracy of the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage, signal

from sasnet_live.errors import InputError

Floats = np.ndarray[Any, np.dtype[Any]]  # float32, unless a docstring says otherwise
Doubles = np.ndarray[Any, np.dtype[Any]]  # float64

MARGIN_PX = (12.0, 40.0)  # around the frame along (y, x): a scan displaced by this much stays inside the scene


@dataclass(frozen=True)
class Scene:
    """Brightness as a function of continuous coordinates.

    Attributes
    ----------
    image
        (rows, columns) float32, >= 0, about 1 at the brightest.
    samples_per_px
        Samples of `image` per px of the frame, along both axes.
    origin_px
        (y, x) of the sample ``image[0, 0]``; usually negative, because of the margin.
    """

    image: Floats
    samples_per_px: float
    origin_px: tuple[float, float]

    def __post_init__(self) -> None:
        if self.image.ndim != 2 or self.image.dtype != np.float32:
            raise InputError(
                f"a scene image of {self.image.shape} {self.image.dtype} came; expected (rows, columns) float32"
            )
        if not self.samples_per_px > 0:
            raise InputError(f"samples_per_px is {self.samples_per_px}; expected more than 0")

    @property
    def extent_px(self) -> tuple[float, float, float, float]:
        """(y_min, y_max, x_min, x_max) inside which the scene is drawn; beyond it is mirrored."""
        (y, x), (rows, columns) = self.origin_px, self.image.shape
        return y, y + (rows - 1) / self.samples_per_px, x, x + (columns - 1) / self.samples_per_px

    def sample(self, y_px: np.ndarray[Any, Any], x_px: np.ndarray[Any, Any]) -> Floats:
        """Brightness at y (in raw lines) and x (in px), arrays of one shape; float32, linearly interpolated."""
        coordinates = np.empty((2, *np.shape(x_px)), np.float32)
        coordinates[0] = (y_px - self.origin_px[0]) * self.samples_per_px
        coordinates[1] = (x_px - self.origin_px[1]) * self.samples_per_px
        values: Floats = ndimage.map_coordinates(self.image, coordinates, np.float32, order=1, mode="mirror")
        return values

    def moved(self, y_px: float, x_px: float) -> Scene:
        """The same scene with its content moved down and to the right; shares the raster."""
        return replace(self, origin_px=(self.origin_px[0] + y_px, self.origin_px[1] + x_px))


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], waves: float) -> Floats:
    """(rows, columns) random field of zero mean and about unit variance with up to `waves` half waves across."""
    count = max(2, math.ceil(waves) + 1)
    bases = []
    for size in shape:
        phase = np.pi * (np.arange(size, dtype=np.float32) + 0.5) / size
        bases.append(np.cos(phase[:, None] * np.arange(count, dtype=np.float32)))
    order = np.arange(count)
    power = np.exp(-2.0 * (order[:, None] ** 2 + order**2) / waves**2)
    power[0, 0] = 0.0
    scale = np.where(order > 0, 2.0, 1.0)  # cos^2 averages to a half, except that of order 0
    power *= scale[:, None] * scale / power.sum()
    coefficients = (rng.standard_normal((count, count)) * np.sqrt(power)).astype(np.float32)
    field: Floats = bases[0] @ coefficients @ bases[1].T
    return field


@dataclass(frozen=True)
class Centerlines:
    """Points along vessels, all (n,): position and radius in px, heading in rad (0 is +x), brightness."""

    y_px: Doubles
    x_px: Doubles
    radius_px: Doubles
    heading_rad: Doubles
    brightness: Doubles

    @staticmethod
    def concatenate(parts: list[Centerlines]) -> Centerlines:
        return Centerlines(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("y_px", "x_px", "radius_px", "heading_rad", "brightness")
            )
        )


@dataclass(frozen=True)
class _Branches:
    """One generation of branches, all (n,): where each starts and how it goes on."""

    y_px: Doubles
    x_px: Doubles
    heading_rad: Doubles
    radius_px: Doubles
    brightness: Doubles

    def __len__(self) -> int:
        return len(self.y_px)

    def take(self, index: np.ndarray[Any, Any]) -> _Branches:
        return _Branches(
            self.y_px[index], self.x_px[index], self.heading_rad[index], self.radius_px[index], self.brightness[index]
        )


_MAX_BRANCHES = 400  # a generation; keeps a scene's growth time bounded
_GENERATIONS = 9


def vascular_scene(
    rng: np.random.Generator,
    height_px: int,
    width_px: int,
    *,
    samples_per_px: float = 3.0,
    margin_px: tuple[float, float] = MARGIN_PX,
    psf_px: float | None = None,
) -> Scene:
    """Grow arteries, veins and a capillary bed over a frame and its margin.

    Arterial and venous trees enter from the borders, taper, bifurcate by Murray's law and sprout side branches down
    to capillary size; they cross freely, as in a maximum-amplitude projection, where the brighter one wins. Red
    cells make the brightness granular; tissue gives a dim, uneven background.

    Parameters
    ----------
    height_px, width_px
        Of the frame: raw lines, and px along a line.
    samples_per_px
        Of the raster.
    margin_px
        (y, x) around the frame.
    psf_px
        Standard deviation of the optical point-spread function; None: drawn between 0.9 and 1.7 px.

    References
    ----------
    C. D. Murray, "The physiological principle of minimum work", PNAS 12, 207 (1926): radii (cubes add up) and angles.
    """
    if height_px < 1 or width_px < 1:
        raise InputError(f"a scene of {height_px} x {width_px} px came; expected at least 1 x 1")
    size_px = (height_px + 2 * margin_px[0], width_px + 2 * margin_px[1])
    shape = (math.ceil(size_px[0] * samples_per_px) + 1, math.ceil(size_px[1] * samples_per_px) + 1)
    psf = float(rng.uniform(0.9, 1.7)) if psf_px is None else psf_px
    density = float(rng.lognormal(0.0, 0.35))
    area = size_px[0] * size_px[1] / 512**2

    image = np.zeros(shape, np.float32)
    paint_tubes(image, _capillaries(rng, size_px, round(240 * density * area)), samples_per_px)
    for scale, brightness in ((1.0, rng.uniform(0.6, 1.0)), (1.35, rng.uniform(0.5, 1.0))):  # arteries, then veins
        roots = _roots(rng, size_px, 1 + rng.poisson(2.2 * density * math.sqrt(area)), scale, float(brightness))
        paint_tubes(image, _tree(rng, roots, size_px), samples_per_px)

    depth = 0.85 + 0.15 * np.tanh(smooth_field(rng, shape, 3.0))
    background = rng.uniform(0.01, 0.06) * np.exp(0.5 * smooth_field(rng, shape, 5.0))
    # Absorbers are counted in each resolution cell: exponential grains before the blur give speckle after it.
    grain = float(rng.uniform(0.3, 1.0))
    image = (image * depth + background) * (1.0 - grain + grain * rng.standard_exponential(shape, np.float32))
    image = ndimage.gaussian_filter(image, psf * samples_per_px, truncate=3.0)
    image /= np.quantile(image[::4, ::4], 0.999)
    return Scene(image, samples_per_px, (-margin_px[0], -margin_px[1]))


def paint_tubes(image: Floats, lines: Centerlines, samples_per_px: float) -> None:
    """Paint the cross-sections of cylinders into `image`, in place; where tubes cross, the brighter one shows.

    Coordinates are those of the image: ``y_px = 0`` is its first row. Points are taken to be at most 0.8 samples apart.
    """
    radius = lines.radius_px * samples_per_px + 0.3
    reach = np.ceil(radius).astype(np.intp)
    flat = image.reshape(-1)
    for half_width in np.unique(reach):
        here = reach == half_width
        across = np.arange(-half_width, half_width + 1, dtype=np.float32)
        r = radius[here, None].astype(np.float32)
        profile = np.sqrt(np.maximum(0.0, 1.0 - (across / r) ** 2)) * lines.brightness[here, None].astype(np.float32)
        heading = lines.heading_rad[here, None]
        y = lines.y_px[here, None] * samples_per_px + across * np.cos(heading)
        x = lines.x_px[here, None] * samples_per_px - across * np.sin(heading)
        row, column = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
        inside = (row >= 0) & (row < image.shape[0]) & (column >= 0) & (column < image.shape[1]) & (profile > 0)
        np.maximum.at(flat, row[inside] * image.shape[1] + column[inside], profile[inside].astype(np.float32))


def _roots(
    rng: np.random.Generator, size_px: tuple[float, float], count: int, scale: float, brightness: float
) -> _Branches:
    """Trunks on the border of the scene, heading inwards."""
    height, width = size_px
    along = rng.uniform(0, 2 * (height + width), count)  # around the border, clockwise from the top left
    side = np.searchsorted(np.cumsum([width, height, width]), along, side="right")
    corner = np.array([0.0, width, width + height, 2 * width + height])[side]
    t = along - corner
    y = np.choose(side, [np.zeros(count), t, np.full(count, height), height - t])
    x = np.choose(side, [t, np.full(count, width), width - t, np.zeros(count)])
    inwards = np.array([0.5, 1.0, -0.5, 0.0])[side] * np.pi
    radius = scale * np.clip(rng.lognormal(math.log(3.5), 0.45, count), 1.5, 11.0)
    return _Branches(y, x, inwards + rng.normal(0, 0.4, count), radius, brightness * rng.uniform(0.8, 1.1, count))


def _tree(rng: np.random.Generator, branches: _Branches, size_px: tuple[float, float]) -> Centerlines:
    """Grow generation after generation until all ends are capillaries or outside."""
    parts = []
    smallest = float(rng.uniform(0.4, 0.7))
    for _ in range(_GENERATIONS):
        length = (18 + 15 * branches.radius_px) * rng.gamma(4.0, 0.25, len(branches))
        y, x, heading, alive = _walk(rng, branches, length, size_px)
        along = np.arange(y.shape[1])
        radius = branches.radius_px[:, None] * (1 - 0.12 * np.minimum(along / length[:, None], 1.0))
        brightness = np.broadcast_to(branches.brightness[:, None], y.shape)
        parts.append(Centerlines(y[alive], x[alive], radius[alive], heading[alive], brightness[alive]))
        children = _children(rng, branches, (y, x, heading, radius, alive), length)
        # Not every thin branch is followed: most dive out of the focal plane.
        followed = (children.radius_px > smallest) & (rng.random(len(children)) < 0.35 + 0.35 * children.radius_px)
        branches = children.take(np.flatnonzero(followed))
        if len(branches) > _MAX_BRANCHES:
            branches = branches.take(np.sort(rng.choice(len(branches), _MAX_BRANCHES, replace=False)))
        if not len(branches):
            break
    return _refined(parts)


def _walk(
    rng: np.random.Generator,
    branches: _Branches,
    length_px: Doubles,
    size_px: tuple[float, float],
    step_px: float = 1.0,
) -> tuple[Doubles, Doubles, Doubles, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Tortuous paths, (n, steps) each: y, x, heading, and whether the vessel is still there.

    The heading returns to the branch's own direction (an Ornstein-Uhlenbeck process), with a winding that thin
    vessels have more of.
    """
    steps = max(2, math.ceil(float(length_px.max()) / step_px))
    along = np.arange(steps) * step_px
    n = len(branches)
    thinness = 1.0 / np.sqrt(branches.radius_px)[:, None]
    memory = math.exp(-step_px / 45.0)
    kicks = rng.standard_normal((n, steps)) * (0.055 * math.sqrt(step_px)) * (0.5 + thinness)
    wander = signal.lfilter([1.0], [1.0, -memory], kicks, axis=1)
    pitch = (14 + 8 * branches.radius_px)[:, None] * rng.uniform(0.7, 1.6, (n, 1))
    winding = (
        0.35 * thinness * rng.uniform(0, 1, (n, 1)) * np.sin(2 * np.pi * along / pitch + rng.uniform(0, 6.3, (n, 1)))
    )
    heading = branches.heading_rad[:, None] + wander + winding - winding[:, :1] - wander[:, :1]
    y = branches.y_px[:, None] + np.cumsum(np.sin(heading), axis=1) * step_px
    x = branches.x_px[:, None] + np.cumsum(np.cos(heading), axis=1) * step_px
    slack = 8.0
    outside = (y < -slack) | (x < -slack) | (y > size_px[0] + slack) | (x > size_px[1] + slack)
    alive = ~np.logical_or.accumulate(outside, axis=1) & (along < length_px[:, None])
    return y, x, heading, alive


def _children(
    rng: np.random.Generator,
    parents: _Branches,
    paths: tuple[Doubles, Doubles, Doubles, Doubles, np.ndarray[Any, np.dtype[np.bool_]]],
    length_px: Doubles,
) -> _Branches:
    """The two daughters at each living end, and sprouts along the way."""
    y, x, heading, radius, alive = paths
    last = np.minimum(np.ceil(length_px).astype(np.intp), y.shape[1]) - 1
    ended = np.flatnonzero(alive[np.arange(len(parents)), last])
    tip = (ended, last[ended])
    r = radius[tip]
    asymmetry = rng.uniform(0.45, 1.0, len(ended))
    large = r / np.cbrt(1 + asymmetry**3)  # Murray: the cubes of the daughters' radii add up to the parent's
    small = asymmetry * large
    side = rng.choice([-1.0, 1.0], len(ended))
    starts = []
    for mine, other, sign in ((large, small, side), (small, large, -side)):
        cosine = (r**4 + mine**4 - other**4) / (2 * r**2 * mine**2)  # the angle of least work
        angle = np.arccos(np.clip(cosine, -1, 1)) * rng.uniform(0.6, 1.2, len(ended))
        starts.append((y[tip], x[tip], heading[tip] + sign * angle, mine, parents.brightness[ended]))

    chance = 1.0 / (22.0 + 9.0 * radius)
    row, column = np.nonzero(alive & (rng.random(y.shape) < chance) & (radius > 0.8))
    side = rng.choice([-1.0, 1.0], len(row))
    sprout = radius[row, column] * rng.uniform(0.2, 0.65, len(row))
    turn = side * rng.uniform(0.6, 1.4, len(row))
    starts.append(
        (y[row, column], x[row, column], heading[row, column] + turn, np.maximum(sprout, 0.45), parents.brightness[row])
    )
    return _Branches(*(np.concatenate(column) for column in zip(*starts, strict=True)))


def _capillaries(rng: np.random.Generator, size_px: tuple[float, float], count: int) -> Centerlines:
    """Thin, winding, dim vessels in patches all over the scene."""
    patches = rng.uniform(0, 1, (max(3, count // 25), 2)) * size_px
    middle = patches[rng.integers(0, len(patches), count)] + rng.normal(0, 35.0, (count, 2))
    branches = _Branches(
        middle[:, 0],
        middle[:, 1],
        rng.uniform(0, 2 * np.pi, count),
        rng.uniform(0.35, 0.75, count),
        rng.uniform(0.25, 0.9, count),
    )
    if not count:
        return _refined([])
    y, x, heading, alive = _walk(rng, branches, rng.uniform(25, 110, count), size_px)
    shape = y.shape
    return _refined(
        [
            Centerlines(
                y[alive],
                x[alive],
                np.broadcast_to(branches.radius_px[:, None], shape)[alive],
                heading[alive],
                np.broadcast_to(branches.brightness[:, None], shape)[alive],
            )
        ]
    )


def _refined(parts: list[Centerlines], per_step: int = 4) -> Centerlines:
    """Points `per_step` times as close: each step of a path is straight, so the points between follow its heading."""
    if not parts:
        empty = np.empty(0)
        return Centerlines(empty, empty, empty, empty, empty)
    lines = Centerlines.concatenate(parts)
    back = np.arange(per_step) / per_step
    return Centerlines(
        (lines.y_px[:, None] - back * np.sin(lines.heading_rad)[:, None]).ravel(),
        (lines.x_px[:, None] - back * np.cos(lines.heading_rad)[:, None]).ravel(),
        np.repeat(lines.radius_px, per_step),
        np.repeat(lines.heading_rad, per_step),
        np.repeat(lines.brightness, per_step),
    )
