"""Raw frames that nobody can register: a registrar that accepts one would invent a displacement.

Three sorts: noise, whose two passes share nothing; passes of two different scenes; and periodic content displaced by
more than can be told from its period.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from scipy import fft, ndimage

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import merge, split

from .content import CONTENT_KINDS, content_scene
from .levels import random_scanner
from .scanner import scan
from .vessels import Floats

Raw = np.ndarray[Any, np.dtype[np.uint16]]

LOWEST, SPAN = 0.1, 0.8  # of full scale: nothing is saturated


def impostor(rng: np.random.Generator, kind: str, height: int, width: int) -> Raw:
    """(H, W) uint16 raw frame of one of `IMPOSTOR_KINDS`: rows as lines, forward first, not mirrored.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    if kind not in _MAKE:
        raise InputError(f"kind is {kind!r}; expected one of {', '.join(_MAKE)}")
    image = _MAKE[kind](rng, height, width)
    low, high = np.quantile(image, (0.001, 0.999))
    scaled = LOWEST + SPAN * (image - low) / max(float(high - low), 1e-12)
    raw: Raw = np.rint(scaled.clip(0, 1) * 65535).astype(np.uint16)
    return raw


def _passes(of_pass: Callable[[np.random.Generator, int, int], Floats]) -> Callable[..., Floats]:
    """A frame whose passes are drawn one apart from the other, so that neighbouring lines share nothing."""

    def make(rng: np.random.Generator, height: int, width: int) -> Floats:
        forward, backward = (of_pass(rng, n, width) for n in (height - height // 2, height // 2))
        frame: Floats = merge(forward, backward, ScanGeometry())
        return frame

    return make


def _white(rng: np.random.Generator, lines: int, width: int) -> Floats:
    return rng.standard_normal((lines, width), np.float32)


def _blurred(rng: np.random.Generator, lines: int, width: int) -> Floats:
    sigma = float(np.exp(rng.uniform(0, np.log(8))))
    blurred: Floats = ndimage.gaussian_filter(_white(rng, lines, width), sigma)
    return blurred


def _blurred_along_lines(rng: np.random.Generator, lines: int, width: int) -> Floats:
    blurred: Floats = ndimage.gaussian_filter1d(_white(rng, lines, width), float(rng.uniform(1, 10)), axis=1)
    return blurred


def _pink(rng: np.random.Generator, lines: int, width: int) -> Floats:
    """1 / f amplitude in two dimensions."""
    spectrum = fft.rfft2(_white(rng, lines, width))
    frequency = np.hypot(np.fft.fftfreq(lines)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf
    image: Floats = fft.irfft2(spectrum / frequency, s=(lines, width)).astype(np.float32)
    return image


def _offsets(rng: np.random.Generator, lines: int, width: int) -> Floats:
    """Each line another level."""
    levels = rng.standard_normal((lines, 1), np.float32)
    return levels + np.float32(0.2) * _white(rng, lines, width)


def _streaks(rng: np.random.Generator, lines: int, width: int) -> Floats:
    """Stretches of lines with another level."""
    steps = np.zeros(lines * width, np.float32)
    count = 3 * lines
    start = rng.integers(0, steps.size, count)
    end = np.minimum(start + rng.exponential(width / 10, count).astype(np.intp) + 1, steps.size - 1)
    height = rng.laplace(0, 1, count).astype(np.float32)
    np.add.at(steps, start, height)
    np.add.at(steps, end, -height)
    return np.cumsum(steps).reshape(lines, width) + np.float32(0.2) * _white(rng, lines, width)


def _spikes(rng: np.random.Generator, lines: int, width: int) -> Floats:
    spikes = (rng.random((lines, width)) < 0.01) * rng.exponential(10, (lines, width))
    return spikes.astype(np.float32) + _white(rng, lines, width)


def _in_time(course: Floats, height: int, width: int) -> Floats:
    """What a detector reads one px after the other, laid out as the beam goes there and back."""
    frame: Floats = course.reshape(height, width).copy()
    frame[1::2] = frame[1::2, ::-1].copy()
    return frame


def _pink_in_time(rng: np.random.Generator, height: int, width: int) -> Floats:
    """1 / f power along time: what a slow detector adds runs on from line to line."""
    spectrum = fft.rfft(rng.standard_normal(height * width))
    frequency = np.arange(len(spectrum), dtype=float)
    frequency[0] = np.inf
    course = fft.irfft(spectrum / np.sqrt(frequency), height * width)
    return _in_time(course.astype(np.float32), height, width)


def _hum(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Interference of a period that is no part of a line's."""
    period = width / float(rng.uniform(3.3, 17.7))
    course = np.sin(2 * np.pi * (np.arange(height * width) / period + rng.random())).astype(np.float32)
    return _in_time(course, height, width) + np.float32(0.5) * _white(rng, height, width)


def _strangers(first: str, second: str) -> Callable[[np.random.Generator, int, int], Floats]:
    """The forward pass of one scene and the backward pass of another."""

    geometry = ScanGeometry()

    def make(rng: np.random.Generator, height: int, width: int) -> Floats:
        scanner = random_scanner(rng, "medium", width)
        forward, backward = (
            split(scan(content_scene(rng, kind, height, width), scanner, rng, height=height, width=width).raw, geometry)
            for kind in (first, second)
        )
        mixed: Floats = merge(forward[0], backward[1], geometry).astype(np.float32)
        return mixed

    return make


def _lattice(rng: np.random.Generator, height: int, width: int, *, shortest_px: float, longest_px: float) -> Floats:
    """An endless lattice, displaced by more than half its period along the lines: by how many, nothing tells."""
    period_px = float(rng.uniform(shortest_px, longest_px))
    displacement = float(rng.choice([-1, 1])) * period_px * float(rng.uniform(0.6, 3.0))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x[1::2] += np.float32(displacement)  # registered(x) = backward(x - d)
    image = np.zeros((height, width), np.float32)
    # Two waves, both of a whole number of cycles in the period along the lines, else the one tells of the other's.
    for cycles in ((1, -1), (1, 0), (1, 2))[int(rng.integers(3))]:
        phase = 2 * np.pi * (cycles * x / period_px + y / rng.uniform(8, 60))
        image += np.cos(phase) + np.float32(0.3) * np.cos(2 * phase)
    return image + np.float32(rng.uniform(0.02, 0.5)) * _white(rng, height, width)


_NOISE: dict[str, Callable[[np.random.Generator, int, int], Floats]] = {
    "white": _passes(_white),
    "blurred": _passes(_blurred),
    "blurred along lines": _passes(_blurred_along_lines),
    "1/f": _passes(_pink),
    "line offsets": _passes(_offsets),
    "streaks": _passes(_streaks),
    "spikes": _passes(_spikes),
    "1/f in time": _pink_in_time,
    "hum": _hum,
}
_PERIODIC: dict[str, Callable[[np.random.Generator, int, int], Floats]] = {
    "fine lattice": lambda rng, height, width: _lattice(rng, height, width, shortest_px=5, longest_px=width / 12),
    "coarse lattice": lambda rng, height, width: _lattice(
        rng, height, width, shortest_px=width / 12, longest_px=width / 5
    ),
}
_UNRELATED = {f"{a} / {b}": _strangers(a, b) for a, b in product(CONTENT_KINDS, CONTENT_KINDS)}
_MAKE = _NOISE | _UNRELATED | _PERIODIC

IMPOSTOR_KINDS: dict[str, tuple[str, ...]] = {
    "noise": tuple(_NOISE),
    "unrelated passes": tuple(_UNRELATED),
    "periodic": tuple(_PERIODIC),
}
"""Kinds by sort; those of unrelated passes are ``content of the forward / of the backward pass``."""
