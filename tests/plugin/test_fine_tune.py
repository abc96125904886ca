"""Fine-tuning runs in a process of its own, which can be cancelled and which says what went wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.plugin import fine_tune
from sasnet_live.plugin.fine_tune import FineTuneJob, save_frames
from sasnet_live.plugin.settings import LiveSettings


def until(condition: Callable[[], bool], patience_s: float = 60) -> None:
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def scripted(monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, object]], status: int = 0) -> None:
    """Let a process that says these lines stand in for training."""
    code = f"import sys\nfor line in {[json.dumps(line) for line in lines]!r}: print(line, flush=True)\n"
    code += f"print('last words', file=sys.stderr)\nsys.exit({status})"
    start = subprocess.Popen
    monkeypatch.setattr(fine_tune.subprocess, "Popen", lambda command, **kw: start([sys.executable, "-c", code], **kw))


BEFORE = {"event": "before", "merit": 0.9, "ncc": 0.95, "ssim": 0.85}
SCORES = [
    {"event": "score", "step": step, "steps": 20, "merit": merit, "ncc": 0.95, "ssim": 0.85}
    for step, merit in ((10, 0.91), (20, 0.93))
]


@pytest.mark.parametrize(("better", "stage"), [(True, "better"), (False, "not better")])
def test_weights_are_offered_only_if_better(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, better: bool, stage: str
) -> None:
    weights = "/runs/best.safetensors" if better else ""
    done = {"event": "done", "weights": weights, "before": 0.9, "after": 0.93, "better": better}
    scripted(monkeypatch, [BEFORE, *SCORES, done])
    job = FineTuneJob([tmp_path / "a.tif"], LiveSettings(), 1, folder=tmp_path)
    until(lambda: not job.state.running)
    assert (job.state.stage, job.state.weights) == (stage, weights)
    assert job.state.before == 0.9
    assert job.state.curve == ((0, 0.9), (10, 0.91), (20, 0.93))
    job.close()


def test_a_process_that_dies_is_a_failure_with_its_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scripted(monkeypatch, [BEFORE], status=3)
    job = FineTuneJob([tmp_path / "a.tif"], LiveSettings(), 1, folder=tmp_path)
    until(lambda: not job.state.running)
    assert job.state.stage == "failed"
    assert "3: last words" in job.state.message
    job.close()


def test_the_real_process_refuses_frames_that_cannot_be_used(tmp_path: Path) -> None:
    path = save_frames([np.zeros((64, 96), np.uint16)] * 16, tmp_path)
    job = FineTuneJob([path], LiveSettings(model="lite"), 1, folder=tmp_path)
    until(lambda: not job.state.running)
    assert job.state.stage == "failed"
    assert "frames.tif" in job.state.message
    job.close()


def test_the_real_process_can_be_cancelled(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = save_frames(list(rng.integers(0, 999, (16, 64, 96)).astype(np.uint16)), tmp_path)
    job = FineTuneJob([path], LiveSettings(model="lite"), 10, folder=tmp_path)
    until(lambda: job.state.before is not None or not job.state.running)
    assert job.state.running
    job.close()
    assert job.state.stage == "cancelled"
    assert job._process.returncode is not None


def test_too_few_or_different_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs 16 or more"):
        save_frames([np.zeros((8, 8))] * 3, tmp_path)
    with pytest.raises(InputError, match="different sizes"):
        save_frames([np.zeros((8, 8))] * 16 + [np.zeros((8, 9))], tmp_path)
    with pytest.raises(InputError, match="no frames"):
        FineTuneJob([], LiveSettings(), 1, folder=tmp_path)
