"""Which files are one recording."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sasnet_live.errors import InputError
from sasnet_live.files import identity, name_and_ending

from .formats import TIFF_SUFFIXES, format_of, index_format, is_recording
from .names import common_name, counted, pattern_of
from .ome_set import files_of_set
from .scanimage import continues
from .scanimage_header import is_scanimage
from .settings import FEWEST_IN_SERIES, ReadSettings
from .tiff_peek import Peek, peek


@dataclass(frozen=True)
class Found:
    """One recording.

    Attributes
    ----------
    paths
        Its files in order, as `sasnet_live.recordings.open_recording` takes them.
    name
        What results are called after, without an ending.
    """

    paths: tuple[Path, ...]
    name: str


def files_of(given: str | Path) -> list[Path]:
    """Files that a name, a pattern or a folder stands for; of a folder, those that describe recordings come first.

    Raises
    ------
    InputError
        No such file, or none that is a recording.
    """
    path = Path(given)
    if path.is_dir() and not format_of(path).is_folder:
        inside = sorted(one for one in path.iterdir() if one.is_file())
        indices = [one for one in inside if index_format(one) is not None]
        found = indices + [one for one in inside if is_recording(one) and one not in set(indices)]
        if not found:
            raise InputError(f"{path}: holds no recording in a format that can be read; check it")
        return found
    if path.exists():
        return [path]
    if any(sign in str(given) for sign in "*?["):
        matching = [Path(name) for name in sorted(glob.glob(str(given), recursive=True)) if Path(name).is_file()]
        if not matching:
            raise InputError(f"{given}: no file matches; check the pattern")
        return matching
    raise InputError(f"{given}: no such file or folder; check the name")


def group(files: Sequence[Path], settings: ReadSettings) -> list[Found]:
    """The recordings that files are, in the order of their first files.

    Files that an XML file among them describes are its; of the others see `ReadSettings.series`.
    """
    described, claimed = [], set()
    for path in files:
        format_ = index_format(path)
        if format_ is not None:
            described.append(Found((path,), format_.name_of(path)))
            with suppress(InputError):  # of a damaged one, its reader says what is wrong
                claimed |= {identity(one) for one in format_.members(path)}
    rest = [path for path in files if all(path != one.paths[0] for one in described) and identity(path) not in claimed]
    place = {path: number for number, path in enumerate(files)}
    found = [*described, *_without_index(rest, settings)]
    return sorted(found, key=lambda one: min(place[path] for path in one.paths if path in place))


def files_read(found: Found) -> list[Path]:
    """All files that are read of a recording, also those that only the given ones name; none may be written to."""
    first = found.paths[0]
    format_ = index_format(first)
    with suppress(InputError):  # of a damaged one, its reader says what is wrong
        if format_ is not None:
            return [*found.paths, *format_.members(first)]
        look = peek(first) if first.name.lower().endswith(TIFF_SUFFIXES) else None
        if look is not None and look.is_ome and not look.is_micro_manager:
            return [*found.paths, *files_of_set(first, look.description)]
    return list(found.paths)


def find_recordings(inputs: Sequence[str | Path], settings: ReadSettings | None = None) -> list[Found]:
    """The recordings that names, patterns and folders stand for, each once."""
    files = list(dict.fromkeys(path for given in inputs for path in files_of(given)))
    return group(files, settings or ReadSettings())


def _without_index(files: Sequence[Path], settings: ReadSettings) -> Iterator[Found]:
    if settings.series == "apart" or len(files) < 2:
        yield from map(_alone, files)
        return
    folders: dict[tuple[Path, bool], list[Path]] = {}
    for path in files:
        folders.setdefault((path.parent, path.name.lower().endswith(TIFF_SUFFIXES)), []).append(path)
    for (_, tiff), inside in folders.items():
        if not tiff or len(inside) < 2:
            yield from map(_alone, inside)
        elif settings.series == "join":
            yield Found(tuple(sorted(inside, key=natural)), common_name(inside))
        else:
            yield from _of_folder(inside)


def _of_folder(files: Sequence[Path]) -> Iterator[Found]:
    """TIFF files of one folder: sets that say so, then names that count up, then each alone."""
    looks = {path: peek(path) for path in files}
    left = dict.fromkeys(files)
    for path in files:
        look = looks[path]
        if path in left and look is not None and look.is_ome and not look.is_micro_manager:
            members = {identity(one) for one in files_of_set(path, look.description)}
            here = [one for one in left if identity(one) in members]
            if len(here) > 1:
                # The one that describes the others is first, so that it is opened.
                yield Found((path, *(one for one in here if one != path)), common_name(here))
                for one in here:
                    del left[one]
    patterns: dict[str, list[Path]] = {}
    for path in left:
        patterns.setdefault(pattern_of(path), []).append(path)
    for counting in patterns.values():
        ordered = sorted(counting, key=natural)
        yield from _counting(ordered, [looks[path] for path in ordered])


def _counting(files: Sequence[Path], looks: Sequence[Peek | None]) -> Iterator[Found]:
    """Files of one pattern of names, in the order of their numbers."""
    known = [look for look in looks if look is not None]
    if known and all(is_scanimage(look.software, look.description) for look in known):
        yield from _runs(files, looks)
        return
    single = len(known) >= FEWEST_IN_SERIES and all(look.images == 1 and look.kind == known[0].kind for look in known)
    # One that cannot be opened belongs to them, and whoever reads them says what is wrong with it.
    if single and counted(files) is not None:
        yield Found(tuple(files), common_name(files))
        return
    yield from map(_alone, files)


def _runs(files: Sequence[Path], looks: Sequence[Peek | None]) -> Iterator[Found]:
    """Files of ScanImage that go on one where the other ends."""
    run: list[Path] = []
    before: Peek | None = None
    for path, look in zip(files, looks, strict=True):
        if run and not (before is None or look is None or continues(before, look)):
            yield _run(run)
            run = []
        run.append(path)
        before = look or before
    yield _run(run)


def _run(files: Sequence[Path]) -> Found:
    if len(files) == 1:
        return _alone(files[0])
    return Found(tuple(files), common_name(files))


def _alone(path: Path) -> Found:
    return Found((path,), name_and_ending(path)[0])


def natural(path: Path) -> list[tuple[int, int, str]]:
    """Key to sort files by in which numbers in names count as numbers: 2 before 10."""
    parts = re.split(r"([0-9]+)", path.name.lower())
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]
