"""The simulated scanner as Micro-Manager sees it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

unicore = pytest.importorskip("pymmcore_plus.experimental.unicore")
useq = pytest.importorskip("useq")

from sasnet_live.simulation.camera import VARIANTS, _rendered, config_path  # noqa: E402


@pytest.fixture(scope="module")
def loaded() -> Any:
    core = unicore.UniMMCore()
    core.loadSystemConfiguration(str(config_path()))
    return core


@pytest.fixture
def core(loaded: Any) -> Iterator[Any]:
    for name, value in {"Level": "medium", "Noise": 0.0, "Gain": 1.0, "Drift_px": 0.0, "Scene": 0}.items():
        loaded.setProperty("ORPAM", name, value)
    loaded.setProperty("ORPAM", "Lines", 96)
    loaded.setProperty("ORPAM", "PixelsPerLine", 160)
    loaded.setExposure(1.0)
    yield loaded
    if loaded.isSequenceRunning():
        loaded.stopSequenceAcquisition()
    loaded.clearROI()


def shift_between_passes(image: np.ndarray[Any, Any]) -> float:
    """Whole px by which backward lines have to move to look like their neighbours, positive to the right."""
    forward = image[0::2].astype(float)
    backward = image[1::2].astype(float)
    shifts = np.arange(-24, 25)
    inner = slice(24, -24)
    scores = [np.corrcoef(forward[:, inner].ravel(), np.roll(backward, s, 1)[:, inner].ravel())[0, 1] for s in shifts]
    return float(shifts[int(np.argmax(scores))])


def test_the_configuration_file_gives_a_camera_with_a_pixel_size(core: Any) -> None:
    assert Path(config_path()).is_file()
    assert core.getCameraDevice() == "ORPAM"
    assert core.getPixelSizeUm() == 1.25
    image = core.snap()
    assert image.shape == (96, 160)
    assert image.dtype == np.uint16
    assert 0 < image.min() < image.max() <= 65535


@pytest.mark.parametrize("name", ["Level", "Lag_px", "Noise", "Gain", "Drift_px", "DriftPeriod_s", "Lines", "Scene"])
def test_what_the_scanner_does_is_a_property_that_can_be_set(core: Any, name: str) -> None:
    assert name in core.getDevicePropertyNames("ORPAM")
    assert not core.isPropertyReadOnly("ORPAM", name)
    assert core.hasPropertyLimits("ORPAM", name) or core.getAllowedPropertyValues("ORPAM", name)


@pytest.mark.parametrize("lag_px", [-6.0, 5.0, "9"])
def test_the_lag_is_seen_in_the_next_frame_with_its_sign(core: Any, lag_px: float | str) -> None:
    core.setProperty("ORPAM", "Level", "easy")
    core.setProperty("ORPAM", "Lag_px", lag_px)
    assert shift_between_passes(core.snap()) == pytest.approx(float(lag_px), abs=2.5)


def test_the_level_sets_the_lag(core: Any) -> None:
    lags = []
    for level in ("easy", "medium", "hard"):
        core.setProperty("ORPAM", "Level", level)
        lags.append(abs(core.getProperty("ORPAM", "Lag_px")))
    assert lags[0] < lags[1] < lags[2]


def test_noise_and_gain_change_the_frame(core: Any) -> None:
    core.setProperty("ORPAM", "Lag_px", 0.0)
    quiet = core.snap().astype(float)
    core.setProperty("ORPAM", "Noise", 5.0)
    noisy = core.snap().astype(float)
    assert np.diff(noisy, axis=1).std() > 1.5 * np.diff(quiet, axis=1).std()
    core.setProperty("ORPAM", "Noise", 0.0)
    core.setProperty("ORPAM", "Gain", 0.5)
    assert core.snap().mean() == pytest.approx(quiet.mean() / 2, rel=0.02)
    core.setProperty("ORPAM", "Gain", 10.0)
    assert core.snap().max() == 65535


def test_the_scene_can_be_changed(core: Any) -> None:
    first = core.snap().astype(float)
    core.setProperty("ORPAM", "Scene", 1)
    second = core.snap().astype(float)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] < 0.9


def test_the_lag_drifts(core: Any) -> None:
    core.setProperty("ORPAM", "Drift_px", 8.0)
    core.setProperty("ORPAM", "DriftPeriod_s", 1.0)
    core.setProperty("ORPAM", "Lag_px", 0.0)
    until, shifts = time.perf_counter() + 10, set()
    while len(shifts) < 4 and time.perf_counter() < until:
        shifts.add(shift_between_passes(core.snap()))
    assert len(shifts) >= 4


def test_a_region_of_interest_is_cut_out(core: Any) -> None:
    whole = core.snap()
    core.setROI(10, 20, 64, 32)
    part = core.snap()
    assert part.shape == (32, 64)
    assert np.corrcoef(part.ravel(), whole[20:52, 10:74].ravel())[0, 1] > 0.8


@pytest.mark.parametrize("sequenced", [True, False])
def test_an_acquisition_gets_all_of_its_frames(core: Any, sequenced: bool) -> None:
    core.mda.engine.use_hardware_sequencing = sequenced
    frames: list[np.ndarray[Any, Any]] = []
    core.mda.events.frameReady.connect(receive := lambda image, event, meta: frames.append(image))
    core.run_mda(useq.MDASequence(time_plan={"interval": 0, "loops": 12}), block=True)
    core.mda.events.frameReady.disconnect(receive)
    assert len(frames) == 12
    assert len({frame.tobytes() for frame in frames}) > 1, "frames differ in jitter and noise"


def test_frames_are_rendered_once(core: Any) -> None:
    """What keeps a rate of 60 frames a second: after the first few, frames are copied."""
    core.setProperty("ORPAM", "Drift_px", 0)
    for _ in range(VARIANTS):
        core.snap()
    rendered = _rendered.cache_info().misses
    for _ in range(3 * VARIANTS):
        core.snap()
    assert _rendered.cache_info().misses == rendered
