"""Real images through a scan model that is not the simulator's: what is tuned on the one is tested on the other.

Eight images that come with scikit-image (fundus, micro-aneurysms, histology, portrait, coins, gravel, moon) are
recorded by scanners of three levels. The model shares no code with `sasnet_live.simulation`: profiles are sums of
cosines in both passes, lines jitter, wander and creep, appearance is a gain and an offset along the line, an exponent,
a blur and an exponential tail in the direction of the scan, noise is multiplicative by line and px, and additive.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates, uniform_filter1d
from scipy.signal import lfilter

from sasnet_live.geometry import ScanGeometry

from .case import Case, Entry, Image
from .optional import library

SEEDS = 3  # scans of each image at each level


@dataclass(frozen=True)
class _Level:
    """Typical sizes; px are of lines of 512 px."""

    lag_px: float
    noise: float
    line_px: float
    appearance: float
    tail_px: float


LEVELS = {
    "easy": _Level(3, 0.01, 0.3, 0.15, 0.2),
    "medium": _Level(8, 0.03, 0.6, 0.35, 0.5),
    "hard": _Level(16, 0.08, 1.0, 0.5, 1.0),
}


def other_scanner_entries(shape: tuple[int, int], geometry: ScanGeometry | None) -> list[Entry]:
    """All images by all scanners at a raw frame shape (H, W), lines as rows; only `slow_axis` of the geometry counts.

    Raises
    ------
    InputError
        If scikit-image is missing.
    """
    library("skimage.data")
    scan = ScanGeometry(slow_axis=(geometry or ScanGeometry()).slow_axis)
    return [
        Entry(f"{image}-{seed}", level, partial(_case, image, level, seed, shape, scan))
        for level in LEVELS
        for seed in range(SEEDS)
        for image in _CROPS
    ]


# What is shown of each image: its name in `skimage.data`, channel, (top, bottom, left, right), darker is more.
_CROPS: dict[str, tuple[str, int | None, tuple[int, int, int, int], bool]] = {
    "fundus": ("retina", 1, (150, 950, 250, 1250), True),
    "fundus-low": ("retina", 1, (500, 1250, 300, 1300), True),
    "aneurysms": ("microaneurysms", None, (0, 102, 0, 102), True),
    "histology": ("immunohistochemistry", 2, (0, 512, 0, 512), True),
    "portrait": ("camera", None, (0, 512, 0, 512), False),
    "coins": ("coins", None, (0, 303, 0, 384), False),
    "gravel": ("gravel", None, (0, 512, 0, 512), False),
    "moon": ("moon", None, (0, 512, 0, 512), False),
}


@cache
def _image(name: str) -> Image:
    """Brightness, about 0 to 1."""
    source, channel, (top, bottom, left, right), dark = _CROPS[name]
    image = np.asarray(getattr(library("skimage.data"), source)(), float)
    image = image if channel is None else image[..., channel]
    image = (-image if dark else image)[top:bottom, left:right]
    low, high = np.percentile(image, (0.5, 99.5))
    scaled: Image = ((image - low) / (high - low)).clip(0)
    return scaled


def _case(image: str, level: str, seed: int, shape: tuple[int, int], geometry: ScanGeometry) -> Case:
    rng = np.random.default_rng([zlib.crc32(image.encode()), sorted(LEVELS).index(level), seed])
    sizes, n, width = LEVELS[level], shape[0] // 2, shape[1]
    px = width / 512
    u, x, k = np.linspace(0, 1, width), np.arange(width, dtype=float), np.arange(n)[:, None]

    # Where the beam is: forward at x + p_f(x), backward at x + p_b(x) + q(line).
    lag = sizes.lag_px * px
    forward_x = x + _cosines(rng, u, 0.15 * lag)
    backward_x = x + rng.choice([-1, 1]) * lag * rng.uniform(0.6, 1.0) + _cosines(rng, u, 0.35 * lag)
    line_px = sizes.line_px * max(px, 0.5)
    q = rng.normal(0, 0.25 * line_px, n) + np.cumsum(rng.normal(0, 0.05 * line_px, n))
    q += np.linspace(0, rng.normal() * line_px, n)

    # What the forward pass sees at x, the backward pass saw at `source`; beyond its ends the path goes straight on.
    source = np.stack([_inverse(backward_x + shift, forward_x) for shift in q])
    if geometry.slow_axis == "continuous":
        forward_y, backward_y, truth_y = 2 * k + u, 2 * k + 2 - u, 2 * k + 2 - source / (width - 1)
    else:
        between = 0.5 if geometry.slow_axis == "interleaved" else 0.0
        forward_y, backward_y, truth_y = (2 * k + 1 + side * between + 0 * u for side in (-1, 1, 1))

    scene = _Scene(_image(image), shape)
    first, second = _Appearance.draw(rng, u, sizes), _Appearance.draw(rng, u, sizes)
    forward = first.of(scene.at(forward_y, forward_x + 0 * forward_y), 1)
    truth = first.of(scene.at(truth_y, forward_x + 0 * truth_y), 1)
    backward = second.of(scene.at(backward_y, backward_x + q[:, None]), -1)
    displacement = x - source + first.delay_px + second.delay_px
    slope = np.sqrt(uniform_filter1d(np.gradient(truth, axis=1) ** 2, 7, axis=1))
    recorded = (x - displacement >= 0) & (x - displacement <= width - 1)
    return Case(
        f"{image}-{seed}",
        level,
        _noisy(rng, forward, sizes.noise),
        _noisy(rng, backward, sizes.noise),
        geometry,
        truth=truth.astype(np.float32),
        displacement_px=displacement.astype(np.float32),
        textured=(slope > 0.1 * np.percentile(slope, 99)) & recorded,
    )


def _cosines(rng: np.random.Generator, u: Image, size: float) -> Image:
    """(W,) smooth profile: three cosines of random phase."""
    waves = [rng.normal() / (k + 1) * np.cos(np.pi * k * u + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 3)]
    profile: Image = size * np.sum(waves, 0)
    return profile


def _inverse(positions: Image, wanted: Image) -> Image:
    """(W,) at which place a rising path (W,) has the positions wanted, going straight on beyond its ends."""
    far = float(len(positions))
    x = np.r_[-far, np.arange(len(positions)), 2 * far - 1]
    return np.interp(wanted, np.r_[positions[0] - far, positions, positions[-1] + far], x)


class _Scene:
    """An image spread over a frame and a margin either side of its lines."""

    def __init__(self, image: Image, shape: tuple[int, int]) -> None:
        margin = 0.12 * shape[1] + 4
        self._offset = margin
        self._steps = ((image.shape[0] - 1) / (shape[0] + 2), (image.shape[1] - 1) / (shape[1] + 2 * margin))
        # Finer detail than the px of the frame would alias: a beam blurs it.
        self._image = gaussian_filter(image, [0.6 * max(step - 0.5, 0) for step in self._steps])

    def at(self, y: Image, x: Image) -> Image:
        """Brightness at y (raw lines) and x (px), (n, W) each."""
        places = [y * self._steps[0], (x + self._offset) * self._steps[1]]
        values: Image = map_coordinates(self._image, places, order=3, mode="nearest")
        return values.clip(0, None)


@dataclass(frozen=True)
class _Appearance:
    """What the detector makes of brightness in one pass."""

    gain: Image
    offset: Image
    exponent: float
    blur_px: float
    tail_px: float

    @classmethod
    def draw(cls, rng: np.random.Generator, u: Image, sizes: _Level) -> _Appearance:
        return cls(
            gain=(1 + _cosines(rng, u, sizes.appearance)).clip(0.3, 3),
            offset=0.15 + _cosines(rng, u, 0.2 * sizes.appearance),
            exponent=float(np.exp(0.5 * sizes.appearance * rng.normal())),
            blur_px=0.3 + rng.uniform() * sizes.appearance,
            tail_px=0.8 * sizes.tail_px * rng.uniform(0.5, 1.5),
        )

    def of(self, brightness: Image, direction: int) -> Image:
        """(n, W) signal; `direction` is 1 forward, -1 backward."""
        lines: Image = gaussian_filter1d(brightness**self.exponent, self.blur_px, axis=1)[:, ::direction]
        memory = self._memory
        lines, _ = lfilter([1 - memory], [1, -memory], lines, axis=1, zi=memory * lines[:, :1])
        return self.gain * lines[:, ::direction] + self.offset

    @property
    def delay_px(self) -> float:
        """By how much the tail shows content later: its first moment."""
        return self._memory / (1 - self._memory)

    @property
    def _memory(self) -> float:
        return float(np.exp(-1 / self.tail_px))


def _noisy(rng: np.random.Generator, lines: Image, noise: float) -> Image:
    gain = (1 + rng.normal(0, 0.5 * noise, (len(lines), 1))) * (1 + rng.normal(0, noise, lines.shape))
    noisy: Image = (lines * gain + rng.normal(0, noise, lines.shape)).astype(np.float32)
    return noisy
