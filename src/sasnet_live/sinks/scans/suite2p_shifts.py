"""Shifts as suite2p knows them: whole px, one for a recording.

suite2p moves every other row of a frame, the second, fourth and so on, by ``bidiphase`` px:
``moved(x) = row(x - bidiphase)`` (`suite2p/registration/bidiphase.py`). Where those rows are the backward lines that is
our sign; where they are the forward lines, the other one. Its ``xoff`` and ``yoff`` move whole frames towards a
reference image, which is another thing and not measured here, so that they are not written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry

from .log import ScanLog


class Suite2pShifts:
    """An ``ops``-like dictionary as `.npy`: ``np.load(path, allow_pickle=True).item()``.

    ``bidiphase`` is the mean over all accepted scans, rounded, and ``do_bidiphase`` whether it is not 0: suite2p takes
    0 for "find one yourself". Both stand at the top, as suite2p before version 1 has them, and in ``registration``, as
    its settings have them from 1 on. Names of our own begin with ``sasnet_live``: the mean not rounded, each scan's
    mean, its standard deviation and whether it was accepted.

    Where no scan was accepted both are left out: nothing is known.

    Parameters
    ----------
    geometry
        Of the recording.
    """

    def __init__(self, geometry: ScanGeometry) -> None:
        self._geometry = geometry

    def check(self, path: Path) -> None:
        """Refuse scans that suite2p cannot move."""
        geometry = self._geometry
        if geometry.line_axis != "rows" or geometry.backward_mirrored:
            what = "lines along columns" if geometry.line_axis != "rows" else "mirrored backward lines"
            raise InputError(f"{path}: suite2p moves rows stored left to right, and knows no {what}; give .npz instead")

    def write(self, log: ScanLog, path: Path) -> None:
        """Means of a frame's displacement, and of all frames."""
        self.check(log.path)
        with path.open("xb") as file:
            np.save(file, np.array(_ops(log), dtype=object), allow_pickle=True)

    def count(self, path: Path) -> int:
        """Scans whose shift is in it; it is our own file, made just now."""
        with path.open("rb") as file:
            return len(np.load(file, allow_pickle=True).item()["sasnet_live_shift_px"])


def _ops(log: ScanLog) -> dict[str, Any]:
    sign = 1 if log.series.geometry.first == "forward" else -1
    shift, deviation, accepted = (np.zeros(log.rows, kind) for kind in (np.float32, np.float32, bool))
    for scan, row in enumerate(log):
        accepted[scan] = row["accepted"]
        shift[scan] = sign * row["displacement_px_mean"] if accepted[scan] else np.nan
        # Of a mean along the line: errors of neighbouring px go together, so that it is no smaller than theirs.
        deviation[scan] = np.sqrt(np.mean(np.square(row["profile_deviation_px"])))
    mean = float(np.mean(shift[accepted], dtype=np.float64)) if accepted.any() else float("nan")
    phase: dict[str, Any] = {}
    if accepted.any():
        phase = {"do_bidiphase": round(mean) != 0, "bidiphase": round(mean)}
    return {
        **phase,
        "bidi_corrected": False,
        "registration": dict(phase),
        "sasnet_live": log.series.described(),
        "sasnet_live_shift_px": shift,
        "sasnet_live_shift_deviation_px": deviation,
        "sasnet_live_mean_shift_px": mean,
        "sasnet_live_accepted": accepted,
    }
