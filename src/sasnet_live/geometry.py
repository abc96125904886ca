"""Geometry of a bidirectional raster scan: how the lines of a raw frame were recorded. Free of NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .errors import InputError
from .parameters import check_values, parameter

LineAxis = Literal["rows", "columns"]
Pass = Literal["forward", "backward"]
SlowAxis = Literal["continuous", "stepped", "interleaved"]

FEWEST_LINES, SHORTEST_LINE_PX = 16, 32
"""Of a raw frame without its crop: fewer say too little of the displacement."""


@dataclass(frozen=True)
class ScanGeometry:
    """How the lines of a raw frame were recorded.

    Parameters
    ----------
    line_axis
        "rows": each row of the frame is one scan line (axis 0 slow, axis 1 fast); "columns": the transpose.
    first
        The pass that line 0 belongs to.
    backward_mirrored
        True if backward lines are stored in time order, right to left, and must be flipped.
    line_offset
        Known constant displacement of the backward lines, px along the fast axis, where the search for the
        displacement starts. Leave 0 unless the scanner's nominal lag is beyond the search range. `split` and
        `merge` do not move anything.
    crop
        Turnaround px dropped from the (start, end) of each line, counted in the frame as stored after un-mirroring.
    slow_axis
        Where the backward lines lie along the slow axis. "continuous": the beam zig-zags, a backward line runs from
        one forward neighbour to the other. "stepped": both passes of a pair are at the same place. "interleaved":
        the slow axis steps after every line, a backward line lies midway between its forward neighbours.
    """

    line_axis: LineAxis = parameter("rows", "Whether each row or each column of a frame is one scan line.")
    first: Pass = parameter("forward", "The pass that line 0 belongs to.")
    backward_mirrored: bool = parameter(False, "Whether backward lines are stored in time order, right to left.")
    line_offset: int = parameter(
        0,
        "Known displacement of backward lines, where the search starts; at most half a line. Leave 0 unless it is more "
        "than a tenth of the line.",
        unit="px",
    )
    crop: tuple[int, int] = parameter(
        (0, 0), "Turnaround px dropped from the start and the end of each line.", unit="px"
    )
    slow_axis: SlowAxis = parameter(
        "continuous",
        "Where backward lines lie: the beam zig-zags (continuous), both passes lie at one place as in probe "
        "microscopes (stepped), or midway between forward lines (interleaved).",
    )

    def __post_init__(self) -> None:
        check_values(self)
        if not isinstance(self.line_offset, int):
            raise InputError(f"line_offset is {self.line_offset!r}; expected whole px")
        crop = tuple(self.crop)
        if len(crop) != 2 or any(not isinstance(n, int) or n < 0 for n in crop):
            raise InputError(f"crop is {self.crop!r}; expected two whole numbers of px, 0 or more: (start, end)")
        object.__setattr__(self, "crop", crop)

    def frame_shape(self, raw_shape: tuple[int, ...]) -> tuple[int, int]:
        """(H, W) of the frame that `merge` returns for a raw frame of this shape."""
        height, width = raw_shape[-2:]
        dropped = sum(self.crop)
        return (height, width - dropped) if self.line_axis == "rows" else (height - dropped, width)

    def check_frame(self, raw_shape: tuple[int, ...]) -> None:
        """Refuse raw frames of a shape (H, W) that is too small to register.

        Raises
        ------
        InputError
            If there are too few lines, or too few px left of them once they are cropped.
        """
        height, width = self.frame_shape(raw_shape)
        lines, px = (height, width) if self.line_axis == "rows" else (width, height)
        if lines < FEWEST_LINES or px < SHORTEST_LINE_PX:
            dropped = sum(self.crop)
            without = f" without the crop {self.crop}" if dropped else ""
            raise InputError(
                f"a frame of {lines} lines of {px + dropped} px came; expected at least {FEWEST_LINES} lines of "
                f"{SHORTEST_LINE_PX} px{without}: too little to register"
            )
