"""Samples from a user's own raw recordings: no truth, the forward pass stands in for it.

Frames are counted through all recordings; every eighth, the first one included, is kept aside. Of those, the first,
third and so on are for choosing the best weights of a run, the others for judging what was chosen: a choice is
optimistic on the frames that it was made by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels
from sasnet_live.metrics import SSIM_WINDOW_PX
from sasnet_live.network.config import CorrespondenceKind
from sasnet_live.recordings import Recording, find_recordings, open_recording

from .data import Sample, SimulatedSource, make_sample
from .settings import TrainingSettings

KEPT_ASIDE = 8
FEWEST_LINES, SHORTEST_LINE_PX = 2 * SSIM_WINDOW_PX, 32  # of a raw frame: what can be registered and compared
LEAST_DEVIATION = 0.01  # of a part of a frame, in deviations of the whole, below which it shows nothing
PATIENCE = 500  # frames without a usable sample in a row


@dataclass(frozen=True)
class MixedSource:
    """Samples of simulated frames and of frames of recordings, in the share that the settings ask for."""

    settings: TrainingSettings
    simulated: SimulatedSource

    def __call__(self, worker: int) -> Iterator[Sample]:
        rng = np.random.default_rng([self.simulated.seed, worker, 0x4EC])
        simulated = self.simulated(worker)
        recorded = recorded_samples(self.settings, self.simulated.correspondence, rng)
        while True:
            yield next(simulated if rng.random() < self.settings.simulated_share else recorded)


def recorded_validation(
    settings: TrainingSettings,
    correspondence: CorrespondenceKind,
    most: int = 24,
    part: Literal["choose", "judge"] = "choose",
) -> dict[str, list[Sample]]:
    """At most so many of the frames that are not trained on, spread over the recordings.

    Parameters
    ----------
    part
        Those to choose the best weights by, or those to judge the chosen ones by; they have no frame in common.

    Raises
    ------
    InputError
        If a recording cannot be read, or there are too few or too small frames to train on.
    """
    with ExitStack() as files:
        recordings = _Recordings(_opened(settings, files))
        recordings.check(settings)
        kept = range(0 if part == "choose" else KEPT_ASIDE, len(recordings), 2 * KEPT_ASIDE)
        if not kept:
            raise InputError(
                f"{_names(settings)}: {len(recordings)} frames came; expected more than {KEPT_ASIDE}, to keep one "
                "aside that weights are judged by"
            )
        # As many as asked for, spread evenly, come first; the rest are for those of them that say nothing.
        picked = np.linspace(0, len(kept) - 1, min(most, len(kept))).round().astype(int).tolist()
        order = [*picked, *(k for k in range(len(kept)) if k not in set(picked))][:PATIENCE]
        samples = (make_sample(recordings[kept[k]], settings.geometry, correspondence=correspondence) for k in order)
        usable = list(islice((sample for sample in samples if sample is not None), most))
    if not usable:
        raise InputError(f"{_names(settings)}: no frame shows anything; check that these are raw scans")
    return {"recordings": usable}


def recorded_samples(
    settings: TrainingSettings, correspondence: CorrespondenceKind, rng: np.random.Generator
) -> Iterator[Sample]:
    """Endless parts, of the size of the simulated samples, of the frames that are trained on."""
    with ExitStack() as files:
        recordings = _Recordings(_opened(settings, files))
        trained = [k for k in range(len(recordings)) if k % KEPT_ASIDE]
        failures = 0
        while failures < PATIENCE:
            raw = recordings[trained[int(rng.integers(len(trained)))]]
            whole = make_sample(raw, settings.geometry, correspondence=correspondence)
            part = None if whole is None else random_part(whole, settings.height // 2, settings.width, rng)
            # Background alone may be all zeros, and nothing can be learned from it.
            if part is None or float(part.images[1].astype(np.float32).std()) < LEAST_DEVIATION:
                failures += 1
                continue
            failures = 0
            yield part
    raise InputError(f"{_names(settings)}: {PATIENCE} frames in a row show nothing; check that these are raw scans")


def random_part(sample: Sample, lines: int, width: int, rng: np.random.Generator) -> Sample:
    """A random part of this size; a frame that is too small is continued by its mirror image."""
    images = sample.images
    for axis, size in ((1, lines), (2, width)):
        while images.shape[axis] < size:
            images = np.concatenate([images, np.flip(images, axis)], axis)
        start = int(rng.integers(images.shape[axis] - size + 1))
        images = np.take(images, np.arange(start, start + size), axis)
    return Sample(images)


def _opened(settings: TrainingSettings, files: ExitStack) -> list[Recording]:
    """The recordings to train on, those that are spread over files as one."""
    recordings = find_recordings(settings.recordings, settings.reading)
    found = [files.enter_context(open_recording(one.paths, settings.reading)) for one in recordings]
    for recording in found:
        recording.refuse_one_way("take it out")
    return found


class _Recordings:
    """The frames of several open recordings, one after another."""

    def __init__(self, stacks: Sequence[Recording]) -> None:
        self._stacks = stacks
        self._frames = [(stack, index) for stack in stacks for index in stack.layout.indices()]

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> Pixels:
        stack, index = self._frames[number]
        return stack.read(index)

    def check(self, settings: TrainingSettings) -> None:
        if len(self) < 2:
            raise InputError(f"{_names(settings)}: 1 frame came; expected 2 or more, one of them to validate on")
        for stack in self._stacks:
            shape = stack.layout.frame_shape
            cropped = settings.geometry.frame_shape(shape)
            lines, width = cropped if settings.geometry.line_axis == "rows" else cropped[::-1]
            if lines < FEWEST_LINES or width < SHORTEST_LINE_PX:
                raise InputError(
                    f"{stack.path}: has {lines} lines of {width} px; expected at least {FEWEST_LINES} lines of "
                    f"{SHORTEST_LINE_PX} px"
                )


def _names(settings: TrainingSettings) -> str:
    return ", ".join(settings.recordings)
