"""Recordings that are one array on disk, whatever keeps it: its axes, its checks, and one frame of it at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels
from sasnet_live.layout import STACK_AXES, Layout

from .damage import by, damage_in_one_line, first_line
from .recording import Recording, ScanFacts
from .settings import ReadSettings

MOST_CHANNELS = 64
"""More of them, with no other axis, are no channels of one scan."""

MOST_FRAMES = 10_000_000
"""Of a recording: ten times the frames of a day at 10 Hz. A file that claims more is damaged."""


class StoredArray(Protocol):
    """What keeps an array and reads parts of it: a mapped file, a dataset of HDF5, an array of Zarr."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...

    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True)
class Found:
    """An array in a file, with what the file says of it.

    Attributes
    ----------
    array
        Read where it is indexed, with one integer or slice an axis.
    name
        Of the dataset or variable, for people; empty where the file holds one array only.
    axes
        Its axes, slowest first, y and x included, such as "TYX"; None where the file does not say.
    facts
        Calibration, by the names of `sasnet_live.layout.Layout`.
    block_bytes
        Memory that the smallest part takes which can be read at once: a chunk.
    remarks
        What a user should know of it.
    scan
        What the file says of the scan.
    close
        Closes the file.
    """

    array: StoredArray
    name: str = ""
    axes: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    block_bytes: int = 0
    remarks: tuple[str, ...] = ()
    scan: ScanFacts = field(default_factory=ScanFacts)
    close: Callable[[], None] = lambda: None


