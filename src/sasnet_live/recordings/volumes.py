"""Recordings of A-lines, whatever their format: frames that are projections, and the samples behind them.

Every reader reads stacks of pages. A volume is a stack of pages in which two of its three axes (lines, px, samples) lie
in a page and the third runs over pages, so that a file of any format is a recording of volumes once its axes are named.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels
from sasnet_live.geometry import LineAxis
from sasnet_live.layout import Layout
from sasnet_live.scratch import Scratch

from .formats import open_recording
from .recording import Recording
from .settings import ReadSettings
from .volume import frame_of, projected_dtype
from .volume_axes import PAGES, VolumeAxes, axes_of
from .volume_settings import VolumeSettings

BLOCK_SAMPLES = 2**22
"""Samples that are read at a time: 16 bits each and held four times at most (as pages, as lines, moved, as A-lines),
they take 34 MB. At least two lines are."""


def open_volume(
    paths: str | Path | Sequence[str | Path],
    settings: ReadSettings,
    volume: VolumeSettings,
    *,
    scratch_folder: Path | None = None,
) -> VolumeRecording:
    """Open a recording of A-lines, of any format.

    Parameters
    ----------
    paths, settings
        As for `sasnet_live.recordings.open_recording`.
    volume
        Where depth is, and what a frame shows of it.
    scratch_folder
        Where a volume may be kept in another order for a while, see `VolumeRecording`.

    Raises
    ------
    InputError
        As `open_recording`; for axes that are not those of volumes, a gate outside of them, or volumes too large.
    """
    first = Path(paths) if isinstance(paths, str | Path) else Path(paths[0])
    known: tuple[str, ...] = ()
    if "d" not in (settings.axes or "").lower():
        with open_recording(paths, settings) as unnamed:
            known = unnamed.layout.axes
    axes = axes_of(first, known, settings, volume)
    pages = open_recording(paths, replace(settings, axes=axes.as_pages))
    try:
        return VolumeRecording(pages, axes, volume, settings.largest_mib, scratch_folder)
    except BaseException:
        pages.close()
        raise


class VolumeRecording(Recording):
    """Volumes of A-lines; a frame is the projection of one.

    Memory is that of a block of `BLOCK_SAMPLES` samples and of frames, whatever the size of a volume. Where lines
    cannot be read without the rest of their pages (samples or px run over pages, and `Recording.reads_rows` is False,
    as of compressed files), the present volume is copied once to a temporary file in another order.

    Parameters
    ----------
    pages
        The recording as a stack of pages; closed with this one.
    axes
        Which axis is which.
    settings
        What a frame shows.
    largest_mib
        Memory that a frame, or the samples of two lines, may take, MiB.
    scratch_folder
        Of that temporary file; None: the system's.

    Attributes
    ----------
    samples
        D, samples of an A-line.
    samples_dtype
        Their type.
    settings
        As given.
    """

    def __init__(
        self,
        pages: Recording,
        axes: VolumeAxes,
        settings: VolumeSettings,
        largest_mib: float,
        scratch_folder: Path | None = None,
    ) -> None:
        self.settings = settings
        self.path, self.remarks, self.scan = pages.path, pages.remarks, pages.scan
        self._pages, self._axes, self._folder = pages, axes, scratch_folder
        sizes = dict(zip(axes.in_page, pages.layout.frame_shape, strict=True))
        sizes[axes.pages] = pages.layout.size(PAGES) or 1
        self.samples, self.samples_dtype = sizes["d"], pages.layout.dtype
        self._shape = {"rows": (sizes["y"], sizes["x"]), "columns": (sizes["x"], sizes["y"])}
        self._kept: tuple[tuple[tuple[str, int], ...], str, Scratch] | None = None
        self._check(sizes, largest_mib)
        self.layout = self._lay_out(pages.layout, (sizes["y"], sizes["x"]))

    @property
    def format_name(self) -> str:  # type: ignore[override]
        """Of the files that it is in."""
        return f"{self._pages.format_name}, A-lines"

    def close(self) -> None:
        """Close the files, and remove the temporary one."""
        self._forget()
        self._pages.close()

    def read(self, index: Mapping[str, int] | None = None) -> Pixels:
        """The projection of a volume, see `Recording.read`."""
        where = self._place(index)
        frame = np.empty(self.layout.frame_shape, self.layout.dtype)
        for start, block in self.blocks(where):
            frame[start : start + len(block)] = frame_of(block, self.settings)
        return frame

    def volume(self, number: int) -> Pixels:
        """All samples of frame `number`, (H, W, D) in the file's data type: as much memory as they take."""
        if not 0 <= number < len(self):
            raise InputError(f"{self.path}: volume {number} was asked for; expected 0 to {len(self) - 1}")
        whole = np.empty((*self.layout.frame_shape, self.samples), self.samples_dtype)
        for start, block in self.blocks(self.layout.index(number)):
            whole[start : start + len(block)] = block
        return whole

    def lines(self, line_axis: LineAxis = "rows") -> tuple[int, int]:
        """Number of lines, and px of each, where lines are rows or columns of a frame."""
        return self._shape[line_axis]

    def blocks(
        self, index: Mapping[str, int] | None = None, line_axis: LineAxis = "rows"
    ) -> Iterator[tuple[int, Pixels]]:
        """The A-lines of one volume, so many lines at a time that memory stays bounded.

        Parameters
        ----------
        index
            As for `read`.
        line_axis
            Whether lines are rows or columns of a frame.

        Yields
        ------
        Number of the first line, always even, and (n, px, D) samples of the lines from there on.
        """
        where = self._place(index)
        count, px = self.lines(line_axis)
        step = max(2, BLOCK_SAMPLES // (px * self.samples) // 2 * 2)
        for start in range(0, count, step):
            yield start, self._lines(where, start, min(start + step, count), "y" if line_axis == "rows" else "x")

    def _lines(self, where: Mapping[str, int], start: int, end: int, slow: str) -> Pixels:
        """(n, px, D) of lines along an axis of volumes, "y" or "x"."""
        pages, in_page = self._axes.pages, self._axes.in_page
        if pages == slow:
            block = np.stack([self._pages.read({**where, PAGES: number}) for number in range(start, end)])
            order = slow + in_page
        elif in_page[0] == slow and self._pages.reads_rows:
            count = self._pages.layout.size(PAGES) or 1
            block = np.stack([self._pages.read_rows({**where, PAGES: n}, start, end) for n in range(count)])
            order = pages + in_page
        else:
            kept = self._copied(where, slow)
            block, order = kept.read(0, kept.shape[0], start, end), pages + slow + in_page.replace(slow, "")
        fast = "x" if slow == "y" else "y"
        return block.transpose([order.index(axis) for axis in (slow, fast, "d")])

    def _copied(self, where: Mapping[str, int], slow: str) -> Scratch:
        """The present volume in a temporary file, lines first in its pages."""
        key = tuple(sorted(where.items()))
        if self._kept is not None and self._kept[:2] == (key, slow):
            return self._kept[2]
        self._forget()
        turned = self._axes.in_page[0] != slow
        height, width = self._pages.layout.frame_shape
        count = self._pages.layout.size(PAGES) or 1
        shape = (count, width, height) if turned else (count, height, width)
        copy = Scratch(self._folder, shape, self.samples_dtype)
        try:
            for number in range(count):
                page = self._pages.read({**where, PAGES: number})
                copy.write((page.T if turned else page)[None], number, 0)
        except BaseException:
            copy.close()
            raise
        self._kept = key, slow, copy
        return copy

    def _forget(self) -> None:
        if self._kept is not None:
            self._kept[2].close()
            self._kept = None

    def _check(self, sizes: Mapping[str, int], largest_mib: float) -> None:
        """Refuse what has no depth, a gate that is not in it, and what takes more memory than it may."""
        height, width, depth = sizes["y"], sizes["x"], sizes["d"]
        shown = f"{height} x {width} px of {depth} samples"
        if depth < 2:
            raise InputError(f"{self.path}: A-lines have {depth} sample ({shown}); expected 2 or more: check the axes")
        gate = self.settings.gate
        if gate is not None and gate[1] > depth:
            raise InputError(f"{self.path}: gate is {gate}; expected samples from 0 to {depth}, its A-lines end there")
        held = max(self.samples_dtype.itemsize, 4)
        taken = {
            "a frame": height * width * held,
            "samples of two lines": 2 * max(height, width) * depth * held,
        }
        for what, count in taken.items():
            if count > largest_mib * 2**20:
                mib = math.ceil(count / 2**20)
                raise InputError(
                    f"{self.path}: {what} of {shown} would take {mib} MiB; expected {largest_mib:g} at most: check the "
                    f"axes, or add --largest-frame {mib}"
                )

    def _lay_out(self, pages: Layout, frame_shape: tuple[int, int]) -> Layout:
        kept = [(axis, size) for axis, size in zip(pages.axes, pages.sizes, strict=True) if axis != PAGES]
        return Layout.stack(
            frame_shape,
            projected_dtype(self.samples_dtype, self.settings),
            tuple(axis for axis, _ in kept),
            tuple(size for _, size in kept),
            # Of other pages, nobody knows which axis a scale is of.
            pixel_size_um=pages.pixel_size_um if self._axes.in_page == "yx" else None,
            interval_s=pages.interval_s,
            channel_names=pages.channel_names,
            source=pages.source,
            description=pages.description,
        )
