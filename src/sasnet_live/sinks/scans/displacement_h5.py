"""Displacements as HDF5, for MATLAB, Julia and all that reads it."""

from __future__ import annotations

import json
from pathlib import Path

from .arrays import descriptions, scan_arrays, values_of
from .log import ScanLog
from .protocol import library


class Hdf5Displacement:
    """Datasets by name with their units; what the file says of itself is in the attributes of its root.

    Parameters
    ----------
    per_px
        Whether the displacement of every px is written, too.
    """

    def __init__(self, *, per_px: bool = False) -> None:
        self._per_px = per_px

    def check(self, path: Path) -> None:
        """Raise InputError if h5py is missing."""
        library("h5py", "hdf5", path)

    def write(self, log: ScanLog, path: Path) -> None:
        """Dataset after dataset, each scan by scan."""
        h5py = library("h5py", "hdf5", path)
        arrays = scan_arrays(log.series, per_px=self._per_px)
        about = descriptions(arrays)
        with h5py.File(path, "x") as file:
            described = log.series.described()
            file.attrs["metadata"] = json.dumps({**described, "arrays": about})
            for name, value in described.items():  # single ones, for people and for programs that read no JSON
                file.attrs[name] = value if isinstance(value, str | int | float) else json.dumps(value)
            for name, array in arrays.items():
                values = file.create_dataset(name, (log.rows, *array.shape), array.dtype)
                values.attrs["unit"] = array.unit
                values.attrs["description"] = about[name]
                values.dims[0].label = "scan"
                for scan, some in values_of(array, log):
                    values[scan : scan + len(some)] = some

    def count(self, path: Path) -> int:
        """Scans that the file has."""
        h5py = library("h5py", "hdf5", path)
        with h5py.File(path, "r") as file:
            return min(len(values) for values in file.values())
