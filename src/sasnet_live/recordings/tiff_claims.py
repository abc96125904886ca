"""How many frames the metadata of a TIFF file claim, asked before tifffile makes room for them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from sasnet_live.errors import InputError

from .tiff_directories import Directories

if TYPE_CHECKING:
    from tifffile import TiffFile

MOST_FRAMES = 5_000_000
"""In one file: two days at 30 frames a second. Some 30 bytes are kept for each that is claimed, there or not."""


def claimed_frames(tiff: TiffFile, directories: Directories) -> int | None:
    """Number of frames that the metadata name in this file; None if they do not say.

    Raises
    ------
    InputError
        If no file of this size can hold what they claim, and finding out would take memory without bound.
    """
    page = tiff.pages.first
    if page.samplesperpixel != 1:  # colours, which are refused for what they are
        return None
    if page.shaped_description is not None:
        return _claimed_by_tifffile(tiff)
    if tiff.is_mmstack:
        _check_micro_manager(tiff)
        return None
    if tiff.is_ome:
        return _claimed_by_ome(tiff, directories)
    if tiff.is_imagej and tiff.imagej_metadata:
        sizes = imagej_sizes(tiff.imagej_metadata)
        return None if sizes is None else refuse_too_many(tiff, math.prod(sizes), "its ImageJ description")
    return None


def _claimed_by_tifffile(tiff: TiffFile) -> int | None:
    """Frames of the first series, by the description that tifffile itself writes."""
    page = tiff.pages.first
    if not str(page.shaped_description).startswith("{"):  # as its first versions wrote it
        return None
    sizes = json.loads(str(page.shaped_description))["shape"]
    if not isinstance(sizes, list) or not sizes or not all(type(size) is int and size > 0 for size in sizes):
        raise InputError(
            f"{tiff.filehandle.path}: damaged TIFF, its description says that its shape is {str(sizes)[:80]}; expected "
            "sizes of 1 or more: copy or export it again"
        )
    return refuse_too_many(tiff, math.prod(sizes) // max(1, math.prod(page.shape)), "its description")


def imagej_sizes(metadata: dict[str, Any]) -> tuple[int, int, int] | None:
    """Numbers of times, depths and channels; None if the description has them wrong."""
    sizes = tuple(metadata.get(name, 1) for name in ("frames", "slices", "channels"))
    return sizes if all(type(size) is int and size > 0 for size in sizes) else None


def refuse_too_many(tiff: TiffFile, frames: int, who: str) -> int:
    """The number itself, if it is one that can be dealt with."""
    if frames > MOST_FRAMES:
        raise InputError(
            f"{tiff.filehandle.path}: damaged TIFF, {who} claims {frames} frames in {tiff.filehandle.size} bytes; "
            f"expected {MOST_FRAMES} at most: copy or export it again"
        )
    return frames


def _claimed_by_ome(tiff: TiffFile, directories: Directories) -> int | None:
    try:
        root = ElementTree.fromstring(tiff.ome_metadata or "")
    except ElementTree.ParseError:
        return None
    _check_modulo(tiff, root)
    # The same elements that tifffile goes by.
    pixels = [child for image in root if image.tag.endswith("Image") for child in image if child.tag.endswith("Pixels")]
    claimed = sum(_planes(tiff, one, directories) for one in pixels)
    # tifffile makes room for a plane, and looks it up, as often as it is named; with some to spare, that is once.
    named = sum(_named(data, directories.count) for one in pixels for data in one if data.tag.endswith("TiffData"))
    if named > 2 * (claimed + directories.count) + 1000:
        raise InputError(
            f"{tiff.filehandle.path}: damaged TIFF, its OME-XML names {named} planes for {claimed} frames; copy or "
            "export it again"
        )
    # An OME file of a set describes also what lies in its companions.
    return None if _names_other_files(tiff, root, pixels) else refuse_too_many(tiff, claimed, "its OME-XML")


def _planes(tiff: TiffFile, pixels: ElementTree.Element, directories: Directories) -> int:
    """Frames of one Image."""
    sizes = {axis: int(pixels.get(f"Size{axis}", "")) for axis in "XYZCT"}
    if min(sizes.values()) < 1:
        raise InputError(
            f"{tiff.filehandle.path}: damaged TIFF, its OME-XML says that sizes are {sizes}; expected 1 or more each: "
            "copy or export it again"
        )
    # tifffile divides all px by those of one image in the file, whichever comes first.
    refuse_too_many(tiff, math.prod(sizes.values()) // max(1, directories.smallest_px), "its OME-XML")
    return refuse_too_many(tiff, sizes["Z"] * sizes["C"] * sizes["T"], "its OME-XML")


def _named(data: ElementTree.Element, there: int) -> int:
    """How many planes a TiffData element names: all there are, where it does not say."""
    count = int(data.get("PlaneCount", data.get("NumPlanes", "1" if "IFD" in data.attrib else "0")))
    return max(count, 0) or there


def _names_other_files(tiff: TiffFile, root: ElementTree.Element, pixels: list[ElementTree.Element]) -> bool:
    own = root.get("UUID")
    for uuid in (child for one in pixels for data in one for child in data if child.tag.endswith("UUID")):
        if own is None and uuid.get("FileName", "").lower() == tiff.filename.lower():
            own = uuid.text
        elif uuid.text != own:
            return True
    return False


def _check_modulo(tiff: TiffFile, root: ElementTree.Element) -> None:
    """Axes within axes, given as a range of numbers that tifffile writes out."""
    for along in root.iter():
        if along.tag[:-1].endswith("Along") and "Start" in along.attrib:
            start, stop, step = (float(along.get(name, "1")) for name in ("Start", "End", "Step"))
            length = (stop - start) / step if step else math.inf
            refuse_too_many(tiff, int(length) if math.isfinite(length) else MOST_FRAMES + 1, "its OME-XML")


def _check_micro_manager(tiff: TiffFile) -> None:
    """The index of a Micro-Manager stack, whose largest numbers tifffile takes for sizes."""
    metadata: dict[str, Any] = tiff.micromanager_metadata or {}
    found = [int(size) + 1 for size in metadata["IndexMap"][:, :4].max(axis=0)]
    summary = [metadata["Summary"].get(name, 1) for name in ("Channels", "Slices", "Frames", "Positions")]
    refuse_too_many(
        tiff,
        math.prod(max(a, int(b)) for a, b in zip(found, summary, strict=True)),
        "its Micro-Manager index",
    )
