"""Which recordings are reprocessed and what the results are called, settled before any work."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sasnet_live.errors import InputError
from sasnet_live.sinks.ome_tiff import is_registered, partial_path
from sasnet_live.sources.tiff import SUFFIXES

_OTHER_FILES = (".csv", ".gif", ".h5", ".hdf5", ".jpeg", ".jpg", ".mp4", ".npy", ".npz", ".png", ".zarr", ".zip")


@dataclass(frozen=True)
class Job:
    """One input and where its outputs go, by kind."""

    source: Path
    targets: Mapping[str, Path]


def expand(inputs: Sequence[str | Path], *, include_registered: bool = False) -> tuple[list[Path], list[Path]]:
    """The files that names, patterns and folders stand for, each once.

    Parameters
    ----------
    inputs
        As `sasnet_live.reprocess.reprocess` takes them.
    include_registered
        Whether files that came out of this program registered count as well.

    Returns
    -------
    Those to register, and those that are left out because they are registered.

    Raises
    ------
    InputError
        No such file, or none that is to be registered.
    """
    found = list(dict.fromkeys(path for given in inputs for path in _expand(str(given))))
    if not found:
        raise InputError("no input given; expected TIFF files, patterns or folders")
    left_out = [] if include_registered else [path for path in found if is_registered(path)]
    sources = [path for path in found if path not in set(left_out)]
    if not sources:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise InputError(
            f"{found[0]}{more}: registered by this program already; give raw recordings, or --include-registered to "
            "register what was registered"
        )
    return sources, left_out


def plan(sources: Sequence[Path], output: str | Path, kinds: Sequence[str], *, may_exist: bool = False) -> list[Job]:
    """Which file goes where; everything that can be refused before work starts is refused here.

    Parameters
    ----------
    sources
        The files to register.
    output
        As `sasnet_live.reprocess.reprocess` takes it.
    kinds
        The outputs for each input, part of their names if there are several.
    may_exist
        Whether outputs that are there, whole or partial, are no error: they are replaced, or gone on with.

    Raises
    ------
    InputError
        An output that is there, is an input too, or belongs to two inputs; a folder that cannot be
        written to.
    """
    output = Path(output)
    is_file = output.suffix.lower() in SUFFIXES and not output.is_dir()
    if output.suffix.lower() in _OTHER_FILES and not output.is_dir():
        raise InputError(f"{output}: only OME-TIFF is written; give a name that ends with .ome.tiff, or a folder")
    if is_file and len(sources) > 1:
        raise InputError(f"{output}: is one file for {len(sources)} inputs; give a folder")
    jobs = []
    for source in sources:
        name = output if is_file else output / f"{_stem(source)}_registered.ome.tiff"
        targets = {kind: name.with_name(_with_kind(name.name, kind, len(kinds) > 1)) for kind in kinds}
        jobs.append(Job(source, targets))
    taken: dict[Path, Path] = {}
    for job in jobs:
        for target in job.targets.values():
            if target in taken:
                raise InputError(f"{taken[target]} and {job.source} would both be written to {target}; run them apart")
            taken[target] = job.source
            if target.resolve() in {one.resolve() for one in sources}:
                raise InputError(f"{target}: is an input and an output; choose another output")
            if target.exists() and not may_exist:
                raise InputError(f"{target}: is there already; add --overwrite to replace it")
            partial = partial_path(target)
            if partial.exists() and not may_exist:
                raise InputError(
                    f"{partial}: an earlier run was interrupted; add --resume to go on with it or --overwrite to "
                    "start again"
                )
    _check_writable(output.parent if is_file else output)
    return jobs


def _expand(given: str) -> list[Path]:
    """Files that a name, a pattern or a folder stands for."""
    path = Path(given)
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.is_file() and one.suffix.lower() in SUFFIXES)
        if not found:
            raise InputError(f"{path}: holds no TIFF file; check it")
        return found
    if path.exists():
        return [path]
    if any(sign in given for sign in "*?["):
        matching = [Path(name) for name in sorted(glob.glob(given, recursive=True)) if Path(name).is_file()]
        if not matching:
            raise InputError(f"{given}: no file matches; check the pattern")
        return matching
    raise InputError(f"{given}: no such file or folder; check the name")


def _stem(path: Path) -> str:
    """Name without its endings: ``a.ome.tif`` is ``a``, ``a.1.tif`` is ``a.1``."""
    stem = path.stem
    return stem[:-4] if stem.lower().endswith(".ome") else stem


def _with_kind(name: str, kind: str, several: bool) -> str:
    if not several:
        return name
    stem = _stem(Path(name))
    return f"{stem.removesuffix('_registered')}_{kind}{name[len(stem) :]}"


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written to ({error.strerror}); choose a folder that you may write to"
        ) from None
