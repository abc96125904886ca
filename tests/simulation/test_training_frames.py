"""The stream of frames for training: varied, in range, reproducible, fast enough to be amortized."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.scan import split
from sasnet_live.simulation.content import CONTENT_KINDS, content_scene
from sasnet_live.simulation.dataset import SceneBank, training_frame


@pytest.mark.parametrize("kind", CONTENT_KINDS)
def test_each_kind_of_content_is_a_scene_with_structure(kind: str) -> None:
    for seed in range(3):
        scene = content_scene(np.random.default_rng(seed), kind, 96, 128, margin_px=(8.0, 8.0))
        assert scene.image.dtype == np.float32
        assert np.isfinite(scene.image).all()
        assert scene.image.min() >= 0
        assert scene.image.max() < 2.5
        assert scene.image.std() > 0.02
        y_min, y_max, x_min, x_max = scene.extent_px
        assert (y_min, x_min) == (-8.0, -8.0)
        assert y_max >= 104
        assert x_max >= 136


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="texture"):
        content_scene(np.random.default_rng(0), "clouds", 64, 64)


def test_training_frames_are_reproducible_and_varied() -> None:
    def stream(seed: int) -> list[bytes]:
        rng, bank = np.random.default_rng(seed), SceneBank(64, 96, size=2, uses=3)
        return [training_frame(rng, 64, 96, bank).raw.tobytes() for _ in range(8)]

    assert stream(0) == stream(0)
    assert len(set(stream(0))) == 8
    assert stream(0) != stream(1)


def test_training_frames_of_any_shape_split_into_the_shapes_of_their_truth() -> None:
    rng = np.random.default_rng(2)
    for height, width in ((64, 96), (65, 128), (33, 1024)):
        frame = training_frame(rng, height, width)
        forward, backward = split(frame.raw, frame.geometry)
        assert frame.raw.shape == (height, width)
        assert forward.shape == frame.forward_truth.shape
        assert backward.shape == frame.truth.shape == frame.displacement_px.shape == frame.textured.shape


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, sasnet_live.simulation; print(sorted({'scipy', 'torch', 'pymmcore_plus'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_exported_name_is_there() -> None:
    import sasnet_live.simulation as simulation

    assert all(getattr(simulation, name) is not None for name in simulation.__all__)
    with pytest.raises(AttributeError, match="vesels"):
        _ = simulation.vesels


def test_a_bank_for_other_frames_is_refused() -> None:
    with pytest.raises(InputError, match="bank"):
        training_frame(np.random.default_rng(0), 64, 96, SceneBank(96, 64))
    with pytest.raises(InputError, match="at least one"):
        SceneBank(64, 64, size=0)
