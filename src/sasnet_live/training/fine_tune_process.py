"""The process that fine-tunes: trains for a stated time, prints a JSON object a line, ends when its starter does.

``python -m sasnet_live.training.fine_tune_process JOB.json``, which a `fine_tune.FineTuneJob` does.
"""

from __future__ import annotations

import _thread
import json
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .fine_tune import FineTuneSettings

if TYPE_CHECKING:
    from sasnet_live.training.loop import Progress

TRIAL_STEPS = 4
VALIDATIONS = 12
LEARNING_RATE = 3e-4  # a tenth or so of that for training from scratch
BETTER_BY = 0.002
"""Gain in the mean of NCC and SSIM below which new weights are not worth a change."""


class _TimeIsUp(Exception):
    """Training has had its time."""


def main(path: str) -> int:
    """Run one job; the exit status."""
    _end_with_starter()
    with suppress(OSError):
        os.nice(10)
    try:
        _run(FineTuneSettings.load(Path(path)), Path(path).parent)
    except KeyboardInterrupt:
        _tell(event="cancelled")
        return 130
    except Exception as error:
        _tell(event="error", message=f"{error}" or type(error).__name__, kind=type(error).__name__)
        return 1
    return 0


def _run(job: FineTuneSettings, folder: Path) -> None:
    from sasnet_live.network.checkpoint import load_model
    from sasnet_live.network.device import device_of
    from sasnet_live.network.names import DEFAULT, WITHOUT_NETWORK, default_model, find_weights
    from sasnet_live.training.loop import train
    from sasnet_live.training.recordings import recorded_validation
    from sasnet_live.training.settings import TrainingSettings
    from sasnet_live.training.validation import merit, validate

    began = time.perf_counter()
    device = device_of("auto")
    seconds = 60 * job.minutes
    name = job.model
    if name in (DEFAULT, WITHOUT_NETWORK):
        name = default_model(device.type)
    weights = find_weights(name)
    network, card = load_model(weights)
    settings = TrainingSettings(
        preset=card.training.get("preset", card.name),
        steps=TRIAL_STEPS,
        batch_size=job.batch_size,
        learning_rate=LEARNING_RATE,
        height=job.height,
        width=job.width,
        recordings=job.recordings,
        geometry=job.geometry,
        initial_weights=str(weights),
        validate_every=TRIAL_STEPS,
    )
    # The run chooses its best weights on one part of the frames kept aside; whether they are better than those before
    # is judged on the other, which nothing was chosen by.
    chosen_by, judged_by = (
        recorded_validation(settings, network.config.correspondence, part=part) for part in ("choose", "judge")
    )
    network.to(device)
    before = merit(validate(network, judged_by, device))
    _tell(event="before", merit=merit(validate(network, chosen_by, device)), judged=before, model=card.name)

    clock = _Clock()
    train(settings, folder / "trial", device=str(device), report=clock)
    left_s = seconds - (time.perf_counter() - began) - clock.start_s
    steps = max(TRIAL_STEPS, int((left_s - VALIDATIONS * clock.validation_s) / clock.step_s))
    deadline = began + seconds + clock.validation_s

    def report(progress: Progress) -> None:
        if progress.scores:
            _tell(event="score", step=progress.step, steps=progress.steps, merit=merit(progress.scores))
        else:
            _tell(event="step", step=progress.step, steps=progress.steps)
        if time.perf_counter() > deadline:
            raise _TimeIsUp

    full = replace(settings, steps=steps, validate_every=max(1, steps // VALIDATIONS))
    _tell(event="plan", steps=steps)
    with suppress(_TimeIsUp):
        train(full, folder / "run", device=str(device), report=report)
    result = folder / "run" / "best.safetensors"
    after = float("-inf")
    if result.is_file():
        tuned, _ = load_model(result)
        after = merit(validate(tuned.to(device), judged_by, device))
    better = after > before + BETTER_BY
    _tell(event="done", weights=str(result) if better else "", before=before, after=after, better=better)


class _Clock:
    """Times of a trial run: of a step, of a validation, and until the first step."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._at: list[float] = []
        self.start_s = self.step_s = self.validation_s = 0.0

    def __call__(self, progress: Progress) -> None:
        self._at.append(time.perf_counter())
        if progress.step == 1:
            self.start_s = self._at[0] - self._began
        elif progress.step == TRIAL_STEPS - 1:
            # The first step compiles and warms up.
            self.step_s = max(1e-3, (self._at[-1] - self._at[0]) / (TRIAL_STEPS - 2))
        elif progress.step == TRIAL_STEPS:
            self.validation_s = max(0.0, self._at[-1] - self._at[-2] - self.step_s)


def _tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201 - the way to talk to whoever started this


def _end_with_starter() -> None:
    """End when standard input does, so that no training goes on without a window."""

    def watch() -> None:
        with suppress(OSError, ValueError):
            while sys.stdin.readline():
                pass
        _thread.interrupt_main()

    threading.Thread(target=watch, name="sasnet-live-watch-starter", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
