"""The layers of a live session in a viewer without a window: where they lie, what they are called, whose they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from sasnet_live.frame import Frame, Registration, RegistrationMetrics
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout
from sasnet_live.plugin.live.layers import LiveLayers
from sasnet_live.plugin.live.placement import box_of
from sasnet_live.scan import split
from sasnet_live.session.by_channel import NewestByChannel, names_of_channels
from sasnet_live.session.pictures import KINDS, Scan

ALL = tuple(KINDS)


def scan_of(
    shape: tuple[int, int] = (64, 96),
    *,
    level: float = 100,
    accepted: bool = True,
    channel: int | None = None,
    names: tuple[str, ...] = (),
    geometry: ScanGeometry = ScanGeometry(),
    dtype: Any = np.uint16,
    **metadata: Any,
) -> Scan:
    """A frame whose brightness is about `level`, registered by leaving it as it is."""
    data = (np.random.default_rng(0).random(shape) * level).astype(dtype)
    _, backward = split(data, geometry)
    lines = np.asarray(backward, np.float32)
    registration = Registration(data, None, lines, np.ones_like(lines), RegistrationMetrics(), accepted)
    index = {} if channel is None else {"c": channel}
    return Scan(Frame(data, index, metadata=metadata), registration, geometry, names)


class Session:
    """Live layers in a viewer, and the kinds that the user is said to have deleted."""

    def __init__(self, kinds: tuple[str, ...] = ("raw", "registered")) -> None:
        self.viewer = ViewerModel()
        self.viewer.canvas.size = (800, 600)
        self.deleted: list[str] = []
        self.layers = LiveLayers(self.viewer, self.deleted.append)
        self.layers.want(kinds, "side by side")

    @property
    def names(self) -> list[str]:
        return [layer.name for layer in self.viewer.layers]

    @property
    def ours(self) -> list[Image]:
        return [layer for layers in self.layers.layers.values() for layer in layers]

    @property
    def view(self) -> tuple[Any, ...]:
        camera = self.viewer.scene.camera
        return tuple(camera.center), camera.zoom

    def look_elsewhere(self) -> tuple[Any, ...]:
        self.viewer.scene.camera.zoom = 7.5
        self.viewer.scene.camera.center = (0, 11, 13)
        return self.view

    def in_view(self, layer: Image) -> bool:
        """Whether all of it is on the canvas."""
        (_, y, x), zoom = self.view
        height, width = (size / zoom for size in self.viewer.canvas.size)
        box = box_of(layer, layer.units)
        assert box is not None
        return (
            y - height / 2 <= box.top
            and box.bottom <= y + height / 2
            and x - width / 2 <= box.left
            and box.right <= x + width / 2
        )


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session()
    yield session
    session.layers.close()


def lie_apart(images: list[Any]) -> bool:
    boxes = [box_of(image, image.units) for image in images]
    return not any(one.overlaps(other) for one, other in combinations(boxes, 2) if one and other)


# ------------------------------------------------------------------- emptied


def one_by_one(viewer: ViewerModel) -> None:
    while viewer.layers:
        viewer.layers.pop()


def selected(viewer: ViewerModel) -> None:
    viewer.layers.selection = set(viewer.layers)
    viewer.layers.remove_selected()


def by_slice(viewer: ViewerModel) -> None:
    del viewer.layers[:]


EMPTY: dict[str, Callable[[ViewerModel], None]] = {
    "clear": lambda viewer: viewer.layers.clear(),
    "selected": selected,
    "slice": by_slice,
    "pop": one_by_one,
}


@pytest.mark.parametrize("how", EMPTY)
@pytest.mark.parametrize("kinds", [("raw", "registered"), ("registered",), ("raw", "pair after", "displacement")])
def test_an_emptied_list_is_no_choice_and_the_next_session_fills_it(how: str, kinds: tuple[str, ...]) -> None:
    session = Session(kinds)
    session.layers.update(scan_of())
    before = session.names
    EMPTY[how](session.viewer)
    session.layers.settle()
    assert session.deleted == []
    session.layers.update(scan_of())
    assert session.names == []  # for as long as this session runs
    session.layers.begin()
    session.layers.update(scan_of())
    assert session.names == before
    assert all(session.in_view(layer) for layer in session.ours)


def test_of_an_emptied_list_one_kind_comes_back_when_it_is_ticked_again(session: Session) -> None:
    session.layers.update(scan_of())
    session.viewer.layers.clear()
    session.layers.settle()
    session.layers.want(("raw", "registered"), "side by side")  # some other setting was changed
    assert session.names == []
    session.layers.want(("registered",), "side by side")
    session.layers.want(("raw", "registered"), "side by side")
    assert session.names == ["SASNet raw"]


def test_a_layer_that_is_deleted_while_others_stay_is_a_choice(session: Session) -> None:
    session.layers.update(scan_of())
    session.viewer.layers.remove(session.viewer.layers["SASNet raw"])
    session.layers.settle()
    session.layers.settle()
    assert session.deleted == ["raw"]
    session.layers.begin()
    session.layers.update(scan_of())
    assert session.names == ["SASNet registered"]


def test_half_of_a_pair_may_be_deleted() -> None:
    session = Session(("raw", "pair after"))
    session.layers.update(scan_of())
    session.viewer.layers.remove(session.viewer.layers["SASNet backward after"])
    session.layers.settle()
    assert session.deleted == []
    session.viewer.layers.remove(session.viewer.layers["SASNet forward after"])
    session.layers.settle()
    assert session.deleted == ["pair after"]


# -------------------------------------------------------------------- placed


@pytest.mark.parametrize(("kinds", "line_axis"), [(("raw", "registered"), "rows"), (ALL, "columns")])
@pytest.mark.parametrize(
    "there",
    [
        [],
        [((64, 96), {})],
        [((512, 512), {"scale": (1.25, 1.25)})],
        [((30, 30), {"translate": (-700, 900)}), ((40, 20), {})],
        [((4, 64, 96), {"scale": (3.0, 0.5, 0.5)})],
        [((64, 96), {"scale": (500, 500), "units": ("nm", "nm")})],
        [((64, 96, 3), {"rgb": True})],
    ],
)
def test_layers_lie_beside_what_is_there_and_in_the_view(
    kinds: tuple[str, ...], line_axis: Any, there: list[Any]
) -> None:
    session = Session(kinds)
    others = [session.viewer.add_image(np.zeros(shape, np.uint8), **more) for shape, more in there]
    session.layers.update(scan_of(geometry=ScanGeometry(line_axis=line_axis), pixel_size_um=1.25))
    apart = [layer for layer in session.ours if "backward" not in layer.name]  # a pair lies on top of each other
    units = apart[0].units
    boxes = [box_of(image, units) for image in [*others, *apart]]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]  # type: ignore[union-attr]
    assert all(session.in_view(layer) for layer in session.ours)


def test_hidden_images_and_other_layers_keep_no_place(session: Session) -> None:
    session.viewer.add_image(np.zeros((64, 96)), visible=False)
    session.viewer.add_points(np.empty((0, 2)))
    session.viewer.add_shapes([np.array([[0, 0], [500, 500]])], shape_type="line")
    session.layers.update(scan_of())
    assert session.ours[0].translate.tolist() == [0, 0]


def test_a_hidden_stack_is_no_hindrance(session: Session) -> None:
    """As napari-micromanager adds one when an acquisition begins."""
    session.viewer.add_image(np.zeros((3, 2, 64, 96)), visible=False)
    session.layers.update(scan_of())
    assert all(session.in_view(layer) for layer in session.ours)


def test_the_view_is_the_users_once_layers_have_appeared(session: Session) -> None:
    preview = session.viewer.add_image(np.zeros((64, 96), np.uint16), name="preview")
    session.layers.update(scan_of())
    view = session.look_elsewhere()
    for number in range(3):
        preview.data = np.full((64, 96), number, np.uint16)
        session.layers.make_room(preview)
        session.layers.update(scan_of(level=100 + number))
    session.layers.settle()
    session.layers.begin()  # stopped and started again
    session.ours[0].translate = (5, 5)
    session.layers.update(scan_of())
    session.viewer.add_image(np.zeros((20, 20)))
    session.layers.update(scan_of())
    assert session.view == view
    assert session.ours[0].translate.tolist() == [5, 5]


@pytest.mark.parametrize("change", ["shape", "pixel size", "geometry"])
def test_the_view_is_fitted_again_when_the_frames_change_their_size(session: Session, change: str) -> None:
    session.layers.update(scan_of(pixel_size_um=1.0))
    raw, registered = session.ours
    raw.name, raw.colormap = "mine", "magma"
    session.look_elsewhere()
    other = {
        "shape": scan_of((200, 150), pixel_size_um=1.0),
        "pixel size": scan_of(pixel_size_um=40.0),
        "geometry": scan_of((300, 300), geometry=ScanGeometry(line_axis="columns"), pixel_size_um=1.0),
    }[change]
    session.layers.update(other)
    assert session.ours == [raw, registered]  # the user's names and colours stay
    assert (raw.name, raw.colormap.name) == ("mine", "magma")
    assert raw.data.shape == other.frame.data.shape
    assert lie_apart([raw, registered])
    assert all(session.in_view(layer) for layer in session.ours)


def test_a_layer_that_is_ticked_is_seen(session: Session) -> None:
    session.layers.update(scan_of())
    session.look_elsewhere()
    session.layers.want(("raw", "registered", "displacement"), "side by side")
    assert all(session.in_view(layer) for layer in session.ours)
    view = session.look_elsewhere()
    session.layers.want(("raw", "registered"), "side by side")
    assert session.view == view


def test_layers_step_aside_once_for_a_preview_that_comes_later_or_grows(session: Session) -> None:
    session.layers.update(scan_of())
    preview = session.viewer.add_image(np.zeros((64, 96), np.uint16), name="preview")
    session.layers.make_room(preview)
    assert lie_apart([preview, *session.ours])
    assert all(session.in_view(layer) for layer in session.ours)
    preview.data = np.zeros((128, 192), np.uint16)
    session.layers.make_room(preview)
    assert lie_apart([preview, *session.ours])
    for layer in session.ours:
        layer.translate = (0, 0)  # to compare them, the user lays one on the other
    view = session.look_elsewhere()
    session.layers.make_room(preview)
    assert session.view == view
    assert session.ours[0].translate.tolist() == [0, 0]


# --------------------------------------------------------------------- units


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("pixel_size_um", [None, "?", 1.25])
@pytest.mark.parametrize("units", [None, ("um", "um"), ("nm", "nm")])
def test_units_can_be_shown_beside_the_neighbours(when: str, pixel_size_um: Any, units: Any) -> None:
    session = Session()
    preview = Image(np.zeros((64, 96), np.uint16), scale=(0.5, 0.5), units=units)
    if when == "before":
        session.viewer.add_layer(preview)
    session.layers.update(scan_of(pixel_size_um=pixel_size_um))
    if when == "after":
        session.viewer.add_layer(preview)
    session.layers.update(scan_of(pixel_size_um=pixel_size_um))
    assert session.viewer.layers.extent.units is not None  # else napari warns, and leaves units out
    if pixel_size_um == 1.25:
        assert all(layer.scale.tolist() == [1.25, 1.25] for layer in session.ours)
    else:
        assert all(layer.units == preview.units for layer in session.ours)
        assert all(layer.scale.tolist() == [0.5, 0.5] for layer in session.ours)


def test_alone_they_are_in_micrometers_again(session: Session) -> None:
    preview = session.viewer.add_image(np.zeros((64, 96), np.uint16))
    session.layers.update(scan_of(pixel_size_um=2.0))
    assert str(session.ours[0].units[0]) == "pixel"
    session.viewer.layers.remove(preview)
    session.layers.begin()
    session.layers.update(scan_of(pixel_size_um=2.0))
    assert str(session.ours[0].units[0]) == "micrometer"


# ------------------------------------------------------------------- channels


def test_each_channel_has_its_layers_and_contrast() -> None:
    session = Session()
    for _ in range(2):
        session.layers.update(scan_of(level=100, channel=0, names=("DAPI", "FITC")))
        session.layers.update(scan_of(level=4000, channel=1, names=("DAPI", "FITC")))
    assert session.names == [
        "SASNet raw DAPI", "SASNet registered DAPI", "SASNet raw FITC", "SASNet registered FITC"
    ]  # fmt: skip
    dapi, fitc = session.layers.layers["registered"]
    assert dapi.data.max() < 100 < 2000 < fitc.data.max()
    assert dapi.contrast_limits[1] < 101 < 2000 < fitc.contrast_limits[1]
    assert lie_apart(session.ours)
    assert all(session.in_view(layer) for layer in session.ours)
    session.layers.want(ALL, "side by side")
    assert lie_apart([layer for layer in session.ours if "backward" not in layer.name])


def test_live_mode_goes_on_in_the_layers_of_the_first_channel(session: Session) -> None:
    session.layers.update(scan_of())
    raw, registered = session.ours
    registered.name = "mine"
    session.layers.update(scan_of(channel=0, names=("DAPI", "FITC")))
    assert session.names == ["SASNet raw DAPI", "mine"]
    session.layers.update(scan_of())
    assert session.names == ["SASNet raw", "mine"]
    assert session.ours == [raw, registered]


def test_a_kind_is_deleted_when_no_channel_has_it(session: Session) -> None:
    for channel in (0, 1):
        session.layers.update(scan_of(channel=channel, names=("C0", "C1")))
    for channel, deleted in ((0, []), (1, ["raw"])):
        session.viewer.layers.remove(session.viewer.layers[f"SASNet raw C{channel}"])
        session.layers.settle()
        session.layers.update(scan_of(channel=channel, names=("C0", "C1")))
        assert session.deleted == deleted
    assert session.names == ["SASNet registered C0", "SASNet registered C1"]


def test_of_each_channel_the_newest_is_fetched_once() -> None:
    newest: NewestByChannel[Any] = NewestByChannel()
    scans = [scan_of(channel=channel) for channel in (1, 0, 0, 2, 1)]
    for scan in scans:
        newest.append(SimpleNamespace(scan=scan))
    assert [newest.pop().scan for _ in range(3)] == scans[2:]
    with pytest.raises(IndexError):
        newest.pop()


@pytest.mark.parametrize(
    ("axes", "sizes", "given", "names"),
    [
        ("t", (9,), (), ()),
        ("tc", (9, 1), ("DAPI",), ()),
        ("c", (2,), ("DAPI", "FITC"), ("DAPI", "FITC")),
        ("cz", (3, 2), (), ("channel 0", "channel 1", "channel 2")),
    ],
)
def test_channels_are_named_where_there_are_several(
    axes: str, sizes: tuple[int, ...], given: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert names_of_channels(Layout.stack((8, 8), np.dtype(np.uint16), axes, sizes, channel_names=given)) == names


# ------------------------------------------------------------------- contrast


@pytest.mark.parametrize("factor", [0.1, 8.0])
@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("live", [True, False])
def test_contrast_follows_another_exposure_once(session: Session, factor: float, accepted: bool, live: bool) -> None:
    more = {"camera_metadata": {}} if live else {}
    session.layers.update(scan_of(level=1000, exposure_ms=10.0, **more))
    raw, _ = session.ours
    raw.contrast_limits = (3, 333)
    session.layers.update(scan_of(level=1000, exposure_ms=10.001, **more))
    assert tuple(raw.contrast_limits) == (3, 333)
    if live:  # exposed while it changed
        session.layers.update(scan_of(level=1000, exposure_ms=10 * factor, **more))
        assert tuple(raw.contrast_limits) == (3, 333)
    session.layers.update(scan_of(level=1000 * factor, exposure_ms=10 * factor, accepted=accepted, **more))
    assert raw.contrast_limits[1] == pytest.approx(1000 * factor, rel=0.1)
    raw.contrast_limits = (3, 333)
    session.layers.update(scan_of(level=1000 * factor, exposure_ms=10 * factor, **more))
    session.layers.update(scan_of(level=5000))  # nothing is said of the exposure
    assert tuple(raw.contrast_limits) == (3, 333)


def test_contrast_waits_for_light(session: Session) -> None:
    session.layers.update(scan_of(level=1000, exposure_ms=10.0))
    raw, _ = session.ours
    before = raw.contrast_limits
    session.layers.update(scan_of(level=0, exposure_ms=20.0, accepted=False))
    assert raw.contrast_limits == before
    session.layers.update(scan_of(level=2000, exposure_ms=20.0))
    assert raw.contrast_limits[1] == pytest.approx(2000, rel=0.1)


def test_the_exposure_of_one_channel_is_not_that_of_another(session: Session) -> None:
    for _ in range(3):
        for channel, exposure_ms in ((0, 10.0), (1, 200.0)):
            session.layers.update(scan_of(channel=channel, names=("C0", "C1"), exposure_ms=exposure_ms))
        session.ours[0].contrast_limits = (3, 33)
    assert tuple(session.ours[0].contrast_limits) == (3, 33)


def test_another_type_of_px_has_another_contrast(session: Session) -> None:
    session.layers.update(scan_of(level=200, dtype=np.uint8))
    session.layers.update(scan_of(level=50_000))
    for layer in session.ours:
        assert layer.contrast_limits[1] == pytest.approx(50_000, rel=0.1)


def test_displacement_has_a_bar_in_px_and_the_same_contrast_whatever_the_exposure() -> None:
    session = Session(ALL)
    session.layers.update(scan_of(exposure_ms=10.0))
    with_bar = [layer.name for layer in session.ours if layer.colorbar.visible]
    assert with_bar == ["SASNet displacement (px)"]
    [displacement] = session.layers.layers["displacement"]
    displacement.contrast_limits = (-3, 3)
    session.layers.update(scan_of(exposure_ms=20.0))
    session.layers.update(scan_of(exposure_ms=20.0))
    assert tuple(displacement.contrast_limits) == (-3, 3)
