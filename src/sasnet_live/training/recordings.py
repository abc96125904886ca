"""Samples from a user's own raw recordings: no truth, the forward pass stands in for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.network.config import PRESETS
from sasnet_live.sources.tiff import TiffStack

from .data import Sample, SimulatedSource, make_sample
from .settings import TrainingSettings

KEPT_ASIDE = 8  # every eighth frame is for validation


@dataclass(frozen=True)
class MixedSource:
    """Samples of simulated frames and of frames of recordings, in the share that the settings ask for."""

    settings: TrainingSettings
    simulated: SimulatedSource

    def __call__(self, worker: int) -> Iterator[Sample]:
        rng = np.random.default_rng([self.simulated.seed, worker, 0x4EC])
        simulated, recorded = self.simulated(worker), _recorded(self.settings, rng)
        while True:
            yield next(simulated if rng.random() < self.settings.simulated_share else recorded)


def recorded_validation(settings: TrainingSettings, most: int = 24) -> dict[str, list[Sample]]:
    """Frames of the recordings that are not trained on."""
    samples: list[Sample] = []
    kind = PRESETS[settings.preset].correspondence
    for path in settings.recordings:
        with TiffStack(path) as stack:
            for index in _indices(stack)[::KEPT_ASIDE]:
                sample = make_sample(stack.read(index), settings.geometry, correspondence=kind)
                if sample is not None:
                    samples.append(sample)
    if not samples:
        raise InputError(f"{', '.join(settings.recordings)}: no frame can be registered; check the scan geometry")
    picked = np.linspace(0, len(samples) - 1, min(most, len(samples))).round().astype(int)
    return {"recordings": [samples[i] for i in picked]}


def _recorded(settings: TrainingSettings, rng: np.random.Generator) -> Iterator[Sample]:
    """Endless crops of the frames that are trained on."""
    stacks = [TiffStack(path) for path in settings.recordings]
    kind = PRESETS[settings.preset].correspondence
    trained = [(stack, index) for stack in stacks for k, index in enumerate(_indices(stack)) if k % KEPT_ASIDE]
    if not trained:
        raise InputError(f"{', '.join(settings.recordings)}: too few frames to train on; expected 2 or more")
    while True:
        stack, index = trained[int(rng.integers(len(trained)))]
        sample = make_sample(stack.read(index), settings.geometry, correspondence=kind)
        if sample is not None:
            yield _fitted(sample, settings.height // 2, settings.width, rng)


def _indices(stack: TiffStack) -> list[dict[str, int]]:
    return list(stack.layout.indices(stack.layout.axes))


def _fitted(sample: Sample, lines: int, width: int, rng: np.random.Generator) -> Sample:
    """A random part of the sample's size asked for; a frame too small is continued by its mirror image."""
    images = sample.images
    for axis, size in ((1, lines), (2, width)):
        while images.shape[axis] < size:
            images = np.concatenate([images, np.flip(images, axis)], axis)
        start = int(rng.integers(images.shape[axis] - size + 1))
        images = np.take(images, np.arange(start, start + size), axis)
    return Sample(images)
