"""Another preview in the same viewer: how it is noticed, and how the model makes way for it; without a window."""

from __future__ import annotations

import threading
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
from sasnet_live.session import courtesy
from sasnet_live.session.courtesy import LONGEST_S, RESTS, Courtesy
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


class Times:
    """What the clocks say, and how long was rested."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, courtesy_: Courtesy) -> None:
        self.wall_s = self.cpu_s = 0.0
        self.rests: list[float] = []
        clocks = SimpleNamespace(perf_counter=lambda: self.wall_s, thread_time=lambda: self.cpu_s)
        monkeypatch.setattr(courtesy, "time", clocks)
        monkeypatch.setattr(courtesy_._ended, "wait", self.rests.append)


@pytest.mark.parametrize(
    ("took_s", "worked_s", "rest_s"),
    [
        (0.05, 0.05, 0.0),  # nobody in the way
        (0.06, 0.05, RESTS * 0.01),
        (0.50, 0.08, RESTS * 0.42),
        (9.00, 0.10, LONGEST_S),
        (0.05, 0.06, 0.0),  # clocks of different grain
    ],
)
def test_rests_by_how_long_it_waited(
    monkeypatch: pytest.MonkeyPatch, took_s: float, worked_s: float, rest_s: float
) -> None:
    polite = Courtesy()
    times = Times(monkeypatch, polite)
    polite.wanted = True
    polite.begin()
    times.wall_s += took_s
    times.cpu_s += worked_s
    assert polite.rest() == pytest.approx(rest_s)
    assert times.rests == pytest.approx([rest_s])
    assert polite.is_felt is (rest_s > 0.1)
    polite.wanted = False
    assert not polite.is_felt


def test_without_another_preview_there_is_no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    polite = Courtesy()
    times = Times(monkeypatch, polite)
    polite.begin()
    times.wall_s += 5.0
    assert polite.rest() == 0.0
    assert times.rests == []


def test_the_end_of_a_session_ends_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courtesy, "LONGEST_S", 1e6)
    polite = Courtesy()
    polite.wanted = True
    polite._began_s = -1e6  # began long ago, and has done next to nothing since
    resting = threading.Thread(target=polite.rest)
    resting.start()
    polite.end()
    resting.join(10)
    assert not resting.is_alive()
    polite.allow()
    assert not polite._ended.is_set()


def test_the_user_is_told_why_frames_are_few() -> None:
    counts = QueueCounts(received=9)
    engine = SimpleNamespace(courtesy=Courtesy(), own_core=None, status=lambda: PipelineStatus(counts=counts))
    settings = LiveSettings(source="folder", folder="scans")
    assert state_in_words("running", engine, settings, None) == ("scans", "accepted")  # type: ignore[arg-type]
    engine.courtesy.wanted, engine.courtesy.last_s = True, 1.5
    text, trust = state_in_words("running", engine, settings, None)  # type: ignore[arg-type]
    assert "another preview" in text
    assert trust == "accepted"
