"""A recording drifts, breathes and jumps as it was told."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.simulation.recording import RecordingSettings, record
from sasnet_live.simulation.settings import ScannerSettings

STILL = RecordingSettings(tissue_motion_px=0.0, flow=0.0)
SCANNER = ScannerSettings(fast_axis="triangular", lag_px=4.0)


def _recording(settings: ScannerSettings, recording: RecordingSettings, frames: int, seed: int = 0) -> list:
    return list(record(5, settings, np.random.default_rng(seed), frames, height=48, width=96, recording=recording))


def _lag(frame: object) -> float:
    return float(np.median(frame.displacement_px))  # type: ignore[attr-defined]


def test_nothing_changes_where_nothing_is_told_to() -> None:
    frames = _recording(SCANNER, STILL, 3)
    assert len({frame.raw.tobytes() for frame in frames}) == 1


def test_lag_drifts_with_time() -> None:
    drifting = ScannerSettings(fast_axis="triangular", lag_px=4.0, drift_px=2.0, drift_period_s=8.0)
    lags = [_lag(frame) for frame in _recording(drifting, RecordingSettings(1.0, 0.0, flow=0.0), 9)]
    expected = 4.0 + 2.0 * np.sin(2 * np.pi * np.arange(9) / 8.0)
    np.testing.assert_allclose(lags, expected, atol=1e-3)


def test_lag_jumps_at_the_frame_named() -> None:
    jumping = RecordingSettings(tissue_motion_px=0.0, flow=0.0, jump_at=2, jump_px=-6.0)
    lags = [_lag(frame) for frame in _recording(SCANNER, jumping, 4)]
    np.testing.assert_allclose(lags, [4.0, 4.0, -2.0, -2.0], atol=1e-3)


def test_tissue_moves_slowly() -> None:
    moving = RecordingSettings(frame_interval_s=1.0, tissue_motion_px=3.0, flow=0.0)
    truths = [frame.truth for frame in _recording(SCANNER, moving, 20)]
    step = np.corrcoef(truths[0].ravel(), truths[1].ravel())[0, 1]
    far = min(np.corrcoef(truths[0].ravel(), truth.ravel())[0, 1] for truth in truths[1:])
    assert step > 0.9
    assert far < step


def test_flow_changes_brightness_by_no_more_than_its_amplitude() -> None:
    flowing = RecordingSettings(frame_interval_s=1.0, tissue_motion_px=0.0, flow=0.2)
    truths = np.stack([frame.truth for frame in _recording(ScannerSettings(black_level=0.0), flowing, 7)])
    bright = truths[0] > 0.3 * truths[0].max()
    ratio = truths[:, bright] / truths.mean(axis=0)[bright]
    assert 0.01 < ratio.std() < 0.2
    assert ratio.min() > 0.8 / 1.2
    assert ratio.max() < 1.2 / 0.8


def test_recordings_are_reproducible_and_may_be_endless() -> None:
    noisy = ScannerSettings(electronic_noise=0.02, jitter_px=0.1)
    one, same = (_recording(noisy, RecordingSettings(), 3, seed=4) for _ in range(2))
    assert [f.raw.tobytes() for f in one] == [f.raw.tobytes() for f in same]
    endless = record(5, noisy, np.random.default_rng(4), None, height=48, width=96)
    assert [f.raw.tobytes() for f in islice(endless, 3)] == [f.raw.tobytes() for f in one]


@pytest.mark.parametrize("wrong", [{"frame_interval_s": 0.0}, {"flow": 1.0}, {"flow_period_s": -1.0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        RecordingSettings(**wrong)  # type: ignore[arg-type]


def test_a_negative_number_of_frames_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="frames is -1"):
        record(0, SCANNER, np.random.default_rng(0), -1, height=48, width=96)
