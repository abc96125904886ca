"""One recording on its way through the registrar."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sasnet_live.convert import as_dtype
from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels, Registration
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout
from sasnet_live.recordings import ReadSettings, Recording, ScanFacts, open_recording
from sasnet_live.settings import RegistrarSettings
from sasnet_live.sinks.metrics_table import MetricsTable, figures_of
from sasnet_live.sinks.ome_tiff import OmeTiffWriter, frame_figures, read_record
from sasnet_live.sinks.tiff_pages import storable

from .geometry import find_geometry, remark, require_sure
from .kept_state import KeptState
from .loop import SequenceRegistrar, register_scans
from .plan import Job
from .report import AVERAGED, FileReport, Progress, Tally
from .settings import ReprocessSettings, SideOutputSettings
from .side_outputs import SideOutputs, series_of

REPLAYED_FRAMES = 8
"""Frames before the point of resumption that are registered again where a registrar cannot keep its state."""

WORKED_THROUGH = ("p", "z", "t", "c")
"""Order of frames: the running estimate is of one position and depth, along time."""

INDEX_COLUMNS = ("p", "t", "z")
"""Names of the axes in the table of figures, as in that of a live session."""

_MAY_DIFFER = ("device", "precision", "software", *(f"scan.{one.name}" for one in fields(ScanFacts)))


class FrameRegistrar(SequenceRegistrar, Protocol):
    """What is used of `sasnet_live.registrar.Registrar`."""

    def apply(self, raw: Pixels, registration: Registration) -> Registration: ...

    def describe(self) -> dict[str, str]: ...


class FileRun:
    """One file on its way through the registrar."""

    def __init__(
        self,
        job: Job,
        settings: ReprocessSettings,
        registrar: FrameRegistrar,
        table: MetricsTable | None,
        make: Callable[[RegistrarSettings], FrameRegistrar],
        also: SideOutputSettings | None = None,
    ) -> None:
        self._job = job
        self._settings = settings
        self._registrar = registrar
        self._table = table
        self._make = make
        self._also = also or SideOutputSettings()
        self._open = ExitStack()
        self._tally = Tally()
        self._outputs: list[Path] = []
        self._remarks: tuple[str, ...] = ()
        self._scan = ScanFacts()
        self._resumed_at = 0
        self._started_s = time.perf_counter()
        self.error = ""
        self.exception: Exception | None = None

    def guarded_steps(self) -> Iterator[Progress]:
        """`steps`; an error in them ends them and is kept in `error`. Errors of whoever iterates are not caught."""
        try:
            yield from self.steps()
        except Exception as error:
            self.error, self.exception = _one_line(error, self._job), error

    def steps(self) -> Iterator[Progress]:
        """Do the work; yields after each scan."""
        stack = self._open.enter_context(self._opened())
        self._remarks, self._scan = stack.remarks, stack.scan
        if not self._settings.treat_as_bidirectional:
            stack.refuse_one_way("add --treat-as-bidirectional if they went both ways")
        layout = stack.layout
        channels = layout.size("c") or 1
        align_on = _channel(self._settings.align_on, layout, self._job.source)
        if self._settings.geometry_from == "auto":
            self._find_geometry(stack, align_on)
        _check_splits(layout, self._settings.registrar.geometry, self._job.source)
        order = tuple(axis for axis in WORKED_THROUGH if axis in layout.axes)
        scans = (layout.frames or 0) // channels
        out = replace(
            layout,
            # Without the turnaround, where it is cropped.
            frame_shape=self._settings.registrar.geometry.frame_shape(layout.frame_shape),
            dtype=storable(self._written_dtype(layout)),
        )
        writers = self._writers(out, order)
        side = self._side_outputs(stack, order, align_on)
        done = self._find_done(writers, layout, order, side.rows(scans))
        side.cut(done)
        yield Progress(self._job.source, 0, 1, done, scans)
        self._registrar.reset()
        state = KeptState(next(iter(self._job.targets.values())), self._registrar)
        if not done:
            state.remove()
        elif done < scans:
            self._replay(stack, order, done, state, align_on)
        found = self._registered(stack, order, align_on, first=done)
        for scan, (where, registration) in enumerate(found, done + 1):
            self._write_scan(stack, where, align_on, registration, writers)
            side.write(registration)
            self._note(where, figures_of(registration))
            state.keep(scan)
            yield Progress(self._job.source, 0, 1, scan, scans, registration)
        for writer in writers.values():
            writer.close()
        side.finish()
        state.remove()
        self._outputs = self._job.written

    def report(self) -> FileReport:
        """What came of it."""
        seconds = time.perf_counter() - self._started_s
        fresh = self._tally.frames - self._resumed_at
        return FileReport(
            path=self._job.source,
            outputs=() if self.error else tuple(self._outputs),
            frames=self._tally.frames,
            accepted=self._tally.accepted,
            **{name: self._tally.mean(name) for name in AVERAGED},
            resumed_at=self._resumed_at,
            seconds=seconds,
            fps=fresh / seconds if fresh > 0 else math.nan,
            remarks=self._remarks,
            error=self.error,
            exception=self.exception,
        )

    def close(self) -> None:
        """Close the files; what is not complete stays under its partial name."""
        self._open.close()

    def _opened(self) -> Recording:
        return open_recording(self._job.paths, self._settings.reading, self._settings.registrar.geometry)

    def _stored(self, kind: str, layout: Layout, order: Sequence[str]) -> tuple[Layout, Sequence[str]]:
        """Layout of a kind of output, and the order in which its pages are written."""
        return layout, order

    def _find_geometry(self, stack: Recording, align_on: int) -> None:
        """Go on with the geometry that the frames tell."""
        found = find_geometry(stack, self._settings.registrar.geometry, align_on)
        require_sure(found, self._job.source)
        self._remarks = (*self._remarks, remark(found, self._job.source))
        wanted = replace(self._settings.registrar, geometry=found.geometry)
        if wanted != self._settings.registrar:
            self._registrar = self._make(wanted)
            self._settings = replace(self._settings, registrar=wanted)

    def _written_dtype(self, layout: Layout) -> np.dtype[Any]:
        return layout.dtype if self._settings.dtype is None else np.dtype(self._settings.dtype)

    def _writers(self, layout: Layout, order: Sequence[str]) -> dict[str, OmeTiffWriter]:
        """A writer for each kind of output that is not complete yet."""
        writers = {}
        for kind, target in self._job.targets.items():
            record = self._record(kind)
            if self._settings.resume and target.exists():
                _refuse_other_record(target, record)
                continue
            stored, pages = self._stored(kind, layout, order)
            writer = OmeTiffWriter(
                target,
                stored,
                order=pages,
                record=record,
                ignored=_MAY_DIFFER,
                overwrite=self._settings.overwrite,
                resume=self._settings.resume,
            )
            self._open.callback(writer.abandon)
            writers[kind] = writer
        return writers

    def _side_outputs(self, stack: Recording, order: Sequence[str], align_on: int) -> SideOutputs:
        """What is written beside the registered files."""
        target = next(iter(self._job.targets.values()))
        aligned = {"c": align_on} if "c" in stack.layout.axes else {}

        def registered(where: dict[str, int]) -> Pixels:
            with open_recording(target, ReadSettings(largest_mib=self._settings.reading.largest_mib)) as done:
                return done.read({axis: at for axis, at in {**where, **aligned}.items() if axis in done.layout.axes})

        side = SideOutputs(
            self._job.also,
            series_of(
                stack.layout, self._settings.registrar.geometry, order, self._record(self._settings.registrar.output)
            ),
            self._also,
            (lambda where: self._raw(stack, {**where, **aligned}, align_on), registered),
            ignored=_MAY_DIFFER,
            overwrite=self._settings.overwrite,
            resume=self._settings.resume,
        )
        self._open.callback(side.abandon)
        return side

    def _record(self, kind: str) -> dict[str, str]:
        """What is done, in words; the same words are needed to go on with it."""
        settings = {
            "output": kind,
            "align_on": str(self._settings.align_on),
            "axes": self._settings.reading.axes or "as the input",
            **self._settings.reading.described(),
            "dtype": self._settings.dtype or "as the input",
            **({"geometry_from": "the frames"} if self._settings.geometry_from == "auto" else {}),
            **{f"geometry.{name}": str(value) for name, value in asdict(self._settings.registrar.geometry).items()},
        }
        # What it says of geometry and program is there already, in parts.
        described = {name: value for name, value in self._registrar.describe().items() if value}
        for name in ("geometry", "software"):
            described.pop(name, None)
        scan = {f"scan.{name}": value for name, value in self._scan.in_words().items()}
        several = {"files": str(len(self._job.paths))} if len(self._job.paths) > 1 else {}
        return {"source": self._job.source.name, **several, **described, **settings, **scan}

    def _find_done(self, writers: Mapping[str, OmeTiffWriter], layout: Layout, order: Sequence[str], most: int) -> int:
        """Number of scans, at most so many, that every output already has whole; longer ones are cut to it."""
        channels = layout.size("c") or 1
        scans = (layout.frames or 0) // channels
        pages = {kind: (writer.layout.frames or 0) // scans for kind, writer in writers.items()}
        done = min([most, *(writer.pages_written // pages[kind] for kind, writer in writers.items())])
        for kind, writer in writers.items():
            writer.cut(done * pages[kind])
        if done:
            first = next(iter(self._job.targets))
            kept = writers[first].partial if first in writers else self._job.targets[first]
            for page, figures in enumerate(islice(frame_figures(kept), done * channels)):
                if page % channels == 0:
                    self._note(layout.index(page, order), figures)
        self._resumed_at = done
        return done

    def _replay(self, stack: Recording, order: Sequence[str], done: int, state: KeptState, align_on: int) -> None:
        """Have the registrar know of the frames before the point of resumption what it knew when it came there."""
        channels = stack.layout.size("c") or 1
        since_reset = stack.layout.index(done * channels, order).get("t", 0)
        first = done - (since_reset if state.possible else min(since_reset, REPLAYED_FRAMES))
        kept = state.take_up(done) if since_reset else None
        if kept is not None and kept > first:
            first = kept
        else:
            self._registrar.reset()
        for _ in islice(self._registered(stack, order, align_on, first), done - first):
            pass

    def _registered(
        self, stack: Recording, order: Sequence[str], align_on: int, first: int
    ) -> Iterator[tuple[dict[str, int], Registration]]:
        return register_scans(
            self._registrar, stack.layout, lambda where: self._raw(stack, where, align_on), order, first
        )

    def _write_scan(
        self,
        stack: Recording,
        where: dict[str, int],
        align_on: int,
        found: Registration,
        writers: Mapping[str, OmeTiffWriter],
    ) -> None:
        figures = figures_of(found)
        for channel in range(stack.layout.size("c") or 1):
            moved = found
            if channel != align_on:
                moved = self._registrar.apply(self._raw(stack, where, channel), found)
            for kind, writer in writers.items():
                image = moved.warped_image if kind == "warped" and moved.warped_image is not None else moved.image
                # The figures are kept with the first channel's page, whichever was aligned on.
                writer.write(as_dtype(image, writer.layout.dtype), figures=figures if channel == 0 else None)

    def _raw(self, stack: Recording, where: dict[str, int], channel: int) -> Pixels:
        raw = stack.read({**where, "c": channel} if "c" in where else where)
        wanted = self._written_dtype(stack.layout)
        # A result in floating numbers is asked for: it is computed so, not rounded and converted.
        return raw.astype(wanted) if wanted.kind == "f" and raw.dtype != wanted else raw

    def _note(self, where: Mapping[str, int], figures: dict[str, Any]) -> None:
        self._tally.add(figures)
        if self._table is not None:
            index = {
                "file": self._job.source.name,
                **{axis: where.get(axis, 0) for axis in INDEX_COLUMNS},
            }
            self._table.write(index, figures)


def _channel(align_on: int | str, layout: Layout, path: Path) -> int:
    """Index of the channel to align on."""
    channels = layout.size("c") or 1
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


def _check_splits(layout: Layout, geometry: ScanGeometry, path: Path) -> None:
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


def _one_line(error: Exception, job: Job) -> str:
    """An error as one line that names a file of the recording."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}; make room or check the disk, then go on with --resume"
    elif not isinstance(error, InputError):
        text = f"{type(error).__name__}: {' '.join(text.split()) or 'no further message'}"
    # Of a recording described by XML, the file may be one that the job does not know by name.
    beside = text.startswith(f"{job.source.parent}{os.sep}")
    named = beside or any(str(path) in text for path in job.paths)
    return text if named else f"{job.source}: {text}"
