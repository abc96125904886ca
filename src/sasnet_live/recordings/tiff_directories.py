"""The chain of directories of a TIFF file, walked once before anything else trusts it.

A directory names the position of the next one, the positions of its values and of its pixels. In a truncated copy
these lie past the end; in a damaged file they may also go round in a circle, or claim more than there is. Here they
are only compared with the size of the file: nothing that the file claims is allocated. TIFF 6.0 (Adobe 1992) and
BigTIFF.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sasnet_live.errors import InputError

MOST_TAGS = 4096
"""In a directory; writers use some twenty, and tifffile too takes more for damage."""

SHARED_BYTES = 8 * 2**20
"""What tags may amount to beyond twice the size of the file: ImageJ lets directories share a description."""

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH, _LENGTH, _ROWS_PER_STRIP, _SUB_DIRECTORIES = 256, 257, 278, 330
_STORAGE = {256: 0, 257: 0, 258: 1, 259: 1, 266: 1, 277: 1, 278: 2**32 - 1, 284: 1, 317: 1, 322: 0, 323: 0, 339: 1}
"""Tags that say how an image is stored, with what holds where one is left out: size, bits, compression, order of bits,
samples, rows in a strip, planes, predictor, size of tiles, format."""
_NEEDED = frozenset({270, 273, 279, 324, 325, 50838, 50839})
"""Tags without which frames or their axes are not known: description, positions and sizes of strips and tiles, ImageJ's
own. Others may be damaged without harm."""
_ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE_NUMBERS = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True)
class Directories:
    """What the chain of a file says.

    Attributes
    ----------
    count
        Whole directories in it, one an image.
    cut
        Whether the chain, or what its directories need, goes on past the end of the file.
    storage
        For each of them the values of the tags that say how the image is stored; equal ones are one object.
    smallest_px
        Pixels of the smallest image.
    file_bytes
        Size of the file.
    """

    count: int
    cut: bool
    storage: list[tuple[int, ...]]
    smallest_px: int
    file_bytes: int


def read_directories(path: Path) -> Directories:
    """Walk the chain once; the time and memory it takes are bounded by the size of the file.

    Raises
    ------
    InputError
        In one line: not a TIFF file, not a file at all, or one whose directories go round in a circle.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{path}: is a folder; expected a TIFF file")
        if not stat.S_ISREG(mode):
            # Opening a named pipe would wait for its other end, without limit.
            raise InputError(f"{path}: is not a regular file; expected a TIFF file")
        with path.open("rb") as file:
            return _Walk(file, path).directories()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the name") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


Entry = tuple[int, int, int, bytes]
"""Tag, type, count and value field, as a directory has them."""


class _Walk:
    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._size = file.seek(0, 2)
        file.seek(0)
        magic = file.read(4)
        if not magic:
            raise InputError(f"{path}: is empty (0 bytes); copy or export it again")
        if magic not in _MAGIC:
            raise InputError(f"{path}: is not a TIFF file; convert it to TIFF or OME-TIFF first")
        self._order = "<" if magic[:1] == b"I" else ">"
        big = magic[2:].strip(b"\0") == b"+"
        self._count, self._entry, self._offset = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
        self._first = 8 if big else 4
        self._seen: set[int] = set()
        self._budget = 2 * self._size + SHARED_BYTES
        self._cut = False
        self._kinds: dict[tuple[int, ...], tuple[int, ...]] = {}

    def directories(self) -> Directories:
        position = self._number(self._offset, self._first)
        storage = []
        while position:
            found = self._directory(position)
            if found is None:
                break
            entries, position = found
            kind = self._look_at(entries)
            storage.append(self._kinds.setdefault(kind, kind))
        smallest = min((kind[0] * kind[1] for kind in self._kinds), default=0)
        # The chain ends in a 0, unless something is missing.
        return Directories(len(storage), self._cut or position != 0, storage, smallest, self._size)

    def _directory(self, position: int) -> tuple[list[Entry], int | None] | None:
        """The entries of the directory at a position and the position of the next; None if there is none."""
        if position in self._seen:
            raise InputError(
                f"{self._path}: damaged TIFF, its directories go round in a circle; copy or export it again"
            )
        count = self._number(self._count, position)
        if count is None or count > MOST_TAGS:
            return None
        self._seen.add(position)
        format_ = self._order + self._entry
        block = self._file.read(count * struct.calcsize(format_))
        if len(block) < count * struct.calcsize(format_):
            return None
        self._spend(len(block))
        end = position + struct.calcsize(self._order + self._count) + len(block)
        return list(struct.iter_unpack(format_, block)), self._number(self._offset, end)

    def _look_at(self, entries: list[Entry]) -> tuple[int, ...]:
        """Compare what a directory of the chain claims with the size of the file; how its image is stored."""
        storage = dict(_STORAGE)
        below: list[Entry] = []
        for entry in entries:
            tag = entry[0]
            if not self._is_there(entry):
                self._cut = self._cut or tag in _NEEDED
            elif tag in storage:
                storage[tag] = next(self._numbers(entry), storage[tag])
            elif tag == _SUB_DIRECTORIES:
                below.append(entry)
        storage[_ROWS_PER_STRIP] = min(storage[_ROWS_PER_STRIP], storage[_LENGTH])
        self._look_below(below)
        return tuple(storage.values())

    def _look_below(self, below: list[Entry]) -> None:
        """Walk through thumbnails and the levels of a pyramid, which may have some of their own."""
        while below:
            for position in self._numbers(below.pop()):
                found = self._directory(position) if position >= 8 else None
                below += [one for one in (found or ([], 0))[0] if one[0] == _SUB_DIRECTORIES and self._is_there(one)]

    def _is_there(self, entry: Entry) -> bool:
        """Whether a value lies within the file."""
        _, type_, count, field = entry
        needed = count * _ITEM_BYTES.get(type_, 0)
        if needed <= len(field):
            return True
        if self._unpacked(field) + needed > self._size:
            return False
        self._spend(needed)
        return True

    def _numbers(self, entry: Entry) -> Iterator[int]:
        """Whole numbers of a value; none if it holds something else."""
        _, type_, count, field = entry
        code = _WHOLE_NUMBERS.get(type_)
        if code is None:
            return
        needed = count * _ITEM_BYTES[type_]
        if needed > len(field):
            self._file.seek(self._unpacked(field))
            field = self._file.read(needed)
        for (number,) in struct.iter_unpack(self._order + code, field[:needed]):
            yield number

    def _spend(self, count: int) -> None:
        # Directories and values that lie over each other would take memory far beyond the size of the file.
        self._budget -= count
        if self._budget < 0:
            raise InputError(
                f"{self._path}: damaged TIFF, its tags claim more than the {self._size} bytes of the file; copy or "
                "export it again"
            )

    def _number(self, code: str, position: int) -> int | None:
        """The whole number at a position, None past the end of the file."""
        size = struct.calcsize(self._order + code)
        if position + size > self._size:
            return None
        self._file.seek(position)
        data = self._file.read(size)
        return int(struct.unpack(self._order + code, data)[0]) if len(data) == size else None

    def _unpacked(self, field: bytes) -> int:
        return int(struct.unpack(self._order + self._offset, field)[0])
