"""Registering recordings on disk: raw TIFF stacks in, registered OME-TIFF stacks and a table of figures out.

Memory does not grow with the size of a file: one group of frames (all channels of one scan) is in memory at a time.
Frames are worked through position by position, in a position depth by depth, in a depth in order of time; the
registrar's temporal state is kept along time and forgotten at each new position, depth and file. The written file
has the axes of the input, in the input's order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np

from .errors import InputError
from .frame import Pixels, Registration
from .scan import ScanGeometry
from .sinks.metrics_table import MetricsTable, figures_of
from .sinks.ome_tiff import OmeTiffWriter, frame_figures, partial_path, read_record
from .sinks.tiff_pages import storable
from .sources.tiff import SUFFIXES, TiffStack
from .stack import StackLayout

Output = Literal["rendered", "warped", "both"]

REPLAYED_FRAMES = 8
"""Frames before the point of resumption that are registered again, to re-establish the registrar's running estimate."""

_OTHER_FILES = (".csv", ".gif", ".h5", ".hdf5", ".jpeg", ".jpg", ".mp4", ".npy", ".npz", ".png", ".zarr", ".zip")
_MAY_DIFFER = ("device", "precision", "software")
_TALLIED = ("ncc_before", "ncc_after", "ssim_before", "ssim_after")
_INDEX = {"P": "position", "T": "time", "Z": "depth"}


class FrameRegistrar(Protocol):
    """What is used of `sasnet_live.registrar.Registrar`."""

    def register(self, raw: Pixels) -> Registration: ...

    def apply(self, raw: Pixels, registration: Registration) -> Registration: ...

    def reset(self) -> None: ...

    def describe(self) -> dict[str, str]: ...


@dataclass(frozen=True)
class ReprocessSettings:
    """How recordings are registered and written.

    Attributes
    ----------
    geometry
        How the lines were recorded.
    model, device, precision, temporal, search_px
        As `sasnet_live.registrar.Registrar` takes them.
    output
        "rendered", "warped", or "both": two files, named ``_rendered`` and ``_warped``.
    align_on
        The channel in which the displacement is found, by index or name; the others are moved with it.
    axes
        Axes of the inputs where their files have them wrong, see `sasnet_live.sources.tiff.TiffStack`.
    dtype
        Data type to write; None: the input's. Integers are rounded and clipped, never wrapped.
    overwrite
        Replace outputs that are there.
    resume
        Go on with interrupted outputs, and leave complete ones with the same settings as they are.
    """

    geometry: ScanGeometry = field(default_factory=ScanGeometry)
    model: str = "default"
    device: str = "auto"
    precision: str = "auto"
    temporal: bool = True
    search_px: float | None = None
    output: Output = "rendered"
    align_on: int | str = 0
    axes: str | None = None
    dtype: str | None = None
    overwrite: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        if self.output not in get_args(Output):
            raise InputError(f"output is {self.output!r}; expected one of {', '.join(get_args(Output))}")
        if self.overwrite and self.resume:
            raise InputError("overwrite and resume exclude each other; give one of them")
        if self.dtype is not None:
            try:
                storable(np.dtype(self.dtype))
            except TypeError:
                raise InputError(f"dtype is {self.dtype!r}; expected uint8, uint16, float32 or the like") from None


@dataclass(frozen=True)
class Progress:
    """Where a run is: scans of the current file registered so far, of how many, and the last one."""

    path: Path
    file: int
    files: int
    done: int
    total: int
    registration: Registration | None = None


