"""What else is shown live in the viewer, such as another program's preview."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

LIVE_S = 0.25
"""A layer is live while its pixels follow each other faster than that."""


class OtherLayers:
    """Follows the layers of a viewer that are not ours, and tells when one of them is given new pixels.

    Parameters
    ----------
    viewer
        Whose layers.
    is_ours
        Which of them are left out.
    updated
        Called in the GUI thread each time a live layer that can be seen is given new pixels, before it is painted:
        what is changed on the canvas now is painted with it.
    clock
        Seconds.

    Attributes
    ----------
    newest
        The live layer that was given new pixels last; None before the first.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        is_ours: Callable[[Layer], bool],
        updated: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._layers = viewer.layers
        self._is_ours, self._updated, self._clock = is_ours, updated, clock
        self._new_at: dict[Layer, float] = {}  # when its pixels came
        self._live_at = -LIVE_S
        self.newest: Layer | None = None
        for layer in self._layers:
            self._follow(layer)
        self._layers.events.inserted.connect(self._on_inserted)
        self._layers.events.removed.connect(self._on_removed)

    @property
    def live(self) -> bool:
        """Whether one of them is."""
        return self._clock() - self._live_at < LIVE_S

    def close(self) -> None:
        """Let go of the viewer."""
        self._layers.events.inserted.disconnect(self._on_inserted)
        self._layers.events.removed.disconnect(self._on_removed)
        self.newest = None
        for layer in list(self._new_at):
            self._leave(layer)

    def _follow(self, layer: Layer) -> None:
        self._new_at[layer] = -LIVE_S
        layer.events.set_data.connect(self._on_pixels)

    def _leave(self, layer: Layer) -> None:
        if self._new_at.pop(layer, None) is not None:
            with suppress(ValueError):
                layer.events.set_data.disconnect(self._on_pixels)

    def _on_inserted(self, event: Any) -> None:
        self._follow(event.value)

    def _on_removed(self, event: Any) -> None:
        self._leave(event.value)
        if self.newest is event.value:
            self.newest = None

    def _on_pixels(self, event: Any) -> None:
        layer = event.source
        if layer not in self._new_at or not layer.visible or self._is_ours(layer):
            return
        now, before = self._clock(), self._new_at[layer]
        self._new_at[layer] = now
        if now - before < LIVE_S:  # one picture alone, opened or painted on, is no preview
            self._live_at, self.newest = now, layer
            self._updated()
