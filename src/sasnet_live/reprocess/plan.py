"""Which recordings are reprocessed and what the results are called, settled before any work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sasnet_live.errors import InputError
from sasnet_live.files import (
    Identity,
    check_writable_folder,
    identity,
    name_and_ending,
    partial_path,
    refuse_interrupted,
    refuse_present,
    renamed,
)
from sasnet_live.recordings.find import Found, files_of, files_read, group
from sasnet_live.recordings.formats import TIFF_SUFFIXES
from sasnet_live.recordings.settings import ReadSettings
from sasnet_live.sinks.ome_tiff import is_registered

from .settings import SideOutputSettings
from .side_outputs import side_paths

_OTHER_FILES = (".csv", ".gif", ".h5", ".hdf5", ".jpeg", ".jpg", ".mp4", ".npy", ".npz", ".png", ".zarr", ".zip")


@dataclass(frozen=True)
class Job:
    """One recording and where its outputs go, by kind.

    Attributes
    ----------
    paths
        Its files, in order.
    targets
        By kind of output.
    """

    paths: tuple[Path, ...]
    targets: Mapping[str, Path]
    also: Mapping[str, Path] = field(default_factory=dict)

    @property
    def written(self) -> list[Path]:
        """Everything that is written: the registered files, and those beside them."""
        return [*self.targets.values(), *self.also.values()]

    @property
    def source(self) -> Path:
        """The first of its files, after which it is called."""
        return self.paths[0]


def expand(
    inputs: Sequence[str | Path], *, include_registered: bool = False, reading: ReadSettings | None = None
) -> tuple[list[Found], list[Path]]:
    """The recordings that names, patterns and folders stand for, each once.

    Parameters
    ----------
    inputs
        As `sasnet_live.reprocess.reprocess` takes them.
    include_registered
        Whether files that came out of this program registered count as well.
    reading
        Which files are one recording.

    Returns
    -------
    Those to register, and the files that are left out because they are registered.

    Raises
    ------
    InputError
        No such file, or none that is to be registered.
    """
    found = list(dict.fromkeys(path for given in inputs for path in files_of(given)))
    if not found:
        raise InputError("no input given; expected recordings, patterns or folders")
    left_out = [] if include_registered else [path for path in found if is_registered(path)]
    sources = [path for path in found if path not in set(left_out)]
    if not sources:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise InputError(
            f"{found[0]}{more}: registered by this program already; give raw recordings, or --include-registered to "
            "register what was registered"
        )
    return group(sources, reading or ReadSettings()), left_out


def plan(
    sources: Sequence[Found],
    output: str | Path,
    kinds: Sequence[str],
    *,
    metrics: Path | None = None,
    also: SideOutputSettings | None = None,
    may_exist: bool = False,
    also_read: Sequence[Path] = (),
) -> list[Job]:
    """Which file goes where; everything that can be refused before work starts is refused here.

    Parameters
    ----------
    sources
        The recordings to register.
    output
        As `sasnet_live.reprocess.reprocess` takes it.
    kinds
        The outputs for each input, part of their names if there are several.
    metrics
        The table of all of them.
    also
        What is written beside each of them.
    may_exist
        Whether outputs that are there, whole or partial, are no error: they are replaced, or gone on with.
    also_read
        Files that are read beside the sources: no output may be one of them.

    Raises
    ------
    InputError
        An output that is there, is an input too, or belongs to two inputs; a folder that cannot be
        written to.
    """
    output = Path(output)
    is_file = output.suffix.lower() in TIFF_SUFFIXES and not output.is_dir()
    if output.suffix.lower() in _OTHER_FILES and not output.is_dir():
        raise InputError(f"{output}: only OME-TIFF is written; give a name that ends with .ome.tiff, or a folder")
    if is_file and len(sources) > 1:
        raise InputError(f"{output}: is one file for {len(sources)} inputs; give a folder")
    jobs = []
    for source in sources:
        name = output if is_file else output / f"{source.name}_registered.ome.tiff"
        first = source.paths[0]
        beside = side_paths(also, first, name, alone=len(sources) == 1) if also is not None else {}
        names = {kind: _with_kind(name, kind) if len(kinds) > 1 else name for kind in kinds}
        jobs.append(Job(source.paths, names, beside))
    targets = [target for job in jobs for target in job.written]
    inputs = [*also_read, *(path for source in sources for path in files_read(source))]
    refuse_inputs(inputs, targets if metrics is None else [*targets, metrics])
    _refuse_two_of_one_name(jobs)
    if not may_exist:
        for target in targets:
            refuse_present(target)
            refuse_interrupted(partial_path(target))
    check_writable_folder(output.parent if is_file else output)
    return jobs


def refuse_inputs(sources: Sequence[Path], targets: Iterable[Path]) -> None:
    """No output, and no file that one is called while it is written, may be an input, by whichever name."""
    inputs = {identity(source): source for source in sources}
    for target in targets:
        for written in (target, partial_path(target)):
            source = inputs.get(identity(written))
            if source is not None:
                same = "" if written == source else f": {written} is the same file"
                raise InputError(f"{source}: is an input and an output{same}; choose another name for the output")


def _refuse_two_of_one_name(jobs: Sequence[Job]) -> None:
    taken: dict[Identity, Path] = {}
    for job in jobs:
        for target in job.written:
            other = taken.setdefault(identity(target), job.source)
            if other is not job.source:
                raise InputError(f"{other} and {job.source} would both be written to {target}; run them apart")


def _with_kind(path: Path, kind: str) -> Path:
    name, ending = name_and_ending(path)
    return renamed(path.with_name(name.removesuffix("_registered") + ending), f"_{kind}")
