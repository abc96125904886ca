"""RF A-lines of vessels at several depths, recorded by a bidirectional scanner, with their truth.

Each layer of a tissue is a scene of its own at a depth of its own that undulates. A laser pulse makes a bipolar burst
in each of them, the impulse response of the transducer, where the layer lies; where vessels of two layers cross, an
A-line has two bursts. Motion, gain and blur of the passes are those of `scanner`; an A-line is one laser pulse, so that
nothing of it is left in the next one: there are no tails from px to px, and neither offset nor gamma.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import merge

from .aline_settings import AlineSettings
from .paths import Paths
from .scanner import Bools, detected, textured_where
from .settings import ScannerSettings
from .vessels import MARGIN_PX, Floats, Scene, smooth_field, vascular_scene

Samples = np.ndarray[Any, np.dtype[np.int16]]

FULL_SCALE = 32767
"""Of a digitizer of 16 bits, signed: what a scanner's fractions of full scale are of."""

ATTENUATION = 0.35
"""Of the logarithm of light and sound from one layer to the next: 1/e in three layers, a transport mean free path."""

UNDULATION = 0.3
"""Amplitude of a layer's depth, in parts of the distance between layers: layers hardly meet."""

_REACH = 4.0  # standard deviations of a burst that are drawn: 3e-4 of its amplitude is left out
_DEPTH_SAMPLES_PER_PX = 0.25  # depth is smooth


def response(time_samples: Floats, alines: AlineSettings) -> Floats:
    """Impulse response at times after the arrival of a wave, samples: bipolar, its envelope 1 at time 0."""
    turned = time_samples * np.float32(2 * np.pi * alines.centre_mhz / alines.sampling_mhz)
    bell = np.exp(np.float32(-0.5 / alines.burst_samples**2) * time_samples * time_samples)
    burst: Floats = bell * np.sin(turned)
    return burst


@dataclass(frozen=True)
class Tissue:
    """Layers of vessels: the brightness of each, and its depth in samples, over the same coordinates."""

    brightness: tuple[Scene, ...]
    depth: tuple[Scene, ...]


def layered_tissue(rng: np.random.Generator, height_px: int, width_px: int, alines: AlineSettings) -> Tissue:
    """Grow a layer of vessels at each depth; see `sasnet_live.simulation.vascular_scene` for sizes."""
    brightness, depth = [], []
    spacing = alines.samples / (alines.layers + 1)
    size_px = (height_px + 2 * MARGIN_PX[0], width_px + 2 * MARGIN_PX[1])
    coarse = (math.ceil(size_px[0] * _DEPTH_SAMPLES_PER_PX) + 1, math.ceil(size_px[1] * _DEPTH_SAMPLES_PER_PX) + 1)
    origin = (-MARGIN_PX[0], -MARGIN_PX[1])
    for layer in range(alines.layers):
        grown = vascular_scene(rng, height_px, width_px)
        weaker = np.float32(math.exp(-ATTENUATION * layer))
        brightness.append(replace(grown, image=grown.image * weaker))
        surface = np.tanh(smooth_field(rng, coarse, 3.0)) * np.float32(UNDULATION * spacing)
        place = (np.float32((layer + 1) * spacing) + surface).astype(np.float32)
        depth.append(Scene(place, _DEPTH_SAMPLES_PER_PX, origin))
    return Tissue(tuple(brightness), tuple(depth))


@dataclass(frozen=True)
class SimulatedVolume:
    """One volume as acquired, and its truth; samples are made when they are asked for, some lines at a time.

    Lines are first axes here, whatever the geometry's line axis.

    Attributes
    ----------
    amplitude, depth
        (layers, H, W) float32 of raw lines, in the order in which they are stored: height of the burst of each layer,
        fractions of full scale, and its place in samples.
    truth_amplitude, truth_depth
        (layers, n_b, W') float32 of the backward lines as the forward pass would have read them where they read,
        without the px that ``geometry.crop`` drops.
    displacement_px, textured
        (n_b, W') as of `sasnet_live.simulation.SimulatedFrame`.
    alines, scanner, geometry
        As given.
    seed
        Of the noise.
    """

    amplitude: Floats
    depth: Floats
    truth_amplitude: Floats
    truth_depth: Floats
    displacement_px: Floats
    textured: Bools
    alines: AlineSettings
    scanner: ScannerSettings
    geometry: ScanGeometry
    seed: int

    def lines(self, start: int, end: int) -> Samples:
        """(end - start, W, D) int16 of raw lines with their noise: the same for a line whatever the others are."""
        signal = self._bursts(self.amplitude[:, start:end], self.depth[:, start:end])
        for number, line in enumerate(signal, start):
            rng = np.random.default_rng([self.seed, number])
            pulses = 1 + self.scanner.pulse_noise * rng.standard_normal((line.shape[0], 1), np.float32)
            line *= pulses + np.float32(self.scanner.line_gain_noise * rng.standard_normal())
            line += np.float32(self.scanner.electronic_noise) * rng.standard_normal(line.shape, np.float32)
        return _digitized(signal)

    def truth(self, start: int, end: int) -> Samples:
        """(end - start, W', D) int16 of true backward lines, free of noise."""
        return _digitized(self._bursts(self.truth_amplitude[:, start:end], self.truth_depth[:, start:end]))

    def _bursts(self, amplitude: Floats, depth: Floats) -> Floats:
        """(n, W, D) float32 sums of bursts."""
        _, lines, px = amplitude.shape
        samples = np.zeros((lines, px, self.alines.samples), np.float32)
        reach = math.ceil(_REACH * self.alines.burst_samples)
        for high, place in zip(amplitude, depth, strict=True):
            first = np.rint(place).astype(np.intp) - reach
            for step in range(2 * reach + 1):
                number = first + step
                inside = (number >= 0) & (number < self.alines.samples)
                burst = high * response(number.astype(np.float32) - place, self.alines)
                where = np.nonzero(inside)
                samples[(*where, number[where])] += burst[where]
        return samples


