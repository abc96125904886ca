"""Classical peers: each finds a known displacement, with its sign, and fails as the protocol says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sasnet_live.errors import InputError
from sasnet_live.evaluation import optional, peers
from sasnet_live.evaluation.protocol import RegistrationFailed
from sasnet_live.geometry import ScanGeometry
from sasnet_live.metrics import ncc
from sasnet_live.scan import move_lines

STEPPED = ScanGeometry(slow_axis="stepped")
ALL = [
    peers.LinePhase,
    peers.BestRigidShift,
    peers.PhaseCorrelation,
    peers.SiftAffine,
    peers.TvL1Flow,
    peers.IlkFlow,
    peers.Demons,
    peers.BSpline,
]
Image = np.ndarray[Any, np.dtype[Any]]


def _blobs(seed: int = 0, shape: tuple[int, int] = (64, 128)) -> Image:
    rng = np.random.default_rng(seed)
    spots = rng.random(shape) > 0.985
    return (100 * gaussian_filter(spots.astype(np.float32), 2.0) + 3.0).astype(np.float32)


def _moved(image: Image, displacement_px: float) -> Image:
    moved: Image = move_lines(image, np.float64(displacement_px))  # type: ignore[arg-type, assignment]
    return moved


@pytest.mark.parametrize("peer", ALL)
@pytest.mark.parametrize("shift", [3.0, -2.0])
def test_finds_a_shift_with_its_sign(peer: Any, shift: float) -> None:
    forward = _blobs()
    backward = _moved(forward, -shift) * 0.8 + 5
    kept = backward.copy()
    found = peer().register(forward, backward, STEPPED)
    assert found.image.shape == found.displacement_px.shape == backward.shape
    textured = forward > 10
    textured[:, :10] = textured[:, -10:] = False
    assert np.median(found.displacement_px[textured]) == pytest.approx(shift, abs=0.5)
    assert ncc(forward, found.image) > 0.97 > ncc(forward, backward)
    np.testing.assert_array_equal(backward, kept)


@pytest.mark.parametrize(("peer", "tolerance"), [(peers.BestRigidShift, 0.04), (peers.PhaseCorrelation, 0.15)])
def test_sub_pixel(peer: Any, tolerance: float) -> None:
    forward = _blobs(1)
    found = peer().register(forward, _moved(forward, 2.4), STEPPED)
    assert found.displacement_px[0, 0] == pytest.approx(-2.4, abs=tolerance)


@pytest.mark.parametrize("peer", [peers.TvL1Flow, peers.IlkFlow, peers.Demons, peers.BSpline])
def test_flows_follow_a_displacement_that_varies(peer: Any) -> None:
    forward = _blobs(2)
    truth = np.broadcast_to(2.0 * np.cos(np.pi * np.arange(128) / 127), (64, 128))
    backward = np.asarray(move_lines(forward, -truth.copy()), np.float32)
    found = peer().register(forward, backward, STEPPED)
    textured = (forward > 10) & (np.arange(128) > 10) & (np.arange(128) < 118)
    error = np.abs(found.displacement_px - truth)[textured].mean()
    assert error < 0.6 * np.abs(truth)[textured].mean()


def test_whole_shifts_are_scored_exactly() -> None:
    forward, backward = _blobs(3), _moved(_blobs(3), 4.0) + _blobs(4)
    shifts = np.arange(-12, 13)
    scores = peers._ncc_of_whole_shifts(forward, backward, shifts)
    np.testing.assert_allclose(scores, [ncc(forward, _moved(backward, float(shift))) for shift in shifts], atol=1e-5)


@pytest.mark.parametrize("peer", ALL)
def test_the_reference_is_at_the_backward_lines(peer: Any) -> None:
    """A zig-zag over a slope along the slow axis: taken as it is, the forward pass would be half a line pair off."""
    geometry = ScanGeometry(slow_axis="interleaved")
    scene = _blobs(5, (128, 128))
    found = peer().register(scene[0::2], scene[1::2], geometry)
    assert np.abs(found.displacement_px).mean() < 0.35


@pytest.mark.parametrize("peer", [peers.BestRigidShift, peers.SiftAffine, peers.TvL1Flow, peers.IlkFlow])
def test_nothing_to_register(peer: Any) -> None:
    flat = np.full((32, 64), 7.0, np.float32)
    with pytest.raises(RegistrationFailed):
        peer().register(flat, flat, STEPPED)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(optional, "import_module", missing)
    with pytest.raises(InputError, match=r"needs SimpleITK, .*; run: pip install SimpleITK$"):
        peers.Demons()
    with pytest.raises(InputError, match=r"needs skimage, .*; run: pip install scikit-image$"):
        peers.TvL1Flow()
