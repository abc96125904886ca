"""Scenes are continuous, reproducible and look like vessels do."""

from __future__ import annotations

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.simulation.vessels import Centerlines, Scene, paint_tubes, smooth_field, vascular_scene


def test_scene_reads_its_samples_and_interpolates_between_them() -> None:
    image = np.arange(20, dtype=np.float32).reshape(4, 5)
    scene = Scene(image, samples_per_px=2.0, origin_px=(-1.0, 3.0))
    y, x = np.meshgrid(-1.0 + np.arange(4) / 2, 3.0 + np.arange(5) / 2, indexing="ij")
    np.testing.assert_allclose(scene.sample(y, x), image)
    np.testing.assert_allclose(scene.sample(np.array([-0.75]), np.array([3.25])), [3.0])
    assert scene.extent_px == (-1.0, 0.5, 3.0, 5.0)


def test_moved_scene_shows_its_content_further_down_and_right() -> None:
    scene = vascular_scene(np.random.default_rng(0), 40, 50)
    y, x = np.mgrid[5:30, 5:30].astype(np.float32)
    np.testing.assert_allclose(scene.moved(1.25, -2.5).sample(y + 1.25, x - 2.5), scene.sample(y, x), atol=1e-4)


def test_interpolation_error_is_what_the_docstring_says() -> None:
    samples, sigma = 2.0, 1.0
    t = np.arange(-30, 31) / samples
    scene = Scene(np.tile(np.exp(-0.5 * (t / sigma) ** 2), (3, 1)).astype(np.float32), samples, (0.0, -15.0))
    x = np.linspace(-10, 10, 2001)
    error = np.abs(scene.sample(np.zeros_like(x), x) - np.exp(-0.5 * (x / sigma) ** 2)).max()
    bound = 1 / (8 * samples**2 * sigma**2)
    assert 0.5 * bound < error <= 1.001 * bound


def test_vascular_scene_covers_the_frame_and_its_margin() -> None:
    scene = vascular_scene(np.random.default_rng(1), 64, 96, samples_per_px=2.5, margin_px=(10.0, 30.0))
    y_min, y_max, x_min, x_max = scene.extent_px
    assert (y_min, x_min) == (-10.0, -30.0)
    assert y_max >= 74.0
    assert x_max >= 126.0


def test_vascular_scenes_are_bright_thin_vessels_on_a_dark_background() -> None:
    for seed in range(6):
        image = vascular_scene(np.random.default_rng(seed), 256, 256, samples_per_px=2.0).image
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert 0.9 < image.max() < 3.0
        assert np.median(image) < 0.4
        assert image.std() > 0.05


def test_same_seed_same_scene_and_another_seed_another() -> None:
    one, same, other = (vascular_scene(np.random.default_rng(seed), 48, 64).image for seed in (7, 7, 8))
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()


def test_a_tube_has_its_width_and_the_brighter_one_shows() -> None:
    image = np.zeros((60, 60), np.float32)
    along = np.arange(0, 30, 0.25)
    n = len(along)

    def tube(y: float, heading: float, brightness: float) -> Centerlines:
        across = heading != 0
        return Centerlines(
            np.asarray(along if across else np.full(n, y)),
            np.asarray(np.full(n, y) if across else along),
            np.full(n, 3.0),
            np.full(n, heading),
            np.full(n, brightness),
        )

    paint_tubes(image, tube(15.0, 0.0, 0.5), 2.0)
    assert image[30, 30] == pytest.approx(0.5, rel=0.01)
    assert (image[:, 20] > 0).sum() == pytest.approx(2 * 3.0 * 2.0 + 1, abs=1)
    paint_tubes(image, tube(15.0, np.pi / 2, 1.0), 2.0)
    assert image[30, 30] == pytest.approx(1.0, rel=0.01)
    assert image[30, 50] == pytest.approx(0.5, rel=0.01)


def test_smooth_field_is_smooth_and_of_unit_variance() -> None:
    fields = np.stack([smooth_field(np.random.default_rng(seed), (60, 80), 4.0) for seed in range(40)])
    assert fields.std() == pytest.approx(1.0, abs=0.15)
    assert np.abs(np.diff(fields, axis=2)).max() < 1.0


@pytest.mark.parametrize(("height", "width"), [(0, 10), (10, -1)])
def test_empty_scenes_are_refused(height: int, width: int) -> None:
    with pytest.raises(InputError, match="at least 1 x 1"):
        vascular_scene(np.random.default_rng(0), height, width)


def test_scene_refuses_what_is_not_a_raster() -> None:
    with pytest.raises(InputError, match="float32"):
        Scene(np.zeros((4, 4)), 2.0, (0.0, 0.0))
    with pytest.raises(InputError, match="samples_per_px"):
        Scene(np.zeros((4, 4), np.float32), 0.0, (0.0, 0.0))
