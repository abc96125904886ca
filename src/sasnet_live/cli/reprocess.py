"""``sasnet-live reprocess``: register recordings on disk."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sasnet_live.reprocess.settings import ReprocessSettings, SideOutputSettings

from .interrupts import interrupts
from .printing import complain, console, echo, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from sasnet_live.reprocess import FileReport, Progress, ReprocessReport

_PLAIN_EVERY_S = 5.0
_SHORTEST_NAME = 8  # columns
_BESIDE_NAME = 46  # columns: a bar of 4, 100000/100000, 0:00:00, NCC 0.928 -> 0.995, and the gaps between them
_WIDTH_IN_A_FILE = 400  # columns: the longest file name, 255, and figures


def reprocess(
    context: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT...", help="Recordings, patterns or folders.", show_default=False),
    ] = None,
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A TIFF name for one input, otherwise a folder.", show_default=False)
    ],
    settings: ReprocessSettings,
    metrics: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Table with a row a scan, of all files.")
    ] = None,
    also: SideOutputSettings = SideOutputSettings(),
) -> None:
    """Register recordings: raw TIFF stacks in, OME-TIFF stacks with the same axes out.

    With --output both, two files are written for each input: NAME_rendered and NAME_warped. Of A-lines (--depth-axis),
    NAME_volume and NAME_depth are written beside the registered projection. Until a file is complete its name ends
    with .partial. Exit status 0: done; 1: a file failed (the others are done), or there is no such model or device; 2:
    bad arguments.
    """
    from sasnet_live.reprocess import reprocess as run

    try:
        with _progress(console(err=True)) as show:
            report = run(inputs or [], out, settings, metrics=metrics, also=also, progress=show)
    except KeyboardInterrupt:
        interrupts().answered = True
        complain("interrupted; what is done so far is kept: the same command with --resume goes on from there")
        raise typer.Exit(interrupts().status) from None
    if report.left_out:
        complain(report.left_out_in_words)
    for file in report.files:
        for line in (*file.remarks, *filter(None, [file.error])):
            complain(line)
    if len(report.failed) < len(report.files):
        _print_table(report, console(width_elsewhere=_WIDTH_IN_A_FILE))
    if context.find_root().params["debug"] and report.failed and report.failed[0].exception is not None:
        raise report.failed[0].exception
    raise typer.Exit(1 if report.failed else 0)


@contextmanager
def _progress(screen: Console) -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal, now and then a line elsewhere."""
    if not screen.is_terminal:
        yield _PlainProgress()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    whole = Column(no_wrap=True)
    # Figures are never cut or wrapped, and the bar takes what is left: only the name gives way.
    name_width = max(_SHORTEST_NAME, min(screen.width // 3, screen.width - _BESIDE_NAME))
    name = Column(no_wrap=True, overflow="ellipsis", max_width=name_width)
    columns = (
        TextColumn("{task.description}", markup=False, table_column=name),
        BarColumn(None, table_column=Column(ratio=1, min_width=4)),
        MofNCompleteColumn(table_column=whole),
        TimeRemainingColumn(table_column=whole.copy()),
        TextColumn("{task.fields[figures]}", markup=False, table_column=whole.copy()),
    )
    with Bars(*columns, console=screen, transient=True, expand=True) as bars:
        tasks: dict[Path, TaskID] = {}

        def show(step: Progress) -> None:
            if step.path not in tasks:
                label = f"{step.file + 1}/{step.files} {step.path.name}" if step.files > 1 else step.path.name
                for done in tasks.values():  # one bar, however many files: a window has few lines
                    bars.update(done, visible=False)
                tasks[step.path] = bars.add_task(printable(label), total=step.total, figures="")
            bars.update(tasks[step.path], completed=step.done, figures=_figures(step))

        yield show


class _PlainProgress:
    """One line when a file is begun or done, and every few seconds."""

    def __init__(self) -> None:
        self._said_s = -_PLAIN_EVERY_S

    def __call__(self, step: Progress) -> None:
        now = time.monotonic()
        if step.done in (0, step.total) or now - self._said_s >= _PLAIN_EVERY_S:
            self._said_s = now
            echo(f"{step.path.name}  {step.done}/{step.total}  {_figures(step)}{_reason(step)}".rstrip(), sys.stderr)


def _figures(step: Progress) -> str:
    if step.registration is None:
        return ""
    if not step.registration.accepted:
        return "passed through"
    metrics = step.registration.metrics
    return f"NCC {metrics.ncc_before:.3f} -> {metrics.ncc_after:.3f}"


def _reason(step: Progress) -> str:
    return f": {step.registration.reason}" if step.registration and step.registration.reason else ""


def _print_table(report: ReprocessReport, screen: Console) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("file", overflow="fold")
    for title in ("frames", "accepted", "NCC", "SSIM", "frames/s"):
        table.add_column(title, justify="right", no_wrap=True)
    for file in report.files:
        if file.error:
            table.add_row(file.path.name, "failed")
        else:
            table.add_row(*_row(file))
    screen.print(table)
    for file in report.files:
        for path in file.outputs:
            echo(f"wrote {path}")
    if report.metrics is not None:
        echo(f"wrote {report.metrics}")


def _row(file: FileReport) -> tuple[str, ...]:
    return (
        file.path.name,
        str(file.frames),
        str(file.accepted),
        f"{file.ncc_before:.3f} -> {file.ncc_after:.3f}",
        f"{file.ssim_before:.3f} -> {file.ssim_after:.3f}",
        # A file that an earlier run had done took no time.
        f"{file.fps:.1f}" if file.fps == file.fps else "",
    )
