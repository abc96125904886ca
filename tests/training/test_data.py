"""Samples, and the pool of processes that make them."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import merge
from sasnet_live.simulation.dataset import SimulatedPairs
from sasnet_live.training.data import Sample, SamplePool, SimulatedSource, collate, make_sample, simulated_samples
from tiny_training import FailingSource, NumberedSource

FRAME = SimulatedPairs(height=64, width=128).load_pair("train", 1)


def pixels(samples: list[Sample]) -> np.ndarray:
    return np.stack([sample.images for sample in samples])


def test_samples_depend_on_seed_and_worker_alone(samples: tuple[Sample, ...]) -> None:
    again = list(islice(simulated_samples(5, 0, 32, 64), 3))
    np.testing.assert_array_equal(pixels(again), pixels(list(samples[:3])))
    for seed, worker in ((6, 0), (5, 1)):
        other = next(simulated_samples(seed, worker, 32, 64))
        assert not np.array_equal(other.images, samples[0].images)


def test_samples_have_one_shape_whichever_pass_is_first(samples: tuple[Sample, ...]) -> None:
    assert {sample.images.shape for sample in samples} == {(5, 16, 64)}
    assert {sample.images.dtype for sample in samples} == {np.dtype(np.float16)}


def test_a_sample_is_in_deviations_of_the_forward_pass() -> None:
    sample = make_sample(FRAME.raw, FRAME.geometry, FRAME.truth)
    scaled = make_sample(FRAME.raw * 3.0 + 500, FRAME.geometry, FRAME.truth * 3.0 + 500)
    assert sample is not None
    assert scaled is not None
    target = sample.images[1].astype(np.float32)
    assert abs(target.mean()) < 0.01
    assert target.std() == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(scaled.images[4], sample.images[4], atol=0.02)


def test_what_is_rendered_was_moved_or_not() -> None:
    explicit = make_sample(FRAME.raw, FRAME.geometry, FRAME.truth)
    implicit = make_sample(FRAME.raw, FRAME.geometry, FRAME.truth, correspondence="implicit")
    assert explicit is not None
    assert implicit is not None
    truth = explicit.images[4].astype(float).ravel()
    moved, left = (np.corrcoef(s.images[0].astype(float).ravel(), truth)[0, 1] for s in (explicit, implicit))
    assert moved > left + 0.02


def test_without_truth_the_forward_pass_stands_in() -> None:
    sample = make_sample(FRAME.raw, FRAME.geometry)
    assert sample is not None
    np.testing.assert_array_equal(sample.images[4], sample.images[1])


def test_a_known_offset_is_where_the_search_starts() -> None:
    """Backward lines moved by more than the search reaches are found with their offset known, and only then."""
    scene = np.random.default_rng(0).random((40, 240)).cumsum(1)
    scene -= np.apply_along_axis(np.convolve, 1, scene, np.ones(9) / 9, "same")
    forward, backward = scene[:, 60:200], scene[:, 10:150]  # 50 px apart; the search reaches 14, and 42 in doubt
    raw = merge(forward, backward, ScanGeometry())
    likeness = []
    for offset in (0, -50):
        sample = make_sample(raw, ScanGeometry(line_offset=offset, slow_axis="stepped"))
        assert sample is not None
        source, target = (image[:, 20:-60].astype(float).ravel() for image in sample.images[:2])
        likeness.append(np.corrcoef(source, target)[0, 1])
    assert likeness[1] > 0.9 > likeness[0]


@pytest.mark.parametrize(
    "raw",
    [
        np.full((32, 64), 7.0),
        np.zeros((32, 64), np.uint16),
        np.where(np.arange(32)[:, None] % 2 == 0, np.random.default_rng(0).random((32, 64)), 3.0),
        np.where(np.eye(32, 64) > 0, np.nan, 1.0),
        np.full((32, 64), np.inf),
    ],
    ids=["constant", "dark", "one pass constant", "NaN", "infinite"],
)
def test_frames_that_say_nothing_give_no_sample(raw: np.ndarray) -> None:
    assert make_sample(raw, ScanGeometry()) is None


def test_a_batch_keeps_the_order_of_its_images(samples: tuple[Sample, ...]) -> None:
    batch = collate(list(samples[:3]))
    assert batch.truth.shape == (3, 16, 64)
    for k, image in enumerate((batch.source, batch.target, batch.earlier, batch.later, batch.truth)):
        assert image.dtype == torch.float32
        np.testing.assert_array_equal(image.numpy(), pixels(list(samples[:3]))[:, k].astype(np.float32))


def test_the_source_says_what_it_is() -> None:
    assert SimulatedSource(3, 32, 64).fingerprint() == "sasnet-live simulator v1, frames of 32 x 64, seed 3"


def test_one_scanner_is_always_the_same_and_has_no_truth() -> None:
    source = SimulatedSource(3, 64, 96, "implicit", "one")
    ones = list(islice(source(0), 6))
    for sample in ones:
        np.testing.assert_array_equal(sample.images[4], sample.images[1])
    np.testing.assert_array_equal(pixels(list(islice(source(0), 6))), pixels(ones))
    assert not np.array_equal(next(source(1)).images, ones[0].images)
    assert source.fingerprint().startswith("or-pam-sim-one/v1/64x96/")
    assert source.fingerprint().endswith(", without truth, seed 3")


# The pool of processes


def batches(source: object, steps: int, **options: int) -> list[list[float]]:
    with SamplePool(source, batch_size=4, seed=0, initial=6, fresh=2, capacity=20, **options) as pool:  # type: ignore[arg-type]
        return [pool.next_batch().truth[:, 0, 0].tolist() for _ in range(steps)]


def test_batches_do_not_depend_on_the_speed_of_workers() -> None:
    first, second = (batches(NumberedSource(slow), 12, workers=2) for slow in (0, 1))
    assert first == second
    drawn = {value for batch in first for value in batch}
    assert any(value >= 1000 for value in drawn)  # from both workers
    assert any(value < 1000 for value in drawn)
    assert not multiprocessing.active_children()


def test_the_oldest_samples_make_way() -> None:
    with SamplePool(NumberedSource(), batch_size=1, seed=0, initial=5, fresh=1, capacity=5) as pool:
        pool.next_batch()
        for step in range(1, 12):
            pool.next_batch()
            held = sorted(float(sample.images[0, 0, 0]) for sample in pool._samples)
            assert held == [float(k) for k in range(step, step + 5)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (FailingSource(), "a process that makes samples failed: ValueError: the scanner is on fire"),
        (FailingSource(0, abruptly=True), "the process that makes samples ended with exit code 7"),
    ],
)
def test_a_failed_worker_surfaces(source: FailingSource, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        batches(source, 10)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("name", ["batch_size", "workers", "capacity", "fresh", "initial"])
def test_impossible_pools_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="must be 1 or more"):
        SamplePool(NumberedSource(), **{"batch_size": 1, "seed": 0, name: 0})  # type: ignore[arg-type]


ORPHAN = """
import sys, time
from tiny_training import NumberedSource
from sasnet_live.training.data import SamplePool

if __name__ == "__main__":
    # Samples larger than a pipe: the worker is in the middle of writing one when its parent goes.
    with SamplePool(NumberedSource(shape=(96, 320)), batch_size=1, seed=0, initial=1) as pool:
        pool.next_batch()
        print(pool._workers[0].pid, flush=True)
        time.sleep(600)
"""


def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "orphan.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n{ORPHAN}")
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        assert worker.is_running()
        parent.kill()
    worker.wait(timeout=20)
