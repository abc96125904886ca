"""The formats that can be read, and which one a file has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry

from .recording import Recording
from .safe_xml import root_tag
from .settings import ReadSettings

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf2", ".tf8")
"""Names that TIFF files end with, lower case."""


@dataclass(frozen=True)
class Format:
    """One format of recordings.

    Attributes
    ----------
    name
        For people: "TIFF".
    suffixes
        Names that its files end with, lower case, the first one preferred.
    opener
        Module in this package and function or class in it: called with the paths of one recording and `ReadSettings`.
        Loaded when a file of the format is opened.
    recognizes
        Whether a file is of this format, by its content; asked for files whose names end so. None: the name tells.
    collected
        Whether files with such names are taken from a folder, where nobody names them.
    has_datasets
        Whether a file holds arrays with names.
    is_folder
        Whether a recording is a folder, not a file.
    finds_passes
        Module and function that, called as `opener`, returns the settings with the two passes of a scan named that the
        format keeps as two images. None: they are what the user names.
    """

    name: str
    suffixes: tuple[str, ...]
    opener: tuple[str, str]
    recognizes: Callable[[Path], bool] | None = None
    collected: bool = True
    has_datasets: bool = False
    is_folder: bool = False
    finds_passes: tuple[str, str] | None = None

    def open(self, paths: Sequence[Path], settings: ReadSettings) -> Recording:
        """Open a recording of this format."""
        module, name = self.opener
        return cast(Recording, getattr(import_module(f".{module}", __package__), name)(paths, settings))

    def complete(self, paths: Sequence[Path], settings: ReadSettings) -> ReadSettings:
        """The settings, with the passes that a file names itself where the user names none."""
        if self.finds_passes is None or settings.passes is not None:
            return settings
        module, name = self.finds_passes
        return cast(ReadSettings, getattr(import_module(f".{module}", __package__), name)(paths, settings))


@dataclass(frozen=True)
class IndexFormat(Format):
    """Files without frames that describe a recording whose frames lie in other files beside them.

    Attributes
    ----------
    lister
        Module in this package and function in it: the files that are there of those described, of a path.
    named_after_folder
        Whether results are called after the folder, because the file always has the same name.
    """

    lister: tuple[str, str] = ("", "")
    named_after_folder: bool = False

    def members(self, path: Path) -> list[Path]:
        """The files beside it that have the frames."""
        module, name = self.lister
        return cast("list[Path]", getattr(import_module(f".{module}", __package__), name)(path))

    def name_of(self, path: Path) -> str:
        """What results are called after."""
        if self.named_after_folder:
            return path.absolute().parent.name or path.stem
        return path.name[: -len(next(end for end in self.suffixes if path.name.lower().endswith(end)))]


RAW = Format("raw binary", (".raw", ".bin", ".dat"), ("raw_binary", "open_raw"), collected=False)

FORMATS: tuple[Format, ...] = (
    Format("TIFF", TIFF_SUFFIXES, ("tiff_kinds", "open_tiff")),
    IndexFormat(
        "OME-TIFF set", (".companion.ome",), ("ome_set", "open_companion"), lister=("ome_set", "companion_members")
    ),
    IndexFormat(
        "PrairieView",
        (".xml",),
        ("prairieview", "open_prairieview"),
        recognizes=lambda path: root_tag(path) == "PVScan",
        lister=("prairieview", "prairieview_members"),
    ),
    IndexFormat(
        "ThorImage",
        (".xml",),
        ("thorimage", "open_thorimage"),
        recognizes=lambda path: root_tag(path) == "ThorImageExperiment",
        lister=("thorimage", "thorimage_members"),
        named_after_folder=True,
    ),
    Format("NumPy", (".npy",), ("numpy_files", "open_npy")),
    Format("NumPy zip", (".npz",), ("numpy_files", "open_npz"), has_datasets=True),
    Format("HDF5", (".h5", ".hdf5", ".hdf", ".he5"), ("hdf5", "open_hdf5"), has_datasets=True),
    Format("MATLAB", (".mat",), ("matlab", "open_matlab"), has_datasets=True),
    Format("TDMS", (".tdms",), ("tdms", "open_tdms"), has_datasets=True),
    Format("Zarr", (".zarr",), ("zarr_folders", "open_zarr"), has_datasets=True, is_folder=True),
    Format(
        "Gwyddion", (".gwy",), ("gwyddion", "open_gwy"), has_datasets=True, finds_passes=("gwyddion", "with_passes")
    ),
    Format("vendor", (".czi", ".nd2", ".lif"), ("vendors", "open_vendor"), has_datasets=True),
    RAW,
)
"""In the order in which they are asked."""


def open_recording(
    paths: str | Path | Sequence[str | Path],
    settings: ReadSettings | None = None,
    geometry: ScanGeometry | None = None,
) -> Recording:
    """Open a recording, whatever its format; nothing else in this program opens other people's files.

    Parameters
    ----------
    paths
        A file, or those that one recording is spread over, in order; none where settings name two files as passes. Or
        the folder of a microscope's program that has one file in it which describes the others.
    settings
        What the files do not say themselves.
    geometry
        How the lines of two passes take turns, where settings name two; by default rows, forward first.

    Returns
    -------
    To be closed: a context manager.

    Raises
    ------
    InputError
        No such file, a format that is not known, or whatever is wrong with the file, in one line.
    """
    given = [Path(one) for one in ([paths] if isinstance(paths, str | Path) else paths)]
    settings = settings or ReadSettings()
    if given and given[0].is_dir():
        indices = [one for one in sorted(given[0].iterdir()) if index_format(one) is not None]
        given = indices if len(indices) == 1 else given
    if given:
        settings = format_of(given[0], settings).complete(given, settings)
    if settings.passes is not None:
        from .passes import open_passes

        has_datasets = bool(given) and format_of(given[0], settings).has_datasets
        return open_passes(given, settings, geometry or ScanGeometry(), open_recording, has_datasets=has_datasets)
    if not given:
        raise InputError("no file given; expected a recording")
    return format_of(given[0], settings).open(given, settings)


def is_recording(path: str | Path, *, folders: bool = True) -> bool:
    """Whether a file has the name of one with frames, in a known format; it is not opened.

    Parameters
    ----------
    path
        Its name.
    folders
        Whether the formats count whose recordings are folders.
    """
    asked = [one for one in FORMATS if one.collected and (folders or not one.is_folder)]
    return any(str(path).lower().endswith(one.suffixes) for one in asked if not isinstance(one, IndexFormat))


def name_patterns() -> str:
    """Names of files of all formats, as dialogs write them: "*.tif *.tiff ..."."""
    endings = dict.fromkeys(ending for one in FORMATS if not one.is_folder for ending in one.suffixes)
    return " ".join(f"*{ending}" for ending in endings)


def index_format(path: Path) -> IndexFormat | None:
    """The format of a file that describes a recording in other files, by name and content; None for other files."""
    for one in FORMATS:
        named = isinstance(one, IndexFormat) and path.name.lower().endswith(one.suffixes)
        if named and (one.recognizes is None or one.recognizes(path)):
            return cast(IndexFormat, one)
    return None


def format_of(path: Path, settings: ReadSettings | None = None) -> Format:
    """The format of a file, by name and content.

    A name that says nothing counts as raw binary where `settings` say what is in it, else as TIFF, whose reader says
    what it is.

    Raises
    ------
    InputError
        For a name of a known format that the content contradicts.
    """
    named = [one for one in FORMATS if str(path).lower().endswith(one.suffixes)]
    for one in named:
        if one.recognizes is None or one.recognizes(path):
            return one
    if named:
        return named[0]
    return RAW if settings is not None and settings.raw_shape is not None else FORMATS[0]
