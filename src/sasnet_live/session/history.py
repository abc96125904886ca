"""The figures of the last frames in a fixed amount of memory."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .results import Sample

COLUMNS = (
    "time_s",
    "ncc_before",
    "ncc_after",
    "ssim_before",
    "ssim_after",
    "displacement_px_mean",
    "latency_ms",
    "confidence",
    "accepted",
)
CAPACITY = 9000  # five minutes at 30 frames a second

Floats = np.ndarray[Any, np.dtype[np.float64]]


class History:
    """A ring of the figures of the newest frames.

    Parameters
    ----------
    capacity
        Frames kept.

    Attributes
    ----------
    added
        Frames since the last `clear`, kept or not.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._ring = np.full((capacity, len(COLUMNS)), np.nan)
        self.added = 0
        self._start_s: float | None = None

    def __len__(self) -> int:
        return min(self.added, len(self._ring))

    def add(self, samples: Iterable[Sample]) -> None:
        """Append the figures of frames, oldest first."""
        for sample in samples:
            if self._start_s is None:
                self._start_s = sample.finished_s
            metrics = sample.metrics
            self._ring[self.added % len(self._ring)] = (
                sample.finished_s - self._start_s,
                metrics.ncc_before,
                metrics.ncc_after,
                metrics.ssim_before,
                metrics.ssim_after,
                metrics.displacement_px_mean,
                sample.latency_ms,
                metrics.confidence,
                sample.accepted,
            )
            self.added += 1

    def clear(self) -> None:
        """Forget all."""
        self.added = 0
        self._start_s = None

    def table(self, last: int | None = None) -> Floats:
        """(n, columns) of the newest frames, oldest first; a copy."""
        count = len(self) if last is None else min(last, len(self))
        index = np.arange(self.added - count, self.added) % len(self._ring)
        newest: Floats = self._ring[index]
        return newest

    def save_csv(self, path: Path) -> int:
        """Write all rows; how many."""
        table = self.table()
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for row in table:
                writer.writerow(["" if np.isnan(value) else f"{value:.6g}" for value in row])
        return len(table)


def thinned(table: Floats, most: int) -> Floats:
    """At most so many rows for drawing, evenly picked, the newest among them."""
    if len(table) <= most:
        return table
    picked: Floats = table[np.linspace(0, len(table) - 1, most).round().astype(int)]
    return picked
