"""Which axes of an array are lines, px and depth samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sasnet_live.errors import InputError

from .settings import ReadSettings
from .volume_settings import VolumeSettings

IN_VOLUME = "yxd"
"""Lines (or rows), px (or columns), depth samples."""

PAGES = "z"
"""What the axis of a volume that lies outside of a page is called where the file is opened as a stack of pages."""


@dataclass(frozen=True)
class VolumeAxes:
    """How volumes lie in a recording that is opened as a stack of pages: two of their axes in a page, one over pages.

    Attributes
    ----------
    letters
        All axes, slowest first, lower case: leading ones, then y, x and d in some order.
    """

    letters: str

    @property
    def pages(self) -> str:
        """The axis of volumes that runs over pages: "y", "x" or "d"."""
        return next(letter for letter in self.letters if letter in IN_VOLUME)

    @property
    def in_page(self) -> str:
        """The two axes of a page."""
        return self.letters[-2:]

    @property
    def as_pages(self) -> str:
        """For `ReadSettings.axes`: the same, as a stack of pages."""
        return self.letters[:-2].replace(self.pages, PAGES).upper() + "YX"


def axes_of(path: Path, axes: Sequence[str], reading: ReadSettings, volume: VolumeSettings) -> VolumeAxes:
    """The axes of volumes.

    Parameters
    ----------
    path
        For messages.
    axes
        Before the last two, as the file is read without a word on depth; not used where ``reading.axes`` has a D.

    Raises
    ------
    InputError
        If they are no axes of volumes.
    """
    given = (reading.axes or "").lower()
    if "d" not in given:
        given = _with_depth("".join(axes), volume.depth_axis or "last", path)
    elif volume.depth_axis is not None:
        raise InputError(
            f"{path}: axes {reading.axes} and depth_axis {volume.depth_axis} both say where depth is; give one of them"
        )
    shown = given.upper()
    if sorted(one for one in given if one in IN_VOLUME) != sorted(IN_VOLUME) or not set(given[-2:]) <= set(IN_VOLUME):
        raise InputError(
            f"{path}: axes {shown} came; expected Y, X and D once each, two of them last, such as YXD, DYX or TYXD"
        )
    if PAGES in given:
        raise InputError(f"{path}: axes {shown} have both Z and D; expected D for depth samples, and P or T for Z")
    return VolumeAxes(given)


def _with_depth(leading: str, wanted: str, path: Path) -> str:
    """Letters of all axes of a stack, when one of them is depth."""
    count = len(leading) + 2
    if count < 3:
        raise InputError(f"{path}: has 2 axes; expected those of a volume: lines, px and samples")
    number = {"first": count - 3, "last": count - 1}.get(wanted)
    place = int(wanted) if number is None else number
    if not -count <= place < count:
        raise InputError(f"{path}: depth_axis is {wanted}; expected 0 to {count - 1}, it has {count} axes")
    place %= count
    others = "".join(axis for number, axis in enumerate(leading + "yx") if number != place)[:-2] + "yx"
    return others[:place] + "d" + others[place:]
