"""Where in the scene each px of each line lies, and by how much the passes disagree.

A line is read at evenly spaced times. At px ``x`` of raw line ``k`` the beam is at

    X(x, k) = x + p(x) + q(k) + a(k) b(x)

with a profile ``p`` for each pass (lag, ringing after the turnaround, hysteresis, velocity ripple), one value a line
``q`` (creep, jitter, wander) and a small part that is not separable (the lag itself changes by ``a(k) b(x)`` down the
frame). Lag and creep are shared between the passes, half each with opposite signs, so a lag of 8 px means that the
passes disagree by 8 px.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.geometry import Pass, ScanGeometry
from sasnet_live.scan import forward_at_backward_lines

from .settings import ScannerSettings
from .vessels import Doubles, Floats

_TURNS_BACK = "the beam stops or turns back within a line; expected less ripple, hysteresis or overshoot"


@dataclass(frozen=True)
class Paths:
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
    ) -> Paths:
        forward_first = geometry.first == "forward"
        forward_lines = np.arange(0 if forward_first else 1, lines, 2)
        backward_lines = np.arange(1 if forward_first else 0, lines, 2)
        x = np.arange(width, dtype=np.float64)
        u = x / (width - 1)

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
        truth_line = forward_at_backward_lines(forward_line, len(backward_lines), replace(geometry, crop=(0, 0)))

        # What the forward pass shows at x is centred on what it read at x - the delay of its detector.
        x_shown = x - _delay_px(settings.tail_forward, settings.lead_forward_px)
        target = x_shown + _profile(x_shown / (width - 1), settings, "forward", time_s) + truth_line
        # The grid reaches beyond the line, so that d is defined wherever the truth looks.
        reach = float(np.abs(p_forward).max() + np.abs(p_backward).max() + np.abs(b).max() * 2)
        reach += float(np.abs(forward_line).max() + np.abs(backward_q).max()) + 8.0
        if np.diff(x + p_forward).min() <= 0.1:
            raise InputError(_TURNS_BACK)
        wide = np.arange(-np.ceil(reach), width + np.ceil(reach), 0.5)
        source = _read_at(target - backward_q, backward_a, wide, width, settings, time_s)
        # Coming back, the tail shows content further left.
        source -= _delay_px(settings.tail_backward, settings.lead_backward_px)

        forward_y, backward_y = _slow_axis(forward_lines, u, geometry), _slow_axis(backward_lines, u, geometry)
        if geometry.slow_axis == "continuous":  # where on its zig-zag the backward line read what truth(x) shows
            truth_y = backward_lines[:, None] + 1.0 - source / (width - 1)
        else:
            truth_y = backward_y
        shape_f, shape_b = (len(forward_lines), width), (len(backward_lines), width)
        return Paths(
            np.broadcast_to(forward_y, shape_f).astype(np.float32),
            (x + p_forward + forward_line).astype(np.float32),
            np.broadcast_to(backward_y, shape_b).astype(np.float32),
            (x + p_backward + backward_q + backward_a * b).astype(np.float32),
            np.broadcast_to(truth_y, shape_b).astype(np.float32),
            (x + p_forward + truth_line).astype(np.float32),
            (x - source).astype(np.float32),
        )


def _read_at(
    position: Doubles, crept: Doubles, wide: Doubles, width: int, settings: ScannerSettings, time_s: float
) -> Doubles:
    """Where along the line the backward beam reads what lies at `position`: its motion inverted on the grid `wide`."""
    u = wide / (width - 1)
    reached = wide + _profile(u, settings, "backward", time_s)
    if np.diff(reached).min() <= 0.05:
        raise InputError(_TURNS_BACK)
    source: Doubles = np.interp(position, reached, wide)
    if settings.lag_creep_px:
        creep = 0.5 * settings.lag_creep_px * np.cos(np.pi * u)
        for _ in range(2):  # a contraction by less than a tenth each time
            source = np.interp(position - crept * np.interp(source, wide, creep), reached, wide)
    return source


def _slow_axis(lines: np.ndarray[Any, np.dtype[np.intp]], u: Doubles, geometry: ScanGeometry) -> Doubles:
    """y of raw lines, in raw lines, (n, W) or (n, 1); the frame spans 0 to H."""
    k = lines[:, None]
    if geometry.slow_axis == "stepped":
        return (k // 2) * 2.0 + 1.0
    if geometry.slow_axis == "interleaved":
        return k + 0.5
    forward = lines[0] % 2 == (0 if geometry.first == "forward" else 1) if len(lines) else True
    return np.asarray(k + (u if forward else 1.0 - u))


def _profile(u: Doubles, settings: ScannerSettings, which: Pass, time_s: float) -> Doubles:
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


def _delay_px(tail: tuple[float, float], lead_px: float) -> float:
    """Mean delay that the detector's tail and lead give the signal: the first moment of their digital filters."""
    fraction, decay = tail
    if fraction <= 0 or decay <= 0:
        return -lead_px
    beta = np.exp(-1.0 / decay)
    return float(fraction * beta / (1 - beta)) - lead_px
