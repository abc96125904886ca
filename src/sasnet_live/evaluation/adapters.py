"""One function a layout of files (see `datasets`): which cases there are, and how each is read."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry

from .case import Case, ControlPoints, Entry, Image, case_of_raw, plain
from .images import IMAGE_SUFFIXES, TIFF_SUFFIXES, image_files, read_image, read_pair, shrunk

_FORWARD_NAMES = ("forward", "fwd", "odd", "fixed")
_BACKWARD_NAMES = ("backward", "bwd", "even", "moving")
_STEPPED = ScanGeometry(slow_axis="stepped")
_INTERLEAVED = ScanGeometry(slow_axis="interleaved")
_FIRE_LEVELS = {"A": "anatomical change", "P": "small overlap", "S": "large overlap"}
_FIRE_LONGEST_PX = 768


def pair_entries(folder: Path, geometry: ScanGeometry | None) -> list[Entry]:
    """Two-page TIFFs, and files ``NAME_forward.EXT`` with ``NAME_backward.EXT``."""
    scan = geometry or _STEPPED
    named = named_pairs(image_files(folder))
    taken = {path for pair in named.values() for path in pair}
    entries = [_pair_entry(name, "pairs", partial(_read_two, *pair), scan) for name, pair in named.items()]
    for path in _tiffs(folder):
        if path not in taken:
            entries.append(_pair_entry(path.stem, "pairs", partial(read_pair, path), scan))
    return entries


def raster_pair_entries(folder: Path, geometry: ScanGeometry | None) -> list[Entry]:
    """Each two-page TIFF twice: as a stepped pair, and as an interleaved frame with a hidden truth."""
    entries = []
    for path in _tiffs(folder):
        entries.append(_pair_entry(path.stem, "stepped", partial(read_pair, path), _STEPPED))
        entries.append(Entry(path.stem, "interleaved", partial(_interleaved, path)))
    return entries


def raw_entries(folder: Path, geometry: ScanGeometry | None) -> list[Entry]:
    """Every frame of every recording."""
    from sasnet_live.recordings import find_recordings, open_recording

    scan = geometry or ScanGeometry()
    entries = []
    for found in find_recordings([folder]):
        paths = found.paths
        stem = found.name if len(paths) > 1 else paths[0].stem
        with open_recording(paths) as stack:
            stack.refuse_one_way("take it out")
            indices = list(stack.layout.indices())
            recording = stem if stack.layout.axes == ("t",) and len(indices) > 1 else ""
        for number, index in enumerate(indices):
            name = stem if len(indices) == 1 else f"{stem}-{number:05d}"
            entries.append(Entry(name, "raw", partial(_raw, paths, index, name, scan, recording, number), recording))
    return entries


def reg_4k_entries(folder: Path, geometry: ScanGeometry | None) -> list[Entry]:
    """Folders of forward and backward images with the same names; a folder above them (test, ...) is the level."""
    entries = []
    for forward_folder, backward_folder in pass_folders(folder):
        parent = forward_folder.parent
        level = "all frames" if parent == folder else parent.name
        seconds = {path.stem: path for path in image_files(backward_folder)}
        for first in image_files(forward_folder):
            if first.stem not in seconds:
                raise InputError(f"{first}: has no counterpart in {backward_folder}; expected one of the same name")
            read = partial(_read_two, first, seconds[first.stem])
            entries.append(_pair_entry(first.stem, level, read, geometry or _STEPPED))
    return entries


def fire_entries(folder: Path, geometry: ScanGeometry | None) -> list[Entry]:
    """FIRE (Hernandez-Matas 2017): pairs of fundus images with ten control points each."""
    entries = []
    for marks in sorted((folder / "Ground Truth").glob("control_points_*_1_2.txt")):
        name = marks.stem.removeprefix("control_points_").removesuffix("_1_2")
        level = _FIRE_LEVELS.get(name[:1], "other")
        entries.append(Entry(name, level, partial(_fire, folder, marks, name, level)))
    return entries


def eurosat_entries(folder: Path, geometry: ScanGeometry | None) -> list[Entry]:
    """EuroSAT (Helber 2019), or any folders of single images: each recorded by a simulated scanner, levels in turn."""
    from sasnet_live.simulation import LEVELS

    entries = []
    for child in sorted(path for path in folder.iterdir() if path.is_dir()):
        for index, path in enumerate(image_files(child)):
            level = LEVELS[index % len(LEVELS)]
            entries.append(Entry(path.stem, level, partial(_scanned, path, level, geometry or ScanGeometry())))
    return entries


def named_pairs(files: list[Path]) -> dict[str, tuple[Path, Path]]:
    """Files ``NAME_forward.EXT`` and ``NAME_backward.EXT``, by NAME.

    Raises
    ------
    InputError
        If one of a pair is missing.
    """
    forward, backward = (
        {path.stem[: -len(end)]: path for path in files if path.stem.lower().endswith(end)}
        for end in ("_forward", "_backward")
    )
    for name, path in (forward | backward).items():
        if name not in forward or name not in backward:
            raise InputError(f"{path}: has no counterpart; expected both {name}_forward and {name}_backward")
    return {name: (forward[name], backward[name]) for name in sorted(forward)}


def pass_folders(folder: Path) -> list[tuple[Path, Path]]:
    """(forward, backward) folders in a folder and in its children."""
    found = []
    for parent in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        children = {path.name.lower(): path for path in parent.iterdir() if path.is_dir()}
        for first, second in zip(_FORWARD_NAMES, _BACKWARD_NAMES, strict=True):
            if first in children and second in children:
                found.append((children[first], children[second]))
    return found


def _pair_entry(name: str, level: str, read: Callable[[], tuple[Image, Image]], geometry: ScanGeometry) -> Entry:
    return Entry(name, level, partial(_pair, name, level, read, geometry))


def _pair(name: str, level: str, read: Callable[[], tuple[Image, Image]], geometry: ScanGeometry) -> Case:
    forward, backward = _same_shape(*read(), name)
    if geometry.line_axis == "columns":
        forward, backward = forward.T, backward.T
    if geometry.backward_mirrored:
        backward = backward[:, ::-1]
    start, end = geometry.crop
    forward, backward = (np.ascontiguousarray(lines[:, start : lines.shape[1] - end]) for lines in (forward, backward))
    return Case(name, level, forward, backward, plain(geometry))


def _interleaved(path: Path) -> Case:
    """The frame a bidirectional scanner would have recorded: odd lines backward, their forward reading hidden."""
    forward, backward = _same_shape(*read_pair(path), path.stem)
    raw = forward.copy()
    raw[1::2] = backward[1::2]
    return case_of_raw(path.stem, "interleaved", raw, _INTERLEAVED, truth=forward[1::2].copy())


def _raw(
    paths: tuple[Path, ...], index: dict[str, int], name: str, geometry: ScanGeometry, recording: str, number: int
) -> Case:
    from sasnet_live.recordings import open_recording

    with open_recording(paths) as stack:
        return case_of_raw(name, "raw", stack.read(index), geometry, recording=recording, number=number)


def _fire(folder: Path, marks: Path, name: str, level: str) -> Case:
    images = []
    for number in (1, 2):
        files = (folder / "Images").glob(f"{name}_{number}.*")
        found = sorted(path for path in files if path.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            raise InputError(f"{folder / 'Images'}: has no image {name}_{number}; expected one for {marks.name}")
        images.append(shrunk(read_image(found[0]), _FIRE_LONGEST_PX))
    try:
        xy = np.loadtxt(marks, ndmin=2)
    except ValueError as error:
        raise InputError(f"{marks}: is not a table of numbers ({error}); expected x1 y1 x2 y2 a line") from error
    if xy.shape[-1] != 4:
        raise InputError(f"{marks}: has {xy.shape[-1]} columns; expected x1 y1 x2 y2 a line")
    (forward, px), (backward, _) = images
    # The first px of the shrunk image is centred on original px (px - 1) / 2.
    reference_xy, moving_xy = ((part - (px - 1) / 2) / px for part in (xy[:, :2], xy[:, 2:]))
    points = ControlPoints(reference_xy, moving_xy, px)
    return Case(name, level, *_same_shape(forward, backward, name), geometry=_STEPPED, points=points)


def _scanned(path: Path, level: Any, geometry: ScanGeometry) -> Case:
    """An image as the scene of a simulated scanner; the same file gives the same scan, whatever its folder."""
    from sasnet_live.simulation import Scene, random_scanner, scan

    from .simulated import case_of_simulated

    image = read_image(path)
    image = ((image - image.min()) / max(float(np.ptp(image)), 1e-12)).astype(np.float32)
    height, width = (2 * (size // 2) for size in image.shape)
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    scene = Scene(image, samples_per_px=1.0, origin_px=(0.0, 0.0))
    settings = random_scanner(rng, level, width)
    frame = scan(scene, settings, rng, height=height, width=width, geometry=geometry)
    return case_of_simulated(path.stem, level, frame)


def _read_two(first: Path, second: Path) -> tuple[Image, Image]:
    return read_image(first), read_image(second)


def _same_shape(forward: Image, backward: Image, name: str) -> tuple[Image, Image]:
    if forward.shape != backward.shape:
        raise InputError(f"{name}: the passes are {forward.shape} and {backward.shape}; expected one shape")
    return forward, backward


def _tiffs(folder: Path) -> list[Path]:
    return [path for path in image_files(folder) if path.suffix.lower() in TIFF_SUFFIXES]
