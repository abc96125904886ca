"""or-pam-sim-4k: random access, separate splits, a third at each level."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.scan import ScanGeometry
from sasnet_live.simulation.dataset import DATA_VERSION, SimulatedPairs


@pytest.fixture
def small() -> SimulatedPairs:
    return SimulatedPairs("or-pam-sim-4k", height=48, width=96)


def test_sizes_and_levels() -> None:
    pairs = SimulatedPairs()
    sizes = {split: pairs.size(split) for split in ("train", "validation", "test")}
    assert sum(sizes.values()) == 4320
    assert sizes["test"] == 432
    for size in sizes.values():
        assert Counter(pairs.level(i) for i in range(size)) == dict.fromkeys(("easy", "medium", "hard"), size // 3)


def test_any_order_of_access_gives_the_same_bytes(small: SimulatedPairs) -> None:
    indices = [0, 5, 7, 1, 0, 430]
    forwards = {i: small.load_pair("test", i).raw.tobytes() for i in indices}
    fresh = SimulatedPairs("or-pam-sim-4k", height=48, width=96, cached_scenes=1)
    assert {i: fresh.load_pair("test", i).raw.tobytes() for i in reversed(indices)} == forwards
    assert len(set(forwards.values())) == 5


def test_levels_share_their_vessels_and_splits_do_not(small: SimulatedPairs) -> None:
    def scene(split: str, index: int) -> bytes:
        return small._scene(split, index).image.tobytes()

    seen = [scene(split, i) for split in ("train", "validation", "test") for i in range(4)]
    assert len(set(seen)) == len(seen)
    # All three levels of one scene correlate where their truths overlap; those of the next scene do not.
    truths = [small.load_pair("test", i).truth[:, 20:-20].ravel() for i in range(4)]
    same, other = np.corrcoef(truths)[0, 1], np.corrcoef(truths)[0, 3]
    assert same > 0.6
    assert abs(other) < 0.5


def test_the_cache_is_bounded(small: SimulatedPairs) -> None:
    for index in range(0, 30, 3):
        small.load_pair("train", index)
    assert len(small._scenes) <= 2


def test_fingerprint_names_what_a_pair_depends_on(small: SimulatedPairs) -> None:
    assert small.fingerprint() == SimulatedPairs("or-pam-sim-4k", height=48, width=96).fingerprint()
    others = [
        SimulatedPairs(height=48, width=97),
        SimulatedPairs(height=49, width=96),
        SimulatedPairs(height=48, width=96, geometry=ScanGeometry(slow_axis="stepped")),
    ]
    assert len({small.fingerprint(), *(other.fingerprint() for other in others)}) == 4


def test_columns_as_lines(small: SimulatedPairs) -> None:
    geometry = ScanGeometry(line_axis="columns")
    turned = SimulatedPairs(height=96, width=48, geometry=geometry).load_pair("test", 2)
    np.testing.assert_array_equal(turned.raw.T, small.load_pair("test", 2).raw)


@pytest.mark.parametrize(("split", "index"), [("test", 432), ("train", -1), ("holdout", 0)])
def test_what_is_not_there_is_refused(small: SimulatedPairs, split: str, index: int) -> None:
    with pytest.raises(InputError):
        small.load_pair(split, index)


def test_unknown_data_set_is_refused() -> None:
    with pytest.raises(InputError, match="or-pam-sim-4k"):
        SimulatedPairs("or-pam-real")


def test_pairs_of_this_version_are_what_they_were() -> None:
    """A guard: where this fails, the pairs have changed. Raise DATA_VERSION, then write the new figures here."""
    pairs = SimulatedPairs("or-pam-sim-4k", height=64, width=128)
    figures = []
    for index in (0, 1, 2):
        frame = pairs.load_pair("test", index)
        scale = frame.full_scale
        figures.append((frame.raw.mean() / scale, frame.truth.mean() / scale, frame.displacement_px.mean()))
    assert DATA_VERSION == 1
    expected = [
        (0.20032, 0.19328, -0.24047),
        (0.24883, 0.24877, 2.26725),
        (0.18552, 0.18679, -2.79673),
    ]
    np.testing.assert_allclose(figures, expected, atol=2e-4)
