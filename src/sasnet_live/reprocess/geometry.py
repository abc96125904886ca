"""The geometry of a recording, read off its frames."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from sasnet_live.correspondence.detect import NAMES, DetectedGeometry, Trait, detect_geometry
from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout

AVERAGED_FRAMES = 16
"""Frames that are averaged where one tells too little: noise falls to a quarter, a scanner hardly drifts meanwhile."""

NEEDED: tuple[Trait, ...] = ("line_axis", "backward_mirrored", "line_offset")
"""Traits without which a recording is not registered. The first pass is not among them: frames of many scanners do not
tell it, see `sasnet_live.correspondence.detect`, and the geometry given has it then."""


class Frames(Protocol):
    """What is used of a recording."""

    @property
    def layout(self) -> Layout: ...

    def read(self, index: dict[str, int] | None = None) -> Pixels: ...


def find_geometry(recording: Frames, known: ScanGeometry, channel: int = 0) -> DetectedGeometry:
    """Find the geometry of a recording: from its first frame, or, where that tells too little, from a mean of frames.

    Parameters
    ----------
    recording
        Whose frames are read: those of the first depth and position.
    known
        As for `sasnet_live.correspondence.detect.detect_geometry`.
    channel
        In which the displacement is looked for.

    Raises
    ------
    InputError
        If frames are too small or have no content.
    """
    first, *others = _places(recording.layout, channel)
    raw = recording.read(first)
    try:
        found = detect_geometry(raw, known)
        if not _open(found) or not others:
            return found
    except InputError:
        # An empty first frame, as of a shutter that opens late, says nothing of the others.
        if not others:
            raise
        found = None
    total = raw.astype(np.float64)
    for place in others:
        total += recording.read(place)
    averaged = detect_geometry(total / (1 + len(others)), known)
    if found is None:
        return averaged
    # Content that moves is blurred by a mean: the one that leaves less open counts.
    return min((averaged, found), key=lambda one: (len(_open(one)), -one.confidence))


def require_sure(found: DetectedGeometry, path: Path) -> None:
    """Refuse what is too uncertain to register with.

    Raises
    ------
    InputError
        That says what was found, what is open, and what to give instead.
    """
    left_open = _open(found)
    if left_open:
        open_traits = ", ".join(NAMES[trait] for trait in left_open)
        why = f" ({found.doubt})" if found.doubt else ""
        raise InputError(
            f"{path}: its geometry is not certain enough: {certainties(found)}; open: {open_traits}{why}; give "
            "--line-axis, --first and --mirrored yourself, without --geometry auto"
        )


def certainties(found: DetectedGeometry) -> str:
    """Every trait with its certainty, in a line."""
    return ", ".join(f"{text} {found.sureness[trait]:.0%}" for trait, text in found.values.items())


def remark(found: DetectedGeometry, path: Path) -> str:
    """What a user should know of a geometry that is used, in a line."""
    kept = "; the frames do not tell the first pass, so it is as given" if "first" in found.unsure else ""
    return f"{path}: geometry found: {certainties(found)}{kept}"


def _open(found: DetectedGeometry) -> list[Trait]:
    return [trait for trait in NEEDED if trait in found.unsure]


def _places(layout: Layout, channel: int) -> list[dict[str, int]]:
    """Of the first frames along time, at the first depth and position."""
    times = range(layout.size("t") or 1)
    at: dict[str, int] = {axis: channel if axis == "c" else 0 for axis in layout.axes}
    return [at | ({"t": time} if "t" in at else {}) for time in islice(times, AVERAGED_FRAMES)]
