"""Reading stacks of frames from TIFF files of any kind, one page at a time."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels
from sasnet_live.stack import AXES, StackLayout

from .tiff_metadata import calibration

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

SUFFIXES = (".tif", ".tiff", ".btf", ".tf2", ".tf8")
"""Names that TIFF files end with, lower case."""

MOST_CHANNELS = 64
"""More of them, with no other axis, are taken for times that a program has mislabelled."""

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SIGNS_OF_A_CUT = (
    "invalid page offset",
    "invalid offset to page",
    "corrupted tag list of page",
    "circular reference",
    "failed to reshape",
    "series metadata invalid or corrupted",
)
"""What tifffile logs when it comes upon the end of a file too early, and then goes on with less."""


Bools = np.ndarray[Any, np.dtype[np.bool_]]


class TiffStack:
    """A stack of frames in a TIFF, OME-TIFF, ImageJ or BigTIFF file, read page by page.

    Axes other than time, depth and channel count as time; several of them are joined in the order of the file. Tiles
    and images of one shape that the file names as separate series count as positions.

    Parameters
    ----------
    path
        The file. It is checked as a whole when opened, so that a truncated file is found before work starts.
    axes
        What the axes really are, slowest first, such as "TYX", where the file says something else. Letters of
        `sasnet_live.stack.AXES`. By default as the file has it; the slices of a plain ImageJ stack count as times,
        because ImageJ calls them slices whatever they are.
    allow_missing
        Take a truncated file, or one of an acquisition that was aborted, up to the last whole step of its first axis.

    Attributes
    ----------
    layout
        Axes, sizes, data type and calibration, see `StackLayout`.
    path
        As given.

    Raises
    ------
    InputError
        In one line: the file, what is wrong with it, and the remedy. See the table in ``tests/sources/test_tiff.py``.
    """

    def __init__(self, path: str | Path, axes: str | None = None, *, allow_missing: bool = False) -> None:
        self.path = Path(path)
        self._tiff = _open(self.path)
        try:
            with _tifffile_messages() as messages:
                self._series = self._usable_series()
                self._check_pixels()
                whole = self._whole_pages()
                if not allow_missing:
                    self._refuse_missing(whole, messages)
                self.layout, self._page = self._lay_out(axes, whole)
                self._check_codec()
        except BaseException:
            self._tiff.close()
            raise

    def __enter__(self) -> TiffStack:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._tiff.close()

    def read(self, index: dict[str, int] | None = None) -> Pixels:
        """Read one frame.

        Parameters
        ----------
        index
            Position along the axes of `layout`, for example ``{"T": 3, "C": 0}``; an axis left out counts as 0.

        Returns
        -------
        (H, W) in the file's data type and this machine's byte order; a new array.
        """
        index = index or {}
        unknown = set(index) - set(self.layout.axes)
        if unknown:
            raise InputError(f"{self.path}: has no axis {', '.join(sorted(unknown))}; its axes are {self.layout.axes}")
        position = int(self._page[tuple(index.get(axis, 0) for axis in self.layout.axes)])
        per_series = math.prod(self._series[0].shape[:-2])
        number, page = divmod(position, per_series)
        with _tifffile_messages():
            try:
                return self._read_page(self._series[number], page)
            except (ValueError, RuntimeError, OSError, IndexError, TypeError) as error:
                raise InputError(
                    f"{self.path}: page {position} cannot be read ({_first_line(error)}); the file is damaged: "
                    "copy or export it again"
                ) from error

    def frames(self) -> Iterator[Pixels]:
        """All frames in the order of the axes."""
        return (self.read(index) for index in self.layout.indices(self.layout.axes))

    def _read_page(self, series: TiffPageSeries, page: int) -> Pixels:
        frame: Pixels
        if _is_one_block(series):
            # One IFD describes all frames: the others have no pages of their own.
            count = math.prod(self.layout.frame_shape)
            stored = self.layout.dtype.newbyteorder(self._tiff.byteorder)
            self._tiff.filehandle.seek((series.dataoffset or 0) + page * count * stored.itemsize)
            frame = self._tiff.filehandle.read_array(stored, count).astype(self.layout.dtype, copy=False)
        else:
            found = series[page]
            assert found is not None  # `_check_complete` has looked
            frame = found.asarray()
        return frame.reshape(self.layout.frame_shape)

    def _usable_series(self) -> list[TiffPageSeries]:
        """The series of this file, all of one shape and type."""
        try:
            found = list(self._tiff.series)
        except Exception as error:
            raise InputError(f"{self.path}: damaged TIFF ({_first_line(error)}); copy or export it again") from error
        # An OME file of a multi-file set describes also what lies in its companions; each file is read on its own.
        series = [one for one in found if any(page is not None for page in one._pages)]
        if not series:
            raise InputError(f"{self.path}: truncated TIFF, no image can be read; copy or export it again")
        shapes: dict[tuple[Any, ...], int] = {}
        for one in series:
            key = (one.keyframe.shape, one.dtype)
            shapes[key] = shapes.get(key, 0) + len(one)
        if len(shapes) > 1:
            listed = ", ".join(f"{n} of {'x'.join(map(str, shape))} {dtype}" for (shape, dtype), n in shapes.items())
            raise InputError(
                f"{self.path}: holds images of different shapes or types ({listed}); expected one: save each in a "
                "file of its own"
            )
        if len({(one.axes, one.shape) for one in series}) > 1:
            listed = ", ".join(f"{one.axes} {'x'.join(map(str, one.shape))}" for one in series)
            raise InputError(
                f"{self.path}: holds stacks of different lengths ({listed}); save each in a file of its own"
            )
        return series

    def _check_pixels(self) -> None:
        keyframe, series = self._series[0].keyframe, self._series[0]
        if keyframe.samplesperpixel > 1 or "S" in series.axes:
            kind = {3: "RGB", 4: "RGBA"}.get(keyframe.samplesperpixel, f"{keyframe.samplesperpixel} samples a pixel")
            raise InputError(
                f"{self.path}: is a colour image ({kind}); expected one intensity a pixel: split the channels into "
                "pages and keep the one that was scanned"
            )
        if series.dtype is None or series.dtype.kind not in "uif":
            raise InputError(
                f"{self.path}: holds {series.dtype} values; expected integers or real numbers: save the magnitude "
                "or the intensity"
            )
        if "Y" not in series.axes or "X" not in series.axes:
            raise InputError(
                f"{self.path}: is one-dimensional ({series.shape[-1]} values); expected frames with lines: reshape it "
                "to (lines, pixels)"
            )
        if math.prod(keyframe.shape) != series.shape[-1] * series.shape[-2] or not series.axes.endswith("YX"):
            raise InputError(
                f"{self.path}: stores {series.axes} blocks of {'x'.join(map(str, keyframe.shape))} in a page; expected "
                "one frame a page: save it again as a plain stack"
            )

    def _check_codec(self) -> None:
        compression = self._series[0].keyframe.compression
        try:
            self._read_page(self._series[0], 0)
        except Exception as error:
            if compression == 1:
                raise InputError(f"{self.path}: cannot be read ({_first_line(error)}); export it again") from error
            raise InputError(
                f"{self.path}: is compressed ({getattr(compression, 'name', compression)}) and cannot be unpacked here "
                f"({_first_line(error)}); save it uncompressed, or `pip install -U imagecodecs`"
            ) from error

    def _whole_pages(self) -> Bools:
        """For each frame that the file should hold, series after series, whether its data lie within the file."""
        size = self._tiff.filehandle.size
        per_series = math.prod(self._series[0].shape[:-2])
        whole = np.zeros((len(self._series), per_series), bool)
        for series, flags in zip(self._series, whole, strict=True):
            if _is_one_block(series):
                flags[: max(0, (size - (series.dataoffset or 0)) // series.keyframe.nbytes)] = True
                continue
            self._tiff.pages.useframes = True
            self._tiff.pages.set_keyframe(series.keyframe.index)
            for number in range(min(per_series, len(series))):
                try:
                    page = series[number]
                except Exception:
                    # The chain of pages breaks off here.
                    break
                flags[number] = page is not None and _lies_within(page, size)
        return whole.ravel()

    def _refuse_missing(self, whole: Bools, messages: list[str]) -> None:
        there, expected = int(whole.sum()), len(whole)
        # Where no metadata give the count, the chain of pages does: it ended in a pointer past the end of the file.
        len(self._tiff.pages)
        broken = any(sign in message for message in messages for sign in _SIGNS_OF_A_CUT)
        if there < expected or broken:
            of = f"{there} of {expected}" if there < expected else f"only {there}"
            raise InputError(
                f"{self.path}: truncated TIFF, {of} frames are whole; copy it again, or add --allow-missing to use "
                "those"
            )

    def _kinds(self, axes: str | None) -> list[str]:
        """For each axis of the series before (Y, X), which one of `AXES` it counts as."""
        series = self._series[0]
        sizes = series.shape[:-2]
        if axes is None:
            kinds = [_AXIS_KIND.get(axis, "T") for axis in series.axes[:-2]]
            if kinds == ["Z"] and series.kind == "imagej" and not (self._tiff.imagej_metadata or {}).get("hyperstack"):
                return ["T"]
            if kinds == ["C"] and sizes[0] > MOST_CHANNELS:
                raise InputError(
                    f"{self.path}: says that its {sizes[0]} frames are channels of one scan; expected {MOST_CHANNELS} "
                    "at most: if they are times, say so with --axes TYX"
                )
            return kinds
        kinds = list(axes.upper().removesuffix("YX"))
        if len(kinds) != len(sizes) or set(kinds) - set(AXES):
            have = " x ".join(map(str, sizes)) or "no axes"
            raise InputError(
                f"{self.path}: axes {axes!r} do not fit, the file has {have} before YX; give one letter of "
                f"{', '.join(AXES)} for each, then YX"
            )
        return kinds

    def _lay_out(self, given: str | None, whole: Bools) -> tuple[StackLayout, np.ndarray[Any, np.dtype[np.int64]]]:
        """The stack's layout, and for each position along its axes the number of its page."""
        series = self._series[0]
        sizes = series.shape[:-2]
        kinds = self._kinds(given)
        if len(self._series) > 1:
            sizes, kinds = (len(self._series), *sizes), ["P", *kinds]
        pages = np.arange(math.prod(sizes), dtype=np.int64).reshape(sizes)
        axes = "".join(dict.fromkeys(kinds))
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
        channels = joined[axes.index("C")] if "C" in axes else 1
        layout = StackLayout(
            frame_shape=(int(height), int(width)),
            dtype=series.dtype,
            axes=axes,
            sizes=tuple(int(size) for size in joined),
            channel_names=tuple(names) if len(names) == channels else (),
            **known,
        )
        return layout, pages