@dataclass(frozen=True)
class FileReport:
    """What came of one file.

    Attributes
    ----------
    path, outputs
        The input, and the complete files written.
    frames, accepted
        Scans in the output and how many of them were registered; a scan is one frame of each channel.
    ncc_before, ncc_after, ssim_before, ssim_after
        Means over all scans where the figure is defined, else NaN.
    resumed_at
        Number of scans that an earlier run had done.
    seconds, fps
        Time of this run, and scans registered in it a second.
    error
        One line; empty if the file is done. `exception` has the details.
    """

    path: Path
    outputs: tuple[Path, ...] = ()
    frames: int = 0
    accepted: int = 0
    ncc_before: float = math.nan
    ncc_after: float = math.nan
    ssim_before: float = math.nan
    ssim_after: float = math.nan
    resumed_at: int = 0
    seconds: float = 0.0
    fps: float = math.nan
    error: str = ""
    exception: Exception | None = None


@dataclass(frozen=True)
class ReprocessReport:
    """What came of all files."""

    files: tuple[FileReport, ...]
    metrics: Path | None = None
    cancelled: bool = False

    @property
    def failed(self) -> tuple[FileReport, ...]:
        """The files that are not done."""
        return tuple(file for file in self.files if file.error)


@dataclass(frozen=True)
class Job:
    """One input and where its outputs go, by kind."""

    source: Path
    targets: Mapping[str, Path]


def reprocess(
    inputs: Sequence[str | Path],
    output: str | Path,
    settings: ReprocessSettings | None = None,
    *,
    metrics: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    make_registrar: Callable[[ReprocessSettings], FrameRegistrar] | None = None,
) -> ReprocessReport:
    """Register recordings.

    Parameters
    ----------
    inputs
        TIFF files, patterns such as ``data/*.tif``, or folders (the TIFF files in them, our own outputs left out).
    output
        A TIFF name for a single input; otherwise a folder, which is made if need be: ``NAME_registered.ome.tiff``.
    settings
        See `ReprocessSettings`.
    metrics
        CSV or Parquet table of all files, one row a scan.
    progress
        Called after each scan, and once when a file is begun.
    cancelled
        Asked before each scan; True ends the run with what was written kept for `resume`.
    make_registrar
        For tests and other methods; by default `sasnet_live.registrar.Registrar`.

    Returns
    -------
    One report a file. A file that fails does not keep the others from being done.

    Raises
    ------
    InputError
        Before any work: no such input, an output that is there, a folder that cannot be written, an unknown model.
    """
    settings = settings or ReprocessSettings()
    jobs = plan(inputs, output, settings)
    registrar = (make_registrar or _default_registrar)(settings)
    reports: list[FileReport] = []
    with ExitStack() as stack:
        table = None
        if metrics is not None:
            # On `resume` it is made anew: the figures of frames already done are kept with their pages.
            redo = settings.overwrite or settings.resume
            table = MetricsTable(metrics, ("file", *_INDEX.values()), overwrite=redo)
            stack.callback(table.abandon)
        for number, job in enumerate(jobs):
            run = _FileRun(job, settings, registrar, table)
            rows = table.rows if table is not None else 0
            with closing(run):
                for step in run.guarded_steps():
                    if cancelled is not None and cancelled():
                        run.error = "cancelled; go on with --resume"
                        return ReprocessReport((*reports, run.report()), cancelled=True)
                    if progress is not None:
                        progress(replace(step, file=number, files=len(jobs)))
            reports.append(run.report())
            if run.error and table is not None:
                table.cut(rows)
        written = table.close() if table is not None else None
    return ReprocessReport(tuple(reports), metrics=written)


def plan(inputs: Sequence[str | Path], output: str | Path, settings: ReprocessSettings) -> list[Job]:
    """Which file goes where; everything that can be refused before work starts is refused here."""
    sources = list(dict.fromkeys(path for given in inputs for path in _expand(str(given), SUFFIXES)))
    if not sources:
        raise InputError("no input given; expected TIFF files, patterns or folders")
    output = Path(output)
    is_file = output.suffix.lower() in SUFFIXES and not output.is_dir()
    if output.suffix.lower() in _OTHER_FILES and not output.is_dir():
        raise InputError(f"{output}: only OME-TIFF is written; give a name that ends with .ome.tiff, or a folder")
    if is_file and len(sources) > 1:
        raise InputError(f"{output}: is one file for {len(sources)} inputs; give a folder")
    kinds = ("rendered", "warped") if settings.output == "both" else (settings.output,)
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
            if target.exists() and not (settings.overwrite or settings.resume):
                raise InputError(f"{target}: is there already; add --overwrite to replace it")
            partial = partial_path(target)
            if partial.exists() and not (settings.overwrite or settings.resume):
                raise InputError(
                    f"{partial}: an earlier run was interrupted; add --resume to go on with it or --overwrite to "
                    "start again"
                )
    _check_writable(output.parent if is_file else output)
    return jobs


