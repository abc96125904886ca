"""A watched folder for live registration: what cannot be registered, or was already, is left out of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sasnet_live.errors import InputError
from sasnet_live.recordings.settings import LARGEST_MIB
from sasnet_live.sinks.ome_tiff import is_registered
from sasnet_live.sources.folder import SETTLE_S, FolderSource

from .stream_check import stream_check

if TYPE_CHECKING:
    from sasnet_live.geometry import ScanGeometry


def watch_folder(
    folder: str | Path,
    geometry: ScanGeometry,
    *,
    align_on: str | None = None,
    into_tiff: bool = False,
    existing: bool = True,
    settle_s: float | None = None,
    largest_mib: float = LARGEST_MIB,
) -> FolderSource:
    """A source that delivers the files of a folder that can be registered.

    Parameters
    ----------
    folder, existing, settle_s, largest_mib
        See `FolderSource`; `settle_s` None: as it has it.
    geometry, align_on, into_tiff
        See `stream_check`: files whose frames do not fit are left out.

    Raises
    ------
    InputError
        If it is not a folder.
    """
    return FolderSource(
        folder,
        existing=existing,
        settle_s=SETTLE_S if settle_s is None else settle_s,
        is_registered=is_registered,
        check=stream_check(geometry, align_on, into_tiff=into_tiff),
        largest_mib=largest_mib,
    )


def refuse_output_in(folder: str | Path, *outputs: Path | None) -> None:
    """Refuse files that would be written into a watched folder and taken for input there.

    Raises
    ------
    InputError
        If one would lie in `folder`, by whichever name.
    """
    for output in outputs:
        if output is not None and _same_folder(output.parent, Path(folder)):
            raise InputError(
                f"{output}: lies in the folder that is watched and would be taken for input; write elsewhere"
            )


def _same_folder(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them is not there yet
        return one.resolve() == other.resolve()