class ArrayRecording(Recording):
    """Frames of an array that stays on disk.

    Without axes, an array of two axes is a frame and one of three is frames in order of time; more need `axes` of
    `ReadSettings`. Leading axes of length 1 that nobody names are dropped.

    Parameters
    ----------
    format_name
        For people.
    path
        The file.
    found
        The array in it. It is closed where the array is refused.
    settings
        How it is read.

    Raises
    ------
    InputError
        For an array that is none of frames with lines, or frames too large.
    """

    def __init__(self, format_name: str, path: Path, found: Found, settings: ReadSettings) -> None:
        self.format_name = format_name
        self.path, self.remarks, self.scan = path, found.remarks, found.scan
        self.found = found
        try:
            with damage_in_one_line(path, format_name):
                shape = tuple(int(size) for size in found.array.shape)
                dtype = check_values_of(found.array.dtype, self._named)
                self._letters = self._axes_of(shape, settings.axes)
                self._check_sizes(shape, dtype, settings.largest_mib)
                self.layout = self._lay_out(shape, dtype)
        except BaseException:
            found.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self.found.close()

    def read(self, index: Mapping[str, int] | None = None) -> Pixels:
        """See `Recording.read`."""
        where = self._place(index)
        key = tuple(slice(None) if one in "yx" else where.get(one, 0) for one in self._letters)
        try:
            stored = np.asarray(self.found.array[key])
        except Exception as error:
            place = ", ".join(f"{axis.upper()} {number}" for axis, number in where.items())
            raise InputError(
                f"{self.path}: the frame {f'at {place} ' if place else ''}cannot be read ({first_line(error)}); the "
                "file is damaged: copy or export it again"
            ) from error
        if self._letters.index("x") < self._letters.index("y"):
            stored = stored.T
        return np.array(stored.reshape(self.layout.frame_shape), self.layout.dtype, order="C")

    @property
    def _named(self) -> str:
        return f"{self.path}: {self.found.name}" if self.found.name else f"{self.path}:"

    def _axes_of(self, shape: tuple[int, ...], given: str | None) -> str:
        """One letter an axis of the array, lower case; "1" for those of length 1 that have no meaning."""
        letters = (given or self.found.axes or "").lower()
        if given and not set(letters) & set("yx"):
            letters += "yx"
        if not letters:
            while len(shape) > 3 and shape[0] == 1:
                shape = shape[1:]
            letters = {2: "yx", 3: "tyx"}.get(len(shape), "")
            letters = letters and letters.rjust(len(self.found.array.shape), "1")
        if not letters:
            fits = len(shape) > 3
            remedy = "say what its axes are with --axes, as in --axes TCYX" if fits else "reshape it to (lines, pixels)"
            raise InputError(f"{self._named} has {len(shape)} axes ({by(shape)}); expected frames with lines: {remedy}")
        meant = [one for one in letters if one != "1"]
        fitting = set(meant) <= {*STACK_AXES, "y", "x"} and {"y", "x"} <= set(meant) and len(set(meant)) == len(meant)
        if not fitting or len(letters) != len(self.found.array.shape):
            raise InputError(
                f"{self._named} has {len(self.found.array.shape)} axes ({by(self.found.array.shape)}), which axes "
                f"{letters.upper()!r} do not fit; give a different letter of {', '.join(STACK_AXES).upper()} for each "
                "with --axes, and Y and X"
            )
        return letters

    def _check_sizes(self, shape: tuple[int, ...], dtype: np.dtype[Any], largest_mib: float) -> None:
        """Refuse what has no px, or takes more memory than it may."""
        if not all(shape) or math.prod(shape) < 1:
            raise InputError(f"{self._named} is empty ({by(shape)}); expected frames: export it again")
        sizes = dict(zip(self._letters, shape, strict=True))
        frames = math.prod(shape) // (sizes["y"] * sizes["x"])
        if frames > MOST_FRAMES:
            raise InputError(f"{self._named} claims {frames} frames; expected {MOST_FRAMES} at most: check the file")
        if sizes.get("c", 1) > MOST_CHANNELS:
            raise InputError(
                f"{self._named} has {sizes['c']} channels; expected {MOST_CHANNELS} at most: if they are times, say so "
                "with --axes"
            )
        taken = {
            f"a frame of {sizes['y']}x{sizes['x']} {dtype}": sizes["y"] * sizes["x"] * dtype.itemsize,
            "each of the blocks that it is stored in": self.found.block_bytes,
        }
        for what, count in taken.items():
            if count > largest_mib * 2**20:
                raise InputError(
                    f"{self._named} {what} takes {count / 2**20:.0f} MiB; expected {largest_mib:g} at most: if it "
                    f"really is that large, add --largest-frame {math.ceil(count / 2**20)}"
                )

    def _lay_out(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Layout:
        sizes = dict(zip(self._letters, shape, strict=True))
        axes = tuple(one for one in self._letters if one in STACK_AXES)
        facts = dict(self.found.facts)
        names = tuple(facts.pop("channel_names", ()))
        return Layout.stack(
            (sizes["y"], sizes["x"]),
            dtype,
            axes,
            tuple(sizes[axis] for axis in axes),
            channel_names=names if len(names) == sizes.get("c", 1) else (),
            **{"source": self.path.name, **facts},
        )


def check_values_of(dtype: Any, named: str) -> np.dtype[Any]:
    """The data type of px in this machine's byte order.

    Raises
    ------
    InputError
        For values that are no real numbers.
    """
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind not in "uif" or found.itemsize > 8:
        raise InputError(
            f"{named} holds {dtype} values; expected integers or real numbers: save the magnitude or the intensity"
        )
    native: np.dtype[Any] = found.newbyteorder("=")
    return native


def choose(arrays: Mapping[str, tuple[int, ...]], wanted: str | None, path: Path) -> str:
    """The name of the array to read.

    Parameters
    ----------
    arrays
        Shapes of the arrays of numbers in a file, by name.
    wanted
        What the user asks for.
    path
        The file.

    Raises
    ------
    InputError
        If there is none of that name, or several that it may be; it lists their names and shapes.
    """
    listed = ", ".join(f"{name} ({by(shape)})" for name, shape in list(arrays.items())[:12])
    listed += f" and {len(arrays) - 12} more" if len(arrays) > 12 else ""
    if wanted is not None:
        if wanted in arrays:
            return wanted
        raise InputError(f"{path}: holds no dataset {wanted!r}; it has {listed or 'no arrays of numbers'}")
    # A number and a list are arrays of two axes in MATLAB.
    images = [name for name, shape in arrays.items() if sum(size > 1 for size in shape) >= 2]
    if len(images) == 1:
        return images[0]
    if not images:
        raise InputError(f"{path}: holds no array with lines and px; it has {listed or 'no arrays of numbers'}")
    raise InputError(f"{path}: holds {len(images)} arrays; say which with --dataset: {listed}")


def whole_shape(
    shape: Sequence[int],
    itemsize: int,
    available: int,
    path: Path,
    *,
    allow_missing: bool,
    what: str,
    remedy: str = "copy it again",
) -> tuple[int, ...]:
    """The shape of what is there of an array in C order; fewer steps of its first axis where that is allowed.

    Raises
    ------
    InputError
        If there are fewer bytes than the shape takes.
    """
    needed = math.prod(shape) * itemsize
    if available >= needed:
        return tuple(shape)
    step = math.prod(shape[1:]) * itemsize
    whole = available // step if step else 0
    if allow_missing and whole and len(shape) > 2:
        return (whole, *shape[1:])
    more = f", enough for {whole} of {shape[0]} frames" if len(shape) > 2 else ""
    if whole and len(shape) > 2:
        remedy += ", or add --allow-missing to use those"
    raise InputError(
        f"{path}: truncated, {what} of {by(shape)} takes {needed} bytes and {available} are there{more}; {remedy}"
    )
