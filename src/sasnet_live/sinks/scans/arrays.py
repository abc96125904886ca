"""Displacements as named arrays, the first axis of each the scan: what `.npz` and `.h5` files hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .log import FIGURES, REASON_BYTES, ScanLog, measured_of
from .series import ScanSeries

BLOCK_BYTES = 2**22
"""Written at a time: single scans of a long recording would take a call each."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class ScanArray:
    """One array of a file.

    Attributes
    ----------
    shape, dtype
        Of one scan.
    unit, about
        For people.
    of
        (n, ...) values of some scans, from the number of the first and their records in a log.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    unit: str
    about: str
    of: Callable[[int, Array], Any]


def scan_arrays(series: ScanSeries, *, per_px: bool) -> dict[str, ScanArray]:
    """The arrays of a file by name.

    Parameters
    ----------
    per_px
        Whether displacement and deviation of every px are among them, which their parts give anyway.
    """
    lines, width = series.lines_shape
    single, double = np.dtype("<f4"), np.dtype("<f8")
    index = ", ".join(series.axes) or "none"

    def kept(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], unit: str, about: str) -> ScanArray:
        return ScanArray(shape, dtype, unit, about, lambda _, rows: rows[name])

    def of_px(name: str, about: str) -> ScanArray:
        return ScanArray(
            (lines, width),
            single,
            "px",
            about,
            lambda _, rows: np.stack([getattr(measured_of(row, unpaired=series.unpaired), name)() for row in rows]),
        )

    arrays = {
        "index": ScanArray(
            (len(series.axes),),
            np.dtype("<i8"),
            "",
            f"position of the scan along the axes {index}",
            lambda first, rows: np.array(
                [list(series.index(scan).values()) for scan in range(first, first + len(rows))], np.int64
            ).reshape(len(rows), -1),
        ),
        "accepted": kept("accepted", (), np.dtype("?"), "", "whether the scan was registered"),
        "reason": kept("reason", (), np.dtype(f"S{REASON_BYTES}"), "", "why not, UTF-8"),
        "profile_px": kept("profile_px", (width,), single, "px", "p(x), with what electronics add"),
        "lines_px": kept("lines_px", (lines,), single, "px", "q(y), of mean 0"),
        "creep_px": kept("creep_px", (width,), single, "px", "r(x)"),
        "profile_deviation_px": kept("profile_deviation_px", (width,), single, "px", "standard deviation of p"),
        "line_deviation_px": kept("line_deviation_px", (lines,), single, "px", "standard deviation of q"),
        "creep_deviation_px": kept("creep_deviation_px", (width,), single, "px", "standard deviation of r"),
        "line_confidence": kept("line_confidence", (lines,), single, "", "how surely a line is within half a px"),
    }
    for name in FIGURES:
        unit = "px" if "_px" in name else "ms" if name.endswith("_ms") else ""
        arrays[name] = kept(name, (), double, unit, "as in the table of metrics")
    if per_px:
        arrays["displacement_px"] = of_px("displacement_px", "d(x, y)")
        arrays["deviation_px"] = of_px("deviation_px", "standard deviation of d")
    return arrays


def values_of(array: ScanArray, log: ScanLog) -> Iterator[tuple[int, Array]]:
    """One array's values, (n, ...) of some scans at a time, and the number of the first of them."""
    of_scan = max(log.record.itemsize, array.dtype.itemsize * math.prod(array.shape))
    for first, rows in log.blocks(max(1, BLOCK_BYTES // of_scan)):
        yield first, np.asarray(array.of(first, rows), array.dtype)


def descriptions(arrays: dict[str, ScanArray]) -> dict[str, str]:
    """What each array is, with its unit."""
    return {name: f"{array.about} [{array.unit}]" if array.unit else array.about for name, array in arrays.items()}
