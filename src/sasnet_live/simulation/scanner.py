"""A bidirectional scanner with the faults of real ones, and the truth of what it recorded.

One frame is made in five steps: where each px of each line lies in the scene (`_Paths`), what the optics and the
detector of each pass make of it (`_Detector`), noise, digitizing, and the order in which the lines are stored.

Positions. A line is read at evenly spaced times. At px ``x`` of raw line ``k`` the beam is at

    X(x, k) = x + p(x) + q(k) + a(k) b(x)

with a profile ``p`` for each pass (lag, ringing after the turnaround, hysteresis, velocity ripple), one value a line
``q`` (creep, jitter, wander) and a small part that is not separable (the lag itself changes by ``a(k) b(x)`` down the
frame). Lag and creep are shared between the passes, half each with opposite signs, so a lag of 8 px means that the
passes disagree by 8 px.

Truth. `SimulatedFrame.truth` is what the backward lines would have read with the forward pass's mapping and
appearance; the forward mapping at a backward line is that of its two forward neighbours, as
`scan.forward_at_backward_lines` weighs them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from scipy import ndimage, signal

from sasnet_live.errors import InputError
from sasnet_live.scan import ScanGeometry, forward_at_backward_lines, merge

from .vessels import Doubles, Floats, Scene

FastAxis = Literal["sinusoidal", "triangular"]
Level = Literal["easy", "medium", "hard", "wide"]
LEVELS: tuple[Level, ...] = ("easy", "medium", "hard")

Bools = np.ndarray[Any, np.dtype[np.bool_]]
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
    amplitude, black_level, saturation
        See above; the detector reads no more than `saturation`.
    pulse_noise, line_gain_noise
        Relative standard deviation of the gain, of each px (laser pulse) and of each line.
    shot_noise
        Standard deviation of the noise at signal 1 that grows as the square root of the signal, in fractions.
    electronic_noise, noise_memory
        Standard deviation of the additive noise, and its correlation from px to px along time, in [0, 1).
    line_offset_noise
        Standard deviation of each line's offset.
    hum_amplitude, hum_period_px
        Interference that runs on from line to line.
    spike_rate
        Chance for each px to read a spike (discharge, dust, cosmic ray).
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
    amplitude: float = 0.6
    black_level: float = 0.05
    saturation: float = 1.0
    pulse_noise: float = 0.0
    line_gain_noise: float = 0.0
    shot_noise: float = 0.0
    electronic_noise: float = 0.0
    noise_memory: float = 0.0
    line_offset_noise: float = 0.0
    hum_amplitude: float = 0.0
    hum_period_px: float = 37.0
    spike_rate: float = 0.0
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
    "hum_period_px": _POSITIVE,
    "spike_rate": (0.0, 1.0),
}


def _numbers(value: Any) -> list[float]:
    if isinstance(value, tuple):
        return [number for item in value for number in _numbers(item)]
    return [] if isinstance(value, str) else [float(value)]


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
        Includes the centroids of the opposite tails.
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
    paths = _Paths.draw(settings, rng, lines, width, geometry, time_s)
    start, kept = geometry.crop[0], slice(geometry.crop[0], width - geometry.crop[1])

    n_forward = len(paths.forward_y)
    y = np.concatenate([paths.forward_y, paths.truth_y])
    x = np.concatenate([paths.forward_x, paths.truth_x])
    clean = _detected(scene.sample(y, x), settings, "forward")
    forward, truth = clean[:n_forward], clean[n_forward:]
    backward = _detected(scene.sample(paths.backward_y, paths.backward_x), settings, "backward")

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
        textured=_textured(truth, displacement, width, start, settings.saturation),
        geometry=geometry,
        full_scale=settings.full_scale,
    )


@dataclass(frozen=True)
class _Paths:
    """Where the px lie in the scene, (n_f, W) and (n_b, W): forward, backward, and truth at the backward lines."""

    forward_y: Floats
    forward_x: Floats
    backward_y: Floats
    backward_x: Floats
    truth_y: Floats
    truth_x: Floats
    displacement_px: Floats

    @staticmethod
    def draw(
        settings: ScannerSettings,
        rng: np.random.Generator,
        lines: int,
        width: int,
        geometry: ScanGeometry,
        time_s: float,
    ) -> _Paths:
        forward_first = geometry.first == "forward"
        forward_lines = np.arange(0 if forward_first else 1, lines, 2)
        backward_lines = np.arange(1 if forward_first else 0, lines, 2)
        x = np.arange(width, dtype=np.float64)
        kept_px = width - sum(geometry.crop)
        u = (x - geometry.crop[0]) / (kept_px - 1)  # 0 at the left end of what is kept, 1 at the right

        # Displacement of each line, and how far the creep has come.
        age = np.arange(lines) / max(1, lines - 1)
        crept = np.log1p(settings.creep_rate * age) / np.log1p(settings.creep_rate) if settings.creep_rate else age
        jitter = settings.jitter_px * rng.standard_normal(lines)
        wander = settings.wander_px / np.sqrt(lines) * np.cumsum(rng.standard_normal(lines))
        shared = jitter + wander
        b = 0.5 * settings.lag_creep_px * np.cos(np.pi * u)
        p_forward, p_backward = _profile(u, settings, "forward", time_s), _profile(u, settings, "backward", time_s)
        f, r = forward_lines[:, None], backward_lines[:, None]
        forward_line = (shared[f] - 0.5 * settings.creep_px * crept[f]) - crept[f] * b
        backward_q, backward_a = shared[r] + 0.5 * settings.creep_px * crept[r], crept[r]
        truth_line = forward_at_backward_lines(forward_line, len(backward_lines), geometry)
        # forward_at_backward_lines weighs over the width it is given; the turnaround px hardly matter to line terms.

        # Invert X_b on a grid that reaches beyond the line, so that d is defined wherever the truth looks.
        reach = float(np.abs(p_forward).max() + np.abs(p_backward).max() + np.abs(b).max() * 2)
        reach += float(np.abs(forward_line).max() + np.abs(backward_q).max()) + 8.0
        wide = np.arange(-np.ceil(reach), width + np.ceil(reach), 0.5)
        wide_u = (wide - geometry.crop[0]) / (kept_px - 1)
        wide_position = wide + _profile(wide_u, settings, "backward", time_s)
        if np.diff(wide_position).min() <= 0.05 or np.diff(x + p_forward).min() <= 0.1:
            raise InputError(
                "the beam stops or turns back within a line; expected less ripple, hysteresis or overshoot"
            )
        wide_b = 0.5 * settings.lag_creep_px * np.cos(np.pi * wide_u)

        # What the forward pass shows at x is centred on what it read at x - centroid of its tail.
        x_shown = x - _tail_centroid_px(settings.tail_forward)
        u_shown = (x_shown - geometry.crop[0]) / (kept_px - 1)
        target = x_shown + _profile(u_shown, settings, "forward", time_s) + truth_line
        source = np.interp(target - backward_q, wide_position, wide)
        if settings.lag_creep_px:
            for _ in range(2):  # a contraction by less than a tenth each time
                source = np.interp(
                    target - backward_q - backward_a * np.interp(source, wide, wide_b), wide_position, wide
                )
        source -= _tail_centroid_px(settings.tail_backward)  # its tail shows content further left, earlier on its way

        forward_y, backward_y = _slow_axis(forward_lines, u, geometry), _slow_axis(backward_lines, u, geometry)
        if geometry.slow_axis == "continuous":  # where on its zig-zag the backward line read what truth(x) shows
            truth_y = backward_lines[:, None] + 1.0 - (source - geometry.crop[0]) / (kept_px - 1)
        else:
            truth_y = backward_y
        shape_f, shape_b = (len(forward_lines), width), (len(backward_lines), width)
        return _Paths(
            np.broadcast_to(forward_y, shape_f).astype(np.float32),
            (x + p_forward + forward_line).astype(np.float32),
            np.broadcast_to(backward_y, shape_b).astype(np.float32),
            (x + p_backward + backward_q + backward_a * b).astype(np.float32),
            np.broadcast_to(truth_y, shape_b).astype(np.float32),
            (x + p_forward + truth_line).astype(np.float32),
            (x - source).astype(np.float32),
        )


def _slow_axis(lines: np.ndarray[Any, np.dtype[np.intp]], u: Doubles, geometry: ScanGeometry) -> Doubles:
    """y of raw lines, in raw lines, (n, W) or (n, 1); the frame spans 0 to H."""
    k = lines[:, None]
    if geometry.slow_axis == "stepped":
        return (k // 2) * 2.0 + 1.0
    if geometry.slow_axis == "interleaved":
        return k + 0.5
    forward = lines[0] % 2 == (0 if geometry.first == "forward" else 1) if len(lines) else True
    return np.asarray(k + (u if forward else 1.0 - u))


def _profile(u: Doubles, settings: ScannerSettings, which: Literal["forward", "backward"], time_s: float) -> Doubles:
    """p(x) in px at u, which is 0 to 1 along the line but may go beyond."""
    forward = which == "forward"
    sign = -1.0 if forward else 1.0  # lagging behind: to the left going forward, to the right coming back
    lag = settings.lag_px + settings.drift_px * np.sin(2 * np.pi * time_s / settings.drift_period_s)
    centred = 2 * u.clip(-0.1, 1.1) - 1
    if settings.fast_axis == "sinusoidal":
        # A mirror at sin(phase - lag), read out as if at sin(phase): the error goes with the mirror's speed.
        p: Doubles = sign * 0.5 * lag * np.sqrt(1 - (settings.sine_fraction * centred).clip(-0.99, 0.99) ** 2)
    else:
        p = np.full_like(u, sign * 0.5 * lag)
    since_turn = (u if forward else 1 - u).clip(0, None)
    if settings.overshoot_px:
        ringing = np.exp(-settings.overshoot_decay * since_turn) * np.sin(
            2 * np.pi * settings.overshoot_cycles * since_turn
        )
        p += sign * settings.overshoot_px * ringing
    if settings.hysteresis_px:
        lean = settings.hysteresis_skew * centred * (1.0 if forward else -1.0)
        p -= sign * 0.5 * settings.hysteresis_px * (1 - centred**2) * (1 + lean)
    for amplitude, cycles, phase in settings.ripple_forward if forward else settings.ripple_backward:
        p += amplitude * np.sin(2 * np.pi * cycles * u + phase)
    return p


def _tail_centroid_px(tail: tuple[float, float]) -> float:
    """Mean delay that an exponential tail gives the signal, of the digital filter that `_detected` applies."""
    fraction, decay = tail
    if fraction <= 0 or decay <= 0:
        return 0.0
    beta = np.exp(-1.0 / decay)
    return float(fraction * beta / (1 - beta))


def _detected(signal_: Floats, settings: ScannerSettings, which: Literal["forward", "backward"]) -> Floats:
    """What the detector reads of sampled brightness in one pass, noise-free, in fractions of full scale."""
    forward = which == "forward"
    gamma = settings.gamma_forward if forward else settings.gamma_backward
    blur = settings.blur_forward_px if forward else settings.blur_backward_px
    fraction, decay = settings.tail_forward if forward else settings.tail_backward
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
    if (
        settings.pulse_noise or settings.shot_noise
    ):  # both Gaussian and independent from px to px: one draw for their sum
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
    return noisy


def _digitized(lines: Floats, settings: ScannerSettings) -> np.ndarray[Any, np.dtype[np.uint16]]:
    counts = np.clip(lines, 0.0, np.float32(settings.saturation)) * np.float32(settings.full_scale)
    return np.rint(counts, out=counts).astype(np.uint16)


def _textured(truth: Floats, displacement_px: Floats, width: int, start: int, saturation: float) -> Bools:
    slope = ndimage.correlate1d(truth, np.array([-0.5, 0.0, 0.5], np.float32), axis=1, mode="nearest")
    energy = ndimage.uniform_filter1d(slope * slope, 7, axis=1, mode="nearest")
    few = energy[:: max(1, len(energy) // 64)]  # a percentile of some lines is that of all, and quick
    threshold = 0.01 * np.quantile(few, 0.99)
    source = np.arange(truth.shape[1], dtype=np.float32) - displacement_px + np.float32(start)
    recorded = (source >= 0) & (source <= width - 1)
    judged: Bools = (energy > max(float(threshold), 1e-12)) & recorded & (truth < 0.999 * saturation)
    return judged


@dataclass(frozen=True)
class _Difficulty:
    """Typical sizes at one level; lengths in px at 512 px a line, the rest in fractions."""

    lag: float
    bend: float  # hysteresis, overshoot, ripple together
    line: float  # jitter and wander
    creep: float
    noise: float
    appearance: float
    tail: float


_DIFFICULTY: dict[str, _Difficulty] = {
    "easy": _Difficulty(lag=3, bend=0.6, line=0.06, creep=0.3, noise=0.012, appearance=0.12, tail=0.10),
    "medium": _Difficulty(lag=8, bend=1.6, line=0.15, creep=0.8, noise=0.03, appearance=0.25, tail=0.20),
    "hard": _Difficulty(lag=16, bend=3.2, line=0.30, creep=1.6, noise=0.06, appearance=0.40, tail=0.35),
}


def random_scanner(rng: np.random.Generator, level: Level, width_px: int = 512) -> ScannerSettings:
    """A scanner of a level of difficulty.

    "easy", "medium", "hard": about 3, 8, 16 px of lag at 512 px a line, either sign, with bending of the path, line
    jitter, noise and a change of appearance that grow with the level. "wide", for training: any lag up to 32 px, any
    appearance, from nearly noise-free to very noisy, each fault drawn on its own.

    Raises
    ------
    InputError
        If the level is not one of the four.
    """
    if level == "wide":
        return _wide_scanner(rng, width_px)
    if level not in _DIFFICULTY:
        raise InputError(f"level is {level!r}; expected one of easy, medium, hard, wide")
    return _scanner(rng, _DIFFICULTY[level], width_px, lag_px=_DIFFICULTY[level].lag * rng.uniform(0.8, 1.2))


def _wide_scanner(rng: np.random.Generator, width_px: int) -> ScannerSettings:
    """Each kind of fault of its own size, so that none foretells another; small ones are as likely as large ones."""
    lag = float(rng.uniform(0, 32) if rng.random() < 0.7 else rng.exponential(4.0))
    difficulty = _Difficulty(
        lag=lag,
        bend=float(np.exp(rng.uniform(np.log(0.1), np.log(4.5)))),
        line=float(np.exp(rng.uniform(np.log(0.02), np.log(0.6)))),
        creep=float(np.exp(rng.uniform(np.log(0.05), np.log(3.0)))),
        noise=float(np.exp(rng.uniform(np.log(0.001), np.log(0.12)))),
        appearance=float(rng.uniform(0.0, 0.6)),
        tail=float(rng.uniform(0.0, 0.5)),
    )
    settings = _scanner(rng, difficulty, width_px, lag_px=min(lag, 32.0))
    extra: dict[str, Any] = {}
    if rng.random() < 0.08:
        extra.update(detail_backward=float(rng.uniform(-1.0, 0.7)), detail_px=float(rng.uniform(1.5, 6.0)))
    if rng.random() < 0.2:
        extra.update(line_offset_noise=float(np.exp(rng.uniform(np.log(0.002), np.log(0.08)))))
    if rng.random() < 0.2:
        extra.update(hum_amplitude=float(rng.uniform(0.0, 0.05)), hum_period_px=float(np.exp(rng.uniform(1.2, 6.0))))
    if rng.random() < 0.15:
        extra.update(spike_rate=float(10 ** rng.uniform(-4.5, -2.3)))
    if rng.random() < 0.15:
        extra.update(saturation=float(rng.uniform(0.4, 0.9)))
    if rng.random() < 0.3:
        extra.update(noise_memory=float(rng.uniform(0.2, 0.95)))
    return _replaced(settings, **extra)


def _scanner(rng: np.random.Generator, level: _Difficulty, width_px: int, lag_px: float) -> ScannerSettings:
    px = width_px / 512.0

    def about(size: float) -> float:
        return float(size * rng.uniform(0.6, 1.4))

    def ripple(size_px: float) -> tuple[Wave, ...]:
        harmonics = rng.choice(np.arange(1, 6), int(rng.integers(1, 4)), replace=False)
        return tuple(
            (float(size_px / k * rng.uniform(0.3, 1.0)), float(k), float(rng.uniform(0, 2 * np.pi)))
            for k in sorted(harmonics.tolist())
        )

    def cosines(size: float, count: int = 5) -> tuple[float, ...]:
        return tuple((size * rng.standard_normal(count) / (1 + np.arange(count))).tolist())

    sinusoidal = rng.random() < 0.5
    sign = float(rng.choice([-1.0, 1.0]))
    noise = about(level.noise)
    common, gamma = cosines(0.5 * level.appearance), 1.0 + 0.3 * level.appearance * float(rng.standard_normal())
    other = cosines(level.appearance)
    tail_px = float(rng.uniform(0.8, 4.0)) * max(px, 0.5)
    return ScannerSettings(
        fast_axis="sinusoidal" if sinusoidal else "triangular",
        lag_px=sign * lag_px * px,
        sine_fraction=float(rng.uniform(0.5, 0.95)),
        overshoot_px=0.0 if sinusoidal else about(0.5 * level.bend) * px,
        overshoot_cycles=float(rng.uniform(1.0, 4.0)),
        overshoot_decay=float(rng.uniform(3.0, 8.0)),
        hysteresis_px=float(rng.choice([-1.0, 1.0])) * about(level.bend) * px,
        hysteresis_skew=float(rng.uniform(-0.6, 0.6)),
        ripple_forward=ripple(0.3 * level.bend * px),
        ripple_backward=ripple(0.3 * level.bend * px),
        creep_px=level.creep * px * float(rng.standard_normal()),
        creep_rate=float(rng.choice([0.0, 3.0, 20.0])),
        lag_creep_px=0.2 * level.creep * px * float(rng.standard_normal()),
        jitter_px=about(0.6 * level.line) * max(px, 0.5),
        wander_px=about(3.0 * level.line) * max(px, 0.5),
        drift_px=0.15 * lag_px * px,
        drift_period_s=float(rng.uniform(20, 120)),
        gain_forward=common,
        gain_backward=tuple(c + o for c, o in zip(common, other, strict=True)),
        offset_forward=cosines(0.02 * level.appearance),
        offset_backward=cosines(0.1 * level.appearance),
        gamma_forward=float(np.clip(gamma, 0.6, 1.6)),
        gamma_backward=float(np.clip(gamma + 0.4 * level.appearance * rng.standard_normal(), 0.5, 2.0)),
        blur_forward_px=(about(0.6 * level.appearance), about(0.6 * level.appearance)),
        blur_backward_px=(about(1.5 * level.appearance), about(1.5 * level.appearance)),
        tail_forward=(about(level.tail), tail_px),
        tail_backward=(about(level.tail), tail_px),
        amplitude=float(rng.uniform(0.45, 0.75)),
        black_level=float(rng.uniform(0.04, 0.12)),
        pulse_noise=about(1.5 * noise),
        line_gain_noise=about(0.6 * noise),
        shot_noise=about(0.5 * noise),
        electronic_noise=noise,
        line_offset_noise=about(0.1 * noise),
        bits=int(rng.choice([12, 16])),
    )


def _replaced(settings: ScannerSettings, **changes: Any) -> ScannerSettings:
    return ScannerSettings(**{field.name: getattr(settings, field.name) for field in fields(settings)} | changes)
