"""From A-lines to frames, pure functions: envelope, gate, projection, depth. Samples are along the last axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import fft

from .volume_settings import Projection, VolumeSettings

Samples = np.ndarray[Any, np.dtype[Any]]

PART_SAMPLES = 2**18
"""Samples that are worked on at a time: an envelope takes some 30 bytes a sample, 8 MB, which is about a cache."""

RAMP = 0.2
"""Width of each edge of a band, in parts of the band: a sharp edge would ring in depth."""


def envelope(samples: Samples, band: tuple[float, float] | None = None) -> Samples:
    """Magnitude of the analytic signal of A-lines, without their mean.

    Parameters
    ----------
    samples
        (..., D) of RF, integer or floating. The mean of each A-line, which a digitizer adds, is left out. A-lines go on
        periodically, as in ``scipy.signal.hilbert``.
    band
        (low, high) in cycles a sample, at most 0.5: half the amplitude passes at both, all between them but near the
        edges, see `RAMP`. A low edge of 0 keeps all below the high one.

    Returns
    -------
    (..., D) float32, 0 or more.
    """
    count = samples.shape[-1]
    spectrum = fft.rfft(np.ascontiguousarray(samples, np.float32), axis=-1)
    weights = np.full(spectrum.shape[-1], 2.0, np.float32)
    weights[0] = 0.0
    if count % 2 == 0:
        weights[-1] = 1.0
    if band is not None:
        weights *= _band_weights(fft.rfftfreq(count), band)
    spectrum *= weights
    # The negative frequencies, which `n` adds, are 0.
    analytic = fft.ifft(spectrum, n=count, axis=-1, overwrite_x=True)
    magnitude: Samples = np.abs(analytic)
    return magnitude


def _band_weights(frequency: Samples, band: tuple[float, float]) -> Samples:
    low, high = band
    ramp = RAMP * (high - low)

    def risen(beyond: Samples) -> Samples:
        return np.asarray(0.5 + 0.5 * np.sin(np.pi * (beyond / ramp).clip(-0.5, 0.5)))

    weights = risen(high - frequency)
    if low > 0:
        weights *= risen(frequency - low)
    return weights.astype(np.float32)


def gated(samples: Samples, settings: VolumeSettings) -> Samples:
    """What of A-lines counts: their envelope if it is asked for, within the gate.

    Parameters
    ----------
    samples
        (..., D).

    Returns
    -------
    (..., D') float32 for an envelope, else a view of `samples`.
    """
    if settings.envelope:
        band = None
        if settings.band_mhz is not None and settings.sampling_mhz is not None:
            low, high = settings.band_mhz
            band = low / settings.sampling_mhz, high / settings.sampling_mhz
        samples = envelope(samples, band)
    return samples if settings.gate is None else samples[..., slice(*settings.gate)]


def project(samples: Samples, projection: Projection) -> Samples:
    """A frame of A-lines (..., D): their maximum, in their type, or their mean, float32."""
    if projection == "max":
        return np.asarray(samples.max(axis=-1))
    return np.asarray(samples.mean(axis=-1, dtype=np.float32))


def frame_of(samples: Samples, settings: VolumeSettings) -> Samples:
    """`project` of `gated` A-lines (..., D), part by part, so that memory is little more than theirs."""
    return _part_by_part(samples, lambda part: project(gated(part, settings), settings.projection))


def depth_of(samples: Samples, settings: VolumeSettings) -> Samples:
    """`depth` of `gated` A-lines (..., D), part by part, so that memory is little more than theirs."""
    return _part_by_part(samples, lambda part: depth(gated(part, settings), settings))


def _part_by_part(samples: Samples, work: Callable[[Samples], Samples]) -> Samples:
    *frame, count = samples.shape
    alines = samples.reshape(-1, count)
    step = max(1, PART_SAMPLES // count)
    parts = [work(alines[start : start + step]) for start in range(0, len(alines), step)]
    return np.concatenate(parts).reshape(frame)


def projected_dtype(dtype: np.dtype[Any], settings: VolumeSettings) -> np.dtype[Any]:
    """Data type of projections of samples of a type."""
    return dtype if settings.projection == "max" and not settings.envelope else np.dtype(np.float32)


def depth(samples: Samples, settings: VolumeSettings) -> Samples:
    """Where the largest sample of A-lines lies, between samples by the parabola through it and its two neighbours.

    Parameters
    ----------
    samples
        (..., D') of `gated`.

    Returns
    -------
    (...) float32: samples from the first of the whole A-line, 0; or um, see `VolumeSettings.um_per_sample`. NaN where
    all samples are alike, or one is NaN.
    """
    count = samples.shape[-1]
    peak = np.asarray(samples.argmax(axis=-1))
    inner = peak.clip(1, max(count - 2, 0))
    place = peak.astype(np.float32)
    if count >= 3:
        before, here, after = (
            np.take_along_axis(samples, (inner + step)[..., None], -1)[..., 0].astype(np.float64) for step in (-1, 0, 1)
        )
        bend = 2 * here - before - after
        # At an end of the gate the largest sample may be no peak: it stays where it is.
        fits = (peak == inner) & (bend > 0)
        place += np.where(fits, 0.5 * (after - before) / np.where(fits, bend, 1.0), 0.0).astype(np.float32)
    place += np.float32(0 if settings.gate is None else settings.gate[0])
    low, high = samples.min(axis=-1), samples.max(axis=-1)
    place[~(low < high)] = np.nan
    return place * np.float32(settings.um_per_sample or 1.0)
