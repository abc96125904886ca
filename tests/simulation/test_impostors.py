"""Frames that nobody can register."""

from __future__ import annotations

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.metrics import ncc
from sasnet_live.registrar import Registrar
from sasnet_live.scan import split
from sasnet_live.simulation.impostors import IMPOSTOR_KINDS, impostor

NOISE = IMPOSTOR_KINDS["noise"]
SOME = (*NOISE, "vessels / vessels", "texture / lattice", "fine lattice")


def make(kind: str, seed: int = 0) -> np.ndarray:
    return impostor(np.random.default_rng(seed), kind, 96, 128)


@pytest.mark.parametrize("kind", SOME)
def test_frames_are_usable_seeded_and_different(kind: str) -> None:
    frame = make(kind)
    assert (frame.shape, frame.dtype) == ((96, 128), np.uint16)
    np.testing.assert_array_equal(make(kind), frame)
    assert not np.array_equal(make(kind, 1), frame)
    # Refused for what they show, not because they are constant or saturated.
    assert frame.std() > 500
    assert max((frame == 0).mean(), (frame == 65535).mean()) < 0.01


@pytest.mark.parametrize("kind", [kind for kind in NOISE if "time" not in kind and kind != "hum"])
def test_passes_of_noise_share_nothing(kind: str) -> None:
    figures = []
    for seed in range(12):
        forward, backward = split(make(kind, seed), ScanGeometry())
        figures.append(float(ncc(forward.astype(np.float32), backward.astype(np.float32))))
    assert abs(np.mean(figures)) < 3 * np.std(figures) / np.sqrt(len(figures)) + 0.02


def test_there_are_three_sorts_without_doubles() -> None:
    assert list(IMPOSTOR_KINDS) == ["noise", "unrelated passes", "periodic"]
    kinds = [kind for sort in IMPOSTOR_KINDS.values() for kind in sort]
    assert len(set(kinds)) == len(kinds) > 90


@pytest.mark.parametrize("kind", SOME)
def test_the_registrar_accepts_none(kind: str) -> None:
    registrar = Registrar("correspondence", temporal=False)
    for seed in range(2):
        assert not registrar.register(make(kind, seed)).accepted


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="kind is 'ghost'; expected one of white, blurred"):
        make("ghost")
