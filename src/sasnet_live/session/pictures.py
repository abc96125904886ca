"""What the layers of a live session show: from a registration to pixels; no Qt, no napari."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sasnet_live.frame import Frame, Pixels, Registration
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import pixel_size_of
from sasnet_live.scan import forward_at_backward_lines, split


class Scan:
    """A frame, its registration, and the passes, split once for all pictures.

    Parameters
    ----------
    frame, registration
        Of one frame; neither is modified.
    geometry
        Of the frame.
    channels
        Names by number; empty where there is only one.
    """

    def __init__(
        self, frame: Frame, registration: Registration, geometry: ScanGeometry, channels: Sequence[str] = ()
    ) -> None:
        self.frame, self.registration, self.geometry = frame, registration, geometry
        self._channels = channels

    @property
    def channel(self) -> int:
        """Number of its channel, 0 where there is only one."""
        return int(self.frame.index.get("c", 0))

    @property
    def channel_name(self) -> str:
        """Of its channel; empty where there is only one."""
        return self._channels[self.channel] if self.channel < len(self._channels) else ""

    @property
    def pixel_size_um(self) -> tuple[float, float] | None:
        """(y, x) as the source says; None where it does not know."""
        return pixel_size_of(self.frame.metadata.get("pixel_size_um"))

    @property
    def exposure_ms(self) -> float | None:
        """As the source says; None where it does not know."""
        return self._number("exposure_ms")

    @cached_property
    def passes(self) -> tuple[Pixels, Pixels]:
        """(n_b, W) float32 each: the forward pass at the backward lines, and the backward pass as it came."""
        forward, backward = split(self.frame.data, self.geometry)
        target = forward_at_backward_lines(np.asarray(forward, np.float32), len(backward), self.geometry)
        return target, np.asarray(backward, np.float32)

    @property
    def registered(self) -> Pixels:
        """(n_b, W) float32: the backward lines that are in the registered image."""
        registration = self.registration
        return registration.warped if registration.rendered is None else registration.rendered

    def _number(self, name: str) -> float | None:
        try:
            number = float(self.frame.metadata.get(name) or 0)
        except (TypeError, ValueError):
            return None
        return number if 0 < number < math.inf else None


@dataclass(frozen=True)
class Picture:
    """One layer.

    Attributes
    ----------
    title
        For people.
    pixels
        From a scan to what is shown: a frame (H, W), or lines of the backward pass (n_b, W).
    place
        (row, column) when layers are side by side.
    half
        Whether it has only the lines of one pass, so that its px are twice as high.
    colormap, blending
        Names that napari knows, or "sasnet-diverging".
    symmetric, from_zero
        Contrast limits: the same on both sides of zero; beginning at zero.
    with_bar
        Whether a colour bar on the canvas says which colour is which value.
    """

    title: str
    pixels: Callable[[Scan], Pixels]
    place: tuple[int, int]
    half: bool = False
    colormap: str = "gray"
    blending: str = "translucent_no_depth"
    symmetric: bool = False
    from_zero: bool = False
    with_bar: bool = False

    def draw(self, scan: Scan) -> Pixels:
        """As it lies on the canvas, in the orientation of the frame; may be a view of the scan's arrays."""
        pixels = self.pixels(scan)
        return pixels.T if self.half and scan.geometry.line_axis == "columns" else pixels

    def contrast(self, pixels: Pixels) -> tuple[float, float]:
        """Limits that suit these pixels."""
        values = np.asarray(pixels[:: max(1, len(pixels) // 128)], np.float32)
        values = values[np.isfinite(values)]
        if not values.size:
            return 0.0, 1.0
        if self.symmetric:
            reach = max(1.0, float(np.ceil(1.2 * np.abs(values).max())))
            return -reach, reach
        low, high = (float(value) for value in np.percentile(values, (0.5, 99.8)))
        if self.from_zero:
            low = 0.0
        return (low, high) if high > low else (low, low + 1.0)


def _pair(when: str, backward: Callable[[Scan], Pixels], place: tuple[int, int]) -> tuple[Picture, Picture]:
    return (
        Picture(f"forward {when}", lambda scan: scan.passes[0], place, half=True, colormap="green"),
        Picture(f"backward {when}", backward, place, half=True, colormap="magenta", blending="additive"),
    )


KINDS: dict[str, tuple[Picture, ...]] = {
    "raw": (Picture("raw", lambda scan: scan.frame.data, (0, 0)),),
    "registered": (Picture("registered", lambda scan: scan.registration.image, (0, 1)),),
    "pair before": _pair("before", lambda scan: scan.passes[1], (1, 0)),
    "pair after": _pair("after", lambda scan: scan.registered, (1, 1)),
    "displacement": (
        Picture(
            "displacement (px)",
            lambda scan: scan.registration.displacement_px,
            (0, 2),
            half=True,
            colormap="sasnet-diverging",
            symmetric=True,
            with_bar=True,
        ),
    ),
    "error": (
        Picture(
            "error",
            lambda scan: np.abs(scan.passes[0] - scan.registered),
            (1, 2),
            half=True,
            colormap="inferno",
            from_zero=True,
        ),
    ),
}
"""What can be shown, by name; a pair is two layers on top of each other."""


def draw(scan: Scan, kinds: Iterable[str]) -> dict[str, tuple[Pixels, ...]]:
    """The pixels of some kinds of layers; any thread may."""
    return {kind: tuple(picture.draw(scan) for picture in KINDS[kind]) for kind in kinds}
