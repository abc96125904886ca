"""What the first image of a TIFF file says, looked at before it is known which files are one recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sasnet_live.errors import InputError

from .tiff import no_tifffile_messages, open_tiff_file
from .tiff_directories import read_directories


@dataclass(frozen=True)
class Peek:
    """Of a TIFF file that may still turn out to be damaged.

    Attributes
    ----------
    images
        Number of directories.
    kind
        Shape of the first image and its data type, to compare with.
    software, description
        Texts of the first image.
    is_ome, is_micro_manager
        Whose file it is.
    """

    images: int
    kind: tuple[tuple[int, ...], str]
    software: str
    description: str
    is_ome: bool
    is_micro_manager: bool


def peek(path: Path) -> Peek | None:
    """Look at a file; None if it cannot be opened, which whoever reads it will say better."""
    try:
        directories = read_directories(path)
        tiff = open_tiff_file(path, directories)
    except InputError:
        return None
    with no_tifffile_messages(), tiff:
        try:
            page = tiff.pages.first
            return Peek(
                images=directories.count,
                kind=(tuple(page.shape), str(page.dtype)),
                software=page.software,
                description=page.description,
                is_ome=tiff.is_ome,
                is_micro_manager=tiff.is_mmstack,
            )
        except Exception:  # tifffile raises anything for damaged files
            return None
