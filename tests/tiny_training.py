"""Small parts that the tests of training share; worker processes import some of them by name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.network.config import SASNetConfig
from sasnet_live.training.data import Batch, Sample, collate

EXPLICIT = SASNetConfig(channels=(4, 6), blocks=(1, 1), appearance_channels=3)
IMPLICIT = SASNetConfig(
    correspondence="implicit", pooling="frame", fold_px=1, channels=(4, 6, 8), blocks=(0, 0, 1), appearance_channels=3
)


@dataclass(frozen=True)
class NumberedSource:
    """Samples that hold the number of their worker and their own; the worker `slow` takes its time."""

    slow: int = -1
    shape: tuple[int, int] = (4, 8)

    def __call__(self, worker: int) -> Iterator[Sample]:
        for number in count():
            if worker == self.slow:
                time.sleep(0.02)
            yield Sample(np.full((5, *self.shape), 1000 * worker + number % 1000, np.float16))


@dataclass(frozen=True)
class FailingSource:
    """A worker that fails after some samples; or, if `abruptly`, one that is gone without a word."""

    after: int = 2
    abruptly: bool = False

    def __call__(self, worker: int) -> Iterator[Sample]:
        yield from (Sample(np.zeros((5, 4, 8), np.float16)) for _ in range(self.after))
        if self.abruptly:
            import os

            os._exit(7)
        raise ValueError("the scanner is on fire")


class InlinePool:
    """Stands in for `SamplePool`: samples made beforehand, no processes."""

    samples: tuple[Sample, ...] = ()

    def __init__(self, source: object, *, batch_size: int, seed: int, **_: int) -> None:
        self._rng, self._batch_size = np.random.default_rng(seed), batch_size

    def __enter__(self) -> InlinePool:
        return self

    def __exit__(self, *_: object) -> None: ...

    def next_batch(self) -> Batch:
        return collate([self.samples[i] for i in self._rng.integers(len(self.samples), size=self._batch_size)])


def train_in_step(rank: int, folder: Path, ports: tuple[int, int]) -> None:
    """One of two processes of a run; leaves in `folder` what its network came to and who validated."""
    import os

    import torch

    from sasnet_live.network.config import PRESETS
    from sasnet_live.training import loop
    from sasnet_live.training.data import simulated_samples
    from sasnet_live.training.settings import TrainingSettings
    from sasnet_live.training.weights import LossWeights

    torch.set_num_threads(1)
    PRESETS["lite"] = EXPLICIT
    InlinePool.samples = tuple(islice(simulated_samples(rank, 0, 32, 64), 4))
    networks, validated = [], []

    def build(config: SASNetConfig) -> torch.nn.Module:
        networks.append(build_model(config))
        return networks[-1]

    def slowly_validated(*arguments: Any) -> Any:
        time.sleep(0.5)  # the other process has to wait, and does
        validated.append(rank)
        return validate(*arguments)

    build_model, validate = loop.build_model, loop.validate
    loop.SamplePool, loop.build_model, loop.validate = InlinePool, build, slowly_validated  # type: ignore
    loop.simulated_validation = lambda frames, kind: {"easy": list(InlinePool.samples)}  # type: ignore
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1"}
    scene_alone = LossWeights(cross=0, similarity=0, alignment=0, scene=1)
    everything = LossWeights(self_=1, cycle=1)
    for name, weights, port in zip(("everything", "scene"), (everything, scene_alone), ports, strict=True):
        os.environ["MASTER_PORT"] = str(port)
        reported: list[int] = []
        settings = TrainingSettings(steps=4, batch_size=2, validate_every=2, losses=weights)
        best = loop.train(settings, folder / name, device="cpu", report=lambda p, told=reported: told.append(p.step))
        assert best.is_file() or rank
        result = {"weights": networks[-1].state_dict(), "reported": reported, "validated": len(validated)}
        torch.save(result, folder / f"{name}-{rank}.pt")
