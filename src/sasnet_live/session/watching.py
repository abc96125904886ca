"""A watched folder for live registration: what cannot be registered, or was already, is left out of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sasnet_live.errors import InputError
from sasnet_live.live.channels import channel_to_align_on
from sasnet_live.recordings.settings import LARGEST_MIB
from sasnet_live.sinks.ome_tiff import is_registered
from sasnet_live.sinks.tiff_pages import storable
from sasnet_live.sources.folder import SETTLE_S, FolderSource

if TYPE_CHECKING:
    from sasnet_live.geometry import ScanGeometry
    from sasnet_live.layout import Layout


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
    geometry
        Of the frames: files whose frames are too small for it are left out.
    align_on
        Channel that moves the others, see `sasnet_live.live.channels.ChannelRegistrar`: files with channels, but
        without this one, are left out.
    into_tiff
        Whether frames are written to TIFF files in the type they have: files of a type that TIFF has not are left out.

    Raises
    ------
    InputError
        If it is not a folder.
    """

    def check(stream: Layout) -> None:
        geometry.check_frame(stream.frame_shape)
        channel_to_align_on(stream, align_on)
        if into_tiff:
            storable(stream.dtype)

    return FolderSource(
        folder,
        existing=existing,
        settle_s=SETTLE_S if settle_s is None else settle_s,
        is_registered=is_registered,
        check=check,
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
