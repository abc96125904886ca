"""A core with its devices, or why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.sources.configuration import layout_of_camera, load_core


def test_a_configuration_with_a_python_camera_is_loaded() -> None:
    from sasnet_live.simulation.camera import config_path

    core = load_core(config_path())
    assert core.getCameraDevice() == "ORPAM"
    stream = layout_of_camera(core)
    assert stream is not None
    assert stream.frame_shape == (core.getImageHeight(), core.getImageWidth())
    assert stream.dtype == np.uint16
    core.unloadAllDevices()


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "no such file"), ("Device,Camera,NoLibrary,NoDevice\n", "cannot be loaded"), ("", "has no camera")],
)
def test_what_cannot_be_loaded_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "scope.cfg"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=words):
        load_core(path)


class Core:
    """A core that answers with this size, or refuses."""

    def __init__(self, height: int, width: int, pixel_bytes: int) -> None:
        self._answers = height, width, pixel_bytes

    def getImageHeight(self) -> int:
        if not self._answers[2]:
            raise RuntimeError("no camera")
        return self._answers[0]

    def getImageWidth(self) -> int:
        return self._answers[1]

    def getBytesPerPixel(self) -> int:
        return self._answers[2]


@pytest.mark.parametrize(
    ("core", "expected"),
    [
        (Core(64, 96, 1), ((64, 96), np.uint8)),
        (Core(64, 96, 2), ((64, 96), np.uint16)),
        (Core(64, 96, 4), None),
        (Core(0, 0, 1), None),
        (Core(64, 96, 0), None),
    ],
)
def test_what_a_camera_will_send(core: Any, expected: Any) -> None:
    stream = layout_of_camera(core)
    assert (None if stream is None else (stream.frame_shape, stream.dtype)) == expected
