"""Detecting the geometry of the last frame, in words and values for the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sasnet_live.frame import Pixels
from sasnet_live.geometry import ScanGeometry

from .background import Background

if TYPE_CHECKING:
    from sasnet_live.correspondence.detect import DetectedGeometry

_NAMES = {
    "line_axis": "lines",
    "backward_mirrored": "mirroring",
    "first": "first line",
    "line_offset": "offset",
}


def detect(frame: Pixels, known: ScanGeometry) -> Background[DetectedGeometry]:
    """Begin to look at a frame."""

    def work() -> DetectedGeometry:
        # torch is loaded here, not in the GUI's thread.
        from sasnet_live.correspondence.detect import detect_geometry

        return detect_geometry(frame, known)

    return Background(work, "detect")


def in_words(found: DetectedGeometry) -> str:
    """What was found, how sure each trait is, and what was left as it was."""
    geometry = found.geometry
    values = {
        "line_axis": geometry.line_axis,
        "backward_mirrored": "mirrored" if geometry.backward_mirrored else "not mirrored",
        "first": f"{geometry.first} first",
        "line_offset": f"shift {found.displacement_px:.1f} px",
    }
    sure = [f"{values[trait]} {found.sureness[trait]:.0%}" for trait in values if trait not in found.unsure]  # type: ignore[index]
    text = f"Found: {', '.join(sure)}." if sure else "Nothing found for sure."
    if found.unsure:
        text += f" Unsure, please check: {', '.join(_NAMES[trait] for trait in found.unsure)}."
    return f"{text} ({found.doubt})" if found.doubt else text
