"""What a scanner is: its motion, what each pass does to the signal, and its noise."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np

from sasnet_live.errors import InputError

FastAxis = Literal["sinusoidal", "triangular"]
Wave = tuple[float, float, float]  # amplitude, cycles a line, phase in rad


@dataclass(frozen=True)
class ScannerSettings:
    """One scanner: its motion, what each pass does to the signal, and its noise.

    Fractions are of full scale. Content of brightness 1 reads ``black_level + amplitude`` before the appearance of
    the pass is applied.

    Attributes
    ----------
    fast_axis
        "sinusoidal": a resonant mirror, read out linearized, so a phase error displaces the middle of the line most.
        "triangular": a voice coil or piezo; the lag is the same along the line.
    lag_px
        Displacement between the passes by actuator lag, signed, where it is largest. Positive: d > 0.
    sine_fraction
        Part of the sine's amplitude that a line uses, in [0, 0.98].
    overshoot_px, overshoot_cycles, overshoot_decay
        Ringing of the second-order actuator after each turnaround: amplitude, cycles a line, decay a line.
    hysteresis_px, hysteresis_skew
        Bulge of the path, to the right going forward and to the left coming back, and how differently the two lean.
    ripple_forward, ripple_backward
        Velocity ripple: (amplitude_px, cycles a line, phase_rad) of each harmonic.
    creep_px, creep_rate
        Displacement that has crept in by the last line; 0: linearly, larger: fast at first (logarithmic).
    lag_creep_px
        Displacement by which the lag profile itself has changed, unevenly along the line, by the last line.
    jitter_px, wander_px
        Of each line's start: standard deviation of the white part; of the random walk after the whole frame.
    drift_px, drift_period_s
        Slow change of the lag between frames: amplitude and period of a sine in `time_s`.
    gain_forward, gain_backward
        Logarithm of the gain along the line: coefficients of ``cos(pi k u)``, k = 0, 1, ...
    offset_forward, offset_backward
        Offset along the line in fractions, likewise.
    gamma_forward, gamma_backward
        Exponent of the response.
    detail_backward, detail_px
        Factor on backward detail finer than `detail_px` along the line: 1 the same, negative inverted.
    blur_forward_px, blur_backward_px
        Standard deviation of the blur along the line at its (left, right) end; in between the two are mixed.
    tail_forward, tail_backward
        Electronic tail in the direction of the scan: (fraction of the signal in it, decay length in px).
    lead_forward_px, lead_backward_px
        Part of the derivative along the scan that is added, as feedback loops and AC-coupled detectors do: edges
        shine or darken, opposite in the two passes. It shows content earlier by so much.
    amplitude, black_level, saturation
        See above; the detector reads no more than `saturation`.
    pulse_noise, line_gain_noise
        Relative standard deviation of the gain, of each px (laser pulse) and of each line.
    shot_noise
        Standard deviation of the noise at signal 1 that grows as the square root of the signal, in fractions.
    electronic_noise, noise_memory
        Standard deviation of the additive noise, and its correlation from px to px along time, in [0, 1).
    line_offset_noise, offset_wander
        Standard deviation of each line's offset: of its white part; of a random walk after the whole frame.
    hum_amplitude, hum_period_px
        Interference that runs on from line to line.
    spike_rate
        Chance for each px to read a spike (discharge, dust, cosmic ray).
    streak_rate
        Mean number, for each line, of stretches with another offset (a probe that loses contact, a laser that skips).
    bits
        12 or 16: full scale is ``2^bits - 1``.
    """

    fast_axis: FastAxis = "sinusoidal"
    lag_px: float = 8.0
    sine_fraction: float = 0.8
    overshoot_px: float = 0.0
    overshoot_cycles: float = 3.0
    overshoot_decay: float = 5.0
    hysteresis_px: float = 0.0
    hysteresis_skew: float = 0.0
    ripple_forward: tuple[Wave, ...] = ()
    ripple_backward: tuple[Wave, ...] = ()
    creep_px: float = 0.0
    creep_rate: float = 0.0
    lag_creep_px: float = 0.0
    jitter_px: float = 0.0
    wander_px: float = 0.0
    drift_px: float = 0.0
    drift_period_s: float = 60.0
    gain_forward: tuple[float, ...] = ()
    gain_backward: tuple[float, ...] = ()
    offset_forward: tuple[float, ...] = ()
    offset_backward: tuple[float, ...] = ()
    gamma_forward: float = 1.0
    gamma_backward: float = 1.0
    detail_backward: float = 1.0
    detail_px: float = 3.0
    blur_forward_px: tuple[float, float] = (0.0, 0.0)
    blur_backward_px: tuple[float, float] = (0.0, 0.0)
    tail_forward: tuple[float, float] = (0.0, 1.0)
    tail_backward: tuple[float, float] = (0.0, 1.0)
    lead_forward_px: float = 0.0
    lead_backward_px: float = 0.0
    amplitude: float = 0.6
    black_level: float = 0.05
    saturation: float = 1.0
    pulse_noise: float = 0.0
    line_gain_noise: float = 0.0
    shot_noise: float = 0.0
    electronic_noise: float = 0.0
    noise_memory: float = 0.0
    line_offset_noise: float = 0.0
    offset_wander: float = 0.0
    hum_amplitude: float = 0.0
    hum_period_px: float = 37.0
    spike_rate: float = 0.0
    streak_rate: float = 0.0
    bits: int = 16

    def __post_init__(self) -> None:
        if self.fast_axis not in get_args(FastAxis):
            raise InputError(f"fast_axis is {self.fast_axis!r}; expected one of {', '.join(get_args(FastAxis))}")
        if self.bits not in (12, 16):
            raise InputError(f"bits is {self.bits!r}; expected 12 or 16")
        for field in fields(self):
            numbers = _numbers(getattr(self, field.name))
            low, high = _RANGES.get(field.name, (-np.inf, np.inf))
            if not all(low <= number <= high and np.isfinite(number) for number in numbers):
                value = getattr(self, field.name)
                raise InputError(f"{field.name} is {value!r}; expected finite numbers in [{low:g}, {high:g}]")

        for name in ("tail_forward", "tail_backward"):
            if getattr(self, name)[0] > 1:
                raise InputError(f"{name} is {getattr(self, name)!r}; expected a fraction of at most 1, then a length")

    def without_noise(self) -> ScannerSettings:
        """The same scanner with a detector that adds nothing."""
        return replace(
            self,
            pulse_noise=0.0,
            line_gain_noise=0.0,
            shot_noise=0.0,
            electronic_noise=0.0,
            line_offset_noise=0.0,
            offset_wander=0.0,
            hum_amplitude=0.0,
            spike_rate=0.0,
            streak_rate=0.0,
        )

    @property
    def full_scale(self) -> int:
        """The largest number that the digitizer gives."""
        return int(2**self.bits - 1)


_POSITIVE = (1e-6, np.inf)
_NOT_NEGATIVE = (0.0, np.inf)
_RANGES: dict[str, tuple[float, float]] = {
    "sine_fraction": (0.0, 0.98),
    "overshoot_decay": _NOT_NEGATIVE,
    "creep_rate": _NOT_NEGATIVE,
    "jitter_px": _NOT_NEGATIVE,
    "wander_px": _NOT_NEGATIVE,
    "drift_period_s": _POSITIVE,
    "gamma_forward": (0.1, 10.0),
    "gamma_backward": (0.1, 10.0),
    "detail_px": _POSITIVE,
    "blur_forward_px": _NOT_NEGATIVE,
    "blur_backward_px": _NOT_NEGATIVE,
    "tail_forward": _NOT_NEGATIVE,
    "tail_backward": _NOT_NEGATIVE,
    "amplitude": (1e-6, 10.0),
    "black_level": (0.0, 1.0),
    "saturation": (1e-6, 1.0),
    "pulse_noise": _NOT_NEGATIVE,
    "line_gain_noise": _NOT_NEGATIVE,
    "shot_noise": _NOT_NEGATIVE,
    "electronic_noise": _NOT_NEGATIVE,
    "noise_memory": (0.0, 0.99),
    "line_offset_noise": _NOT_NEGATIVE,
    "offset_wander": _NOT_NEGATIVE,
    "lead_forward_px": _NOT_NEGATIVE,
    "lead_backward_px": _NOT_NEGATIVE,
    "hum_period_px": _POSITIVE,
    "spike_rate": (0.0, 1.0),
    "streak_rate": (0.0, 100.0),
}


def _numbers(value: Any) -> list[float]:
    if isinstance(value, tuple):
        return [number for item in value for number in _numbers(item)]
    return [] if isinstance(value, str) else [float(value)]
