"""Random scanners: three levels of difficulty to test on, and a wide variety to train on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from sasnet_live.errors import InputError

from .settings import ScannerSettings, Wave

Level = Literal["easy", "medium", "hard", "wide"]
LEVELS: tuple[Level, ...] = ("easy", "medium", "hard")


@dataclass(frozen=True)
class Difficulty:
    """Typical sizes at one level.

    Attributes
    ----------
    lag, bend, line, creep
        In px at 512 px a line: actuator lag; hysteresis, overshoot and ripple; jitter of the lines (their wander is
        five times that over a frame); creep down the frame.
    noise
        Electronic noise in fractions of full scale; the other noises follow it.
    appearance
        Scale of the logarithm of the gain between the passes; the other changes follow it.
    tail, tail_px
        Fraction of the signal in the electronic tail, and its decay length.
    """

    lag: float
    bend: float  # hysteresis, overshoot, ripple together
    line: float  # jitter and wander
    creep: float
    noise: float
    appearance: float
    tail: float
    tail_px: float


DIFFICULTY: dict[str, Difficulty] = {
    "easy": Difficulty(lag=3, bend=0.5, line=0.04, creep=0.3, noise=0.016, appearance=0.10, tail=0.25, tail_px=0.7),
    "medium": Difficulty(lag=8, bend=1.3, line=0.10, creep=0.8, noise=0.031, appearance=0.20, tail=0.40, tail_px=0.9),
    "hard": Difficulty(lag=16, bend=2.6, line=0.20, creep=1.6, noise=0.065, appearance=0.32, tail=0.55, tail_px=1.1),
}


def random_scanner(rng: np.random.Generator, level: Level, width_px: int = 512) -> ScannerSettings:
    """A scanner of a level of difficulty.

    "easy", "medium", "hard": about 3, 8, 16 px of lag at 512 px a line, either sign, with bending of the path, line
    jitter, noise and a change of appearance that grow with the level. On vessels, backward lines moved by the true
    displacement and matched in gain have an NCC of about 0.99, 0.96, 0.89 with the truth.

    "wide", for training: any lag up to 32 px, any appearance, from nearly noise-free to very noisy, each fault drawn
    on its own.

    Raises
    ------
    InputError
        If the level is not one of the four.
    """
    if level == "wide":
        return _wide_scanner(rng, width_px)
    if level not in DIFFICULTY:
        raise InputError(f"level is {level!r}; expected one of easy, medium, hard, wide")
    return _scanner(rng, DIFFICULTY[level], width_px, lag_px=DIFFICULTY[level].lag * rng.uniform(0.8, 1.2))


def _wide_scanner(rng: np.random.Generator, width_px: int) -> ScannerSettings:
    """Each kind of fault of its own size, so that none foretells another; small ones are as likely as large ones."""
    lag = float(rng.uniform(0, 32) if rng.random() < 0.7 else rng.exponential(4.0))
    difficulty = Difficulty(
        lag=lag,
        bend=float(np.exp(rng.uniform(np.log(0.1), np.log(4.5)))),
        line=float(np.exp(rng.uniform(np.log(0.02), np.log(0.6)))),
        creep=float(np.exp(rng.uniform(np.log(0.05), np.log(3.0)))),
        noise=float(np.exp(rng.uniform(np.log(0.001), np.log(0.12)))),
        appearance=float(rng.uniform(0.0, 0.6)),
        tail=float(rng.uniform(0.0, 0.7)),
        tail_px=float(np.exp(rng.uniform(np.log(0.4), np.log(3.0)))),
    )
    settings = _scanner(rng, difficulty, width_px, lag_px=min(lag, 32.0))
    extra: dict[str, Any] = {}
    if rng.random() < 0.08:
        extra.update(detail_backward=float(rng.uniform(-1.0, 0.7)), detail_px=float(rng.uniform(1.5, 6.0)))
    if rng.random() < 0.2:
        extra.update(line_offset_noise=float(np.exp(rng.uniform(np.log(0.002), np.log(0.08)))))
    if rng.random() < 0.15:
        extra.update(offset_wander=float(np.exp(rng.uniform(np.log(0.01), np.log(0.2)))))
    if rng.random() < 0.2:  # a feedback loop, much the same in both passes
        lead = float(rng.exponential(1.0))
        extra.update(lead_forward_px=lead, lead_backward_px=lead * float(rng.uniform(0.7, 1.4)))
    if rng.random() < 0.2:
        extra.update(hum_amplitude=float(rng.uniform(0.0, 0.05)), hum_period_px=float(np.exp(rng.uniform(1.2, 6.0))))
    if rng.random() < 0.15:
        extra.update(spike_rate=float(10 ** rng.uniform(-4.5, -2.3)))
    if rng.random() < 0.12:
        extra.update(streak_rate=float(10 ** rng.uniform(-2.0, 0.0)))
    if rng.random() < 0.15:
        extra.update(saturation=float(rng.uniform(0.4, 0.9)))
    if rng.random() < 0.3:
        extra.update(noise_memory=float(rng.uniform(0.2, 0.95)))
    return replace(settings, **extra)


def _scanner(rng: np.random.Generator, level: Difficulty, width_px: int, lag_px: float) -> ScannerSettings:
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
        return tuple((size * rng.standard_normal(count).clip(-2, 2) / (1.5 + np.arange(count))).tolist())

    sinusoidal = rng.random() < 0.5
    sign = float(rng.choice([-1.0, 1.0]))
    noise = about(level.noise)
    common, gamma = cosines(0.5 * level.appearance), 1.0 + 0.3 * level.appearance * float(rng.standard_normal())
    other = cosines(level.appearance)
    # Short beside the structures, so that the tail's centroid is also by how much it moves them.
    tail_px = about(level.tail_px)
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