class _FileRun:
    """One file on its way through the registrar."""

    def __init__(
        self, job: Job, settings: ReprocessSettings, registrar: FrameRegistrar, table: MetricsTable | None
    ) -> None:
        self._job = job
        self._settings = settings
        self._registrar = registrar
        self._table = table
        self._open = ExitStack()
        self._tally = _Tally()
        self._outputs: list[Path] = []
        self._resumed_at = 0
        self._started_s = time.perf_counter()
        self.error = ""
        self.exception: Exception | None = None

    def guarded_steps(self) -> Iterator[Progress]:
        """`steps`; an error in them ends them and is kept in `error`. Errors of whoever iterates are not caught."""
        try:
            yield from self.steps()
        except Exception as error:
            self.error, self.exception = _one_line(error, self._job.source), error

    def steps(self) -> Iterator[Progress]:
        """Do the work; yields after each scan."""
        stack = self._open.enter_context(TiffStack(self._job.source, self._settings.axes))
        layout = stack.layout
        channels = layout.size("C") or 1
        align_on = _channel(self._settings.align_on, layout, self._job.source)
        _check_splits(layout, self._settings.geometry, self._job.source)
        order = "".join(axis for axis in "PZTC" if axis in layout.axes)
        scans = (layout.frames or 0) // channels
        out = replace(layout, dtype=storable(self._written_dtype(layout)))
        writers = self._writers(out, order)
        done = self._find_done(writers, layout, order, scans)
        yield Progress(self._job.source, 0, 1, done, scans)
        self._registrar.reset()
        if done < scans:
            self._replay(stack, order, done, channels, align_on)
        for scan in range(done, scans):
            where = layout.index(scan * channels, order)
            if scan and where.get("T", 0) == 0:
                self._registrar.reset()
            registration = self._one_scan(stack, where, channels, align_on, writers, out.dtype)
            self._note(where, figures_of(registration))
            yield Progress(self._job.source, 0, 1, scan + 1, scans, registration)
        for writer in writers.values():
            writer.close()
        self._outputs = list(self._job.targets.values())

    def report(self) -> FileReport:
        """What came of it."""
        seconds = time.perf_counter() - self._started_s
        fresh = self._tally.frames - self._resumed_at
        return FileReport(
            path=self._job.source,
            outputs=() if self.error else tuple(self._outputs),
            frames=self._tally.frames,
            accepted=self._tally.accepted,
            **{name: self._tally.mean(name) for name in _TALLIED},
            resumed_at=self._resumed_at,
            seconds=seconds,
            fps=fresh / seconds if fresh > 0 else math.nan,
            error=self.error,
            exception=self.exception,
        )

    def close(self) -> None:
        """Close the files; what is not complete stays under its partial name."""
        self._open.close()

    def _written_dtype(self, layout: StackLayout) -> np.dtype[Any]:
        return layout.dtype if self._settings.dtype is None else np.dtype(self._settings.dtype)

    def _writers(self, layout: StackLayout, order: str) -> dict[str, OmeTiffWriter]:
        """A writer for each kind of output that is not complete yet."""
        writers = {}
        for kind, target in self._job.targets.items():
            record = self._record(kind)
            if self._settings.resume and target.exists():
                _refuse_other_record(target, record)
                continue
            writer = OmeTiffWriter(
                target,
                layout,
                order=order,
                record=record,
                ignored=_MAY_DIFFER,
                overwrite=self._settings.overwrite,
                resume=self._settings.resume,
            )
            self._open.callback(writer.abandon)
            writers[kind] = writer
        return writers

    def _record(self, kind: str) -> dict[str, str]:
        """What is done, in words; the same words are needed to go on with it."""
        geometry = {f"geometry.{name}": str(value) for name, value in asdict(self._settings.geometry).items()}
        described = {k: str(v) for k, v in self._registrar.describe().items()}
        settings = {
            "output": kind,
            "align_on": str(self._settings.align_on),
            "axes": self._settings.axes or "as the input",
            "temporal": str(self._settings.temporal),
            "search_px": str(self._settings.search_px),
            "dtype": str(self._settings.dtype or "as the input"),
        }
        return {"source": self._job.source.name, **described, **geometry, **settings}

    def _find_done(self, writers: Mapping[str, OmeTiffWriter], layout: StackLayout, order: str, scans: int) -> int:
        """Number of scans that every output already has whole; longer ones are cut to it."""
        channels = layout.size("C") or 1
        done = min([scans, *(writer.pages_written // channels for writer in writers.values())])
        for writer in writers.values():
            writer.cut(done * channels)
        if done:
            kept = next((w.partial for w in writers.values()), next(iter(self._job.targets.values())))
            for page, figures in enumerate(islice(frame_figures(kept), done * channels)):
                if page % channels == 0:
                    self._note(layout.index(page, order), figures)
        self._resumed_at = done
        return done

    def _replay(self, stack: TiffStack, order: str, done: int, channels: int, align_on: int) -> None:
        """Register the frames before the point of resumption again, for the registrar's running estimate."""
        times = stack.layout.index(done * channels, order).get("T", 0)
        for scan in range(done - min(times, REPLAYED_FRAMES), done):
            where = stack.layout.index(scan * channels, order)
            self._registrar.register(self._raw(stack, where, align_on))

    def _one_scan(
        self,
        stack: TiffStack,
        where: dict[str, int],
        channels: int,
        align_on: int,
        writers: Mapping[str, OmeTiffWriter],
        dtype: np.dtype[Any],
    ) -> Registration:
        found = self._registrar.register(self._raw(stack, where, align_on))
        figures = figures_of(found)
        for channel in range(channels):
            moved = found
            if channel != align_on:
                moved = self._registrar.apply(self._raw(stack, where, channel), found)
            for kind, writer in writers.items():
                image = moved.warped_image if kind == "warped" and moved.warped_image is not None else moved.image
                # The figures are kept with the first channel's page, whichever was aligned on.
                writer.write(converted(image, dtype), figures=figures if channel == 0 else None)
        return found

    def _raw(self, stack: TiffStack, where: dict[str, int], channel: int) -> Pixels:
        raw = stack.read({**where, "C": channel} if "C" in where else where)
        wanted = self._written_dtype(stack.layout)
        # A result in floating numbers is asked for: it is computed so, not rounded and converted.
        return raw.astype(wanted) if wanted.kind == "f" and raw.dtype != wanted else raw

    def _note(self, where: Mapping[str, int], figures: dict[str, Any]) -> None:
        self._tally.add(figures)
        if self._table is not None:
            index = {"file": self._job.source.name, **{name: where.get(axis, 0) for axis, name in _INDEX.items()}}
            self._table.write(index, figures)


def converted(image: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """An image in another data type: rounded and clipped where that is an integer, NaN as 0."""
    if image.dtype == dtype:
        return image
    if dtype.kind == "f":
        return image.astype(dtype)
    limits = np.iinfo(dtype)
    if image.dtype.kind == "f":
        image = np.nan_to_num(np.rint(image.astype(np.float64)), nan=0.0, posinf=limits.max, neginf=limits.min)
    return image.clip(limits.min, limits.max).astype(dtype)


def _default_registrar(settings: ReprocessSettings) -> FrameRegistrar:
    from .registrar import Registrar

    return Registrar(
        settings.model,
        geometry=settings.geometry,
        device=settings.device,
        output=settings.output,
        precision=settings.precision,
        temporal=settings.temporal,
        search_px=settings.search_px,
    )


def _expand(given: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Files that a name, a pattern or a folder stands for."""
    path = Path(given)
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.is_file() and one.suffix.lower() in suffixes)
        raw = [one for one in found if not _is_registered(one)]
        if not raw:
            raise InputError(f"{path}: holds no TIFF file{' that is not registered yet' if found else ''}; check it")
        return raw
    if path.exists():
        return [path]
    if any(sign in given for sign in "*?["):
        import glob

        matching = [Path(name) for name in sorted(glob.glob(given, recursive=True)) if Path(name).is_file()]
        if not matching:
            raise InputError(f"{given}: no file matches; check the pattern")
        return matching
    raise InputError(f"{given}: no such file or folder; check the name")


def _is_registered(path: Path) -> bool:
    """Whether a file came out of this program registered; it also writes raw recordings."""
    record = read_record(path)
    return "output" in record or record.get("content", "raw") != "raw"


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
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written to ({error.strerror}); choose a folder that you may write to"
        ) from None


def _channel(align_on: int | str, layout: StackLayout, path: Path) -> int:
    """Index of the channel to align on."""
    channels = layout.size("C") or 1
    if isinstance(align_on, str) and align_on in layout.channel_names:
        return layout.channel_names.index(align_on)
    try:
        index = int(align_on)
    except ValueError:
        index = -1
    if not 0 <= index < channels:
        names = f": {', '.join(layout.channel_names)}" if layout.channel_names else ""
        raise InputError(
            f"{path}: has no channel {align_on!r} to align on; it has {channels} (0 to {channels - 1}{names})"
        )
    return index


def _check_splits(layout: StackLayout, geometry: ScanGeometry, path: Path) -> None:
    """Frames must have two lines, and something left of them."""
    height, width = layout.frame_shape
    lines, length = (height, width) if geometry.line_axis == "rows" else (width, height)
    if lines < 2:
        raise InputError(
            f"{path}: frames of {height} x {width} have {lines} line along {geometry.line_axis}; expected 2 or more: "
            "check --line-axis, or stack the lines into frames"
        )
    if length - sum(geometry.crop) < 2:
        raise InputError(f"{path}: crop {geometry.crop} leaves nothing of lines of {length} px; use a smaller --crop")


def _refuse_other_record(path: Path, record: Mapping[str, str]) -> None:
    kept = read_record(path)
    other = [k for k, v in record.items() if kept.get(k) != v and k not in _MAY_DIFFER]
    if other:
        raise InputError(
            f"{path}: is there already, made with another {', '.join(other)}; add --overwrite in place of --resume"
        )


class _Tally:
    """Sums over the scans of a file; the figures themselves go to disk."""

    def __init__(self) -> None:
        self.frames = self.accepted = 0
        self._sums = dict.fromkeys(_TALLIED, 0.0)
        self._counts = dict.fromkeys(_TALLIED, 0)

    def add(self, figures: Mapping[str, Any]) -> None:
        """Count one scan; figures that are not defined do not count."""
        self.frames += 1
        self.accepted += bool(figures.get("accepted"))
        for name in _TALLIED:
            value = figures.get(name)
            if value is not None and math.isfinite(value):
                self._sums[name] += value
                self._counts[name] += 1

    def mean(self, name: str) -> float:
        """Mean over the scans where the figure is defined, NaN if there are none."""
        return self._sums[name] / self._counts[name] if self._counts[name] else math.nan


def _one_line(error: Exception, path: Path) -> str:
    """An error as one line that names the file."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}; make room or check the disk, then go on with --resume"
    elif not isinstance(error, InputError):
        text = f"{type(error).__name__}: {text}"
    return text if str(path) in text else f"{path}: {text}"
