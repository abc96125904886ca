"""Displacements of every px as OME-TIFF, for ImageJ, napari and whatever shows images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.layout import Layout
from sasnet_live.sinks.ome_tiff import OmeTiffWriter
from sasnet_live.sinks.tiff_pages import count_pages

from .log import FIGURES, ScanLog, measured_of, reason_of
from .series import ScanSeries

CHANNELS = ("displacement px", "standard deviation px")
METADATA = "displacement"
"""Name in the file's record of what it says of its scans, JSON."""


class TiffDisplacement:
    """float32 images (n_b, W), one row a backward line: two channels, displacement and its standard deviation."""

    def check(self, path: Path) -> None:
        """Always possible."""

    def write(self, log: ScanLog, path: Path) -> None:
        """Two images a scan."""
        series = log.series
        record = {"output": METADATA, METADATA: json.dumps(series.described())}
        with OmeTiffWriter(path, _layout(series), record=record, overwrite=True) as writer:
            for row in log:
                measured = measured_of(row, unpaired=series.unpaired)
                figures: dict[str, Any] = {name: float(row[name]) for name in FIGURES}
                figures |= {"accepted": bool(row["accepted"]), "reason": reason_of(row)}
                writer.write(measured.displacement_px(), figures=figures)
                writer.write(measured.deviation_px())

    def count(self, path: Path) -> int:
        """Scans of which both images are there."""
        return count_pages(path) // len(CHANNELS)


def _layout(series: ScanSeries) -> Layout:
    axes, sizes = (*series.axes, "c"), (*series.sizes, len(CHANNELS))
    size = series.pixel_size_um
    if size is not None:
        y, x = size if series.geometry.line_axis == "rows" else size[::-1]
        size = (2 * y, x)  # every other line
    return Layout.stack(
        series.lines_shape,
        np.dtype(np.float32),
        axes,
        sizes,
        pixel_size_um=size,
        interval_s=series.interval_s,
        channel_names=CHANNELS,
    )
