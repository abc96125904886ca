"""Which images of a TIFF file are frames, whether they can be read, and which of them are whole."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.layout import STACK_AXES

from .tiff_claims import MOST_FRAMES, imagej_sizes
from .tiff_directories import Directories

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

MOST_CHANNELS = 64
"""More of them, with no other axis, are taken for times that a program has mislabelled."""

_AXIS_KIND = {"T": "t", "Z": "z", "C": "c", "R": "p", "M": "p"}

Bools = np.ndarray[Any, np.dtype[np.bool_]]


def usable_series(tiff: TiffFile, path: Path, claimed: int | None) -> list[TiffPageSeries]:
    """The series of a file, all of one shape and type."""
    found = _cut_imagej_stack(tiff, claimed) or list(tiff.series)
    # An OME file of a multi-file set describes also what lies in its companions; each file is read on its own.
    series = [one for one in found if any(page is not None for page in one)]
    if not series:
        raise InputError(f"{path}: truncated TIFF, no image can be read; copy or export it again")
    shapes: dict[tuple[Any, ...], int] = {}
    for one in series:
        key = (one.keyframe.shape, one.dtype)
        shapes[key] = shapes.get(key, 0) + len(one)
    if len(shapes) > 1:
        listed = ", ".join(f"{n} of {_by(shape)} {dtype}" for (shape, dtype), n in shapes.items())
        raise InputError(
            f"{path}: holds images of different shapes or types ({listed}); expected one: save each in a file of its "
            "own"
        )
    if len({(one.axes, one.shape) for one in series}) > 1:
        listed = ", ".join(f"{one.axes} {_by(one.shape)}" for one in series)
        raise InputError(f"{path}: holds stacks of different lengths ({listed}); save each in a file of its own")
    return series


def plain_series(tiff: TiffFile, path: Path, directories: Directories) -> list[TiffPageSeries]:
    """Every image of a file as one series of times, whatever its metadata say."""
    from tifffile import TiffPageSeries

    if len(set(directories.storage)) > 1:
        raise InputError(mixed_images(path))
    tiff.pages.useframes = True
    tiff.pages.set_keyframe(0)
    page = tiff.pages.first
    pages = [tiff.pages[number] for number in range(min(directories.count, len(tiff.pages)))]
    return [TiffPageSeries(pages, (len(pages), *page.shape), page.dtype, "I" + page.axes, parent=tiff, kind="plain")]


def mixed_images(path: Path) -> str:
    """What is wrong with a file of several kinds of images."""
    return (
        f"{path}: its images are stored in different ways (size, data type or compression); expected one: "
        "save it again as a plain stack"
    )


def _cut_imagej_stack(tiff: TiffFile, claimed: int | None) -> list[TiffPageSeries]:
    """The frames behind the only directory of an ImageJ file that was cut off, which tifffile takes for one image."""
    from tifffile import TiffPageSeries

    page = tiff.pages.first
    if not tiff.is_imagej or tiff.is_ome or tiff.is_shaped or len(tiff.pages) > 1 or not page.is_final:
        return []
    sizes = imagej_sizes(tiff.imagej_metadata or {})
    if sizes is None or not claimed or page.dataoffsets[0] + claimed * page.nbytes <= tiff.filehandle.size:
        return []
    shape, axes = (*sizes, *page.shape), "TZC" + page.axes
    return [TiffPageSeries([page], shape, page.dtype, axes, parent=tiff, kind="imagej", truncated=True)]


def check_pixels(series: TiffPageSeries, path: Path) -> None:
    """Refuse what is not one real intensity a pixel, in frames with lines."""
    keyframe = series.keyframe
    if keyframe.samplesperpixel > 1 or "S" in series.axes:
        kind = {3: "RGB", 4: "RGBA"}.get(keyframe.samplesperpixel, f"{keyframe.samplesperpixel} samples a pixel")
        raise InputError(
            f"{path}: is a colour image ({kind}); expected one intensity a pixel: split the channels into pages and "
            "keep the one that was scanned"
        )
    if series.dtype is None or series.dtype.kind not in "uif":
        raise InputError(
            f"{path}: holds {series.dtype} values; expected integers or real numbers: save the magnitude or the "
            "intensity"
        )
    if "Y" not in series.axes or "X" not in series.axes:
        raise InputError(
            f"{path}: is one-dimensional ({series.shape[-1]} values); expected frames with lines: reshape it to "
            "(lines, pixels)"
        )
    if math.prod(keyframe.shape) != series.shape[-1] * series.shape[-2] or not series.axes.endswith("YX"):
        raise InputError(
            f"{path}: stores {series.axes} blocks of {_by(keyframe.shape)} in a page; expected one frame a page: save "
            "it again as a plain stack"
        )


def check_memory(series: list[TiffPageSeries], path: Path, largest_mib: float) -> None:
    """Refuse frames that would take more memory than the limit, whatever little room they take in the file."""
    for keyframe in (one.keyframe for one in series):
        # A tile is unpacked as a whole, also where it is larger than the image.
        pixels = max(math.prod(keyframe.shape), math.prod(keyframe.chunks))
        mib = pixels * (keyframe.dtype or np.dtype("u1")).itemsize / 2**20
        if mib > largest_mib:
            raise InputError(
                f"{path}: a frame of {_by(keyframe.shape)} {keyframe.dtype} takes {mib:.0f} MiB unpacked; expected "
                f"{largest_mib:g} at most: if it really is that large, add --largest-frame {math.ceil(mib)} "
                "(in napari: Preferences, SASNet Live)"
            )


def frames_named(series: list[TiffPageSeries], path: Path) -> int:
    """Number of frames that the shape of the series promises."""
    frames = len(series) * math.prod(series[0].shape[:-2])
    if not 0 < frames <= MOST_FRAMES:
        raise InputError(
            f"{path}: damaged TIFF, it claims {frames} frames; expected 1 to {MOST_FRAMES}: copy or export it again"
        )
    return frames


def whole_frames(tiff: TiffFile, path: Path, series_: list[TiffPageSeries], directories: Directories) -> Bools:
    """For each frame that the file should hold, series after series, whether its data lie within the file.

    Raises
    ------
    InputError
        If its images are stored in different ways, which tifffile does not look at in the middle of a series.
    """
    size = tiff.filehandle.size
    per_series = math.prod(series_[0].shape[:-2])
    whole = np.zeros((len(series_), per_series), bool)
    for series, flags in zip(series_, whole, strict=True):
        if is_one_block(series):
            flags[: max(0, (size - (series.dataoffset or 0)) // series.keyframe.nbytes)] = True
            continue
        tiff.pages.useframes = True
        tiff.pages.set_keyframe(series.keyframe.index)
        for number in range(min(per_series, len(series))):
            try:
                page = series[number]
                mixed = page is not None and _is_stored_otherwise(page, series, directories)
                flags[number] = page is not None and _lies_within(page, series.keyframe, size)
            except Exception:
                # The chain of pages breaks off here, or goes on with something else.
                break
            if mixed:
                raise InputError(mixed_images(path))
    return whole.ravel()


def kinds_of_axes(tiff: TiffFile, series: TiffPageSeries, path: Path, given: str | None) -> list[str]:
    """For each axis of a series before (y, x), which of `STACK_AXES` it counts as; `given` is what the user says."""
    sizes = series.shape[:-2]
    if given is None:
        kinds = [_AXIS_KIND.get(axis, "t") for axis in series.axes[:-2]]
        if kinds == ["z"] and series.kind == "imagej" and not (tiff.imagej_metadata or {}).get("hyperstack"):
            return ["t"]
        if kinds == ["c"] and sizes[0] > MOST_CHANNELS:
            raise InputError(
                f"{path}: says that its {sizes[0]} frames are channels of one scan; expected {MOST_CHANNELS} at most: "
                "if they are times, say so with --axes TYX"
            )
        return kinds
    kinds = list(given.lower().removesuffix("yx"))
    if len(kinds) != len(sizes) or set(kinds) - set(STACK_AXES):
        have = " x ".join(map(str, sizes)) or "no axes"
        raise InputError(
            f"{path}: axes {given!r} do not fit, the file has {have} before YX; give one letter of "
            f"{', '.join(STACK_AXES).upper()} for each, then YX"
        )
    return kinds


def is_one_block(series: TiffPageSeries) -> bool:
    """True if one IFD describes all frames, as ImageJ writes stacks above 4 GB."""
    return bool(series.is_truncated) and series.dataoffset is not None


def _is_stored_otherwise(page: Any, series: TiffPageSeries, directories: Directories) -> bool:
    if series.kind == "mmstack" or page.index >= directories.count:  # not found by the chain
        return False
    return bool(directories.storage[page.index] != directories.storage[series.keyframe.index])


def has_one_piece(page: Any) -> bool:
    """Whether the strips of an uncompressed page follow one another, as those of the first page of its series may."""
    offsets, counts = page.dataoffsets, page.databytecounts
    return all(offsets[i] + counts[i] == offsets[i + 1] for i in range(len(offsets) - 1))


def _lies_within(page: Any, keyframe: TiffPage, size: int) -> bool:
    """Whether every strip or tile of a page is there; one that was never written has neither place nor length."""
    offsets, counts = page.dataoffsets, page.databytecounts
    if keyframe.is_contiguous and has_one_piece(page):
        return bool(offsets) and offsets[0] > 0 and offsets[0] + keyframe.nbytes <= size
    segments = math.prod(keyframe.chunked)
    if not len(offsets) >= segments <= len(counts) or sum(counts) > size:
        return False
    return all(o > 0 < n and o + n <= size for o, n in zip(offsets[:segments], counts[:segments], strict=True))


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
