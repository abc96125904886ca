"""Reading variables of MATLAB files: version 7.3 by HDF5, version 5 (``-v6``, ``-v7``) by SciPy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError

from .arrays import ArrayRecording, Found, choose
from .damage import MOST_PACKED, by, damage_in_one_line, no_such_file
from .recording import Recording
from .settings import ReadSettings

MOST_IN_MEMORY = 2**31
"""Bytes of a variable of version 5, which is read as a whole: MATLAB itself writes no larger one."""

_HEADER = 128  # bytes of text, version and byte order before the first element
_TAG = 8  # bytes: type and length of an element
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HDF5_AT = (0, 512)  # MATLAB keeps its own header before it
_ITEMSIZES = {"double": 8, "single": 4, "logical": 1, **{f"{s}int{b}": b // 8 for s in ("", "u") for b in (8, 16, 32)}}
_ITEMSIZES |= {"int64": 8, "uint64": 8}


def open_matlab(paths: Sequence[Path], settings: ReadSettings) -> Recording:
    """Open a variable of a MATLAB file; for `sasnet_live.recordings.open_recording`."""
    path = paths[0]
    no_such_file(path)
    with damage_in_one_line(path, "MATLAB"), path.open("rb") as file:
        head = file.read(_HDF5_AT[-1] + len(_HDF5_SIGNATURE))
    if any(head[at : at + len(_HDF5_SIGNATURE)] == _HDF5_SIGNATURE for at in _HDF5_AT):
        from .hdf5 import open_matlab73

        return open_matlab73(path, settings)
    if head[:9] == b"MATLAB 7.":
        raise InputError(f"{path}: truncated or damaged MATLAB 7.3 file; copy or save it again")
    return ArrayRecording("MATLAB 5", path, _variable(path, settings), settings)


def axes_of_variable(
    shape: tuple[int, ...], name: str, path: Path, settings: ReadSettings
) -> tuple[str | None, tuple[str, ...]]:
    """The axes of a variable, and a remark where they are a guess.

    MATLAB's own stacks have the frames along the last axis, those of other programs along the first, and the file does
    not say: the frames that are nearer to square are taken.
    """
    if settings.axes is not None or len(shape) != 3 or not all(shape):
        return None, ()
    first, middle, last = shape
    is_last = _elongation(first, middle) < _elongation(middle, last)
    axes, other = ("YXT", "TYX") if is_last else ("TYX", "YXT")
    frames, size = (last, (first, middle)) if is_last else (first, (middle, last))
    remark = f"{path}: {name} ({by(shape)}) is taken for {frames} frames of {by(size)}; if not, add --axes {other}"
    return axes, (remark,)


def _elongation(height: int, width: int) -> float:
    return max(height, width) / min(height, width)


def _variable(path: Path, settings: ReadSettings) -> Found:
    from scipy.io import loadmat, whosmat

    _check_elements(path)
    with damage_in_one_line(path, "MATLAB"):
        listed = whosmat(path)
        shapes = {name: tuple(map(int, shape)) for name, shape, kind in listed if kind in _ITEMSIZES}
        name = choose(shapes, settings.dataset, path)
        size = math.prod(shapes[name]) * _ITEMSIZES[next(kind for one, _, kind in listed if one == name)]
        if size > MOST_PACKED * path.stat().st_size:
            raise InputError(f"{path}: damaged, {name} claims {size} bytes; copy or save it again")
        if size > MOST_IN_MEMORY:
            raise InputError(f"{path}: {name} takes {size / 2**30:.1f} GiB; expected 2 at most: save it with -v7.3")
        array: np.ndarray[Any, Any] = np.asarray(loadmat(path, variable_names=[name])[name])
        axes, remarks = axes_of_variable(array.shape, name, path, settings)
    return Found(array, name, axes, remarks=remarks)


def _check_elements(path: Path) -> None:
    """Refuse a file whose elements do not lie within it: SciPy would make room for what they claim."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(_HEADER)
        order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
        if order is None or not header.startswith(b"MATLAB"):
            raise InputError(f"{path}: no MATLAB file of version 5 or 7.3, or damaged; save it again with -v7")
        at, elements = _HEADER, 0
        while at < size:
            tag: Mapping[int, int] = dict(enumerate(np.frombuffer(file.read(_TAG).ljust(_TAG, b"\0"), f"{order}u4")))
            at += _TAG + int(tag[1])
            elements += 1
            if at > size:
                raise InputError(
                    f"{path}: truncated, variable {elements} in it ends at byte {at} and the file at {size}; copy or "
                    "save it again"
                )
            file.seek(at)
    if not elements:
        raise InputError(f"{path}: truncated, no variable is in it; copy or save it again")
