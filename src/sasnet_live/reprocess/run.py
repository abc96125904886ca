"""Registering recordings on disk: raw TIFF stacks in, registered OME-TIFF stacks and a table of figures out.

Memory does not grow with the size of a file: one group of frames (all channels of one scan) is in memory at a time.
Frames are worked through position by position, in a position depth by depth, in a depth in order of time; the
registrar's temporal state is kept along time and forgotten at each new position, depth and file. The written file
has the axes of the input, in the input's order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from sasnet_live.errors import CannotRegister, InputError
from sasnet_live.files import OutputLock
from sasnet_live.settings import RegistrarSettings
from sasnet_live.sinks.metrics_table import MetricsTable

from .file import INDEX_COLUMNS, FileRun, FrameRegistrar
from .plan import expand, plan
from .report import FileReport, Progress, ReprocessReport
from .settings import ReprocessSettings, SideOutputSettings
from .volume import VOLUME_KINDS, VolumeRun

MOST_LOCKED = 100
"""Outputs whose names are kept for a run from its start: each takes one of the files that a process may have open (256
on macOS). Those after them are locked when they are begun."""


def reprocess(
    inputs: Sequence[str | Path],
    output: str | Path,
    settings: ReprocessSettings | None = None,
    *,
    metrics: str | Path | None = None,
    also: SideOutputSettings | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    make_registrar: Callable[[RegistrarSettings], FrameRegistrar] | None = None,
) -> ReprocessReport:
    """Register recordings.

    Parameters
    ----------
    inputs
        Files, patterns such as ``data/*.tif``, or folders (the recordings in them). Files of one recording are taken
        together, see `sasnet_live.recordings.ReadSettings.series`. Those that came out of this program registered are
        left out, see `ReprocessSettings.include_registered`. None where the settings
        name two files as passes: the results are named after the first.
    output
        A TIFF name for a single input; otherwise a folder, which is made if need be: ``NAME_registered.ome.tiff``.
    settings
        See `ReprocessSettings`.
    metrics
        CSV or Parquet table of all files, one row a scan.
    also
        Files beside each output: displacements, shifts, a report.
    progress
        Called after each scan, and once when a file is begun.
    cancelled
        Asked before each scan; True ends the run with what was written kept for `resume`.
    make_registrar
        For tests and other methods; by default `RegistrarSettings.make`.

    Returns
    -------
    One report a file. A file that fails does not keep the others from being done.

    Raises
    ------
    InputError
        Before any work: no such input, an output that is there, a folder that cannot be written; as `CannotRegister`,
        an unknown model or device.
    """
    settings = settings or ReprocessSettings()
    wanted = settings.registrar.output
    kinds: tuple[str, ...] = ("rendered", "warped") if wanted == "both" else (wanted,)
    run_of = FileRun
    if settings.volume.given(settings.reading.axes):
        kinds, run_of = (*kinds, *VOLUME_KINDS), VolumeRun
    passes = settings.reading.passes_in_files
    sources, left_out = expand(
        inputs or passes[:1], include_registered=settings.include_registered, reading=settings.reading
    )
    table_path = None if metrics is None else Path(metrics)
    may_exist = settings.overwrite or settings.resume
    jobs = plan(sources, output, kinds, metrics=table_path, also=also, may_exist=may_exist, also_read=passes)
    make = make_registrar or RegistrarSettings.make
    try:
        registrar = make(settings.registrar)
    except InputError as error:
        raise CannotRegister(str(error)) from error
    reports: list[FileReport] = []
    with ExitStack() as stack:
        targets = [target for job in jobs for target in job.written]
        outputs = targets if table_path is None else [table_path, *targets]
        stack.enter_context(OutputLock(outputs[:MOST_LOCKED]))
        table = None
        if table_path is not None:
            # On `resume` it is made anew: the figures of frames already done are kept with their pages.
            redo = settings.overwrite or settings.resume
            table = MetricsTable(table_path, ("file", *INDEX_COLUMNS), overwrite=redo)
            stack.callback(table.abandon)
        for number, job in enumerate(jobs):
            run = run_of(job, settings, registrar, table, make, also)
            rows = table.rows if table is not None else 0
            with closing(run):
                for step in run.guarded_steps():
                    if cancelled is not None and cancelled():
                        run.error = "cancelled; go on with --resume"
                        return ReprocessReport((*reports, run.report()), cancelled=True, left_out=tuple(left_out))
                    if progress is not None:
                        progress(replace(step, file=number, files=len(jobs)))
            reports.append(run.report())
            if run.error and table is not None:
                table.cut(rows)
        written = table.close() if table is not None else None
    return ReprocessReport(tuple(reports), metrics=written, left_out=tuple(left_out))
