"""Reading ``.npy`` and ``.npz``, the files of NumPy's own."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from sasnet_live.errors import InputError

from .arrays import ArrayRecording, Found, check_values_of, choose, whole_shape
from .damage import MOST_PACKED, damage_in_one_line, no_such_file
from .mapped import MappedArray
from .recording import Recording
from .settings import ReadSettings

_STEP = 2**20  # bytes unpacked at once
_LOCAL_HEADER = 30  # bytes before the name of a member of a zip file
_LOCAL_LENGTHS = slice(26, 30)  # of name and further fields, two numbers of two bytes

_Order = Literal["C", "F"]


def open_npy(paths: Sequence[Path], settings: ReadSettings) -> Recording:
    """Open a ``.npy`` file; for `sasnet_live.recordings.open_recording`."""
    path = paths[0]
    no_such_file(path)
    with damage_in_one_line(path, "NumPy"), path.open("rb") as file:
        shape, dtype, order = _header(file, path)
        offset = file.tell()
    size = path.stat().st_size - offset
    return ArrayRecording("NumPy", path, _mapped(path, path, shape, dtype, order, offset, size, settings), settings)


def open_npz(paths: Sequence[Path], settings: ReadSettings) -> Recording:
    """Open an array of a ``.npz`` file; for `sasnet_live.recordings.open_recording`.

    What is stored as it is gets mapped where it lies; what is compressed is unpacked to a temporary file first, so that
    any frame of it can be read.
    """
    path = paths[0]
    no_such_file(path)
    with damage_in_one_line(path, "NumPy zip"), zipfile.ZipFile(path) as archive:
        members = {one.filename.removesuffix(".npy"): one for one in archive.infolist()}
        shapes = {}
        for name, member in members.items():
            if member.filename.endswith(".npy"):
                with archive.open(member) as file:
                    shape, dtype, _ = _header(file, path)
                if dtype.kind in "uif":
                    shapes[name] = shape
        name = choose(shapes, settings.dataset, path)
        found = _member(archive, members[name], name, path, settings)
    return ArrayRecording("NumPy zip", path, found, settings)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, path: Path, settings: ReadSettings) -> Found:
    with archive.open(member) as file:
        shape, dtype, order = _header(file, path)
        offset = file.tell()
    if member.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as whole:
            whole.seek(member.header_offset)
            header = whole.read(_LOCAL_HEADER)
        lengths = np.frombuffer(header[_LOCAL_LENGTHS], "<u2")
        start = member.header_offset + _LOCAL_HEADER + int(lengths.sum()) + offset
        size = min(member.file_size - offset, path.stat().st_size - start)
        return _mapped(path, path, shape, dtype, order, start, size, settings, name)
    if member.compress_type != zipfile.ZIP_DEFLATED:
        raise InputError(f"{path}: {name} is packed in a way that NumPy does not; save it with numpy.savez")
    shape = whole_shape(shape, dtype.itemsize, member.file_size - offset, path, allow_missing=False, what=name)
    folder = tempfile.TemporaryDirectory(prefix="sasnet-live-")
    try:
        unpacked = Path(folder.name) / "unpacked.npy"
        _unpack(archive, member, unpacked, path)
        size = unpacked.stat().st_size - offset
        found = _mapped(unpacked, path, shape, dtype, order, offset, size, settings, name, folder)
    except BaseException:
        folder.cleanup()
        raise
    return found


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, path: Path) -> None:
    """Unpack a member, of no more bytes than it claims, where they can be there and the disk has room for them."""
    if member.file_size > MOST_PACKED * member.compress_size:
        raise InputError(
            f"{path}: damaged, {member.compress_size} packed bytes claim to be {member.file_size}; export it again"
        )
    free = shutil.disk_usage(target.parent).free
    if member.file_size > free:
        raise InputError(
            f"{path}: takes {member.file_size / 2**20:.0f} MiB unpacked and {target.parent.parent} has "
            f"{free / 2**20:.0f} left; save it with numpy.savez, which does not compress"
        )
    with archive.open(member) as source, target.open("wb") as file:
        while piece := source.read(_STEP):  # no more than it claims: zipfile stops there
            file.write(piece)


def _mapped(
    stored: Path,
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    order: _Order,
    offset: int,
    size: int,
    settings: ReadSettings,
    name: str = "",
    folder: tempfile.TemporaryDirectory[str] | None = None,
) -> Found:
    check_values_of(dtype, f"{path}: {name}".rstrip())
    allowed = settings.allow_missing and order == "C"
    whole = whole_shape(shape, dtype.itemsize, size, path, allow_missing=allowed, what=name or "an array")
    array = MappedArray(stored, whole, dtype, offset, order)

    def close() -> None:
        array.close()
        if folder is not None:
            folder.cleanup()

    return Found(array, name, close=close)


def _header(file: Any, path: Path) -> tuple[tuple[int, ...], np.dtype[Any], _Order]:
    """Shape, data type and order of an array, from the start of its file; nothing is unpickled, whatever it says."""
    stream: BinaryIO = file
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, columns_first, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, columns_first, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise InputError(f"{path}: holds records with names; expected numbers: save one field of them")
    if dtype.hasobject:
        raise InputError(f"{path}: holds Python objects, which may do harm when read; save an array of numbers")
    if any(size < 0 for size in shape):
        raise InputError(f"{path}: damaged, it claims a shape of {shape}; export it again")
    return shape, dtype, "F" if columns_first else "C"
