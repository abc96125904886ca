"""Reading raw binary files: px and nothing else, as LabVIEW and data acquisition cards write them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sasnet_live.errors import InputError

from .arrays import ArrayRecording, Found, check_values_of, whole_shape
from .damage import by, no_such_file
from .mapped import MappedArray
from .recording import Recording
from .settings import ReadSettings


def open_raw(paths: Sequence[Path], settings: ReadSettings) -> Recording:
    """Open a raw binary file; for `sasnet_live.recordings.open_recording`.

    It holds an array of shape and data type of the settings, slowest axis first, and ends where that ends.
    """
    path = paths[0]
    no_such_file(path)
    size = path.stat().st_size
    if settings.raw_shape is None or settings.raw_dtype is None:
        raise InputError(
            f"{path}: a raw file of {size} bytes does not say what it holds; say it with --raw-shape T,H,W and "
            "--raw-dtype uint16, and --raw-offset if something stands before the first px"
        )
    shape = settings.raw_shape
    dtype = np.dtype(settings.raw_dtype)
    check_values_of(dtype, f"{path}: --raw-dtype")
    available = max(0, size - settings.raw_offset)
    needed = math.prod(shape) * dtype.itemsize
    if available > needed:
        step = math.prod(shape[1:]) * dtype.itemsize
        would = f", enough for {available // step} of {by(shape[1:])}" if len(shape) > 2 and step else ""
        raise InputError(
            f"{path}: {by(shape)} {dtype} takes {needed} bytes and {available} are there{would}; check --raw-shape, "
            "--raw-dtype and --raw-offset"
        )
    whole = whole_shape(
        shape,
        dtype.itemsize,
        available,
        path,
        allow_missing=settings.allow_missing,
        what=f"an array {dtype}",
        remedy="copy it again, check --raw-shape",
    )
    array = MappedArray(path, whole, dtype, settings.raw_offset)
    return ArrayRecording("raw binary", path, Found(array, close=array.close), settings)
