"""Where our layers lie on the canvas: beside the images that are there, and in their units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sasnet_live.session.pictures import Picture, Scan

if TYPE_CHECKING:
    from napari.layers import Image

GAP = 0.02
"""Between layers side by side, in frames: enough to tell one from the other."""


@dataclass(frozen=True)
class Box:
    """Where an image lies, to the edges of its outermost px."""

    top: float
    left: float
    bottom: float
    right: float

    @property
    def size(self) -> tuple[float, float]:
        """Height and width, rounded so that the same size is equal wherever it lies."""
        return round(self.bottom - self.top, 6), round(self.right - self.left, 6)

    def overlaps(self, other: Box) -> bool:
        """Whether they share more than an edge."""
        tolerance = 1e-6 * (self.bottom - self.top + self.right - self.left)
        return (
            self.top < other.bottom - tolerance
            and other.top < self.bottom - tolerance
            and self.left < other.right - tolerance
            and other.left < self.right - tolerance
        )


@dataclass(frozen=True)
class Placement:
    """The scale, units and origin that all layers of a session share.

    Attributes
    ----------
    size
        (along rows, along columns) of a px of the frame, in `units`.
    units
        As napari takes them: names, or units of pint.
    origin
        Of the centre of the first px of the first layer, in `units`.
    """

    size: tuple[float, float] = (1.0, 1.0)
    units: tuple[Any, Any] = ("pixel", "pixel")
    origin: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def beside(cls, images: Sequence[Image], scan: Scan) -> Placement:
        """To the right of these images, at their upper edge; at zero if there are none."""
        size, units = scale_beside(images, scan)
        boxes = [box for image in images if (box := box_of(image, units)) is not None]
        if not boxes:
            return cls(size, units)
        gap = GAP * scan.registration.image.shape[1] * size[1]
        top, right = min(box.top for box in boxes), max(box.right for box in boxes)
        return cls(size, units, (top + size[0] / 2, right + gap + size[1] / 2))

    def of(self, picture: Picture, scan: Scan, block: int, arrangement: str) -> dict[str, Any]:
        """What a layer is given.

        Parameters
        ----------
        block
            How many rows of pictures lie above those of its channel.
        """
        slow = 0 if scan.geometry.line_axis == "rows" else 1
        scale, translate = list(self.size), list(self.origin)
        if arrangement == "side by side":
            row, column = picture.place[0] + block, picture.place[1]
            height, width = scan.registration.image.shape
            translate[0] += row * (1 + GAP) * height * self.size[0]
            translate[1] += column * (1 + GAP) * width * self.size[1]
        if picture.half:
            # Px of one pass are two lines high; their centres lie between the lines.
            translate[slow] += scale[slow] / 2
            scale[slow] *= 2
        return {"scale": scale, "translate": translate, "units": self.units}


def scale_beside(images: Sequence[Image], scan: Scan) -> tuple[tuple[float, float], tuple[Any, Any]]:
    """Size of a px and its units.

    Ours are micrometers where the source knows the size of a px. napari gives up all units, with a warning, where
    layers side by side have lengths and px: then ours bear the name of the neighbour's unit, as the preview of
    napari-micromanager does, whose scale is in micrometers and whose unit is the px. What the source does not know is
    taken over from the neighbour, best from one with frames of our size.
    """
    size_um = scan.pixel_size_um
    if size_um is None:
        shape = scan.frame.data.shape
        alike = [image for image in images if tuple(image.data.shape[-2:]) == shape] or list(images)
        if alike:
            first, second = (float(value) for value in alike[-1].scale[-2:])
            return (first, second), tuple(alike[-1].units[-2:])
        return (1.0, 1.0), ("pixel", "pixel")
    for image in images:
        units = tuple(image.units[-2:])
        if not all(_is_length(unit) for unit in units):
            return size_um, units
    return size_um, ("micrometer", "micrometer")


def box_of(image: Image, units: Sequence[Any]) -> Box | None:
    """Where an image lies, in these units; None if it has no extent."""
    extent = image.extent
    world, step = np.asarray(extent.world, float)[:, -2:], np.asarray(extent.step, float)[-2:]
    if not np.isfinite(world).all():
        return None
    low, high = world[0] - step / 2, world[1] + step / 2
    for axis, (theirs, ours) in enumerate(zip(image.units[-2:], units, strict=True)):
        if _is_length(theirs) and theirs.is_compatible_with(str(ours)):
            factor = (1.0 * theirs).to(str(ours)).magnitude
            low[axis], high[axis] = low[axis] * factor, high[axis] * factor
    return Box(*map(float, (*low, *high)))


def _is_length(unit: Any) -> bool:
    return bool(unit.is_compatible_with("micrometer"))
