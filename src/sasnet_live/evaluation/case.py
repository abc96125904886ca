"""One thing to register, with whatever truth is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import forward_at_backward_lines, merge, split

Image = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class ControlPoints:
    """Places that correspond, marked by hand.

    Attributes
    ----------
    reference_xy, moving_xy
        (n, 2) px along (x, y) in the forward and in the backward image as they are in the `Case`.
    original_px
        Size of a px of the case in px of the original images; errors are stated in the latter.
    """

    reference_xy: Image
    moving_xy: Image
    original_px: float = 1.0


@dataclass(frozen=True)
class Case:
    """The two passes of a scan, lines as rows and left to right, and what is known of them.

    Attributes
    ----------
    name, level
        Which frame, and the group it is reported in ("easy", "interleaved", ...).
    forward, backward
        (n_f, W) and (n_b, W) float32.
    geometry
        How the two interleave: rows as lines, not mirrored. Its crop has been taken off the passes and still says
        where the beam turned round.
    truth
        (n_b, W) what the backward lines would have read in the forward pass, hidden from methods; None if unknown.
    displacement_px
        (n_b, W) true displacement, None if unknown.
    textured
        (n_b, W) bool, where the displacement can be judged; None: found from the truth.
    points
        Control points, None where there are none.
    recording, number
        Name of the recording that the frame is from, and its place in it; empty: frames are strangers to each other.
    """

    name: str
    level: str
    forward: Image
    backward: Image
    geometry: ScanGeometry
    truth: Image | None = None
    displacement_px: Image | None = None
    textured: Image | None = None
    points: ControlPoints | None = None
    recording: str = ""
    number: int = 0

    def follows(self, other: Case | None) -> bool:
        """Whether this is the next frame of the same recording."""
        if other is None or not self.recording:
            return False
        return (self.recording, self.number) == (other.recording, other.number + 1)

    @property
    def reference(self) -> Image:
        """(n_b, W) the forward pass at the slow-axis positions of the backward lines: what every method may see."""
        lines: Image = forward_at_backward_lines(self.forward, self.backward.shape[0], self.geometry)
        return lines

    @property
    def target(self) -> Image:
        """What a registered image is scored against: the truth, or for want of one the reference."""
        return self.reference if self.truth is None else self.truth

    @property
    def raw(self) -> Image:
        """(H, W) the frame as a scanner with this geometry records it; see `raw_frame`."""
        return raw_frame(self.forward, self.backward, self.geometry)


@dataclass(frozen=True)
class Entry:
    """A case that has not been read yet; `recording` as in `Case`."""

    name: str
    level: str
    load: Callable[[], Case]
    recording: str = ""


def case_of_raw(name: str, level: str, raw: Image, geometry: ScanGeometry, **known: Any) -> Case:
    """Case of a raw frame; mirroring and columns are undone, so methods need not know of them."""
    forward, backward = (np.ascontiguousarray(lines, np.float32) for lines in split(raw, geometry))
    return Case(name, level, forward, backward, plain(geometry), **known)


def plain(geometry: ScanGeometry) -> ScanGeometry:
    """The geometry of passes that have been split off: lines as rows, left to right."""
    return replace(geometry, line_axis="rows", backward_mirrored=False)


def raw_frame(forward: Image, backward: Image, geometry: ScanGeometry) -> Image:
    """(H, W + crop) of passes (n, W): a frame that `scan.split` divides into them again.

    Turnaround px that were dropped are filled with the end values of each line.
    """
    ends = ((0, 0), geometry.crop)
    frame: Image = merge(np.pad(forward, ends, mode="edge"), np.pad(backward, ends, mode="edge"), geometry)
    return frame
