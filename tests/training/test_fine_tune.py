"""Fine-tuning runs in a process of its own, which can be cancelled and which says what went wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.training import fine_tune, fine_tune_process
from sasnet_live.training.fine_tune import FineTuneJob, FineTuneSettings, save_frames


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


BEFORE = {"event": "before", "merit": 0.9, "judged": 0.88, "model": "lite"}
SCORES = [{"event": "score", "step": step, "steps": 20, "merit": merit} for step, merit in ((10, 0.91), (20, 0.93))]


@pytest.mark.parametrize(("better", "stage"), [(True, "better"), (False, "not better")])
def test_weights_are_offered_only_if_better(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, better: bool, stage: str
) -> None:
    weights = "/runs/best.safetensors" if better else ""
    done = {"event": "done", "weights": weights, "before": 0.88, "after": 0.92, "better": better}
    scripted(monkeypatch, [BEFORE, *SCORES, done])
    job = FineTuneJob(FineTuneSettings(("a.tif",)), tmp_path)
    until(lambda: not job.state.running)
    assert (job.state.stage, job.state.weights) == (stage, weights)
    assert job.state.before == 0.9
    assert job.state.curve == ((0, 0.9), (10, 0.91), (20, 0.93))
    assert job.state.judged == (0.88, 0.92)
    job.close()


def test_a_process_that_dies_is_a_failure_with_its_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scripted(monkeypatch, [BEFORE], status=3)
    job = FineTuneJob(FineTuneSettings(("a.tif",)), tmp_path)
    until(lambda: not job.state.running)
    assert job.state.stage == "failed"
    assert "3: last words" in job.state.message
    job.close()


def test_the_real_process_refuses_frames_that_cannot_be_used(tmp_path: Path) -> None:
    path = save_frames([np.zeros((64, 96), np.uint16)] * 16, tmp_path)
    job = FineTuneJob(FineTuneSettings((str(path),), "lite", minutes=1), tmp_path)
    until(lambda: not job.state.running)
    assert job.state.stage == "failed"
    assert "frames.tif" in job.state.message
    job.close()


def test_the_real_process_can_be_cancelled(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = save_frames(list(rng.integers(0, 999, (16, 64, 96)).astype(np.uint16)), tmp_path)
    job = FineTuneJob(FineTuneSettings((str(path),), "lite"), tmp_path)
    try:
        until(lambda: job.state.before is not None or not job.state.running, 200)  # torch is loaded, by a busy machine
        assert job.state.running
    finally:
        job.close()
    assert job.state.stage == "cancelled"
    assert job._process.returncode is not None


@pytest.mark.parametrize(("gain", "better"), [(0.01, True), (-0.01, False)])
def test_weights_are_judged_on_frames_that_they_were_not_chosen_by(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], gain: float, better: bool
) -> None:
    """Whatever the run says of its choice: the frames kept for judging decide."""
    from sasnet_live.network.names import shipped_weights
    from sasnet_live.training import loop, recordings, validation
    from sasnet_live.training.loop import Progress
    from sasnet_live.training.validation import Score

    asked: list[str] = []

    def kept_aside(settings: object, kind: object, part: str = "choose") -> dict[str, list[str]]:
        return {part: []}

    def score(network: object, groups: dict[str, list[str]], device: object) -> list[Score]:
        (part,) = groups
        asked.append(part)
        merit = {"choose": 0.9, "judge": 0.8 + gain * (asked.count("judge") - 1)}[part]
        return [Score(part, 0.5, merit, 0.5, merit)]

    def train(settings: object, folder: Path, *, device: str, report: Callable[[Progress], None]) -> None:
        folder.mkdir()
        shutil.copy(shipped_weights()["lite"], folder / "best.safetensors")
        for step in range(1, 5):
            scores = (Score("choose", 0.5, 0.99, 0.5, 0.99),) if step == 4 else ()
            report(Progress(step, 4, {}, 1.0, scores, best=bool(scores)))

    monkeypatch.setattr(recordings, "recorded_validation", kept_aside)
    monkeypatch.setattr(validation, "validate", score)
    monkeypatch.setattr(loop, "train", train)
    job = FineTuneSettings(("a.tif",), "lite", minutes=1 / 60, batch_size=1, height=64, width=96)
    fine_tune_process._run(job, tmp_path)
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    done = said[-1]
    assert (done["event"], done["better"], bool(done["weights"])) == ("done", better, better)
    assert done["after"] - done["before"] == pytest.approx(gain)
    assert asked == ["judge", "choose", "judge"]


def test_too_few_or_different_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs 16 or more"):
        save_frames([np.zeros((8, 8))] * 3, tmp_path)
    with pytest.raises(InputError, match="different sizes"):
        save_frames([np.zeros((8, 8))] * 16 + [np.zeros((8, 9))], tmp_path)
    with pytest.raises(InputError, match="no frames"):
        FineTuneSettings(())


def test_the_process_has_the_settings_that_it_was_started_with(tmp_path: Path) -> None:
    geometry = ScanGeometry(line_axis="columns", crop=(2, 3))
    settings = FineTuneSettings(("a.tif", "b.tif"), "lite", geometry, 0.5, width=96)
    assert FineTuneSettings.load(settings.save(tmp_path)) == settings
