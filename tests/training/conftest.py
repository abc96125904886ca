"""Samples and a quick training set-up."""

from __future__ import annotations

from itertools import islice

import pytest

from sasnet_live.network.config import PRESETS
from sasnet_live.training import loop
from sasnet_live.training.data import Batch, Sample, collate, simulated_samples
from tiny_training import EXPLICIT, InlinePool


@pytest.fixture(scope="session")
def samples() -> tuple[Sample, ...]:
    """Eight simulated samples of 16 lines of 64 px."""
    return tuple(islice(simulated_samples(5, 0, 32, 64), 8))


@pytest.fixture
def batch(samples: tuple[Sample, ...]) -> Batch:
    return collate(list(samples[:4]))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, samples: tuple[Sample, ...]) -> None:
    """Training in milliseconds: a tiny "lite", samples made beforehand."""
    monkeypatch.setitem(PRESETS, "lite", EXPLICIT)
    monkeypatch.setattr(InlinePool, "samples", samples[2:])
    monkeypatch.setattr(loop, "SamplePool", InlinePool)
    monkeypatch.setattr(loop, "simulated_validation", lambda frames, kind: {"easy": list(samples[:2])})