def scan_volume(
    tissue: Tissue,
    settings: ScannerSettings,
    alines: AlineSettings,
    rng: np.random.Generator,
    *,
    height: int,
    width: int,
    geometry: ScanGeometry | None = None,
    time_s: float = 0.0,
) -> SimulatedVolume:
    """Record one volume.

    Parameters
    ----------
    tissue
        What lies under the microscope.
    settings
        The scanner: its motion, gain and blur, and its noise of pulses, lines and electronics. Its tails, leads,
        offsets and gamma, which scanners without A-lines have, do not count.
    alines
        How A-lines are recorded.
    height, width, geometry, time_s
        As for `sasnet_live.simulation.scan`: (height, width) is the frame as stored.

    Raises
    ------
    InputError
        As `scan`; or if A-lines have no samples.
    """
    geometry = ScanGeometry() if geometry is None else geometry
    lines, px = (height, width) if geometry.line_axis == "rows" else (width, height)
    if lines < 2 or px - sum(geometry.crop) < 8:
        raise InputError(f"a frame of {lines} lines and {px} px came; expected at least 2 lines of 8 px after the crop")
    if not alines.samples:
        raise InputError("samples is 0; expected the number of samples of an A-line")
    settings = _of_alines(settings)
    paths = Paths.draw(settings, rng, lines, px, geometry, time_s)
    start, kept = geometry.crop[0], slice(geometry.crop[0], px - geometry.crop[1])

    def sampled(scenes: tuple[Scene, ...], y: Floats, x: Floats) -> Floats:
        return np.stack([scene.sample(y, x) for scene in scenes])

    def bright(y: Floats, x: Floats, which: Any) -> Floats:
        return np.stack([detected(scene.sample(y, x), settings, which) for scene in tissue.brightness])

    def stored(forward: Floats, backward: Floats) -> Floats:
        turned = backward[..., ::-1] if geometry.backward_mirrored else backward
        merged: Floats = merge(forward, turned, ScanGeometry(first=geometry.first))
        return merged

    truth = bright(paths.truth_y, paths.truth_x, "forward")[..., kept]
    displacement = np.ascontiguousarray(paths.displacement_px[:, kept])
    return SimulatedVolume(
        stored(
            bright(paths.forward_y, paths.forward_x, "forward"), bright(paths.backward_y, paths.backward_x, "backward")
        ),
        stored(
            sampled(tissue.depth, paths.forward_y, paths.forward_x),
            sampled(tissue.depth, paths.backward_y, paths.backward_x),
        ),
        truth,
        sampled(tissue.depth, paths.truth_y, paths.truth_x)[..., kept],
        displacement,
        textured_where(truth.max(0), displacement, px, start, settings.saturation),
        alines,
        settings,
        geometry,
        int(rng.integers(2**31)),
    )


def _of_alines(settings: ScannerSettings) -> ScannerSettings:
    """The scanner without what only a detector of projections does."""
    none = (0.0, 1.0)
    return replace(
        settings,
        tail_forward=none,
        tail_backward=none,
        lead_forward_px=0.0,
        lead_backward_px=0.0,
        gamma_forward=1.0,
        gamma_backward=1.0,
        black_level=0.0,
        offset_forward=(),
        offset_backward=(),
    )


def _digitized(samples: Floats) -> Samples:
    counts = samples * np.float32(FULL_SCALE)
    np.rint(counts, out=counts)
    digitized: Samples = counts.clip(-FULL_SCALE - 1, FULL_SCALE).astype(np.int16)
    return digitized
