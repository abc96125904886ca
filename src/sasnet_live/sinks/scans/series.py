"""What the scans of a recording have in common, as the files made of them say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sasnet_live import __version__
from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.parameters import read_settings

FORMAT, VERSION = "sasnet-live displacement", 1

CONVENTIONS = {
    "model": "d(x, y) = p(x) + q(y) + y r(x); y from -1 in the first backward line to 1 in the last",
    "sign_convention": "registered(x) = backward(x - d(x)): positive moves backward content to the right",
    "unit": "px along the fast axis",
    "lines": "backward lines as rows, left to right: mirrored ones are flipped, cropped px are not counted",
    "deviation": "standard deviation: the posterior of the fit, enlarged by what was measured on simulated frames",
    "line_confidence": "probability, roughly, that a line is within half a px",
    "accepted": "false: the scan was passed through unchanged; its displacement is 0 and its deviation is not a number",
}
"""Said in every file."""


@dataclass(frozen=True)
class ScanSeries:
    """The scans of one recording.

    Attributes
    ----------
    frame_shape
        (H, W) of a raw frame.
    geometry
        How its lines were recorded.
    axes, sizes
        Of the recording without its channels, slowest first: a scan is one frame of each channel.
    order
        Of these axes, slowest first, in which scans are worked through.
    pixel_size_um, interval_s
        (y, x) of a raw frame, and the time between frames; None if not known.
    record
        What was done, as text by name.
    """

    frame_shape: tuple[int, int]
    geometry: ScanGeometry
    axes: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    order: tuple[str, ...] = ()
    pixel_size_um: tuple[float, float] | None = None
    interval_s: float | None = None
    record: Mapping[str, str] = field(default_factory=dict)

    @property
    def scans(self) -> int:
        """How many there are."""
        count = 1
        for size in self.sizes:
            count *= size
        return count

    @property
    def lines_shape(self) -> tuple[int, int]:
        """(n_b, W) of the backward lines of a scan."""
        height, width = self.geometry.frame_shape(self.frame_shape)
        lines, px = (height, width) if self.geometry.line_axis == "rows" else (width, height)
        first = (lines + 1) // 2
        return (lines - first if self.geometry.first == "forward" else first), px

    @property
    def unpaired(self) -> bool:
        """Whether the last backward line has no forward partner, and is not moved."""
        height, width = self.frame_shape
        lines = height if self.geometry.line_axis == "rows" else width
        return lines % 2 == 1 and self.geometry.first == "backward"

    def index(self, scan: int) -> dict[str, int]:
        """Position along the axes of scan number `scan` in their own order."""
        position = {}
        for axis, size in zip(reversed(self.axes), reversed(self.sizes), strict=True):
            scan, position[axis] = divmod(scan, size)
        return {axis: position[axis] for axis in self.axes}

    def row(self, scan: int) -> int:
        """After how many others a scan, counted in the order of the axes, is worked through."""
        index, row = self.index(scan), 0
        for axis in self.order:
            row = row * self.sizes[self.axes.index(axis)] + index[axis]
        return row

    def as_dict(self) -> dict[str, Any]:
        """JSON-serializable; `read` takes it."""
        return {**asdict(self), "record": dict(self.record)}

    def described(self) -> dict[str, Any]:
        """What a file says of itself and of its scans."""
        about = {"format": FORMAT, "format_version": VERSION, "software": f"sasnet-live {__version__}"}
        return {**about, **CONVENTIONS, **self.as_dict(), "lines_shape": list(self.lines_shape)}

    @classmethod
    def read(cls, values: Mapping[str, Any], name: str) -> ScanSeries:
        """What `described` gave.

        Parameters
        ----------
        name
            Of the file, for messages.

        Raises
        ------
        InputError
            If it is none of this version.
        """
        if values.get("format") != FORMAT:
            raise InputError(f"{name}: is no displacement file of this program; give one that --displacement wrote")
        if values.get("format_version") != VERSION:
            version = values.get("format_version")
            raise InputError(f"{name}: is of format version {version!r}, expected {VERSION}; write it again")
        try:
            return cls(
                frame_shape=_pair(values["frame_shape"], int),
                geometry=read_settings(ScanGeometry, values["geometry"]),
                axes=tuple(str(axis) for axis in values["axes"]),
                sizes=tuple(int(size) for size in values["sizes"]),
                order=tuple(str(axis) for axis in values["order"]),
                pixel_size_um=None if values["pixel_size_um"] is None else _pair(values["pixel_size_um"], float),
                interval_s=None if values["interval_s"] is None else float(values["interval_s"]),
                record={str(key): str(value) for key, value in values["record"].items()},
            )
        except InputError as error:
            raise InputError(f"{name}: its geometry is damaged: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{name}: what it says of its scans is damaged ({error}); write it again") from None


def _pair(values: Any, kind: Any) -> tuple[Any, Any]:
    first, second = values
    return kind(first), kind(second)
