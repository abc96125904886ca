"""The simulated OR-PAM scanner as a camera of Micro-Manager: a Python device for pymmcore-plus' `UniMMCore`."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from pymmcore_plus.experimental.unicore import SimpleCameraDevice, pymm_property

from sasnet_live.simulation.levels import LEVELS, Level, random_scanner
from sasnet_live.simulation.scanner import scan
from sasnet_live.simulation.settings import ScannerSettings
from sasnet_live.simulation.vessels import Scene, vascular_scene

Frames = np.ndarray[Any, np.dtype[np.uint16]]

DRIFT_STEPS = 24
"""The lag's slow drift moves on this often in its period."""
VARIANTS = 3
"""Frames of different jitter and noise that follow one another at each step of the drift."""

_SIZE_LIMITS = (32, 2048)
_SCANNER_SEED = 20260209


def config_path() -> Path:
    """The Micro-Manager configuration that loads this camera as "ORPAM", pixel size 1.25 um."""
    return Path(str(files("sasnet_live.simulation") / "orpam.cfg"))


class ORPAMCamera(SimpleCameraDevice):
    """Bidirectional raster frames of a vascular scene: raw, with the backward lines displaced.

    Scanning takes longer to simulate than to do, so frames are rendered when first needed and kept: a camera with
    unchanged properties soon runs faster than 60 frames a second. What a property changes is seen in the next frame.

    Properties
    ----------
    Level
        "easy", "medium" or "hard": the scanner. Sets `Lag_px` to the scanner's own.
    Lag_px
        Displacement between the passes, px, positive to the right.
    Noise
        Factor on the detector's noise, 1 for the scanner's own.
    Gain
        Factor on the digitized signal; clips at 65535.
    Drift_px, DriftPeriod_s
        Slow change of the lag.
    Lines, PixelsPerLine
        Size of the frame.
    Scene
        Number of the tissue that is looked at.
    Exposure
        Time of a frame, ms.
    """

    def __init__(self) -> None:
        super().__init__()
        self._exposure_ms = 33.0
        self._level: Level = "medium"
        self._lag_px = _scanner(self._level).lag_px
        self._noise = 1.0
        self._gain = 1.0
        self._drift_px = 0.5
        self._drift_period_s = 60.0
        self._lines = self._pixels = 512
        self._scene = 0
        self._started_s = time.perf_counter()
        self._due_s = 0.0
        self._count = 0

    # ------------------------------------------------------------------ camera

    def get_exposure(self) -> float:
        """Time of a frame, ms."""
        return self._exposure_ms

    def set_exposure(self, exposure: float) -> None:
        """Set the time of a frame, ms."""
        self._exposure_ms = float(exposure)

    def sensor_shape(self) -> tuple[int, int]:
        """(lines, px a line)."""
        return self._lines, self._pixels

    def dtype(self) -> type[np.uint16]:
        """16 bit."""
        return np.uint16

    def snap(self, buffer: np.ndarray[Any, Any]) -> Mapping[str, str]:
        """Fill `buffer` with the next frame when its time has come."""
        frame = self._next_frame()
        if self._gain == 1.0:
            buffer[:] = frame
        else:
            buffer[:] = np.minimum(frame * np.float32(self._gain), np.float32(65535))
        # Frames are an exposure apart, not an exposure and the time it took to draw them.
        now = time.perf_counter()
        due = max(self._due_s, now)
        time.sleep(due - now)
        self._due_s = due + self._exposure_ms / 1e3
        return {"SimulatedLag_px": f"{self._lag_px:.3f}"}

    def _next_frame(self) -> Frames:
        period = self._drift_period_s
        step = int((time.perf_counter() - self._started_s) / period * DRIFT_STEPS) % DRIFT_STEPS
        self._count += 1
        return _rendered(
            _Beam(self._level, self._lag_px, self._noise, self._drift_px),
            (self._lines, self._pixels),
            self._scene,
            step if self._drift_px else 0,
            self._count % VARIANTS,
        )

    # -------------------------------------------------------------- properties

    # pymmcore-plus takes the type of a property from the annotation of its getter: built-in types only.
    @pymm_property(allowed_values=[str(level) for level in LEVELS], name="Level")
    def level(self) -> str:
        """How far the passes are apart, and how noisy they are."""
        return self._level

    @level.setter
    def _set_level(self, level: str) -> None:
        self._level = cast("Level", level)
        self._lag_px = _scanner(self._level).lag_px

    @pymm_property(limits=(-32.0, 32.0), name="Lag_px")
    def lag_px(self) -> float:
        """Displacement between the passes, px."""
        return self._lag_px

    @lag_px.setter
    def _set_lag_px(self, lag_px: float) -> None:
        self._lag_px = float(lag_px)

    @pymm_property(limits=(0.0, 10.0), name="Noise")
    def noise(self) -> float:
        """Factor on the detector's noise."""
        return self._noise

    @noise.setter
    def _set_noise(self, noise: float) -> None:
        self._noise = float(noise)

    @pymm_property(limits=(0.1, 10.0), name="Gain")
    def gain(self) -> float:
        """Factor on the signal."""
        return self._gain

    @gain.setter
    def _set_gain(self, gain: float) -> None:
        self._gain = float(gain)

    @pymm_property(limits=(0.0, 8.0), name="Drift_px")
    def drift_px(self) -> float:
        """Amplitude of the slow change of the lag, px."""
        return self._drift_px

    @drift_px.setter
    def _set_drift_px(self, drift_px: float) -> None:
        self._drift_px = float(drift_px)

    @pymm_property(limits=(1.0, 3600.0), name="DriftPeriod_s")
    def drift_period_s(self) -> float:
        """Period of that change, s."""
        return self._drift_period_s

    @drift_period_s.setter
    def _set_drift_period_s(self, period_s: float) -> None:
        self._drift_period_s = float(period_s)

    @pymm_property(limits=_SIZE_LIMITS, name="Lines")
    def lines(self) -> int:
        """Lines a frame."""
        return self._lines

    @lines.setter
    def _set_lines(self, lines: int) -> None:
        self._lines = int(lines)
        self.clear_roi()

    @pymm_property(limits=_SIZE_LIMITS, name="PixelsPerLine")
    def pixels_per_line(self) -> int:
        """Px a line."""
        return self._pixels

    @pixels_per_line.setter
    def _set_pixels_per_line(self, pixels: int) -> None:
        self._pixels = int(pixels)
        self.clear_roi()

    @pymm_property(limits=(0, 9999), name="Scene")
    def scene(self) -> int:
        """Number of the tissue."""
        return self._scene

    @scene.setter
    def _set_scene(self, scene: int) -> None:
        self._scene = int(scene)


