"""Detecting the geometry of the last frame, beside the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sasnet_live.frame import Pixels
from sasnet_live.geometry import ScanGeometry

from .background import Background

if TYPE_CHECKING:
    from sasnet_live.correspondence.detect import DetectedGeometry


def detect(frame: Pixels, known: ScanGeometry) -> Background[DetectedGeometry]:
    """Begin to look at a frame."""

    def work() -> DetectedGeometry:
        # torch is loaded here, not in the GUI's thread.
        from sasnet_live.correspondence.detect import detect_geometry

        return detect_geometry(frame, known)

    return Background(work, "detect")
