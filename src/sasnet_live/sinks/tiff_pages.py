"""A TIFF file that grows by whole pages: readable, and complete up to the last page, at every moment.

Libraries write a page's directory before its pixels, or link it before it is there; a process killed in between
leaves a file that ends in nothing. Here a page is first written behind the end of the chain, then linked by one
write of a few bytes. TIFF 6.0 (Adobe 1992) and BigTIFF; little-endian, uncompressed, one strip a page.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.files import open_partial, write_all
from sasnet_live.frame import Pixels

FIGURES_TAG = 65330
"""Private ASCII tag of every page: a JSON object with what was found for the frame."""

_DESCRIPTION = 270
_SAMPLE_FORMATS = {"u": 1, "i": 2, "f": 3}
_TEXT_AT_ONCE = 2**16  # bytes of a long description that are written together
_ASCII, _SHORT, _LONG, _RATIONAL, _LONG8 = 2, 3, 4, 5, 16
_ITEM_BYTES = {1: 1, _ASCII: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8, _LONG8: 8}


@dataclass(frozen=True)
class _Format:
    """Where classic TIFF and BigTIFF differ."""

    header: bytes
    first_link: int
    count: str
    entry: str
    offset: str
    offset_type: int

    @property
    def inline(self) -> int:
        """Bytes of a value that fit into its directory entry."""
        return struct.calcsize(self.offset)


_CLASSIC = _Format(b"II*\0", 4, "<H", "<HHI", "<I", _LONG)
_BIG = _Format(b"II+\0" + struct.pack("<HH", 8, 0), 8, "<Q", "<HHQ", "<Q", _LONG8)


@dataclass(frozen=True)
class _Page:
    """What the directory of a page says, as far as this module needs it."""

    link: int
    """File position of the pointer to the next page."""
    next: int
    end: int
    """First byte after the page's pixels."""
    entries: dict[int, tuple[int, int, int]]
    """By tag: type, count, and file position of the entry's value field."""


