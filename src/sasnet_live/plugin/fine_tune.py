"""Fine-tuning the weights on the user's own frames, in a process of its own; no Qt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels

from .settings import LiveSettings, data_folder

FEWEST_FRAMES = 16
ENDING_S = 15.0

Stage = Literal["preparing", "training", "better", "not better", "cancelled", "failed"]


@dataclass(frozen=True)
class FineTuneState:
    """Where a run is.

    Attributes
    ----------
    before
        Mean of NCC and SSIM on the frames kept aside to choose by, with the weights so far; None before it is known.
    curve
        (step, the same with the new weights).
    judged
        The same with the weights so far and with the chosen ones, on the frames kept aside to judge by; None before
        the end.
    step, steps
        Done and planned.
    weights
        The new ones, if they are better.
    message
        What went wrong.
    """

    stage: Stage = "preparing"
    before: float | None = None
    curve: tuple[tuple[int, float], ...] = field(default=())
    judged: tuple[float, float] | None = None
    step: int = 0
    steps: int = 0
    weights: str = ""
    message: str = ""

    @property
    def running(self) -> bool:
        """Whether the process is at work."""
        return self.stage in ("preparing", "training")


class FineTuneJob:
    """One run of `fine_tune_process`.

    The process ends by itself when this one does.

    Parameters
    ----------
    recordings
        Raw TIFF stacks; every eighth frame is kept aside, half of those to choose the best weights by, half to judge
        them by.
    settings
        Geometry and the model to start from.
    minutes
        How long to train.
    folder
        Where weights and logs go; by default a new one among the plugin's own files.
    batch_size, height, width
        Of the training.
    """

    def __init__(
        self,
        recordings: Sequence[Path],
        settings: LiveSettings,
        minutes: float,
        *,
        folder: Path | None = None,
        batch_size: int = 8,
        height: int = 192,
        width: int = 320,
    ) -> None:
        if not recordings:
            raise InputError("no frames to train on; register live frames first, or choose recordings")
        self.folder = folder or new_folder()
        job = {
            "folder": str(self.folder),
            "recordings": [str(path) for path in recordings],
            "model": settings.registrar.model,
            "geometry": asdict(settings.registrar.geometry),
            "seconds": 60 * minutes,
            "batch_size": batch_size,
            "height": height,
            "width": width,
        }
        path = self.folder / "job.json"
        path.write_text(json.dumps(job, indent=1), encoding="utf-8")
        self._lock = threading.Lock()
        self._state = FineTuneState()
        self._cancelled = False
        # Half of the cores, so that live registration goes on.
        threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 2) // 2))}
        self._log = (self.folder / "log.txt").open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sasnet_live.plugin.fine_tune_process", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**threads, **os.environ},
        )
        self._reader = threading.Thread(target=self._read, name="sasnet-live-fine-tune", daemon=True)
        self._reader.start()

    @property
    def state(self) -> FineTuneState:
        """A snapshot; any thread may ask."""
        with self._lock:
            return self._state

    def cancel(self) -> None:
        """Let it end; returns at once."""
        self._cancelled = True
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    def close(self) -> None:
        """End it and wait."""
        self.cancel()
        try:
            self._process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(ENDING_S)

    def _read(self) -> None:
        """In a thread of its own: what the process says, until it ends."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):
                self._note(json.loads(line))
        status = self._process.wait()
        self._process.stdout.close()
        self._log.close()
        with self._lock:
            if self._state.running:
                stage: Stage = "cancelled" if self._cancelled else "failed"
                message = "" if self._cancelled else f"the process ended with {status}: {self._last_words()}"
                self._state = replace(self._state, stage=stage, message=message)

    def _note(self, said: dict[str, Any]) -> None:
        event = said.pop("event", "")
        with self._lock:
            state = self._state
            if event == "before":
                state = replace(state, before=said["merit"], curve=((0, said["merit"]),))
            elif event in ("plan", "step"):
                state = replace(state, stage="training", step=said.get("step", 0), steps=said["steps"])
            elif event == "score":
                curve = (*state.curve, (said["step"], said["merit"]))
                state = replace(state, stage="training", step=said["step"], steps=said["steps"], curve=curve)
            elif event == "done":
                stage: Stage = "better" if said["better"] else "not better"
                judged = (said["before"], said["after"])
                state = replace(state, stage=stage, weights=said["weights"], judged=judged)
            elif event == "error":
                state = replace(state, stage="failed", message=said["message"])
            elif event == "cancelled":
                state = replace(state, stage="cancelled")
            self._state = state

    def _last_words(self) -> str:
        try:
            lines = (self.folder / "log.txt").read_text(encoding="utf-8").strip().splitlines()
        except OSError:
            return "no log"
        return lines[-1] if lines else "no log"


def new_folder() -> Path:
    """A folder for one run, named by the time."""
    kept = data_folder()
    parent = Path(tempfile.mkdtemp(prefix="sasnet-live-")) if kept is None else kept / "fine-tuned"
    name = f"{datetime.now():%Y%m%d-%H%M%S}"
    for number in range(100):
        folder = parent / (name if not number else f"{name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise InputError(f"{parent}: no new folder can be made there; check its rights")


def save_frames(frames: Sequence[Pixels], folder: Path) -> Path:
    """Write collected raw frames where the process finds them.

    Raises
    ------
    InputError
        If there are too few to train on and keep some aside.
    """
    if len(frames) < FEWEST_FRAMES:
        raise InputError(f"{len(frames)} frames came; fine-tuning needs {FEWEST_FRAMES} or more")
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1:
        raise InputError("the frames have different sizes; collect them again without changing the camera")
    import tifffile

    path = folder / "frames.tif"
    tifffile.imwrite(path, np.stack(frames), photometric="minisblack", metadata={"axes": "TYX"})
    return path
