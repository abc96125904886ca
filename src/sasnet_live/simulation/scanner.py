"""A bidirectional scanner with the faults of real ones, and the truth of what it recorded.

One frame is made in five steps: where each px of each line lies in the scene (`paths`), what the optics and the
detector of each pass make of it, noise, digitizing, and the order in which the lines are stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage, signal

from sasnet_live.errors import InputError
from sasnet_live.geometry import Pass, ScanGeometry
from sasnet_live.scan import merge

from .levels import LEVELS as LEVELS
from .levels import Level as Level
from .levels import random_scanner as random_scanner
from .paths import Paths
from .settings import ScannerSettings as ScannerSettings
from .vessels import Floats, Scene

Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class SimulatedFrame:
    """A raw frame and everything that is hidden from whoever registers it.

    Lines of the truths are rows, left to right, without the turnaround px that `geometry.crop` drops: the shapes
    that `scan.split` gives.

    Attributes
    ----------
    raw
        (H, W) uint16 as acquired: interleaved, mirrored, or with columns as lines where the geometry says so.
    truth
        (n_b, W) float32 in units of `raw`, noise-free: what the backward lines would have read in the forward pass,
        at the slow-axis positions where they read.
    forward_truth
        (n_f, W) float32, the forward lines without noise.
    displacement_px
        (n_b, W) float32, defined at the registered position: ``truth(x)`` shows what was recorded at ``x - d(x)``.
        Includes the delays of the two detectors: the centroids of their opposite tails.
    textured
        (n_b, W) bool: where displacement can be judged. The horizontal gradient of the truth, root mean square over
        7 px, is above a tenth of its 99th percentile in the frame, the truth is below saturation, and what it
        shows lies on the recorded line.
    geometry
        How `raw` is stored.
    full_scale
        Largest number the digitizer gives, 4095 or 65535.
    """

    raw: np.ndarray[Any, np.dtype[np.uint16]]
    truth: Floats
    forward_truth: Floats
    displacement_px: Floats
    textured: Bools
    geometry: ScanGeometry
    full_scale: int


def scan(
    scene: Scene,
    settings: ScannerSettings,
    rng: np.random.Generator,
    *,
    height: int,
    width: int,
    geometry: ScanGeometry | None = None,
    time_s: float = 0.0,
) -> SimulatedFrame:
    """Record one frame of a scene.

    Parameters
    ----------
    height, width
        Shape of the raw frame as stored; lines are its rows or its columns as the geometry says.
    geometry
        None: rows, forward first, zig-zagging. `line_offset` does not change the scan.
    time_s
        When the frame starts; moves the lag by the settings' drift.

    Raises
    ------
    InputError
        If the frame has fewer than 2 lines or 8 px a line, or the settings make the beam turn back within a line.
    """
    geometry = ScanGeometry() if geometry is None else geometry
    lines, width = (height, width) if geometry.line_axis == "rows" else (width, height)
    if lines < 2 or width - sum(geometry.crop) < 8:
        raise InputError(
            f"a frame of {lines} lines and {width} px came; expected at least 2 lines of 8 px after the crop"
        )
    paths = Paths.draw(settings, rng, lines, width, geometry, time_s)
    start, kept = geometry.crop[0], slice(geometry.crop[0], width - geometry.crop[1])

    n_forward = len(paths.forward_y)
    y = np.concatenate([paths.forward_y, paths.truth_y])
    x = np.concatenate([paths.forward_x, paths.truth_x])
    clean = detected(scene.sample(y, x), settings, "forward")
    forward, truth = clean[:n_forward], clean[n_forward:]
    backward = detected(scene.sample(paths.backward_y, paths.backward_x), settings, "backward")

    # Noise goes on in the order of time: memory and hum run with the scan, not with x.
    in_time: Any = merge(forward, backward[:, ::-1], ScanGeometry(first=geometry.first))
    raw = _digitized(_with_noise(in_time, settings, rng), settings)
    if not geometry.backward_mirrored:
        backward_lines = raw[1 if geometry.first == "forward" else 0 :: 2]
        backward_lines[:] = backward_lines[:, ::-1].copy()
    full_scale = np.float32(settings.full_scale)
    truth = np.ascontiguousarray(truth[:, kept])
    displacement = paths.displacement_px[:, kept]
    return SimulatedFrame(
        raw=raw if geometry.line_axis == "rows" else np.ascontiguousarray(raw.T),
        truth=truth * full_scale,
        forward_truth=forward[:, kept] * full_scale,
        displacement_px=np.ascontiguousarray(displacement),
        textured=textured_where(truth, displacement, width, start, settings.saturation),
        geometry=geometry,
        full_scale=settings.full_scale,
    )


def detected(signal_: Floats, settings: ScannerSettings, which: Pass) -> Floats:
    """What the detector reads of sampled brightness in one pass, noise-free, in fractions of full scale."""
    forward = which == "forward"
    gamma = settings.gamma_forward if forward else settings.gamma_backward
    blur = settings.blur_forward_px if forward else settings.blur_backward_px
    fraction, decay = settings.tail_forward if forward else settings.tail_backward
    lead = settings.lead_forward_px if forward else settings.lead_backward_px
    u = np.linspace(0, 1, signal_.shape[1], dtype=np.float32)
    value = signal_
    if gamma != 1.0:
        value = np.maximum(value, 0.0) ** np.float32(gamma)
    if not forward and settings.detail_backward != 1.0:
        coarse = ndimage.gaussian_filter1d(value, settings.detail_px, axis=1, mode="nearest", truncate=3.0)
        value = coarse + np.float32(settings.detail_backward) * (value - coarse)
    if max(blur) > 0:
        left, right = (
            ndimage.gaussian_filter1d(value, sigma, axis=1, mode="nearest", truncate=3.0) if sigma > 0.05 else value
            for sigma in blur
        )
        value = left + u * (right - left)
    if fraction > 0 and decay > 0:
        beta = np.float32(np.exp(-1.0 / decay))
        in_time = value if forward else value[:, ::-1]
        numerator, denominator = np.array([1 - beta], np.float32), np.array([1, -beta], np.float32)
        tail, _ = signal.lfilter(numerator, denominator, in_time, axis=1, zi=beta * in_time[:, :1])
        value = value + np.float32(fraction) * ((tail if forward else tail[:, ::-1]) - value)
    if lead > 0:
        before = np.empty_like(value)  # what each px's neighbour read one px earlier in time
        if forward:
            before[:, 1:], before[:, 0] = value[:, :-1], value[:, 0]
        else:
            before[:, :-1], before[:, -1] = value[:, 1:], value[:, -1]
        value = value + np.float32(lead) * (value - before)
    gain = settings.amplitude * np.exp(_cosines(settings.gain_forward if forward else settings.gain_backward, u))
    offset = settings.black_level + _cosines(settings.offset_forward if forward else settings.offset_backward, u)
    value = value * gain + offset
    return np.clip(value, 0.0, np.float32(settings.saturation), out=value)


def _cosines(coefficients: tuple[float, ...], u: Floats) -> Floats:
    total = np.zeros_like(u)
    for k, coefficient in enumerate(coefficients):
        total += np.float32(coefficient) * np.cos(np.float32(np.pi * k) * u)
    return total


def _with_noise(lines: Floats, settings: ScannerSettings, rng: np.random.Generator) -> Floats:
    """Noise on lines in the order and direction of time; fractions of full scale."""
    n, width = lines.shape
    bright = np.maximum(lines - np.float32(settings.black_level), 0.0)
    noisy = lines.copy()
    if settings.line_gain_noise:
        noisy += bright * (settings.line_gain_noise * rng.standard_normal((n, 1), np.float32))
    if settings.line_offset_noise:
        noisy += settings.line_offset_noise * rng.standard_normal((n, 1), np.float32)
    if settings.offset_wander:
        walk = np.cumsum(rng.standard_normal((n, 1), np.float32), axis=0)
        noisy += np.float32(settings.offset_wander / np.sqrt(n)) * walk
    if settings.pulse_noise or settings.shot_noise:
        # Both Gaussian and independent from px to px: one draw for their sum.
        variance = np.float32(settings.pulse_noise**2) * bright
        variance += np.float32(settings.shot_noise**2)
        variance *= bright
        noisy += np.sqrt(variance, out=variance) * rng.standard_normal(lines.shape, np.float32)
    if settings.electronic_noise:
        noise: Any = rng.standard_normal(lines.shape, np.float32)
        memory = settings.noise_memory
        if memory:
            numerator = np.array([np.sqrt(1 - memory**2)], np.float32)
            noise = signal.lfilter(numerator, np.array([1, -memory], np.float32), noise.ravel()).reshape(lines.shape)
        noise *= np.float32(settings.electronic_noise)
        noisy += noise
    if settings.hum_amplitude:
        phase = 2 * np.pi * (rng.random() + np.arange(n * width, dtype=np.float64) / settings.hum_period_px)
        noisy += settings.hum_amplitude * np.sin(phase).astype(np.float32).reshape(lines.shape)
    if settings.spike_rate:
        count = rng.poisson(settings.spike_rate * lines.size)
        noisy.ravel()[rng.integers(0, lines.size, count)] += rng.exponential(0.5, count).astype(np.float32)
    if settings.streak_rate:
        count = rng.poisson(settings.streak_rate * n)
        start = rng.integers(0, noisy.size, count)
        end = np.minimum(start + rng.exponential(width / 12.0, count).astype(np.intp) + 1, noisy.size - 1)
        height = rng.laplace(0.0, 0.1, count).astype(np.float32)
        steps = np.zeros(noisy.size, np.float32)
        np.add.at(steps, start, height)
        np.add.at(steps, end, -height)
        noisy += np.cumsum(steps).reshape(noisy.shape)
    return noisy


def _digitized(lines: Floats, settings: ScannerSettings) -> np.ndarray[Any, np.dtype[np.uint16]]:
    counts = np.clip(lines, 0.0, np.float32(settings.saturation)) * np.float32(settings.full_scale)
    return np.rint(counts, out=counts).astype(np.uint16)


def textured_where(truth: Floats, displacement_px: Floats, width: int, start: int, saturation: float) -> Bools:
    slope = ndimage.correlate1d(truth, np.array([-0.5, 0.0, 0.5], np.float32), axis=1, mode="nearest")
    energy = ndimage.uniform_filter1d(slope * slope, 7, axis=1, mode="nearest")
    few = energy[:: max(1, len(energy) // 64)]  # a percentile of some lines is that of all, and quick
    threshold = 0.01 * np.quantile(few, 0.99)
    source = np.arange(truth.shape[1], dtype=np.float32) - displacement_px + np.float32(start)
    recorded = (source >= 0) & (source <= width - 1)
    judged: Bools = (energy > max(float(threshold), 1e-12)) & recorded & (truth < 0.999 * saturation)
    return judged
