"""The image layers of a live session: made once, updated in place, and never in the user's way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sasnet_live.frame import Pixels
from sasnet_live.session.pictures import KINDS, Scan

from .placement import Placement, box_of, scale_beside
from .shown_layer import MARK, ShownLayer

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

NOTHING_DRAWN: Mapping[str, tuple[Pixels, ...]] = {}

Key = tuple[int, str]
"""Channel and kind of layer."""


class LiveLayers:
    """Keeps the layers that the user wants up to date: one of each kind for each channel.

    Layers are known by identity, so they may be renamed and reordered. One that the user deletes stays away until it is
    asked for again; one that is hidden costs nothing, and shows the newest frame as soon as it is shown. Where all are
    gone, the viewer was cleared or is closing, and nothing was chosen: they come back with the next session.

    They lie beside the images that are there when they first appear, and the view is made to fit them then. After that
    place and view are the user's, unless the frames change their size.

    Parameters
    ----------
    viewer
        Where layers are added.
    removed
        Called with the kind when the user deleted a layer; by `settle`.
    """

    def __init__(self, viewer: ViewerModel, removed: Callable[[str], None] = lambda kind: None) -> None:
        self._viewer = viewer
        self._removed = removed
        self._wanted: tuple[str, ...] = ()
        self._shown: dict[Key, list[ShownLayer]] = {}
        self._arrangement = "side by side"
        self._placement = Placement()
        self._format: tuple[Any, ...] | None = None  # of the frames that the layers are placed for
        self._newest: dict[int, Scan] = {}  # by channel
        self._last: Scan | None = None
        self._away: set[Key] = set()  # gone, and not to come back by themselves
        self._gone: set[str] = set()  # kinds removed since `settle`
        self._sizes: dict[Layer, tuple[float, float]] = {}  # of other live layers, when they were last made room for
        self._adding = False
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Let go of the viewer; layers stay, they are the user's now."""
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        for one in self._all:
            one.layer.events.visible.disconnect(self._on_visible)
        self._shown.clear()
        self._newest.clear()
        self._sizes.clear()
        self._last = None

    def want(self, kinds: Iterable[str], arrangement: str) -> None:
        """Which layers are to be shown from now on; those that are no longer wanted are taken away."""
        before = self._arrangement, self._rows
        self._wanted = tuple(kind for kind in KINDS if kind in set(kinds))
        self._arrangement = arrangement
        self._away = {key for key in self._away if key[1] in self._wanted}
        for key in [key for key in self._shown if key[1] not in self._wanted]:
            self._take_away(key)
        added = [self._add_missing(scan) for scan in self._newest.values()]
        has_moved = before != (self._arrangement, self._rows)
        if has_moved:
            self._place_all()
        if has_moved or any(added):
            self._fit()

    def begin(self) -> None:
        """A session starts: layers that were deleted come back with its first frame."""
        self.settle()
        self._newest.clear()
        self._away.clear()

    def settle(self) -> None:
        """Tell which kinds the user deleted since the last call.

        Layers are removed one by one also where the list is cleared or the viewer closes; which it was shows only when
        all of that is done.
        """
        gone, self._gone = self._gone, set()
        if not self._shown:
            return
        for kind in gone - {kind for _, kind in self._shown}:
            self._wanted = tuple(wanted for wanted in self._wanted if wanted != kind)
            self._removed(kind)

    def update(self, scan: Scan, pictures: Mapping[str, tuple[Pixels, ...]] = NOTHING_DRAWN) -> None:
        """Show a frame; only the layers of its channel that can be seen are touched.

        Parameters
        ----------
        pictures
            What was drawn beforehand, see `pictures.draw`; the rest is drawn here.
        """
        is_other = _format(scan) != self._format
        self._last = scan
        if is_other:
            self._format = _format(scan)
            self._newest.clear()
            for key in [key for key in self._shown if key[0] != scan.channel]:
                self._take_away(key)
        is_first = scan.channel not in self._newest
        self._newest[scan.channel] = scan
        added = is_first and self._add_missing(scan)
        for (channel, kind), shown in self._shown.items():
            for number, one in enumerate(shown if channel == scan.channel else ()):
                one.stale = not one.layer.visible
                if one.layer.visible:
                    one.show(scan, pictures[kind][number] if kind in pictures else one.picture.draw(scan))
        if is_other:
            self._place_anew()
        elif added:
            self._fit()
        elif is_first:
            self._match_units()

    def make_room(self, layer: Layer | None) -> None:
        """Another live layer has new pixels: where it has come or grown over ours, these step aside."""
        if layer is None or not self._shown or layer not in self._neighbours:
            return
        box = box_of(layer, self._placement.units)
        if box is None or self._sizes.get(layer) == box.size:
            return
        self._sizes[layer] = box.size
        ours = [box_of(one.layer, self._placement.units) for one in self._all]
        if any(one is not None and one.overlaps(box) for one in ours):
            self._place_anew()

    @property
    def layers(self) -> dict[str, list[Image]]:
        """The layers that are there, by kind; those of the first channel first."""
        layers: dict[str, list[Image]] = {}
        for (_, kind), shown in sorted(self._shown.items(), key=lambda item: item[0][0]):
            layers.setdefault(kind, []).extend(one.layer for one in shown)
        return layers

    @property
    def seen(self) -> tuple[str, ...]:
        """The kinds that are there and not hidden."""
        return tuple(kind for kind, layers in self.layers.items() if any(layer.visible for layer in layers))

    # ----------------------------------------------------------------- private

    @property
    def _all(self) -> list[ShownLayer]:
        return [one for shown in self._shown.values() for one in shown]

    @property
    def _rows(self) -> int:
        """How many rows of pictures each channel has."""
        return 1 + max((picture.place[0] for kind in self._wanted for picture in KINDS[kind]), default=0)

    @property
    def _neighbours(self) -> list[Image]:
        """The images of others that can be seen."""
        from napari.layers import Image

        ours = [one.layer for one in self._all]
        images = [layer for layer in self._viewer.layers if isinstance(layer, Image) and layer.visible]
        return [image for image in images if not any(image is layer for layer in ours)]

    @contextmanager
    def _by_us(self) -> Iterator[None]:
        """What is added and removed in here is not the user's doing."""
        self._adding = True
        try:
            yield
        finally:
            self._adding = False

    def _add_missing(self, scan: Scan) -> bool:
        keys = [(scan.channel, kind) for kind in self._wanted]
        missing = [key for key in keys if key not in self._shown and key not in self._away]
        if missing and not self._shown:
            self._placement = Placement.beside(self._neighbours, scan)
        with self._by_us():
            for key in missing:
                self._shown[key] = []
                for picture in KINDS[key[1]]:
                    one = ShownLayer(picture, scan, self._place(key[0], picture, scan))
                    one.layer.events.visible.connect(self._on_visible)
                    self._shown[key].append(one)
                    self._viewer.add_layer(one.layer)
        return bool(missing)

    def _place(self, channel: int, picture: Any, scan: Scan) -> dict[str, Any]:
        return self._placement.of(picture, scan, channel * self._rows, self._arrangement)

    def _place_all(self) -> None:
        if self._last is not None:
            for (channel, _), shown in self._shown.items():
                for one in shown:
                    one.place(self._place(channel, one.picture, self._last))

    def _place_anew(self) -> None:
        if self._last is not None and self._shown:
            self._placement = Placement.beside(self._neighbours, self._last)
            self._place_all()
            self._fit()

    def _fit(self) -> None:
        """All layers into the view, as by napari's home button."""
        if self._shown:
            self._viewer.reset_view(reset_camera_angle=False)

    def _take_away(self, key: Key) -> None:
        with self._by_us():
            for one in self._shown.pop(key, []):
                one.layer.events.visible.disconnect(self._on_visible)
                with suppress(ValueError):
                    self._viewer.layers.remove(one.layer)

    def _on_inserted(self, event: Any) -> None:
        if not self._adding:
            self._match_units()

    def _match_units(self) -> None:
        """Ours bear units that napari can show beside those of the others."""
        if self._last is None or not self._shown:
            return
        size, units = scale_beside(self._neighbours, self._last)
        if size != self._placement.size:
            self._place_anew()
        elif units != self._placement.units:
            self._placement = replace(self._placement, units=units)
            self._place_all()

    def _on_removed(self, event: Any) -> None:
        if self._adding:
            return
        self._sizes.pop(event.value, None)
        for key, shown in list(self._shown.items()):
            kept = [one for one in shown if one.layer is not event.value]
            if len(kept) == len(shown):
                continue
            event.value.events.visible.disconnect(self._on_visible)
            self._shown[key] = kept
            if not kept:
                del self._shown[key]
                self._away.add(key)
                self._gone.add(key[1])

    def _on_visible(self, event: Any) -> None:
        """A layer that was hidden is shown: it catches up."""
        for (channel, _), shown in self._shown.items():
            scan = self._newest.get(channel)
            for one in shown:
                if one.layer is event.source and one.stale and one.layer.visible and scan is not None:
                    one.show(scan, one.picture.draw(scan))


def is_ours(layer: Layer) -> bool:
    """Whether a layer was made by us, in this session or another."""
    return MARK in layer.metadata


def _format(scan: Scan) -> tuple[Any, ...]:
    """What the layers are placed for."""
    return scan.frame.data.shape, scan.registration.image.shape, scan.geometry, scan.pixel_size_um
