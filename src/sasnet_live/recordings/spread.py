"""Recordings whose frames lie in several files, or in one file in an order of their own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels
from sasnet_live.layout import STACK_AXES, Layout

from .recording import Recording, ScanFacts
from .settings import ReadSettings
from .tiff import TiffStack

OPEN_FILES = 8
"""Member files that are kept open: enough for channels in files of their own, and few of the 256 that macOS allows."""

Places = np.ndarray[Any, np.dtype[np.int64]]
"""(..., 2): for each position along the axes, the number of a file and of a frame in it."""


class FrameFiles(Protocol):
    """Files that frames are read from, by the number of a file and that of a frame in it.

    Attributes
    ----------
    layouts
        Of each file; of one shape and data type.
    """

    layouts: list[Layout]

    def read(self, file: int, frame: int) -> Pixels:
        """A frame of a file; (H, W), a new array."""
        ...

    def close(self) -> None:
        """Close all files; twice is no error."""
        ...


class Members:
    """TIFF files of one shape and data type, each checked once and opened again when a frame of it is read.

    Parameters
    ----------
    files
        In order.
    settings
        As the recording is read.
    plain
        See `TiffStack`.

    Attributes
    ----------
    files
        In order.
    counts
        Frames in each file. Where some may be missing, those that are whole: of a file that cannot be read, none.
    damaged
        Number of the first file that is not whole, where that is allowed; None if all are.
    remarks
        What to say of them.

    Raises
    ------
    InputError
        For a file that cannot be read, or differs from the first.
    """

    def __init__(self, files: Sequence[Path], settings: ReadSettings, *, plain: bool = True) -> None:
        self.files = list(files)
        self._settings, self._plain = replace(settings, axes=None), plain
        self._open: OrderedDict[int, TiffStack] = OrderedDict()
        self.layouts: list[Layout] = []
        self.counts: list[int] = []
        self.damaged: int | None = None
        self.remarks: list[str] = []
        try:
            for number in range(len(self.files)):
                self._look_at(number)
        except BaseException:
            self.close()
            raise

    def read(self, file: int, frame: int) -> Pixels:
        """A frame of a file; (H, W)."""
        return self._stack(file).frame(frame)

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1].close()

    def _look_at(self, number: int) -> None:
        """Check a file."""
        try:
            stack = self._stack(number, replace(self._settings, allow_missing=False))
        except InputError:
            if not self._settings.allow_missing:
                raise
            self.damaged = number if self.damaged is None else self.damaged
            self.remarks.append(f"{self.files[number]}: is damaged or cut off; what is whole of it is used")
            try:
                stack = self._stack(number, self._settings)
            except InputError:
                if not number:
                    raise
                self.layouts.append(self.layouts[0])
                self.counts.append(0)
                return
        self._refuse_other(stack)
        self.layouts.append(stack.layout)
        self.counts.append(stack.layout.frames or 0)
        self.remarks += stack.remarks

    def _stack(self, number: int, settings: ReadSettings | None = None) -> TiffStack:
        if number not in self._open:
            while len(self._open) >= OPEN_FILES:
                self._open.popitem(last=False)[1].close()
            self._open[number] = TiffStack(self.files[number], settings or self._settings, plain=self._plain)
        self._open.move_to_end(number)
        return self._open[number]

    def _refuse_other(self, stack: TiffStack) -> None:
        first = self.layouts[0] if self.layouts else stack.layout
        here, there = ((one.frame_shape, one.dtype) for one in (stack.layout, first))
        if here != there:
            raise InputError(
                f"{stack.path}: has frames of {_words(*here)}, {self.files[0].name} of {_words(*there)}; expected one "
                "kind in a recording: take it out, or read each file by itself with --series apart"
            )


@dataclass(frozen=True)
class Grid:
    """Where the frames of a recording lie.

    Attributes
    ----------
    axes
        Of `STACK_AXES`, slowest first; those of length 1 are left out.
    places
        Along them, see `Places`.
    known
        Of the layout, by the names of `Layout`.
    """

    axes: tuple[str, ...]
    places: Places
    known: Mapping[str, Any]

    def squeezed(self) -> Grid:
        """Without the axes that have one step; of a single frame none is left."""
        kept = [n for n in range(len(self.axes)) if self.places.shape[n] > 1]
        sizes = [self.places.shape[n] for n in kept]
        return replace(self, axes=tuple(self.axes[n] for n in kept), places=self.places.reshape(*sizes, 2))

    def named(self, axes: str | None, path: Path) -> Grid:
        """The same with the axes that the user gives, such as "TYX".

        Raises
        ------
        InputError
            If they do not fit.
        """
        if axes is None:
            return self
        given = tuple(axes.lower().removesuffix("yx"))
        if len(given) != len(self.axes) or set(given) - set(STACK_AXES) or len(set(given)) != len(given):
            have = " x ".join(map(str, self.places.shape[:-1])) or "no axes"
            raise InputError(
                f"{path}: axes {axes!r} do not fit, the recording has {have} before YX; give one letter of "
                f"{', '.join(STACK_AXES).upper()} for each, then YX"
            )
        return replace(self, axes=given)


class SpreadRecording(Recording):
    """Frames that lie anywhere in several TIFF files.

    Parameters
    ----------
    path
        That stands for the recording: the file that describes it, or the first.
    members
        The files; closed with the recording.
    grid
        Where each frame lies.
    settings
        Of these, the axes.
    scan, remarks
        See `Recording`.
    """

    format_name = "TIFF"

    def __init__(
        self,
        path: Path,
        members: FrameFiles,
        grid: Grid,
        settings: ReadSettings,
        scan: ScanFacts,
        remarks: Sequence[str] = (),
    ) -> None:
        self.path, self.scan = path, scan
        self._members = members
        grid = grid.squeezed().named(settings.axes, path)
        self._places = grid.places
        first = members.layouts[0]
        self.remarks = tuple(dict.fromkeys(remarks))
        self.layout = Layout.stack(
            frame_shape=first.frame_shape,
            dtype=first.dtype,
            axes=grid.axes,
            sizes=tuple(int(size) for size in grid.places.shape[:-1]),
            source=path.name,
            **grid.known,
        )

    def read(self, index: Mapping[str, int] | None = None) -> Pixels:
        """See `Recording.read`."""
        where = self._place(index)
        file, frame = self._places[tuple(where[axis] for axis in self.layout.axes)]
        return self._members.read(int(file), int(frame))

    def close(self) -> None:
        """Close the files."""
        self._members.close()


def whole_times(
    path: Path, what: str, places: Places, counts: Sequence[int], settings: ReadSettings
) -> tuple[Places, list[str]]:
    """The frames that are there: all of them, or where asked for the times up to the first that misses one.

    Parameters
    ----------
    path, what
        The file that describes them, and what they are, for people.
    places
        (P, T, Z, C, 2), with the file -1 for frames that are in none.
    counts
        Frames in each file.

    Returns
    -------
    The places of the times that are whole, and what to say of those left out.

    Raises
    ------
    InputError
        If frames are missing and are not allowed to, or no time is whole.
    """
    within = np.array([*counts, 0])  # the last for the file -1
    there = (places[..., 0] >= 0) & (places[..., 1] < within[places[..., 0]])
    if there.all():
        return places, []
    times = int(np.logical_and.accumulate(there.all(axis=(0, 2, 3))).sum())
    if not settings.allow_missing or not times:
        raise InputError(
            f"{path}: truncated {what}, {int(there.sum())} of {there.size} frames are in its files; copy them again"
            + ("" if settings.allow_missing else ", or add --allow-missing to use the whole times at its beginning")
        )
    return places[:, :times], [f"{path}: {times} of {places.shape[1]} times are whole; the others are left out"]


def in_a_row(members: Members) -> Places:
    """(n, 2): the frames of all files, one after another; up to the first that is not whole."""
    counts = members.counts[: None if members.damaged is None else members.damaged + 1]
    files = np.repeat(np.arange(len(counts)), counts)
    frames = np.concatenate([np.arange(count) for count in counts])
    return np.stack([files, frames], axis=-1).astype(np.int64)


def _words(shape: tuple[int, int], dtype: np.dtype[Any]) -> str:
    return f"{shape[0]}x{shape[1]} {dtype}"
