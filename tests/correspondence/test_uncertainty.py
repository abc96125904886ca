"""Parts of a displacement, and how far they may be off."""

from __future__ import annotations

import numpy as np
import pytest

from sasnet_live.correspondence.displacement import DisplacementParts, fit_profile
from sasnet_live.frame import MeasuredDisplacement
from sasnet_live.geometry import ScanGeometry
from sasnet_live.registrar import Registrar
from sasnet_live.simulation import SimulatedFrame, random_scanner, scan, vascular_scene


def frame(level: str, seed: int, height: int = 128, width: int = 128) -> SimulatedFrame:
    rng = np.random.default_rng(seed)
    scene = vascular_scene(rng, height, width)
    return scan(scene, random_scanner(rng, level, width), rng, height=height, width=width)  # type: ignore[arg-type]


@pytest.mark.parametrize("height", [128, 127])
@pytest.mark.parametrize("first", ["forward", "backward"])
def test_the_parts_are_the_displacement_to_the_bit(height: int, first: str) -> None:
    registrar = Registrar("correspondence", output="warped", geometry=ScanGeometry(first=first))  # type: ignore[arg-type]
    for seed in (1, 2):
        found = registrar.register(frame("easy", seed, height).raw)
        assert found.accepted
        assert found.measured is not None
        np.testing.assert_array_equal(found.measured.displacement_px(), found.displacement_px)
        assert found.deviation_px is not None
        assert found.deviation_px.shape == found.displacement_px.shape
        assert np.isfinite(found.deviation_px).all()
        other = registrar.apply(frame("easy", seed, height).raw, found)
        assert other.measured is found.measured


def test_a_frame_that_is_passed_through_has_none() -> None:
    found = Registrar("correspondence", output="warped").register(np.zeros((64, 64), np.uint16))
    assert found.measured is None
    assert found.deviation_px is None


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_errors_are_about_as_large_as_their_deviation(level: str) -> None:
    ratios = []
    for seed in range(6):
        simulated = frame(level, 50 + seed)
        found = Registrar("correspondence", output="warped").register(simulated.raw)
        if found.deviation_px is not None:
            ratios.append(np.square((found.displacement_px - simulated.displacement_px) / found.deviation_px)[:, 8:-8])
    assert len(ratios) >= 4
    assert 0.1 < np.mean(ratios) < 4


def test_deviation_grows_where_a_line_holds_no_texture() -> None:
    raw = frame("easy", 3, 192, 256).raw.astype(np.float32)
    ends = raw.copy()
    ends[:, 200:] = ends[:, 199:200]
    whole, half = (Registrar("correspondence", output="warped").register(image).measured for image in (raw, ends))
    assert whole is not None
    assert half is not None
    assert half.profile_deviation_px[230] > 1.5 * whole.profile_deviation_px[230]


def test_what_nothing_is_known_of_may_be_anything() -> None:
    parts = DisplacementParts.initial(fit_profile(np.zeros(64)), np.zeros(8))
    assert all(np.isinf(variance).all() for variance in parts.variances_px2(64))


def test_variances_add_up() -> None:
    width, lines = 5, 3
    single = np.float32
    parts = MeasuredDisplacement(
        *(np.zeros(n, single) for n in (width, lines, width)),
        np.full(width, 3, single),
        np.full(lines, 4, single),
        np.full(width, 12, single),
        unpaired=True,
    )
    np.testing.assert_allclose(parts.deviation_px()[:, 0], [13, 5, 0])
