"""The image layers of a live session: made once, updated in place, and never in the user's way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sasnet_live.frame import Pixels
from sasnet_live.scan import ScanGeometry, forward_at_backward_lines, split

from .engine import Result

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

GAP = 0.02  # between layers side by side, in frames


@dataclass(frozen=True)
class LayerKind:
    """What one kind of layer shows.

    Attributes
    ----------
    title, tip
        For people.
    pixels
        From a result to what is shown, (H, W); lines of one pass have half the height of the frame.
    place
        (row, column) when layers are side by side.
    half
        Whether it has only the lines of one pass, so that its px are twice as high.
    """

    title: str
    tip: str
    pixels: Callable[[Result], Pixels]
    place: tuple[int, int]
    half: bool = False
    colormap: str = "gray"
    blending: str = "translucent_no_depth"
    symmetric: bool = False
    from_zero: bool = False


def _as_stored(lines: Pixels, geometry: ScanGeometry) -> Pixels:
    return lines if geometry.line_axis == "rows" else lines.T


def _passes(result: Result) -> tuple[Pixels, Pixels]:
    """The forward pass at the backward lines, and the backward pass as it came; float32."""
    forward, backward = split(result.frame.data, result.geometry)
    target = forward_at_backward_lines(np.asarray(forward, np.float32), len(backward), result.geometry)
    return target, np.asarray(backward, np.float32)


def _registered_lines(result: Result) -> Pixels:
    registration = result.registration
    return registration.warped if registration.rendered is None else registration.rendered


def _forward(result: Result) -> Pixels:
    return _as_stored(_passes(result)[0], result.geometry)


def _before(result: Result) -> Pixels:
    return _as_stored(_passes(result)[1], result.geometry)


def _after(result: Result) -> Pixels:
    return _as_stored(_registered_lines(result), result.geometry)


def _displacement(result: Result) -> Pixels:
    return _as_stored(result.registration.displacement_px, result.geometry)


def _error(result: Result) -> Pixels:
    return _as_stored(np.abs(_passes(result)[0] - _registered_lines(result)), result.geometry)


KINDS: dict[str, LayerKind] = {
    "raw": LayerKind("raw", "The frame as acquired.", lambda result: result.frame.data, (0, 0)),
    "registered": LayerKind(
        "registered", "Forward lines and registered backward lines.", lambda result: result.registration.image, (0, 1)
    ),
    "pair before": LayerKind(
        "backward before",
        "Forward pass in green, backward pass in magenta: grey where they agree.",
        _before,
        (1, 0),
        half=True,
        colormap="magenta",
        blending="additive",
    ),
    "pair after": LayerKind(
        "backward after",
        "Forward pass in green, registered backward pass in magenta: grey where they agree.",
        _after,
        (1, 1),
        half=True,
        colormap="magenta",
        blending="additive",
    ),
    "displacement": LayerKind(
        "displacement (px)",
        "How far backward lines were moved, px: blue to the left, red to the right.",
        _displacement,
        (0, 2),
        half=True,
        colormap="sasnet-diverging",
        symmetric=True,
    ),
    "error": LayerKind(
        "error",
        "Absolute difference of the forward and the registered backward pass.",
        _error,
        (1, 2),
        half=True,
        colormap="inferno",
        from_zero=True,
    ),
}
_GREEN = {
    kind: LayerKind("forward", "", _forward, KINDS[kind].place, half=True, colormap="green")
    for kind in ("pair before", "pair after")
}


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
        self._layers: dict[str, list[tuple[LayerKind, Image]]] = {}
        self._arrangement = "side by side"
        self._pixel_size: float | None = None
        self._newest: Result | None = None
        self._stale: set[int] = set()
        self._without_contrast: set[int] = set()
        self._adding = False
        viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Let go of the viewer; layers stay, they are the user's now."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        for layers in self._layers.values():
            for _, layer in layers:
                self._disconnect(layer)
        self._layers.clear()
        self._newest = None

    def want(self, kinds: Iterable[str], arrangement: str) -> None:
        """Which layers are to be shown from now on; those that are no longer wanted are taken away."""
        self._wanted = tuple(kind for kind in KINDS if kind in set(kinds))
        moved, self._arrangement = arrangement != self._arrangement, arrangement
        for kind in [kind for kind in self._layers if kind not in self._wanted]:
            self._take_away(kind)
        if self._newest is not None:
            self._add_missing(self._newest)
            if moved:
                self._place_all()

    def begin(self) -> None:
        """A session starts: layers that were deleted come back with its first frame."""
        self._newest = None

    def update(self, result: Result) -> None:
        """Show a result; only the layers that can be seen are touched."""
        if self._newest is not None and self._geometry_differs(result):
            for kind in list(self._layers):
                self._take_away(kind)
        first = self._newest is None
        self._newest = result
        pixel_size = _pixel_size(result)
        if first or pixel_size != self._pixel_size:
            self._pixel_size = pixel_size
            self._place_all()
        if first or self._wanted:
            self._add_missing(result, again=first)
        for layers in self._layers.values():
            for part, layer in layers:
                if layer.visible:
                    self._show(part, layer, result)
                else:
                    self._stale.add(id(layer))

    @property
    def layers(self) -> dict[str, list[Image]]:
        """The layers that are there, by kind."""
        return {kind: [layer for _, layer in layers] for kind, layers in self._layers.items()}

    # ------------------------------------------------------------------ private

    def _geometry_differs(self, result: Result) -> bool:
        newest = self._newest
        return newest is not None and (
            newest.frame.data.shape != result.frame.data.shape
            or newest.geometry != result.geometry
            or newest.frame.data.dtype != result.frame.data.dtype
        )

    def _add_missing(self, result: Result, *, again: bool = True) -> None:
        missing = [kind for kind in self._wanted if kind not in self._layers]
        if not missing or not again:
            # Deleted by the user in the middle of a session: not brought back by the next frame.
            return
        was_empty = not len(self._viewer.layers)
        self._adding = True
        try:
            for kind in missing:
                parts = [_GREEN[kind], KINDS[kind]] if kind in _GREEN else [KINDS[kind]]
                self._layers[kind] = [(part, self._add(part, result)) for part in parts]
        finally:
            self._adding = False
        if was_empty:
            self._viewer.reset_view()

    def _add(self, kind: LayerKind, result: Result) -> Image:
        from napari.layers import Image

        pixels = kind.pixels(result)
        layer = Image(
            pixels,
            name=f"SASNet {kind.title}",
            colormap=_colormap(kind.colormap),
            blending=kind.blending,
            contrast_limits=_contrast(kind, pixels),
            **self._place(kind, result),
        )
        layer.metadata["sasnet_live"] = {"layer": kind.title}
        if not result.registration.accepted:
            # A dark or empty first frame says nothing of the brightness to come.
            self._without_contrast.add(id(layer))
        layer.events.visible.connect(self._on_visible)
        self._viewer.add_layer(layer)
        return layer

    def _place(self, kind: LayerKind, result: Result) -> dict[str, Any]:
        """Scale, units and position of a layer."""
        size = self._pixel_size or 1.0
        rows = result.geometry.line_axis == "rows"
        scale = [size, size]
        height, width = result.registration.image.shape
        if kind.half:
            scale[0 if rows else 1] *= 2
        row, column = kind.place if self._arrangement == "side by side" else (0, 0)
        translate = [row * (1 + GAP) * height * size, column * (1 + GAP) * width * size]
        if kind.half:
            # Px of one pass are two lines high; their centres lie between the lines.
            translate[0 if rows else 1] += size / 2
        unit = "micrometer" if self._pixel_size else "pixel"
        return {"scale": scale, "translate": translate, "units": (unit, unit)}

    def _place_all(self) -> None:
        if self._newest is None:
            return
        for layers in self._layers.values():
            for kind, layer in layers:
                for name, value in self._place(kind, self._newest).items():
                    setattr(layer, name, value)

    def _take_away(self, kind: str) -> None:
        self._adding = True  # our own doing, not the user's
        try:
            for _, layer in self._layers.pop(kind, []):
                self._disconnect(layer)
                with suppress(ValueError):
                    self._viewer.layers.remove(layer)
        finally:
            self._adding = False

    def _disconnect(self, layer: Image) -> None:
        self._stale.discard(id(layer))
        self._without_contrast.discard(id(layer))
        layer.events.visible.disconnect(self._on_visible)

    def _on_removed(self, event: Any) -> None:
        if self._adding:
            return
        for kind, layers in list(self._layers.items()):
            gone = [layer for _, layer in layers if layer is event.value]
            if not gone:
                continue
            self._disconnect(gone[0])
            self._layers[kind] = [(part, layer) for part, layer in layers if layer is not event.value]
            if not self._layers[kind]:
                del self._layers[kind]
                self._wanted = tuple(wanted for wanted in self._wanted if wanted != kind)
                self._removed(kind)

    def _on_visible(self, event: Any) -> None:
        """A layer that was hidden is shown: it catches up."""
        layer = event.source
        if self._newest is None or not layer.visible or id(layer) not in self._stale:
            return
        for layers in self._layers.values():
            for kind, mine in layers:
                if mine is layer:
                    self._show(kind, layer, self._newest)

    def _show(self, kind: LayerKind, layer: Image, result: Result) -> None:
        pixels = kind.pixels(result)
        layer.data = pixels
        self._stale.discard(id(layer))
        if result.registration.accepted and id(layer) in self._without_contrast:
            self._without_contrast.discard(id(layer))
            layer.contrast_limits = _contrast(kind, pixels)


def _pixel_size(result: Result) -> float | None:
    try:
        size = float(result.frame.metadata.get("pixel_size_um") or 0)
    except (TypeError, ValueError):
        return None
    return size if size > 0 else None


def _contrast(kind: LayerKind, pixels: Pixels) -> tuple[float, float]:
    """From the first frame; afterwards it is the user's."""
    values = np.asarray(pixels[:: max(1, len(pixels) // 128)], np.float32)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    if kind.symmetric:
        reach = max(1.0, float(np.ceil(1.2 * np.abs(values).max())))
        return -reach, reach
    low, high = (float(value) for value in np.percentile(values, (0.5, 99.8)))
    if kind.from_zero:
        low = 0.0
    return (low, high) if high > low else (low, low + 1.0)


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
