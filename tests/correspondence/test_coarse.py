"""The displacement to about a px."""

from __future__ import annotations

import numpy as np
import pytest

from passes import texture
from sasnet_live.correspondence import coarse_search
from sasnet_live.scan import move_lines


@pytest.mark.parametrize("shift", [-14, -3, 0, 8])
def test_whole_px_are_found(shift: int) -> None:
    target = texture()
    found = coarse_search(target, np.roll(target, -shift, 1), 20)
    assert found.profile_px(256).shape == (256,)
    assert found.lines_px.shape == (96,)
    assert abs(found.lines_px.mean()) < 1e-9
    assert np.abs(found.displacement_px(256) - shift)[:, 30:-30].max() <= 2


def test_drift_down_the_frame_is_followed() -> None:
    target = texture(160)
    drift = np.linspace(-5, 5, 160)[:, None]
    found = coarse_search(target, move_lines(target, -drift), 20)
    assert np.abs(found.displacement_px(256) - drift)[:, 30:-30].mean() < 1.2


@pytest.mark.parametrize("centre_px", [-40, 40])
def test_the_search_begins_at_its_centre(centre_px: int) -> None:
    target = texture()
    backward = move_lines(target, np.array(-centre_px - 5.0))
    near = coarse_search(target, backward, 10).displacement_px(256)
    assert np.abs(near).max() < 16
    found = coarse_search(target, backward, 10, centre_px).displacement_px(256)
    assert np.abs(found - centre_px - 5)[:, 60:-60].max() <= 2


@pytest.mark.parametrize("width", [32, 63, 64, 65])
def test_short_lines_are_searched(width: int) -> None:
    target = texture(64, width)
    found = coarse_search(target, np.roll(target, -3, 1), 6)
    assert np.abs(found.displacement_px(width) - 3)[:, 8:-8].mean() < 1.5


def test_nothing_is_known_of_it() -> None:
    target = texture()
    found = coarse_search(target, target, 10)
    assert not found.information.any()
    assert not found.information_vector.any()
    assert np.isinf(found.line_variance).all()
