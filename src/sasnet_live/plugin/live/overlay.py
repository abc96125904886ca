"""The line of figures on the canvas."""

from __future__ import annotations

import textwrap
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from sasnet_live.session.trust import Figures, overlay_text

if TYPE_CHECKING:
    from napari.components import ViewerModel


WIDTH_OF_CHARACTER = 0.9
"""On average, in px for each point of font size."""


class FiguresOverlay:
    """A text overlay of our own, so that what the user writes with napari's stays.

    Parameters
    ----------
    viewer
        Whose canvas it is on. Two widgets in one viewer share the overlay of the one that came first.
    font_size
        In points.
    """

    KEY = "sasnet_live"

    def __init__(self, viewer: ViewerModel, font_size: int = 11) -> None:
        from napari.components.overlays import TextOverlay

        self._viewer = viewer
        self._shown: tuple[str, str] = ("", "")
        overlays = viewer.canvas.overlays
        if self.KEY not in overlays:
            overlays[self.KEY] = TextOverlay(visible=False, position="top_left", font_size=font_size, box=True)
        self._overlay: Any = overlays[self.KEY]

    def update(self, figures: Figures, *, background: str = "dark", with_figures: bool = True) -> None:
        """Show figures, or nothing if there are none; without, only which layer is ahead of the others."""
        write = partial(overlay_text, figures, with_figures=with_figures)
        text, colour = write(), figures.colour(background)
        fitting = int(self._viewer.canvas.size[1] / (WIDTH_OF_CHARACTER * self._overlay.font_size))
        if max(map(len, text.split("\n"))) > fitting:
            text = "\n".join(
                part
                for line in write(lines=2).split("\n")
                for part in ([line] if len(line) <= fitting else textwrap.wrap(line, max(fitting, 20)))
            )
        if (text, colour) == self._shown:
            return
        self._shown = (text, colour)
        self._overlay.text = text
        self._overlay.color = colour
        self._overlay.visible = bool(text)

    def hide(self) -> None:
        """Take the line away."""
        self._shown = ("", "")
        self._overlay.visible = False

    def close(self) -> None:
        """Leave the canvas as it was."""
        self._overlay.visible = False
        with suppress(KeyError):
            del self._viewer.canvas.overlays[self.KEY]
