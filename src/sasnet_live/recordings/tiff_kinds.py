"""Which reader a TIFF file, or several of one recording, are for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .ome_set import open_ome_set
from .recording import Recording
from .scanimage import open_scanimage
from .scanimage_header import is_scanimage
from .series import open_series
from .settings import ReadSettings
from .tiff import TiffStack
from .tiff_peek import peek


def open_tiff(paths: Sequence[Path], settings: ReadSettings) -> Recording:
    """Open TIFF files of one recording; for `sasnet_live.recordings.open_recording`."""
    first = peek(paths[0])
    if first is None:  # the reader says what is wrong with it
        return TiffStack(paths[0], settings)
    if is_scanimage(first.software, first.description):
        return open_scanimage(paths, settings, first)
    if first.is_ome and not first.is_micro_manager:
        together = open_ome_set(paths[0], first.description, settings) if settings.series != "apart" else None
        if together is not None:
            return together
    if len(paths) > 1:
        return open_series(paths, settings)
    return TiffStack(paths[0], settings)
