"""The image layers of a live session: made once, updated in place, and never in the user's way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sasnet_live.frame import Pixels
from sasnet_live.stream import pixel_size_of

from .pictures import KINDS, Picture, Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

GAP = 0.02  # between layers side by side, in frames
THUMBNAIL_EVERY_S = 2.0
"""A thumbnail costs as much as the layer's pixels, and the layer list is painted anew for it."""

MARK = "sasnet_live"
"""Key of the metadata of our layers."""

NOTHING_DRAWN: Mapping[str, tuple[Pixels, ...]] = {}


@dataclass
class _Shown:
    """A layer of ours.

    Attributes
    ----------
    pixels
        The array that the layer shows and that is written to; its own, so that no frame is held on to.
    stale
        Whether it was hidden when the newest frame came.
    without_contrast
        Whether contrast is to be set from the first frame that was registered.
    """

    picture: Picture
    layer: Image
    pixels: Pixels
    stale: bool = False
    without_contrast: bool = False
    thumbnail_s: float = 0.0


class LiveLayers:
    """Keeps the layers that the user wants up to date.

    Layers are known by identity, so they may be renamed and reordered. One that the user deletes stays away until it is
    asked for again; one that is hidden costs nothing, and shows the newest frame as soon as it is shown.

    Parameters
    ----------
    viewer
        Where layers are added.
    removed
        Called with the kind when the user deleted a layer.
    """

    def __init__(self, viewer: ViewerModel, removed: Callable[[str], None] = lambda kind: None) -> None:
        self._viewer = viewer
        self._removed = removed
        self._wanted: tuple[str, ...] = ()
        self._shown: dict[str, list[_Shown]] = {}
        self._arrangement = "side by side"
        self._pixel_size: tuple[float, float] | None = None
        self._newest: Scan | None = None
        self._adding = False
        viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Let go of the viewer; layers stay, they are the user's now."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        for shown in self._shown.values():
            for one in shown:
                one.layer.events.visible.disconnect(self._on_visible)
        self._shown.clear()
        self._newest = None

    def want(self, kinds: Iterable[str], arrangement: str) -> None:
        """Which layers are to be shown from now on; those that are no longer wanted are taken away."""
        self._wanted = tuple(kind for kind in KINDS if kind in set(kinds))
        moved, self._arrangement = arrangement != self._arrangement, arrangement
        for kind in [kind for kind in self._shown if kind not in self._wanted]:
            self._take_away(kind)
        if self._newest is not None:
            self._add_missing(self._newest)
            if moved:
                self._place_all()

    def begin(self) -> None:
        """A session starts: layers that were deleted come back with its first frame."""
        self._newest = None

    def update(self, scan: Scan, pictures: Mapping[str, tuple[Pixels, ...]] = NOTHING_DRAWN) -> None:
        """Show a frame; only the layers that can be seen are touched.

        Parameters
        ----------
        pictures
            What was drawn beforehand, see `pictures.draw`; the rest is drawn here.
        """
        first = self._newest is None or _differs(self._newest, scan)
        if self._newest is not None and first:
            for kind in list(self._shown):
                self._take_away(kind)
        self._newest = scan
        pixel_size = pixel_size_of(scan.frame.metadata.get("pixel_size_um"))
        if first or pixel_size != self._pixel_size:
            self._pixel_size = pixel_size
            self._place_all()
        if first:
            self._add_missing(scan)
        for kind, shown in self._shown.items():
            for number, one in enumerate(shown):
                one.stale = not one.layer.visible
                if one.layer.visible:
                    self._show(one, scan, pictures[kind][number] if kind in pictures else one.picture.draw(scan))

    @property
    def layers(self) -> dict[str, list[Image]]:
        """The layers that are there, by kind."""
        return {kind: [one.layer for one in shown] for kind, shown in self._shown.items()}

    @property
    def seen(self) -> tuple[str, ...]:
        """The kinds that are there and not hidden."""
        return tuple(kind for kind, shown in self._shown.items() if any(one.layer.visible for one in shown))

    # ------------------------------------------------------------------ private

    def _add_missing(self, scan: Scan) -> None:
        missing = [kind for kind in self._wanted if kind not in self._shown]
        if not missing:
            return
        was_empty = not len(self._viewer.layers)
        self._adding = True
        try:
            for kind in missing:
                self._shown[kind] = [self._add(picture, scan) for picture in KINDS[kind]]
        finally:
            self._adding = False
        if was_empty:
            self._viewer.reset_view()

    def _add(self, picture: Picture, scan: Scan) -> _Shown:
        from napari.layers import Image

        pixels = picture.draw(scan).copy()
        layer = Image(
            pixels,
            name=f"SASNet {picture.title}",
            colormap=_colormap(picture.colormap),
            blending=picture.blending,
            contrast_limits=picture.contrast(pixels),
            **self._place(picture, scan),
        )
        layer.metadata[MARK] = {"layer": picture.title}
        layer.events.visible.connect(self._on_visible)
        self._viewer.add_layer(layer)
        # A dark or empty first frame says nothing of the brightness to come.
        return _Shown(picture, layer, pixels, without_contrast=not scan.registration.accepted)

    def _place(self, picture: Picture, scan: Scan) -> dict[str, Any]:
        """Scale, units and position of a layer."""
        slow = 0 if scan.geometry.line_axis == "rows" else 1
        scale = list(self._pixel_size or (1.0, 1.0))
        height, width = scan.registration.image.shape
        row, column = picture.place if self._arrangement == "side by side" else (0, 0)
        translate = [row * (1 + GAP) * height * scale[0], column * (1 + GAP) * width * scale[1]]
        if picture.half:
            # Px of one pass are two lines high; their centres lie between the lines.
            translate[slow] += scale[slow] / 2
            scale[slow] *= 2
        unit = "micrometer" if self._pixel_size else "pixel"
        return {"scale": scale, "translate": translate, "units": (unit, unit)}

    def _place_all(self) -> None:
        if self._newest is None:
            return
        for shown in self._shown.values():
            for one in shown:
                for name, value in self._place(one.picture, self._newest).items():
                    setattr(one.layer, name, value)

    def _take_away(self, kind: str) -> None:
        self._adding = True  # our own doing, not the user's
        try:
            for one in self._shown.pop(kind, []):
                one.layer.events.visible.disconnect(self._on_visible)
                with suppress(ValueError):
                    self._viewer.layers.remove(one.layer)
        finally:
            self._adding = False

    def _on_removed(self, event: Any) -> None:
        if self._adding:
            return
        for kind, shown in list(self._shown.items()):
            kept = [one for one in shown if one.layer is not event.value]
            if len(kept) == len(shown):
                continue
            event.value.events.visible.disconnect(self._on_visible)
            self._shown[kind] = kept
            if not kept:
                del self._shown[kind]
                self._wanted = tuple(wanted for wanted in self._wanted if wanted != kind)
                self._removed(kind)

    def _on_visible(self, event: Any) -> None:
        """A layer that was hidden is shown: it catches up."""
        scan = self._newest
        for shown in self._shown.values():
            for one in shown:
                if one.layer is event.source and one.stale and one.layer.visible and scan is not None:
                    self._show(one, scan, one.picture.draw(scan))

    def _show(self, one: _Shown, scan: Scan, pixels: Pixels) -> None:
        layer = one.layer
        now = time.monotonic()
        with_thumbnail = one.stale or now - one.thumbnail_s >= THUMBNAIL_EVERY_S
        one.stale = False
        if with_thumbnail:
            one.thumbnail_s = now
        if layer.data is one.pixels and (one.pixels.shape, one.pixels.dtype) == (pixels.shape, pixels.dtype):
            one.pixels[...] = pixels
            if with_thumbnail:
                layer.refresh(extent=False, highlight=False)
            else:
                # What listens to the layer's events as a whole is the layer list, which would paint itself anew, and
                # with it the window; the canvas listens to the new pixels alone.
                with layer.events.blocker():
                    layer.refresh(thumbnail=False, extent=False, highlight=False)
        else:
            layer.data = one.pixels = pixels.copy()
        if scan.registration.accepted and one.without_contrast:
            one.without_contrast = False
            layer.contrast_limits = one.picture.contrast(pixels)


def is_ours(layer: Layer) -> bool:
    """Whether a layer was made by us, in this session or another."""
    return MARK in layer.metadata


def _differs(before: Scan, scan: Scan) -> bool:
    """Whether layers made for one frame cannot show the other."""
    old, new = before.frame.data, scan.frame.data
    return old.shape != new.shape or old.dtype != new.dtype or before.geometry != scan.geometry


def _colormap(name: str) -> Any:
    if name != "sasnet-diverging":
        return name
    from napari.utils.colormaps import Colormap

    return Colormap(
        [
            [0.16, 0.38, 0.85, 1],
            [0.55, 0.73, 0.95, 1],
            [0.96, 0.96, 0.96, 1],
            [0.97, 0.66, 0.55, 1],
            [0.76, 0.1, 0.16, 1],
        ],
        name="blue to red",
    )
