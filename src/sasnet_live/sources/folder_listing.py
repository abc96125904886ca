"""What lies in a watched folder at one moment."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from sasnet_live.recordings import is_recording

Look = tuple[int, int, int]
"""Time of the last change of the content and of the rest (ns), and size (bytes). The second tells of permissions, and
of a copy that keeps the time of the original."""

_KINDS = ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"))


@dataclass(frozen=True)
class Entry:
    """Something in a folder that has the name of a TIFF file.

    Attributes
    ----------
    name
        In the folder.
    look
        As long as it stays the same, so does the file.
    oddity
        Why it cannot be a file with frames; empty if it can.
    """

    name: str
    look: Look
    oddity: str = ""


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes
    ----------
    entries
        What has the name of a TIFF file, oldest first; of one age in the order in which people count: 2 before 10.
    hidden, folders
        Names of hidden TIFF files, and of folders.
    """

    entries: tuple[Entry, ...]
    hidden: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


def list_folder(folder: Path) -> Listing:
    """Look at a folder; what cannot be looked at in it is an entry with an oddity.

    Raises
    ------
    OSError
        If the folder itself cannot be read.
    """
    entries, hidden, folders = [], [], []
    with os.scandir(folder) as found:
        for one in found:
            named_tiff = is_recording(one.name, folders=False)
            if one.name.startswith("."):
                hidden += [one.name] if named_tiff else []
            elif named_tiff:
                entry = _entry(one)
                entries += [] if entry is None else [entry]
            elif _is_folder(one):
                folders.append(one.name)
    entries.sort(key=lambda entry: (entry.look[0], natural_order(entry.name)))
    return Listing(tuple(entries), tuple(sorted(hidden)), tuple(sorted(folders, key=natural_order)))


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Key to sort names by in which numbers count as numbers, and what ends sooner comes first: a, a2, a10, b."""
    parts = re.split(r"([0-9]+|\.)", name)
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]


def _entry(found: os.DirEntry[str]) -> Entry | None:
    """Follows links; None for what has gone since the folder was read."""
    try:
        status = found.stat()
    except OSError as error:
        if not found.is_symlink():
            reason = f"cannot be looked at ({error.strerror})"
            return None if isinstance(error, FileNotFoundError) else Entry(found.name, (0, 0, 0), reason)
        return Entry(found.name, (0, 0, 0), f"is a link to nothing that can be read ({error.strerror})")
    look = (status.st_mtime_ns, status.st_ctime_ns, status.st_size)
    if stat.S_ISREG(status.st_mode):
        return Entry(found.name, look)
    kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "device")
    # What is in it, or comes through it, changes how it looks, and it is no file all the same.
    return Entry(found.name, (0, 0, 0), f"is a {kind}, not a file")


def _is_folder(found: os.DirEntry[str]) -> bool:
    try:
        return found.is_dir()
    except OSError:
        return False
