"""From two passes and their displacement to what a SAS-Net is given: the same steps in training and in use."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import Kernel, forward_at_backward_lines, forward_neighbours, move_lines

from .gain import match_gain


@dataclass(frozen=True)
class RenderInputs:
    """Lines of B frames at the backward lines' slow-axis positions, (B, n, W) each, units of the raw frame.

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

    moved: Tensor
    matched: Tensor
    target: Tensor
    earlier: Tensor
    later: Tensor


def render_inputs(
    forward: Tensor,
    backward: Tensor,
    displacement_px: Tensor,
    geometry: ScanGeometry,
    *,
    target: Tensor | None = None,
    kernel: Kernel = "cubic",
) -> RenderInputs:
    """Move the backward lines and gather what the renderer is to see.

    Parameters
    ----------
    forward, backward
        (B, n_f, W) and (B, n_b, W) float.
    displacement_px
        (B, n_b, W).
    target
        `forward_at_backward_lines(forward, n_b, geometry)`, if it is there already.
    """
    n = backward.shape[-2]
    if target is None:
        target = forward_at_backward_lines(forward, n, geometry)
    earlier, later = forward_neighbours(forward, n, geometry)
    moved = move_lines(backward, displacement_px, kernel)
    return RenderInputs(moved, match_gain(target, moved), target, earlier, later)
