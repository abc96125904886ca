"""From two passes and their displacement to what a SAS-Net is given: the same steps in training and in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import Kernel, forward_at_backward_lines, forward_neighbours, move_lines

from .gain import match_gain

Lines = np.ndarray[Any, np.dtype[Any]]

KERNEL: Kernel = "cubic"
"""By which backward lines are moved."""


@dataclass(frozen=True)
class RenderInputs:
    """Lines of a frame at the backward lines' slow-axis positions, (n, W) float32 each, in units of their own.

    Attributes
    ----------
    moved
        Backward lines after `move_lines`: measured intensities.
    matched
        The same with gain and offset along the line fitted to the forward pass.
    target
        Forward pass interpolated to the backward lines.
    earlier, later
        Its two lines beside each backward line.
    """

    moved: Lines
    matched: Lines
    target: Lines
    earlier: Lines
    later: Lines


def render_inputs(
    forward: Lines,
    backward: Lines,
    displacement_px: Lines,
    geometry: ScanGeometry,
    *,
    target: Lines | None = None,
    kernel: Kernel = KERNEL,
) -> RenderInputs:
    """Move the backward lines and gather what the renderer is to see.

    Parameters
    ----------
    forward, backward
        (n_f, W) and (n_b, W) float32.
    displacement_px
        (n_b, W).
    target
        `forward_at_backward_lines(forward, n_b, geometry)`, if it is there already.
    """
    n = backward.shape[-2]
    if target is None:
        target = forward_at_backward_lines(forward, n, geometry)
    earlier, later = forward_neighbours(forward, n, geometry)
    moved = move_lines(backward, displacement_px, kernel)
    return RenderInputs(moved, match_gain(target, moved), target, earlier, later)
