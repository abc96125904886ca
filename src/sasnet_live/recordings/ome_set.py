"""OME-TIFF sets: one recording over several files, described by the OME-XML of one of them or of a companion file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from sasnet_live.errors import InputError

from .recording import Recording, ScanFacts
from .safe_xml import parse_xml, read_xml
from .settings import ReadSettings
from .spread import Grid, Members, SpreadRecording, whole_times
from .tiff_claims import MOST_FRAMES
from .tiff_metadata import calibration_of_ome
from .tiff_peek import peek

COMPANION_SUFFIX = ".companion.ome"

_SHOWN = 3
"""Missing files that are named one by one."""


@dataclass(frozen=True)
class _Plane:
    """Where a frame lies: file by name, empty for the one with the XML, and image in it."""

    position: int
    t: int
    z: int
    c: int
    file: str
    image: int


def files_of_set(path: Path, description: str) -> list[Path]:
    """Files of the set that a file's OME-XML names, itself included; none if it names no other.

    A file that only points to where the XML is (``BinaryOnly``) counts with those of that file, if it lies beside it.
    """
    try:
        found = _description(path, description)
        names = set() if found is None else _names(found[1])
    except InputError:
        return []
    others = {name for name in names if _beside(path, name) is not None}
    if found is None or not others - {path.name}:
        return []
    return sorted({path, found[0], *(path.parent / name for name in others)})


def open_companion(paths: Sequence[Path], settings: ReadSettings) -> Recording:
    """Open the set that a companion file describes; for `sasnet_live.recordings.open_recording`."""
    return _open(paths[0], read_xml(paths[0]), settings)


def companion_members(path: Path) -> list[Path]:
    """Files that a companion file describes, those that are there."""
    return [path.parent / name for name in _names(read_xml(path)) if _beside(path, name) is not None]


def open_ome_set(path: Path, description: str, settings: ReadSettings) -> Recording | None:
    """Open the set that a file belongs to, by its OME-XML; None if that names no other file."""
    found = _description(path, description)
    if found is None or not _names(found[1]) - {found[0].name}:
        return None
    return _open(found[0], found[1], settings)


def _description(path: Path, description: str) -> tuple[Path, ElementTree.Element] | None:
    """The file that has the OME-XML, and its root; None if it is not there."""
    if "OME" not in description:
        return None
    root = parse_xml(description, path)
    pointer = root.find("{*}BinaryOnly")
    if pointer is None:
        return path, root
    there = _beside(path, pointer.get("MetadataFile", ""))
    if there is None or there == path:
        return None
    if there.name.lower().endswith(COMPANION_SUFFIX):
        return there, read_xml(there)
    look = peek(there)
    if look is None:
        return None
    root = parse_xml(look.description, there)
    return None if root.find("{*}BinaryOnly") is not None else (there, root)


def _beside(path: Path, name: str) -> Path | None:
    """The file of a name in the same folder; None for others, which are never opened."""
    if not name or Path(name).name != name or "\\" in name:
        return None
    there = path.parent / name
    return there if there.is_file() else None


def _names(root: ElementTree.Element) -> set[str]:
    return {name for one in root.iterfind(".//{*}TiffData/{*}UUID") if (name := one.get("FileName"))}


def _open(path: Path, root: ElementTree.Element, settings: ReadSettings) -> Recording:
    pixels = root.findall("{*}Image/{*}Pixels")
    sizes = _sizes(path, pixels)
    most = 2 * len(pixels) * math.prod(sizes.values()) + 1000
    planes = list(islice(_planes(path, pixels, sizes), most + 1))
    if len(planes) > most:
        raise InputError(f"{path}: damaged OME-XML, it names frames many times over; copy or export it again")
    names = list(dict.fromkeys(plane.file or path.name for plane in planes))
    missing = [name for name in names if _beside(path, name) is None]
    if missing and not settings.allow_missing:
        shown = ", ".join(missing[:_SHOWN]) + (" and more" if len(missing) > _SHOWN else "")
        raise InputError(
            f"{path}: its OME-XML names {len(names)} files, of which {len(missing)} are not beside it ({shown}); copy "
            "them there, add --allow-missing, or read each file by itself with --series apart"
        )
    number = {name: n for n, name in enumerate(name for name in names if name not in missing)}
    grid = np.full((len(pixels), sizes["T"], sizes["Z"], sizes["C"], 2), -1, np.int64)
    for plane in planes:
        file = number.get(plane.file or path.name, -1)
        grid[plane.position, plane.t, plane.z, plane.c] = (file, plane.image) if file >= 0 else (-1, -1)
    members = Members([path.parent / name for name in number], settings)
    try:
        grid, remarks = whole_times(path, "OME-TIFF set", grid, members.counts, settings)
        known = calibration_of_ome(root)
        known["ome_xml"] = ""  # it describes files, of which the output is none
        spread = Grid(("p", "t", "z", "c"), grid, known)
        remarks.insert(0, f"{path}: its set of {len(names)} OME-TIFF files is read as one recording")
        return SpreadRecording(path, members, spread, settings, ScanFacts(), remarks)
    except BaseException:
        members.close()
        raise


def _sizes(path: Path, pixels: Sequence[ElementTree.Element]) -> dict[str, int]:
    found = [tuple(_number(path, one, f"Size{axis}", None, least=1) for axis in "TZC") for one in pixels]
    if not found or len(set(found)) > 1:
        listed = ", ".join(" x ".join(map(str, one)) for one in found[:_SHOWN]) or "none"
        raise InputError(
            f"{path}: its OME-XML describes images of different lengths ({listed} T x Z x C); expected one kind: read "
            "each file by itself with --series apart"
        )
    if len(found) * math.prod(found[0]) > MOST_FRAMES:
        raise InputError(
            f"{path}: damaged TIFF, its OME-XML claims {len(found) * math.prod(found[0])} frames; expected "
            f"{MOST_FRAMES} at most: copy or export it again"
        )
    return dict(zip("TZC", found[0], strict=True))


def _planes(path: Path, pixels: Sequence[ElementTree.Element], sizes: dict[str, int]) -> Iterator[_Plane]:
    """Where each frame lies, as the TiffData elements say."""
    for position, one in enumerate(pixels):
        order = [axis for axis in one.get("DimensionOrder", "XYCZT") if axis in "TZC"]
        if sorted(order) != ["C", "T", "Z"]:
            raise InputError(f"{path}: damaged OME-XML, its DimensionOrder is {one.get('DimensionOrder')!r}")
        whole = math.prod(sizes.values())
        for data in one.iterfind("{*}TiffData"):
            first = sum(
                _number(path, data, f"First{axis}", 0) * math.prod(sizes[a] for a in order[:n])
                for n, axis in enumerate(order)
            )
            uuid = data.find("{*}UUID")
            name = "" if uuid is None else uuid.get("FileName", "")
            image = _number(path, data, "IFD", 0)
            named = _number(path, data, "PlaneCount", 1 if "IFD" in data.attrib else whole)
            for step in range(min(named, whole - first)):
                place, rest = {}, first + step
                for axis in order:
                    rest, place[axis] = divmod(rest, sizes[axis])
                yield _Plane(position, place["T"], place["Z"], place["C"], name, image + step)


def _number(path: Path, element: ElementTree.Element, name: str, default: int | None, least: int = 0) -> int:
    given = element.get(name, default)
    try:
        number = int(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = least - 1
    if not least <= number <= MOST_FRAMES:
        raise InputError(f"{path}: damaged OME-XML, its {name} is {given}; copy or export it again")
    return number
