"""Another preview in the same viewer: how it is noticed and told; without a window."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from sasnet_live.live.status import PipelineStatus, QueueCounts
from sasnet_live.plugin.live.layers import MARK, is_ours
from sasnet_live.plugin.live.live_state import state_in_words
from sasnet_live.plugin.live.other_layers import LIVE_S, OtherLayers
from sasnet_live.session.courtesy import Courtesy
from sasnet_live.session.settings import LiveSettings


class Viewer:
    """A viewer, what is followed in it, and a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.model = ViewerModel()
        self.now_s = 100.0
        self.updates = 0
        self.others = OtherLayers(self.model, is_ours, self._count, clock=lambda: self.now_s)

    def _count(self) -> None:
        self.updates += 1

    def add(self, **metadata: object) -> Image:
        layer: Image = self.model.add_image(np.zeros((8, 8), np.uint16), metadata=metadata)
        self.now_s += 10.0
        return layer

    def play(self, layer: Image, images: int, interval_s: float = 0.04) -> None:
        for number in range(images):
            self.now_s += interval_s
            layer.data = np.full((8, 8), number, np.uint16)


@pytest.fixture
def viewer() -> Iterator[Viewer]:
    viewer = Viewer()
    yield viewer
    viewer.others.close()


def test_a_layer_whose_images_follow_each_other_is_live_until_they_end(viewer: Viewer) -> None:
    preview = viewer.add()
    assert not viewer.others.live
    viewer.play(preview, 5)
    assert viewer.others.live
    assert viewer.updates == 4  # the first alone is no preview yet
    viewer.now_s += LIVE_S
    assert not viewer.others.live


@pytest.mark.parametrize("case", ["ours", "hidden", "seldom", "removed", "closed"])
def test_what_nobody_needs_to_make_way_for(viewer: Viewer, case: str) -> None:
    layer = viewer.add(**({MARK: {}} if case == "ours" else {}))
    layer.visible = case != "hidden"
    if case == "removed":
        viewer.model.layers.remove(layer)
    if case == "closed":
        viewer.others.close()
    viewer.play(layer, 5, interval_s=2 * LIVE_S if case == "seldom" else 0.04)
    assert not viewer.others.live
    assert viewer.updates == 0
    if case == "closed":  # and what the fixture closes again does no harm
        viewer.others = OtherLayers(viewer.model, is_ours, viewer._count)


def test_layers_that_were_there_before_are_followed_too() -> None:
    viewer = Viewer()
    viewer.others.close()
    preview = viewer.add()
    viewer.others = OtherLayers(viewer.model, is_ours, viewer._count, clock=lambda: viewer.now_s)
    viewer.play(preview, 3)
    assert viewer.others.live
    viewer.others.close()


def test_the_user_is_told_why_frames_are_few() -> None:
    counts = QueueCounts(received=9)
    engine = SimpleNamespace(courtesy=Courtesy(), own_core=None, status=lambda: PipelineStatus(counts=counts))
    settings = LiveSettings(source="folder", folder="scans")
    assert state_in_words("running", engine, settings, None) == ("scans", "accepted")  # type: ignore[arg-type]
    engine.courtesy.wanted, engine.courtesy.last_s = True, 1.5
    text, trust = state_in_words("running", engine, settings, None)  # type: ignore[arg-type]
    assert "another preview" in text
    assert trust == "accepted"
