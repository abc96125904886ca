"""Reading datasets of HDF5 files, and variables of MATLAB 7.3 files, which are HDF5."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.layout import STACK_AXES

from .arrays import ArrayRecording, Found, StoredArray, choose
from .damage import damage_in_one_line, no_such_file
from .matlab import axes_of_variable
from .optional import library
from .recording import Recording
from .settings import ReadSettings

CHUNKS_KEPT = 64 * 2**20
"""Bytes of unpacked chunks that are kept: where a chunk holds several frames it is unpacked once, not for each."""

MOST_OBJECTS = 10_000
"""Groups and datasets that are looked at to find the frames."""

_NUMBERS = ("double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))


def open_hdf5(paths: Sequence[Path], settings: ReadSettings) -> Recording:
    """Open a dataset of an HDF5 file; for `sasnet_live.recordings.open_recording`."""
    path = paths[0]
    no_such_file(path)
    return ArrayRecording("HDF5", path, _found(path, settings, is_matlab=False), settings)


def open_matlab73(path: Path, settings: ReadSettings) -> Recording:
    """Open a variable of a MATLAB 7.3 file."""
    return ArrayRecording("MATLAB 7.3", path, _found(path, settings, is_matlab=True), settings)


def _found(path: Path, settings: ReadSettings, *, is_matlab: bool) -> Found:
    h5py = library("h5py", "hdf5", path)
    with damage_in_one_line(path, "HDF5"):
        file = h5py.File(path, "r", rdcc_nbytes=CHUNKS_KEPT)
    try:
        with damage_in_one_line(path, "HDF5"):
            datasets = _datasets(file, h5py, path, is_matlab)
            wanted = settings.dataset.strip("/") if settings.dataset else None
            shapes = {name: _shape(one, is_matlab) for name, one in datasets.items()}
            name = choose(shapes, wanted, path)
            dataset = datasets[name]
            _refuse_what_lies_elsewhere(dataset, name, path)
            array: StoredArray = _Reversed(dataset) if is_matlab else dataset
            axes, remarks = axes_of_variable(array.shape, name, path, settings) if is_matlab else (_axes(dataset), ())
            block = math.prod(dataset.chunks) * dataset.dtype.itemsize if dataset.chunks else 0
            return Found(array, name, axes, block_bytes=block, remarks=remarks, close=file.close)
    except BaseException:
        file.close()
        raise


def _datasets(file: Any, h5py: Any, path: Path, is_matlab: bool) -> Mapping[str, Any]:
    """The datasets of numbers in a file, by name. Links are not followed: they may lead to other files."""
    found: dict[str, Any] = {}
    seen = 0

    def look_at(name: str, one: Any) -> None:
        nonlocal seen
        seen += 1
        if seen > MOST_OBJECTS:
            raise InputError(f"{path}: holds more than {MOST_OBJECTS} groups and datasets; save the frames apart")
        if not isinstance(one, h5py.Dataset) or one.shape is None or one.dtype.kind not in "uifc":
            return
        if is_matlab and (name.startswith("#") or _matlab_class(one) not in _NUMBERS):
            return
        found[name] = one

    file.visititems(look_at)
    return found


def _matlab_class(dataset: Any) -> str:
    """What MATLAB calls the type of a variable; "double" where the file does not say: another program wrote it."""
    name = dataset.attrs.get("MATLAB_class", "double")
    return name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)


def _shape(dataset: Any, is_matlab: bool) -> tuple[int, ...]:
    return tuple(dataset.shape[::-1] if is_matlab else dataset.shape)


def _refuse_what_lies_elsewhere(dataset: Any, name: str, path: Path) -> None:
    """A dataset whose px are in other files, or not as they were recorded."""
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{path}: the px of {name} lie in other files; expected them here: copy them into one dataset")
    if dataset.scaleoffset is not None:
        raise InputError(
            f"{path}: {name} is packed with the scale-offset filter, which may have rounded it; save it with gzip or "
            "without a filter"
        )
    if dataset.chunks is None and math.prod(dataset.shape) * dataset.dtype.itemsize > max(
        path.stat().st_size, dataset.id.get_storage_size()
    ):
        raise InputError(f"{path}: truncated or damaged, {name} claims more than the file holds; copy it again")


def _axes(dataset: Any) -> str | None:
    """The axes that a dataset's dimension labels name, where each of them is one letter of ours."""
    with suppress(Exception):
        labels = "".join(str(one.label).lower() for one in dataset.dims)
        if len(labels) == dataset.ndim and set(labels) <= {*STACK_AXES, "y", "x"} and {"y", "x"} <= set(labels):
            return labels
    return None


class _Reversed:
    """A dataset as MATLAB shows it: MATLAB writes the axes of an array in the reverse order."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.shape, self.dtype = tuple(dataset.shape[::-1]), dataset.dtype

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray[Any, Any]:
        return np.asarray(self._dataset[key[::-1]]).T
