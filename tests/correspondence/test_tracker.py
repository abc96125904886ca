"""From frame to frame: noise falls, drift is followed, jumps are noticed."""

from __future__ import annotations

import numpy as np
import torch

from sasnet_live.correspondence import Tracker
from sasnet_live.scan import forward_at_backward_lines, split
from sasnet_live.simulation.levels import random_scanner
from sasnet_live.simulation.recording import RecordingSettings, record


def errors(
    temporal: bool, *, jump_at: int | None = None, level: str = "hard", frames: int = 8, seed: int = 1
) -> list[float]:
    rng = np.random.default_rng(seed)
    scanner = random_scanner(rng, level, 192)  # type: ignore[arg-type]
    settings = RecordingSettings(jump_at=jump_at, jump_px=6.0)
    tracker, found = Tracker(temporal=temporal), []
    for frame in record(seed, scanner, rng, frames, height=192, width=192, recording=settings):
        forward, backward = (torch.from_numpy(a.astype(np.float32))[None] for a in split(frame.raw, frame.geometry))
        result = tracker.find(forward_at_backward_lines(forward, backward.shape[1], frame.geometry), backward)
        tracker.accept(result)
        found.append(float(np.abs(result.displacement_px[0].numpy() - frame.displacement_px)[frame.textured].mean()))
    return found


def test_earlier_frames_help() -> None:
    alone, together = (np.mean([errors(t, seed=s)[4:] for s in (1, 2)]) for t in (False, True))
    assert together < alone


def test_a_jump_of_the_scanner_is_recovered_within_three_frames() -> None:
    alone, together = (errors(t, jump_at=4, level="medium") for t in (False, True))
    assert max(together[6:]) < 1.3 * max(alone[6:])


def test_reset_forgets() -> None:
    tracker = Tracker()
    images = torch.rand(2, 1, 64, 128)
    tracker.accept(tracker.find(*images))
    assert tracker.running.frames == 1
    tracker.reset()
    assert tracker.running.frames == 0
    assert tracker.running.prior is None


def test_without_temporal_state_frames_do_not_depend_on_each_other() -> None:
    tracker = Tracker(temporal=False)
    images = torch.rand(2, 1, 64, 128)
    first = tracker.find(*images)
    tracker.accept(first)
    torch.testing.assert_close(tracker.find(*images).displacement_px, first.displacement_px)
