"""Samples to train on: simulated frames with truth, and frames of a user's own recordings without."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from sasnet_live.correspondence import find_displacement
from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.intensity import IntensityScale
from sasnet_live.network.config import CorrespondenceKind
from sasnet_live.network.inputs import render_inputs
from sasnet_live.network.sasnet import intensity_scale
from sasnet_live.scan import forward_at_backward_lines, split

from .settings import Scanner

if TYPE_CHECKING:
    from sasnet_live.simulation import SimulatedFrame

POLL_S = 1.0  # how often a process looks whether its partner is still there
IMAGES = ("source", "target", "earlier", "later", "truth")


@dataclass(frozen=True)
class Batch:
    """B samples: (B, n, W) float32 each, scaled to the deviation of the forward pass.

    `source` is what the network renders: backward lines moved and gain-matched, or as they were recorded for a network
    with implicit correspondence.
    """

    source: Tensor
    target: Tensor
    earlier: Tensor
    later: Tensor
    truth: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(*(getattr(self, name).to(device, non_blocking=True) for name in IMAGES))


@dataclass(frozen=True)
class Sample:
    """One frame, ready for the network: (5, n, W) float16 in the order of `IMAGES`."""

    images: np.ndarray[Any, np.dtype[np.float16]]


def make_sample(
    raw: np.ndarray[Any, Any],
    geometry: ScanGeometry,
    truth: np.ndarray[Any, Any] | None = None,
    *,
    correspondence: CorrespondenceKind = "explicit",
) -> Sample | None:
    """Find the displacement of a raw frame and keep what the network sees of it.

    Parameters
    ----------
    raw
        (H, W).
    truth
        (n_b, W) what the backward lines should read; None: the forward pass stands in for it.
    correspondence
        "implicit": the backward lines are left where they are.

    Returns
    -------
    None if the frame says nothing: constant, not finite, or beyond what float32 holds.
    """
    passes = split(raw, geometry)
    units = IntensityScale.of(*passes)
    if isinstance(units, str):
        return None
    forward, backward = (units.to_values(lines) for lines in passes)
    target = forward_at_backward_lines(forward, len(backward), geometry)
    if not all(lines.max() > lines.min() for lines in (target, backward)):
        return None
    displacement = np.zeros_like(backward)
    if correspondence == "explicit":
        displacement = find_displacement(target, backward, centre_px=geometry.line_offset).displacement_px
    inputs = render_inputs(forward, backward, displacement, geometry, target=target)
    reference = inputs.target if truth is None else units.to_values(truth)
    source = inputs.matched if correspondence == "explicit" else backward
    images = np.stack([source, inputs.target, inputs.earlier, inputs.later, reference])
    level, scale = (float(each) for each in intensity_scale(torch.from_numpy(target)[None]))
    images = (images - np.float32(level)) / np.float32(scale)
    if not np.isfinite(images).all() or np.abs(images).max() > 1000:
        return None
    return Sample(images.astype(np.float16))


def collate(samples: list[Sample]) -> Batch:
    """Samples of one shape to a batch."""
    images = torch.from_numpy(np.stack([sample.images for sample in samples])).float()
    return Batch(*images.unbind(1))


def simulated_samples(
    seed: int,
    worker: int,
    height: int,
    width: int,
    correspondence: CorrespondenceKind = "explicit",
    scanner: Scanner = "any",
) -> Iterator[Sample]:
    """Endless samples from the simulator, the same for the same seed and worker.

    Parameters
    ----------
    scanner
        "any": any content through any scanner, with the truth. "one": the training split of or-pam-sim-one in random
        order; as in the published protocol there is no truth, the forward pass stands in for it.
    """
    rng = np.random.default_rng([seed, worker, 0x5A5])
    for frame in (_any_scanner if scanner == "any" else _one_scanner)(rng, height, width):
        truth = frame.truth if scanner == "any" else None
        sample = make_sample(frame.raw, frame.geometry, truth, correspondence=correspondence)
        if sample is not None:
            yield sample


def _any_scanner(rng: np.random.Generator, height: int, width: int) -> Iterator[SimulatedFrame]:
    from sasnet_live.simulation.dataset import SceneBank, training_frame

    bank = SceneBank(height, width)
    while True:
        yield training_frame(rng, height, width, bank)


def _one_scanner(rng: np.random.Generator, height: int, width: int) -> Iterator[SimulatedFrame]:
    from sasnet_live.simulation.dataset import SimulatedPairs

    pairs = SimulatedPairs("or-pam-sim-one", height=height, width=width)
    while True:
        yield pairs.load_pair("train", int(rng.integers(pairs.size("train"))))


@dataclass(frozen=True)
class SimulatedSource:
    """Recipe for `simulated_samples` that can be sent to a worker process."""

    seed: int
    height: int = 192
    width: int = 320
    correspondence: CorrespondenceKind = "explicit"
    scanner: Scanner = "any"

    def __call__(self, worker: int) -> Iterator[Sample]:
        return simulated_samples(self.seed, worker, self.height, self.width, self.correspondence, self.scanner)

    def fingerprint(self) -> str:
        """What the weights say of their training data."""
        from sasnet_live.simulation.dataset import DATA_VERSION, SimulatedPairs

        if self.scanner == "one":
            pairs = SimulatedPairs("or-pam-sim-one", height=self.height, width=self.width)
            return f"{pairs.fingerprint()}, without truth, seed {self.seed}"
        return f"sasnet-live simulator v{DATA_VERSION}, frames of {self.height} x {self.width}, seed {self.seed}"


def _produce(source: Callable[[int], Iterator[Sample]], worker: int, queue: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that trains, which ends this one
    torch.set_num_threads(1)  # one process a core: threads of several would wait for each other
    try:
        for sample in source(worker):
            if not _deliver(sample, queue):
                return
    except Exception as error:
        _deliver(f"{type(error).__name__}: {error}", queue)


def _deliver(item: Sample | str, queue: Any) -> bool:
    """Put a sample, or the words of an error, into the queue; False if nobody will ever take it."""
    parent = multiprocessing.parent_process()
    while parent is None or parent.is_alive():
        with suppress(Full):
            queue.put(item, timeout=POLL_S)
            return True
    queue.cancel_join_thread()  # else this process would wait at its end for its samples to be read
    return False


class SamplePool:
    """Batches from a pool of recent samples that worker processes keep fresh.

    Making a sample costs more than a training step on it, so each is used several times: every step puts `fresh` new
    samples in the place of the oldest and draws its batch at random from all. Which samples a step sees depends on
    the seed and the number of workers alone, not on their speed.

    Use as a context manager: leaving it ends the workers.
    """

    def __init__(
        self,
        source: Callable[[int], Iterator[Sample]],
        *,
        batch_size: int,
        seed: int,
        workers: int = 1,
        capacity: int = 1500,
        fresh: int = 1,
        initial: int = 64,
    ) -> None:
        if min(batch_size, workers, capacity, fresh, initial) < 1:
            raise InputError("batch size, workers, capacity, fresh and initial samples must be 1 or more")
        context = multiprocessing.get_context("spawn")
        self._queues = [context.Queue(maxsize=16) for _ in range(workers)]
        self._workers = [
            context.Process(target=_produce, args=(source, k, queue), name=f"samples-{k}", daemon=True)
            for k, queue in enumerate(self._queues)
        ]
        self._rng = np.random.default_rng([seed, 0xBA7C4])
        self._samples: list[Sample] = []
        self._batch_size, self._capacity, self._fresh, self._initial = batch_size, capacity, fresh, initial
        self._taken = 0

    def __enter__(self) -> SamplePool:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.join()

    def next_batch(self) -> Batch:
        """Take in fresh samples, waiting for them, and draw a batch."""
        for _ in range(self._initial if not self._samples else self._fresh):
            sample = self._take()
            if len(self._samples) < self._capacity:
                self._samples.append(sample)
            else:
                self._samples[(self._taken - 1) % self._capacity] = sample  # the oldest
        chosen = self._rng.choice(len(self._samples), self._batch_size, replace=len(self._samples) < self._batch_size)
        return collate([self._samples[i] for i in chosen])

    def _take(self) -> Sample:
        turn = self._taken % len(self._queues)
        self._taken += 1
        while True:
            try:
                sample = self._queues[turn].get(timeout=POLL_S)
            except Empty:
                if not self._workers[turn].is_alive():
                    code = self._workers[turn].exitcode
                    raise RuntimeError(f"the process that makes samples ended with exit code {code}") from None
                continue
            if isinstance(sample, str):
                raise RuntimeError(f"a process that makes samples failed: {sample}")
            return sample  # type: ignore[no-any-return]
