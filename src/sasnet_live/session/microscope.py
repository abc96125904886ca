"""What the plugin asks of a Micro-Manager core; no Qt. A core that is being set up may refuse any question."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sasnet_live.sources.live_poll import REFUSALS

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus


def camera_label(core: CMMCorePlus) -> str:
    """The camera in use; empty if there is none."""
    with suppress(*REFUSALS):
        return str(core.getCameraDevice())
    return ""


def describe_core(core: CMMCorePlus) -> str:
    """Camera and frame in words; empty if there is no camera."""
    label = camera_label(core)
    if not label:
        return ""
    with suppress(*REFUSALS):
        size = f"{core.getImageWidth()} \N{MULTIPLICATION SIGN} {core.getImageHeight()}"
        return f"{label}  {size}  {core.getImageBitDepth()} bit"
    return label


def is_live(core: CMMCorePlus) -> bool:
    """Whether the camera sends frames."""
    with suppress(*REFUSALS):
        return bool(core.isSequenceRunning())
    return False


def toggle_live(core: CMMCorePlus) -> None:
    """Start or stop the live mode of the camera."""
    if core.isSequenceRunning():
        core.stopSequenceAcquisition()
    else:
        core.startContinuousSequenceAcquisition(0)
