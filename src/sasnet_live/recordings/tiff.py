"""Reading stacks of frames from TIFF files of any kind, one page at a time."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels
from sasnet_live.layout import Layout

from .damage import first_line
from .recording import Recording
from .settings import ReadSettings
from .tiff_claims import claimed_frames
from .tiff_directories import Directories, read_directories
from .tiff_frames import (
    Bools,
    check_memory,
    check_pixels,
    frames_named,
    has_one_piece,
    is_one_block,
    kinds_of_axes,
    plain_series,
    usable_series,
    whole_frames,
)
from .tiff_metadata import calibration

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries


_IN_PIECES = -1


class TiffStack(Recording):
    """A stack of frames in a TIFF, OME-TIFF, ImageJ or BigTIFF file, read page by page.

    Axes other than time, depth and channel count as time; several of them are joined in the order of the file. Tiles
    and images of one shape that the file names as separate series count as positions.

    Parameters
    ----------
    path
        The file. It is checked as a whole when opened, so that a truncated file is found before work starts.
    settings
        Without axes of their own, the slices of a plain ImageJ stack count as times, because ImageJ calls them slices
        whatever they are.
    plain
        Take each image for a time, whatever the metadata say: for those who read the metadata themselves.

    Raises
    ------
    InputError
        Whatever is wrong with the file, in one line: its name, what is wrong, and the remedy. See the table in
        ``tests/recordings/test_tiff.py``.
    """

    format_name = "TIFF"

    def __init__(self, path: str | Path, settings: ReadSettings | None = None, *, plain: bool = False) -> None:
        settings = settings or ReadSettings()
        self.path = Path(path)
        self._start_of: dict[int, int] = {}
        directories = read_directories(self.path)
        self._tiff = open_tiff_file(self.path, directories)
        try:
            with no_tifffile_messages(), self._damage_in_one_line():
                claimed = None if plain else claimed_frames(self._tiff, directories)
                if not settings.allow_missing and claimed is not None and self._tiff.is_ome:
                    # Before tifffile makes room for what is not there.
                    self._refuse_missing(directories.count, claimed, cut=False)
                if plain:
                    self._series = plain_series(self._tiff, self.path, directories)
                else:
                    self._series = usable_series(self._tiff, self.path, claimed)
                check_pixels(self._series[0], self.path)
                check_memory(self._series, self.path, settings.largest_mib)
                named = frames_named(self._series, self.path)
                whole = whole_frames(self._tiff, self.path, self._series, directories)
                if not settings.allow_missing:
                    self._refuse_missing(int(whole.sum()), max(named, claimed or 0), directories.cut)
                self.layout, self._page = self._lay_out(settings.axes, whole)
                self.remarks = self._remarks(directories, named)
                self.reads_rows = is_one_block(self._series[0]) or _is_plain(self._series[0].keyframe)
                self._check_codec()
        except BaseException:
            self._tiff.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._tiff.close()

    def read(self, index: Mapping[str, int] | None = None) -> Pixels:
        """See `Recording.read`."""
        where = self._place(index)
        position = int(self._page[tuple(where[axis] for axis in self.layout.axes)])
        per_series = math.prod(self._series[0].shape[:-2])
        number, page = divmod(position, per_series)
        with no_tifffile_messages():
            try:
                return self._read_page(self._series[number], page)
            except Exception as error:
                raise self._unreadable(position, error) from error

    def read_rows(self, index: Mapping[str, int] | None, start: int, end: int) -> Pixels:
        """See `Recording.read_rows`; of pages in one uncompressed piece, only what is asked for is read."""
        if not self.reads_rows:
            return super().read_rows(index, start, end)
        where = self._place(index)
        position = int(self._page[tuple(where[axis] for axis in self.layout.axes)])
        width = self.layout.frame_shape[1]
        stored = self.layout.dtype.newbyteorder(self._tiff.byteorder)
        with no_tifffile_messages():
            try:
                first = self._start_of.get(position)
                if first is None:
                    # Finding it takes as long as reading many rows, and volumes are read from all pages over again.
                    first = self._start_of[position] = self._page_start(position)
                if first == _IN_PIECES:
                    return super().read_rows(index, start, end)
                self._tiff.filehandle.seek(first + start * width * stored.itemsize)
                rows: Pixels = self._tiff.filehandle.read_array(stored, (end - start) * width)
            except InputError:
                raise
            except Exception as error:
                raise self._unreadable(position, error) from error
        return rows.astype(self.layout.dtype, copy=False).reshape(end - start, width)

    def _page_start(self, position: int) -> int:
        """Where in the file the px of a page begin; `_IN_PIECES` where they are not together."""
        number, page = divmod(position, math.prod(self._series[0].shape[:-2]))
        series = self._series[number]
        if is_one_block(series):
            return (series.dataoffset or 0) + page * series.keyframe.nbytes
        found: Any = series[page]
        return int(found.dataoffsets[0]) if has_one_piece(found) else _IN_PIECES

    def _unreadable(self, position: int, error: Exception) -> InputError:
        return InputError(
            f"{self.path}: page {position} cannot be read ({first_line(error)}); the file is damaged: "
            "copy or export it again"
        )

    def _read_page(self, series: TiffPageSeries, page: int) -> Pixels:
        frame: Pixels
        if is_one_block(series):
            # One IFD describes all frames: the others have no pages of their own.
            count = math.prod(self.layout.frame_shape)
            stored = self.layout.dtype.newbyteorder(self._tiff.byteorder)
            self._tiff.filehandle.seek((series.dataoffset or 0) + page * count * stored.itemsize)
            frame = self._tiff.filehandle.read_array(stored, count).astype(self.layout.dtype, copy=False)
        else:
            found: Any = series[page]
            if series.keyframe.is_contiguous and not has_one_piece(found):
                # Else tifffile reads on where the first strip of this page ends.
                found = found.aspage()
            frame = found.asarray()
        return frame.reshape(self.layout.frame_shape)

    def _check_codec(self) -> None:
        compression = self._series[0].keyframe.compression
        try:
            self._read_page(self._series[0], 0)
        except Exception as error:
            if compression == 1:
                raise InputError(f"{self.path}: cannot be read ({first_line(error)}); export it again") from error
            raise InputError(
                f"{self.path}: is compressed ({getattr(compression, 'name', compression)}) and cannot be unpacked here "
                f"({first_line(error)}); save it uncompressed, or `pip install -U imagecodecs`"
            ) from error

    def _refuse_missing(self, there: int, expected: int, cut: bool) -> None:
        if there < expected or cut:
            of = f"{there} of {expected}" if there < expected else f"only {there}"
            raise InputError(
                f"{self.path}: truncated TIFF, {of} frames are whole; copy it again, or add --allow-missing to use "
                "those"
            )

    def _remarks(self, directories: Directories, named: int) -> tuple[str, ...]:
        remarks = []
        left_out = directories.count - named
        if left_out > 0 and not any(is_one_block(one) for one in self._series):
            remarks.append(
                f"{self.path}: {left_out} of its {directories.count} images are left out: its metadata name {named}"
            )
        if self._tiff.is_ome and self._series[0].kind not in ("ome", "mmstack", "plain"):
            remarks.append(
                f"{self.path}: its OME-XML does not describe the images in it, or describes several files; they are "
                "taken for times: if they are not, say so with --axes"
            )
        return tuple(remarks)

    @contextmanager
    def _damage_in_one_line(self) -> Iterator[None]:
        """Whatever tifffile raises, and it raises anything, as an `InputError` that names the file."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{self.path}: damaged TIFF ({first_line(error)}); copy or export it again") from error

    def _lay_out(self, given: str | None, whole: Bools) -> tuple[Layout, np.ndarray[Any, np.dtype[np.int64]]]:
        """The stack's layout, and for each position along its axes the number of its page."""
        series = self._series[0]
        sizes = series.shape[:-2]
        kinds = kinds_of_axes(self._tiff, series, self.path, given)
        if len(self._series) > 1:
            sizes, kinds = (len(self._series), *sizes), ["p", *kinds]
        pages = np.arange(math.prod(sizes), dtype=np.int64).reshape(sizes)
        axes = tuple(dict.fromkeys(kinds))
        # Axes of one kind are brought side by side, in the order of the file, and joined.
        sources = [[i for i, kind in enumerate(kinds) if kind == axis] for axis in axes]
        pages = pages.transpose([i for group in sources for i in group])
        joined = tuple(math.prod(sizes[i] for i in group) for group in sources)
        pages = pages.reshape(joined)
        if not whole.all():
            steps = whole[pages].reshape(len(pages), -1).all(axis=1) if pages.ndim else whole
            usable = int(np.logical_and.accumulate(steps).sum())
            if not usable or not pages.ndim:
                raise InputError(f"{self.path}: truncated TIFF, no frame of it is whole; copy it again")
            pages = pages[:usable]
            joined = pages.shape
        height, width = series.shape[-2:]
        known = calibration(self._tiff)
        names = known.pop("channel_names", ())
        channels = joined[axes.index("c")] if "c" in axes else 1
        layout = Layout.stack(
            frame_shape=(int(height), int(width)),
            dtype=series.dtype,
            axes=axes,
            sizes=tuple(int(size) for size in joined),
            channel_names=tuple(names) if len(names) == channels else (),
            source=self.path.name,
            **known,
        )
        return layout, pages


def _is_plain(keyframe: TiffPage) -> bool:
    """Whether px lie in the file as they are, row after row."""
    return bool(keyframe.is_contiguous and keyframe.fillorder == 1)


def open_tiff_file(path: Path, directories: Directories) -> TiffFile:
    """Open a TIFF whose directories are known; the error says in one line why not."""
    from tifffile import TiffFile

    if not directories.count:
        raise InputError(f"{path}: truncated TIFF, no image can be read; copy or export it again")
    try:
        with no_tifffile_messages():
            # By its name alone, tifffile would read the positions in it in a way of its own.
            return TiffFile(path, _multifile=False, is_ndpi=False)
    except Exception as error:
        raise InputError(f"{path}: truncated or damaged TIFF ({first_line(error)}); copy or export it again") from error


@contextmanager
def no_tifffile_messages() -> Iterator[None]:
    """Keep what tifffile logs in this thread from the terminal: `TiffStack` finds out by itself and says it."""
    thread = threading.get_ident()
    logger = logging.getLogger("tifffile")

    def keep_back(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger.addFilter(keep_back)
    try:
        yield
    finally:
        logger.removeFilter(keep_back)