_AXIS_KIND = {"T": "T", "Z": "Z", "C": "C", "R": "P", "M": "P"}


def _open(path: Path) -> TiffFile:
    """Open a TIFF; the error says in one line why not."""
    from tifffile import TiffFile

    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the name") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; expected a TIFF file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if not magic:
        raise InputError(f"{path}: is empty (0 bytes); copy or export it again")
    if magic not in _MAGIC:
        raise InputError(f"{path}: is not a TIFF file; convert it to TIFF or OME-TIFF first")
    try:
        with _tifffile_messages():
            tiff = TiffFile(path, _multifile=False)
            whole = len(tiff.pages[:1])
    except Exception as error:
        raise InputError(
            f"{path}: truncated or damaged TIFF ({_first_line(error)}); copy or export it again"
        ) from error
    if not whole:
        tiff.close()
        raise InputError(f"{path}: truncated TIFF, no image can be read; copy or export it again")
    return tiff


@contextmanager
def _tifffile_messages() -> Iterator[list[str]]:
    """What tifffile logs in this thread meanwhile, kept from the terminal: `TiffStack` says it in its own words."""
    messages: list[str] = []
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        messages.append(record.getMessage())
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(keep)
    try:
        yield messages
    finally:
        logger.removeFilter(keep)


def _is_one_block(series: TiffPageSeries) -> bool:
    """True if one IFD describes all frames, as ImageJ writes stacks above 4 GB."""
    return bool(series.is_truncated) and series.dataoffset is not None


def _lies_within(page: Any, size: int) -> bool:
    ends = (offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False))
    return max(ends, default=0) <= size


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:160]
