"""Displacements as NumPy's `.npz`, which needs no library of its own."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from .arrays import descriptions, scan_arrays, values_of
from .log import ScanLog


class NpzDisplacement:
    """Arrays by name, not compressed so that readers can take single scans, and ``metadata``: JSON as text.

    Parameters
    ----------
    per_px
        Whether the displacement of every px is written, too.
    """

    def __init__(self, *, per_px: bool = False) -> None:
        self._per_px = per_px

    def check(self, path: Path) -> None:
        """Always possible."""

    def write(self, log: ScanLog, path: Path) -> None:
        """Array after array, each scan by scan."""
        arrays = scan_arrays(log.series, per_px=self._per_px)
        metadata = {**log.series.described(), "arrays": descriptions(arrays)}
        with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as archive:
            with archive.open("metadata.npy", "w") as member:
                np.lib.format.write_array(cast(Any, member), np.array(json.dumps(metadata)), allow_pickle=False)
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    header = {"descr": array.dtype.str, "fortran_order": False, "shape": (log.rows, *array.shape)}
                    np.lib.format.write_array_header_2_0(cast(BinaryIO, member), header)
                    for _, values in values_of(array, log):
                        member.write(values.tobytes())

    def count(self, path: Path) -> int:
        """Scans of which every array has its part, with all checksums read."""
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return 0
        with np.load(path, allow_pickle=False) as file:
            return len(file["accepted"])