class TiffPages:
    """Appends pages to a TIFF file, or goes on with one that this class has written.

    Parameters
    ----------
    path
        The file; created anew unless `resume`.
    frame_shape, dtype
        (H, W) and type of every page: integers of 8 to 32 bits or floating numbers of 32 or 64.
    pixel_size_um
        (y, x), written as resolution; None: not known.
    big
        BigTIFF, for files that may pass 4 GB. With `resume` the file's own kind goes on.
    description
        ImageDescription of the first page until `finish` replaces it.
    resume
        Go on after the last whole page; what follows it is cut off.
    overwrite
        Replace a file that is there.

    Raises
    ------
    InputError
        As `sasnet_live.files.open_partial`.

    Attributes
    ----------
    pages
        Number of whole pages in the file.
    """

    def __init__(
        self,
        path: Path,
        frame_shape: tuple[int, int],
        dtype: np.dtype[Any],
        *,
        pixel_size_um: tuple[float, float] | None = None,
        big: bool = True,
        description: str = "",
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.path = path
        self.dtype = storable(np.dtype(dtype)).newbyteorder("<")
        self.frame_shape = frame_shape
        self._pixel_size_um = pixel_size_um
        self._description = description
        self._file = open_partial(path, resume=resume, overwrite=overwrite)
        try:
            if resume:
                self._find_end()
            else:
                self._begin(_BIG if big else _CLASSIC)
        except BaseException:
            self._file.close()
            raise

    def _begin(self, kind: _Format) -> None:
        self._format = kind
        self._file.truncate(0)
        self._write(0, kind.header + struct.pack(kind.offset, 0))
        self.pages, self._link = 0, kind.first_link
        self._end = len(kind.header) + kind.inline
        self._description_entry: int | None = None

    def _find_end(self) -> None:
        self._format = _format_of(self._file.fileno(), self.path)
        self.pages, self._link = 0, self._format.first_link
        self._end = len(self._format.header) + self._format.inline
        self._description_entry = None
        for page in walk(self._file.fileno(), self.path):
            if not self.pages:
                self._description_entry = page.entries[_DESCRIPTION][2]
            self.pages, self._link = self.pages + 1, page.link
            self._end = page.end
        self._cut()

    def _description_end(self) -> int:
        """End of the first page's description: `finish` puts it behind the last page."""
        if self._description_entry is None:
            return 0
        count = _BIG.offset if self._format is _BIG else "<I"
        head = _read(self._file.fileno(), struct.calcsize(count), self._description_entry - struct.calcsize(count))
        at = _read(self._file.fileno(), self._format.inline, self._description_entry)
        return int(struct.unpack(count, head)[0]) + int(struct.unpack(self._format.offset, at)[0])

    def append(self, frame: Pixels, figures: str = "") -> None:
        """Write one page; when this returns, other processes see it.

        Parameters
        ----------
        frame
            (H, W) of this file's data type.
        figures
            JSON kept in the page's own tag `FIGURES_TAG`.
        """
        if frame.shape != self.frame_shape or frame.dtype != self.dtype:
            raise InputError(
                f"{self.path}: a frame {frame.shape} {frame.dtype} came; expected {self.frame_shape} {self.dtype}"
            )
        start = self._end + -self._end % 16
        directory, link, description_entry = self._directory(start, figures)
        end = start + len(directory) + frame.size * self.dtype.itemsize
        if end + 2**20 > 2 ** (8 * self._format.inline):
            raise InputError(f"{self.path}: passes the 4 GB of a classic TIFF; write it as BigTIFF")
        self._write(start, directory)
        self._write(start + len(directory), np.ascontiguousarray(frame, self.dtype).data)
        # Only now does the page exist, for readers and for a later `resume`.
        self._write(self._link, struct.pack(self._format.offset, start))
        if not self.pages:
            self._description_entry = description_entry
        self.pages, self._link = self.pages + 1, link
        self._end = end

    def cut(self, pages: int) -> None:
        """Keep only so many pages."""
        if pages >= self.pages:
            return
        self.pages, self._link = pages, self._format.first_link
        self._end = len(self._format.header) + self._format.inline
        for page in islice(walk(self._file.fileno(), self.path), pages):
            self._link, self._end = page.link, page.end
        if not pages:
            self._description_entry = None
        self._cut()

    def finish(self, description: Iterable[str]) -> None:
        """Replace the first page's ImageDescription, put everything on disk and close the file.

        The text comes in pieces: that of a long recording is longer than many of its frames.
        """
        if self._description_entry is None:
            raise InputError(f"{self.path}: no frame came; nothing to write")
        start = end = self._end + -self._end % 16
        waiting = bytearray()
        for piece in chain(description, "\0"):
            waiting += piece.encode()
            if len(waiting) >= _TEXT_AT_ONCE or piece == "\0":
                self._write(end, waiting)
                end += len(waiting)
                waiting.clear()
        kind = self._format
        count = kind.offset if kind is _BIG else "<I"
        self._write(
            self._description_entry - struct.calcsize(count),
            struct.pack(count, end - start) + struct.pack(kind.offset, start),
        )
        os.fsync(self._file.fileno())
        self._file.close()

    def close(self) -> bool:
        """Close the file as it is; False if it was closed already."""
        was_open = not self._file.closed
        self._file.close()
        return was_open

    def _cut(self) -> None:
        # In this order a reader never follows a pointer to where nothing is.
        self._write(self._link, struct.pack(self._format.offset, 0))
        self._end = max(self._end, self._description_end())
        self._file.truncate(self._end)

    def _write(self, position: int, data: bytes | bytearray | memoryview) -> None:
        write_all(self._file, data, position)

    def _directory(self, start: int, figures: str) -> tuple[bytes, int, int]:
        """A page's directory for position `start`; file positions of its next-page link and of its description."""
        kind = self._format
        height, width = self.frame_shape
        tags: dict[int, tuple[int, bytes]] = {
            256: (_LONG, struct.pack("<I", width)),
            257: (_LONG, struct.pack("<I", height)),
            258: (_SHORT, struct.pack("<H", 8 * self.dtype.itemsize)),
            259: (_SHORT, struct.pack("<H", 1)),
            262: (_SHORT, struct.pack("<H", 1)),
            273: (kind.offset_type, bytes(kind.inline)),
            277: (_SHORT, struct.pack("<H", 1)),
            278: (_LONG, struct.pack("<I", height)),
            279: (kind.offset_type, struct.pack(kind.offset, height * width * self.dtype.itemsize)),
            339: (_SHORT, struct.pack("<H", _SAMPLE_FORMATS[self.dtype.kind])),
        }
        if self._pixel_size_um is not None:
            for tag, size in zip((283, 282), self._pixel_size_um, strict=True):
                tags[tag] = (_RATIONAL, _per_centimetre(size))
            tags[296] = (_SHORT, struct.pack("<H", 3))
        if not self.pages:
            # Never short enough to lie in the entry: `finish` replaces count and offset side by side.
            tags[_DESCRIPTION] = (_ASCII, self._description.encode() + bytes(kind.inline + 1))
        if figures:
            tags[FIGURES_TAG] = (_ASCII, figures.encode() + b"\0")
        count_bytes, entry_bytes = struct.calcsize(kind.count), struct.calcsize(kind.entry) + kind.inline
        link = start + count_bytes + len(tags) * entry_bytes
        values_at = link + kind.inline
        total = values_at - start + sum(len(v) + len(v) % 2 for _, v in tags.values() if len(v) > kind.inline)
        total += -(start + total) % 16
        tags[273] = (kind.offset_type, struct.pack(kind.offset, start + total))
        entries, values = b"", b""
        description_entry = 0
        for i, (tag, (type_, value)) in enumerate(sorted(tags.items())):
            if tag == _DESCRIPTION:
                description_entry = start + count_bytes + i * entry_bytes + struct.calcsize(kind.entry)
            entries += struct.pack(kind.entry, tag, type_, len(value) // _ITEM_BYTES[type_])
            if len(value) <= kind.inline:
                entries += value.ljust(kind.inline, b"\0")
            else:
                entries += struct.pack(kind.offset, values_at + len(values))
                values += value + bytes(len(value) % 2)
        directory = struct.pack(kind.count, len(tags)) + entries + bytes(kind.inline) + values
        return directory.ljust(total, b"\0"), link, description_entry


def storable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The data type itself if TIFF and OME know it.

    Raises
    ------
    InputError
        With the types that can be written instead.
    """
    if dtype.kind not in _SAMPLE_FORMATS or not (1 if dtype.kind in "ui" else 4) <= dtype.itemsize <= (
        4 if dtype.kind in "ui" else 8
    ):
        raise InputError(
            f"{dtype} cannot be written to OME-TIFF; choose one of uint8, int16, uint16, int32, uint32, float32, "
            "float64 as output type (dtype)"
        )
    return dtype


def count_pages(path: Path) -> int:
    """Number of whole pages that are really in a file written here, found by walking through it."""
    with path.open("rb") as file:
        return sum(1 for _ in walk(file.fileno(), path))


def read_figures(path: str | Path) -> Iterator[str]:
    """The JSON text that each page of a file written here carries; empty where a page has none."""
    with Path(path).open("rb") as file:
        kind = _format_of(file.fileno(), Path(path))
        for page in walk(file.fileno(), Path(path)):
            entry = page.entries.get(FIGURES_TAG)
            yield _text(file.fileno(), kind, entry) if entry else ""


def read_description(path: str | Path) -> str:
    """ImageDescription of the first page of a TIFF file that is little-endian; empty if it has none."""
    with Path(path).open("rb") as file:
        kind = _format_of(file.fileno(), Path(path))
        for page in walk(file.fileno(), Path(path)):
            entry = page.entries.get(_DESCRIPTION)
            return _text(file.fileno(), kind, entry) if entry else ""
    return ""


def walk(fd: int, path: Path) -> Iterator[_Page]:
    """The whole pages of a file, in order; ends before the first that is not whole."""
    kind = _format_of(fd, path)
    size = os.fstat(fd).st_size
    entry_bytes = struct.calcsize(kind.entry) + kind.inline
    start = _read(fd, kind.inline, kind.first_link)
    (position,) = struct.unpack(kind.offset, start) if len(start) == kind.inline else (0,)
    while position:
        head = _read(fd, struct.calcsize(kind.count), position)
        if len(head) < struct.calcsize(kind.count):
            return
        (count,) = struct.unpack(kind.count, head)
        first = position + len(head)
        block = _read(fd, count * entry_bytes + kind.inline, first) if count <= 4096 else b""
        if len(block) < count * entry_bytes + kind.inline:
            return
        entries = {}
        for i in range(count):
            tag, type_, items = struct.unpack_from(kind.entry, block, i * entry_bytes)
            entries[tag] = (type_, items, first + i * entry_bytes + struct.calcsize(kind.entry))
        strip, length = (_number(fd, entries.get(tag)) for tag in (273, 279))
        (next_,) = struct.unpack(kind.offset, block[-kind.inline :])
        if strip is None or length is None or strip + length > size:
            return
        yield _Page(link=first + count * entry_bytes, next=next_, end=strip + length, entries=entries)
        if next_ and next_ <= position:
            return
        position = next_


def _number(fd: int, entry: tuple[int, int, int] | None) -> int | None:
    """Value of an entry that holds one whole number."""
    codes = {_SHORT: "<H", _LONG: "<I", _LONG8: "<Q"}
    if entry is None or entry[1] != 1 or entry[0] not in codes:
        return None
    code = codes[entry[0]]
    return int(struct.unpack(code, _read(fd, struct.calcsize(code), entry[2]))[0])


def _text(fd: int, kind: _Format, entry: tuple[int, int, int]) -> str:
    _, count, position = entry
    if count > kind.inline:
        (position,) = struct.unpack(kind.offset, _read(fd, kind.inline, position))
    return _read(fd, count, position).rstrip(b"\0").decode(errors="replace")


def _format_of(fd: int, path: Path) -> _Format:
    magic = _read(fd, 4, 0)
    for kind in (_CLASSIC, _BIG):
        if kind.header[:4] == magic:
            return kind
    raise InputError(f"{path}: is not a file that this program was writing; delete it, or start over with --overwrite")


def _read(fd: int, count: int, position: int) -> bytes:
    """At most so many bytes; fewer where the file ends, whatever a damaged file claims."""
    left = os.fstat(fd).st_size - position
    if left <= 0:
        return b""
    count = min(count, left)
    if hasattr(os, "pread"):
        return os.pread(fd, count, position)
    os.lseek(fd, position, os.SEEK_SET)
    return os.read(fd, count)


def _per_centimetre(size_um: float) -> bytes:
    """Pixels per cm as two numbers of 32 bits, as many digits as fit."""
    value = 1e4 / size_um
    denominator = 1
    while value * denominator * 10 < 2**31 and denominator < 10**6:
        denominator *= 10
    return struct.pack("<II", min(round(value * denominator), 2**32 - 1), denominator)
