"""From frame to frame: noise falls, drift is followed, jumps are noticed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from passes import passes_of, texture, white
from sasnet_live.correspondence import Tracker, expectation
from sasnet_live.evaluation.parts import error_parts
from sasnet_live.simulation.levels import random_scanner
from sasnet_live.simulation.recording import RecordingSettings, record
from sasnet_live.simulation.scanner import SimulatedFrame


def errors(
    temporal: bool, *, jump_at: int | None = None, level: str = "hard", frames: int = 8, seed: int = 1
) -> list[float]:
    rng = np.random.default_rng(seed)
    scanner = random_scanner(rng, level, 192)  # type: ignore[arg-type]
    settings = RecordingSettings(jump_at=jump_at, jump_px=6.0)
    tracker, found = Tracker(temporal=temporal), []
    for frame in record(seed, scanner, rng, frames, height=192, width=192, recording=settings):
        result = tracker.find(*passes_of(frame.raw, frame.geometry))
        tracker.accept(result)
        found.append(float(np.abs(result.displacement_px - frame.displacement_px)[frame.textured].mean()))
    return found


def test_earlier_frames_help() -> None:
    alone, together = (np.mean([errors(t, seed=s)[4:] for s in (1, 2)]) for t in (False, True))
    assert together < alone


def test_a_jump_of_the_scanner_is_recovered_within_three_frames() -> None:
    alone, together = (errors(t, jump_at=4, level="medium") for t in (False, True))
    assert max(together[6:]) < 1.3 * max(alone[6:])


def test_reset_forgets() -> None:
    tracker = Tracker()
    passes = white(64, 128, 1), white(64, 128, 2)
    tracker.accept(tracker.find(*passes))
    assert tracker.running.frames == 1
    tracker.reset()
    assert tracker.running.frames == 0
    assert tracker.running.expected is None


def test_without_temporal_state_frames_do_not_depend_on_each_other() -> None:
    tracker = Tracker(temporal=False)
    passes = white(64, 128, 1), white(64, 128, 2)
    first = tracker.find(*passes)
    tracker.accept(first)
    assert tracker.running.frames == 0
    np.testing.assert_allclose(tracker.find(*passes).displacement_px, first.displacement_px, atol=1e-5)


def test_a_coherence_filter_is_used_for_eight_frames_and_forgotten_by_reset() -> None:
    rng = np.random.default_rng(3)
    scanner = random_scanner(rng, "medium", 128)
    tracker, filters = Tracker(), []
    for frame in record(3, scanner, rng, 10, height=128, width=128, recording=RecordingSettings()):
        passes = passes_of(frame.raw, frame.geometry)
        found = tracker.find(*passes)
        tracker.accept(found)
        filters.append(found.transfer)
    assert [later is filters[0] for later in filters] == 8 * [True] + 2 * [False]
    assert filters[9] is filters[8]
    tracker.reset()
    assert tracker.find(*passes).transfer is not filters[9]


def test_a_frame_that_is_not_taken_leaves_nothing() -> None:
    content = texture(64, 128)
    tracker = Tracker()
    taken = tracker.find(content, content)
    tracker.accept(taken)
    tracker.find(white(64, 128, 1), white(64, 128, 2))
    assert tracker.running.frames == 1
    again = tracker.find(content, content)
    assert again.transfer is taken.transfer


@pytest.mark.parametrize(("creep_px", "at_most"), [(0.0, 1.01), (3.0, 0.95)])
def test_creep_that_frames_have_in_common_helps_lines_on_average_and_its_lack_does_no_harm(
    creep_px: float, at_most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Over six recordings: in single ones wander, which starts anew in each frame, can make it 7 % worse.
    recordings = [creeping_frames(seed, creep_px) for seed in range(11, 17)]
    with_mean = [line_error(frames) for frames in recordings]
    monkeypatch.setattr(expectation, "FEWEST_FRAMES", 1_000)
    without = [line_error(frames) for frames in recordings]
    assert np.mean(with_mean) < at_most * np.mean(without)


def creeping_frames(seed: int, creep_px: float) -> list[SimulatedFrame]:
    rng = np.random.default_rng(seed)
    scanner = replace(random_scanner(rng, "medium", 128), creep_px=creep_px, creep_rate=20.0, lag_creep_px=0.0)
    return list(record(seed, scanner, rng, 12, height=128, width=128, recording=RecordingSettings()))


def line_error(frames: list[SimulatedFrame]) -> float:
    """Mean error of single lines while frames are tracked, px, from the sixth frame on."""
    tracker, errors = Tracker(), []
    for frame in frames:
        found = tracker.find(*passes_of(frame.raw, frame.geometry))
        tracker.accept(found)
        errors.append(error_parts(found.displacement_px, frame.displacement_px, frame.textured).lines)
    return float(np.mean(errors[5:]))
