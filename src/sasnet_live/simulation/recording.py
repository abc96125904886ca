"""Time series: the same tissue scanned again and again by a scanner that drifts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry

from .scanner import ScannerSettings, SimulatedFrame, scan
from .vessels import Floats, Scene, smooth_field, vascular_scene


@dataclass(frozen=True)
class RecordingSettings:
    """What changes from frame to frame, besides the scanner's own drift (`ScannerSettings.drift_px`).

    Attributes
    ----------
    frame_interval_s
        From the start of one frame to the start of the next.
    tissue_motion_px
        Amplitude of the slow wandering of the tissue, along both axes.
    tissue_period_s
        About the time it takes to wander there and back.
    flow
        Relative amplitude of the change of brightness that blood flow makes, in [0, 1); it travels through the scene.
    flow_period_s
        Its period.
    jump_at
        Index of the frame from which the lag is another, as after a change of scan speed; None: it never jumps.
    jump_px
        By how much the lag changes there.
    """

    frame_interval_s: float = 0.5
    tissue_motion_px: float = 1.5
    tissue_period_s: float = 40.0
    flow: float = 0.1
    flow_period_s: float = 7.0
    jump_at: int | None = None
    jump_px: float = 6.0

    def __post_init__(self) -> None:
        for name in ("frame_interval_s", "tissue_period_s", "flow_period_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; expected more than 0")
        if not 0 <= self.flow < 1:
            raise InputError(f"flow is {self.flow}; expected 0 or more and less than 1")


def record(
    scene: Scene | int,
    settings: ScannerSettings,
    rng: np.random.Generator,
    frames: int | None,
    *,
    height: int,
    width: int,
    geometry: ScanGeometry | None = None,
    recording: RecordingSettings | None = None,
) -> Iterator[SimulatedFrame]:
    """Frames one after the other, each made when it is asked for.

    Parameters
    ----------
    scene
        What lies under the microscope, or the seed of a vascular scene.
    frames
        How many; None: without end.
    height, width, geometry
        As for `scan`. Tissue stands still while a frame is scanned.
    """
    if frames is not None and frames < 0:
        raise InputError(f"frames is {frames}; expected 0 or more, or None for no end")
    recording = RecordingSettings() if recording is None else recording
    if not isinstance(scene, Scene):
        lines, line_px = (height, width) if geometry is None or geometry.line_axis == "rows" else (width, height)
        scene = vascular_scene(np.random.default_rng(scene), lines, line_px)
    acquire = partial(scan, rng=rng, height=height, width=width, geometry=geometry)
    return _frames(scene, settings, rng, frames, recording, acquire)


def _frames(
    scene: Scene,
    settings: ScannerSettings,
    rng: np.random.Generator,
    frames: int | None,
    recording: RecordingSettings,
    acquire: Callable[..., SimulatedFrame],
) -> Iterator[SimulatedFrame]:
    path = _Wandering.draw(rng, recording)
    # Two fields in quadrature: a wave of brightness that travels.
    flow = (smooth_field(rng, scene.image.shape, 4.0), smooth_field(rng, scene.image.shape, 4.0))
    jumped = replace(settings, lag_px=settings.lag_px + recording.jump_px)
    index = 0
    while frames is None or index < frames:
        time_s = index * recording.frame_interval_s
        now = _brightened(scene, flow, recording, time_s).moved(*path.at(time_s))
        has_jumped = recording.jump_at is not None and index >= recording.jump_at
        yield acquire(now, jumped if has_jumped else settings, time_s=time_s)
        index += 1


@dataclass(frozen=True)
class _Wandering:
    """A smooth path, the sum of three slow sines along each axis; (0, 0) at time 0."""

    amplitude_px: Floats  # (axes, sines)
    period_s: Floats
    phase: Floats

    @staticmethod
    def draw(rng: np.random.Generator, recording: RecordingSettings) -> _Wandering:
        amplitude = recording.tissue_motion_px * rng.uniform(0.2, 0.6, (2, 3))
        return _Wandering(
            amplitude, recording.tissue_period_s * rng.uniform(0.5, 2.0, (2, 3)), rng.uniform(0, 2 * np.pi, (2, 3))
        )

    def at(self, time_s: float) -> tuple[float, float]:
        turned = np.sin(2 * np.pi * time_s / self.period_s + self.phase) - np.sin(self.phase)
        y, x = (self.amplitude_px * turned).sum(axis=1)
        return float(y), float(x)


def _brightened(scene: Scene, flow: tuple[Floats, Floats], recording: RecordingSettings, time_s: float) -> Scene:
    if not recording.flow:
        return scene
    angle = 2 * math.pi * time_s / recording.flow_period_s
    wave = flow[0] * np.float32(math.cos(angle))
    wave += flow[1] * np.float32(math.sin(angle))
    np.tanh(wave, out=wave)
    wave *= np.float32(recording.flow)
    wave += 1
    wave *= scene.image
    return replace(scene, image=wave)