@lru_cache(maxsize=len(LEVELS))
def _scanner(level: Level) -> ScannerSettings:
    return random_scanner(np.random.default_rng(_SCANNER_SEED), level)


class _Beam(NamedTuple):
    """How the beam of the camera moves, and its noise."""

    level: Level
    lag_px: float
    noise: float
    drift_px: float


_drawing = threading.Lock()


@lru_cache(maxsize=4)
def _tissue(seed: int, lines: int, pixels: int) -> Scene:
    return vascular_scene(np.random.default_rng(seed), lines, pixels)


@lru_cache(maxsize=2 * DRIFT_STEPS * VARIANTS)
def _rendered(beam: _Beam, shape: tuple[int, int], scene: int, step: int, variant: int) -> Frames:
    """One raw frame, read-only."""
    scanner = _scanner(beam.level)
    settings = replace(
        scanner,
        lag_px=beam.lag_px,
        drift_px=beam.drift_px,
        drift_period_s=float(DRIFT_STEPS),
        bits=16,
        **{name: beam.noise * getattr(scanner, name) for name in ("pulse_noise", "shot_noise", "electronic_noise")},
    )
    with _drawing:
        tissue = _tissue(scene, *shape)
    rng = np.random.default_rng((_SCANNER_SEED, scene, step, variant))
    frame = scan(tissue, settings, rng, height=shape[0], width=shape[1], time_s=float(step)).raw
    frame.setflags(write=False)
    return frame
