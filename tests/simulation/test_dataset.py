"""or-pam-sim-4k: random access, separate splits, a third at each level; or-pam-sim-one: one scanner."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.metrics import ncc
from sasnet_live.simulation.dataset import DATA_VERSION, SimulatedPairs
from sasnet_live.simulation.one_scanner import one_scanner, one_scanner_recording


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


def test_without_noise_a_pair_is_the_same_but_for_it(small: SimulatedPairs) -> None:
    noisy, clean = (small.load_pair("test", 2, noise=noise) for noise in (True, False))
    for name in ("truth", "displacement_px", "textured"):
        np.testing.assert_array_equal(getattr(noisy, name), getattr(clean, name))
    forward = clean.raw[0::2].astype(np.float32)
    np.testing.assert_allclose(forward, clean.forward_truth, atol=0.51)
    added = (noisy.raw.astype(np.float32) - clean.raw) / clean.full_scale
    assert 0.02 < added.std() < 0.15  # a hard one
    assert abs(added.mean()) < 0.02


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


class TestOneScanner:
    pairs = SimulatedPairs("or-pam-sim-one", height=48, width=96)

    def test_every_frame_shows_other_vessels(self) -> None:
        truths = [self.pairs.load_pair(split, i).truth.ravel() for split in ("train", "test") for i in range(3)]
        shared = np.corrcoef(truths) - np.eye(len(truths))
        assert np.abs(shared).max() < 0.5
        assert {self.pairs.level(i) for i in range(5)} == {"one-scanner"}
        assert [self.pairs.size(split) for split in ("train", "validation", "test")] == [3456, 432, 432]

    def test_lag_and_appearance_stay_and_drift_is_small(self) -> None:
        frames = [self.pairs.load_pair("test", index) for index in range(12)]
        means = np.array([frame.displacement_px.mean() for frame in frames])
        lag = one_scanner(96).lag_px
        assert np.ptp(means) < 0.25 * abs(lag)
        assert np.ptp(means) > 0.02 * abs(lag)
        several = SimulatedPairs(height=48, width=96)
        assert np.ptp([several.load_pair("test", i).displacement_px.mean() for i in range(1, 36, 3)]) > abs(lag)

    def test_the_recording_goes_on_from_frame_to_frame(self) -> None:
        frames = list(one_scanner_recording(48, 96, frames=4))
        same, other = (float(ncc(frames[0].truth, truth)) for truth in (frames[1].truth, frames[3].truth[::-1].copy()))
        assert same > 0.9 > other
        again = list(one_scanner_recording(48, 96, frames=2))
        np.testing.assert_array_equal(again[1].raw, frames[1].raw)

    def test_columns_as_lines(self) -> None:
        geometry = ScanGeometry(line_axis="columns")
        turned = SimulatedPairs("or-pam-sim-one", height=96, width=48, geometry=geometry)
        np.testing.assert_array_equal(turned.load_pair("test", 2).raw.T, self.pairs.load_pair("test", 2).raw)
        (frame,) = one_scanner_recording(96, 48, geometry, 1)
        assert frame.raw.shape == (96, 48)
        assert self.pairs.fingerprint() != turned.fingerprint()


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
