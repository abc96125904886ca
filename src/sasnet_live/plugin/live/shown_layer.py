"""One image layer of ours: its pixels are overwritten by each frame; its contrast is set once, and then the user's."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from sasnet_live.frame import Pixels
from sasnet_live.session.pictures import Picture, Scan

if TYPE_CHECKING:
    from napari.layers import Image

THUMBNAIL_EVERY_S = 2.0
"""A thumbnail costs as much as the layer's pixels, and the layer list is painted anew for it."""
SAME_EXPOSURE = 0.01
"""Part by which an exposure may differ and still be the same: cameras round it to their clock."""

MARK = "sasnet_live"
"""Key of the metadata of our layers."""


class ShownLayer:
    """A layer of ours.

    Parameters
    ----------
    picture
        What it shows.
    scan
        The first frame.
    place
        See `Placement.of`.

    Attributes
    ----------
    layer
        For the viewer.
    stale
        Whether it was hidden when the newest frame came.
    """

    def __init__(self, picture: Picture, scan: Scan, place: dict[str, Any]) -> None:
        from napari.layers import Image

        self.picture = picture
        self.stale = False
        # Written to; its own, so that no frame is held on to.
        self._pixels = picture.draw(scan).copy()
        self._name = _name(picture, scan)
        # A dark or empty first frame says nothing of the brightness to come.
        self._without_contrast = not scan.registration.accepted
        self._with_other_exposure = False
        self._exposure_ms = scan.exposure_ms
        self._thumbnail_s = 0.0
        self.layer: Image = Image(
            self._pixels,
            name=self._name,
            colormap=_colormap(picture.colormap),
            blending=picture.blending,
            contrast_limits=picture.contrast(self._pixels),
            metadata={MARK: {"layer": picture.title}},
            **place,
        )
        if picture.with_bar:
            # The name says what the numbers of the bar are. The figures are at the top.
            for overlay in (self.layer.colorbar, self.layer.name_overlay):
                overlay.position = "bottom_right"
                overlay.visible = True

    def place(self, place: dict[str, Any]) -> None:
        """Give it another place, see `Placement.of`."""
        for name, value in place.items():
            setattr(self.layer, name, value)

    def show(self, scan: Scan, pixels: Pixels) -> None:
        """Show a frame, of the first one's channel."""
        layer = self.layer
        now = time.monotonic()
        with_thumbnail = self.stale or now - self._thumbnail_s >= THUMBNAIL_EVERY_S
        self.stale = False
        if with_thumbnail:
            self._thumbnail_s = now
        if layer.data is self._pixels and _fits(self._pixels, pixels):
            self._pixels[...] = pixels
            if with_thumbnail:
                layer.refresh(extent=False, highlight=False)
            else:
                # What listens to the layer's events as a whole is the layer list, which would paint itself anew, and
                # with it the window; the canvas listens to the new pixels alone.
                with layer.events.blocker():
                    layer.refresh(thumbnail=False, extent=False, highlight=False)
        else:
            if self._pixels.dtype != pixels.dtype:  # another type has another range
                self._without_contrast = True
            layer.data = self._pixels = pixels.copy()
        self._rename(scan)
        self._set_contrast(scan, pixels)

    def _rename(self, scan: Scan) -> None:
        """After the channel, which may have another name in the next acquisition; what the user named stays."""
        name = _name(self.picture, scan)
        if name != self._name:
            if self.layer.name == self._name:
                self.layer.name = name
            self._name = name

    def _set_contrast(self, scan: Scan, pixels: Pixels) -> None:
        """From the first frame that was registered, and once after each change of the exposure."""
        exposure_ms = scan.exposure_ms
        if exposure_ms is not None and not self.picture.symmetric:
            before, self._exposure_ms = self._exposure_ms, exposure_ms
            if before is not None and not math.isclose(before, exposure_ms, rel_tol=SAME_EXPOSURE):
                self._with_other_exposure = True
                if _is_live(scan):
                    return  # the first frame that is said to have it was exposed while it changed
        # What was exposed otherwise may be too bright or too dark to be registered, and is to be seen all the same.
        if (self._without_contrast and scan.registration.accepted) or (
            self._with_other_exposure and not _is_flat(pixels)
        ):
            self._without_contrast = self._with_other_exposure = False
            self.layer.contrast_limits = self.picture.contrast(pixels)


def _name(picture: Picture, scan: Scan) -> str:
    return " ".join(part for part in ("SASNet", picture.title, scan.channel_name) if part)


def _fits(before: Pixels, now: Pixels) -> bool:
    """Whether the one can be written over the other."""
    return before.shape == now.shape and before.dtype == now.dtype


def _is_flat(pixels: Pixels) -> bool:
    values = pixels[np.isfinite(pixels)]
    return not values.size or bool(values.min() == values.max())


def _is_live(scan: Scan) -> bool:
    """Whether the camera runs by itself, so that what it is set to and what it delivers may be a frame apart."""
    return not scan.frame.index and "camera_metadata" in scan.frame.metadata


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
