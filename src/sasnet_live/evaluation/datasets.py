"""Data sets to be measured on: simulated, real, and adapters for public ones that users hold.

| kind | what lies in the folder | truth |
|---|---|---|
| `or-pam-sim-4k` | nothing: the test split of the simulated set, made as it is needed | image, displacement |
| `other-scanner` | nothing: real images that come with scikit-image, through another scan model | image, displacement |
| `or-pam-sim-one` | nothing: the same of one scanner alone, and a recording of 118 frames | image, displacement |
| `pairs` | TIFFs of two pages, or ``NAME_forward.EXT`` with ``NAME_backward.EXT`` | none |
| `raster-pairs` | as `pairs`, scanned stepwise; each is also used as an interleaved frame | half of the forward lines |
| `raw` | TIFFs of raw bidirectional frames or stacks of them | none |
| `or-pam-reg-4k` | folders `forward` and `backward` with files of the same names, perhaps within `test` etc. | none |
| `fire` | ``Images/A01_1.jpg``, ``Images/A01_2.jpg``, ``Ground Truth/control_points_A01_1_2.txt`` | control points |
| `eurosat` | ``CLASS/CLASS_1.jpg``: single images, recorded here by simulated scanners | image, displacement |

Without a truth, registered frames are scored against the forward pass itself, which methods have seen: a method that
copies the forward pass would score 1. Read such figures beside those with a hidden truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry

from . import adapters
from .case import Case, Entry
from .images import IMAGE_SUFFIXES, TIFF_SUFFIXES, image_files, read_pages
from .kinds import Kind

SIMULATED = ("or-pam-sim-4k", "or-pam-sim-one", "other-scanner")


@dataclass(frozen=True)
class Dataset:
    """Cases by name, read or simulated one at a time as they are iterated over."""

    name: str
    entries: tuple[Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Case]:
        return (entry.load() for entry in self.entries)

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the levels, in order of appearance."""
        return tuple(dict.fromkeys(entry.level for entry in self.entries))

    def select(self, levels: Sequence[str] = (), limit: int | None = None) -> Dataset:
        """Some levels only (none named: all), and of each at most `limit` cases.

        They are spread evenly over the level; of a level that is one recording they are the first, for frames that
        follow one another are compared with each other.

        Raises
        ------
        InputError
            If a level does not exist or nothing is left.
        """
        for level in levels:
            if level not in self.levels:
                raise InputError(f"{self.name} has no level {level!r}; expected some of {', '.join(self.levels)}")
        if limit is not None and limit < 1:
            raise InputError(f"a limit of {limit} cases came; expected 1 or more")
        kept: list[Entry] = []
        for level in levels or self.levels:
            of_level = [entry for entry in self.entries if entry.level == level]
            count = len(of_level) if limit is None else min(limit, len(of_level))
            one_recording = of_level[0].recording and len({entry.recording for entry in of_level}) == 1
            kept += [of_level[i if one_recording else i * len(of_level) // count] for i in range(count)]
        return Dataset(self.name, tuple(kept))


def open_dataset(
    where: str,
    kind: Kind = "auto",
    geometry: ScanGeometry | None = None,
    shape: tuple[int, int] = (512, 512),
) -> Dataset:
    """Find out what there is to measure on.

    Parameters
    ----------
    where
        A folder, or the name of a simulated data set.
    kind
        See the module; "auto" tells it from the files.
    geometry
        Of raw and of simulated frames, and of the scan that pairs come from ("stepped" unless given).
    shape
        (H, W) of simulated frames.

    Raises
    ------
    InputError
        If there is no such folder, or it holds nothing of the kind.
    """
    if kind not in get_args(Kind):
        raise InputError(f"kind is {kind!r}; expected one of {', '.join(get_args(Kind))}")
    name = kind if kind in SIMULATED else where
    if name in SIMULATED and (name == kind or not Path(where).exists()):
        return Dataset(name, tuple(_simulated(name, shape, geometry)))
    folder = Path(where)
    if not folder.is_dir():
        raise InputError(f"{where}: no such folder; expected a folder of images, or {' or '.join(SIMULATED)}")
    found = _kind_of(folder) if kind == "auto" else kind
    entries = _READERS[found](folder, geometry)
    if not entries:
        raise InputError(f"{where}: nothing there reads as {found!r}; see --kind for the layouts")
    return Dataset(folder.resolve().name, tuple(entries))


def _simulated(name: str, shape: tuple[int, int], geometry: ScanGeometry | None) -> list[Entry]:
    if name == "other-scanner":
        from .other_scanner import other_scanner_entries

        return other_scanner_entries(shape, geometry)
    from .simulated import simulated_entries

    return simulated_entries(name, shape, geometry)


def _kind_of(folder: Path) -> str:
    """The kind that a folder's names suggest."""
    files = image_files(folder)
    if (folder / "Ground Truth").is_dir() and (folder / "Images").is_dir():
        return "fire"
    if adapters.pass_folders(folder):
        return "or-pam-reg-4k"
    if adapters.named_pairs(files):
        return "pairs"
    tiffs = [path for path in files if path.suffix.lower() in TIFF_SUFFIXES]
    if tiffs:
        if len(read_pages(tiffs[0])) != 2:
            return "raw"
        return "raster-pairs" if folder.resolve().name == "raster-pairs" else "pairs"
    if any(image_files(child) for child in folder.iterdir() if child.is_dir()):
        return "eurosat"
    raise InputError(f"{folder}: holds no {', '.join(IMAGE_SUFFIXES)} files; expected images")


_READERS: dict[str, Callable[[Path, ScanGeometry | None], list[Entry]]] = {
    "pairs": adapters.pair_entries,
    "raster-pairs": adapters.raster_pair_entries,
    "raw": adapters.raw_entries,
    "or-pam-reg-4k": adapters.reg_4k_entries,
    "fire": adapters.fire_entries,
    "eurosat": adapters.eurosat_entries,
}
