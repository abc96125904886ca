"""`sasnet-live evaluate`: our models and their classical peers on the same frames in the same run."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sasnet_live.evaluation.kinds import Kind
from sasnet_live.geometry import ScanGeometry, SlowAxis

from . import options
from .printing import console, echo, printable

if TYPE_CHECKING:
    from sasnet_live.evaluation.benchmark import Benchmark

_PLAIN_EVERY_S = 10.0


def evaluate(
    dataset: Annotated[
        str,
        typer.Argument(
            help="A folder of images; or-pam-sim-4k: the test split of the simulated set; or-pam-sim-one: that of one "
            "scanner, and a recording; other-scanner: real images through another scan model."
        ),
    ],
    *,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--methods",
            help="all, peers, ours, or names with commas between (lite, lite:warped, tvl1, runs/mine/best.safetensors, "
            "...); may be repeated.",
            show_default="all",
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write tables and pictures to this HTML file.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write one row a frame and method to this CSV file.")] = None,
    kind: Annotated[
        Kind,
        typer.Option(help="Layout of the folder; simulated sets need none."),
    ] = "auto",
    levels: Annotated[
        list[str] | None,
        typer.Option("--levels", help="Only these levels, with commas between; may be repeated.", show_default="all"),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many frames of each level.")] = None,
    against: Annotated[
        str | None,
        typer.Option(help="The method that the others are compared with, frame by frame.", show_default="the last"),
    ] = None,
    size: Annotated[str, typer.Option(help="Height x width of simulated frames.")] = "512x512",
    passes: Annotated[ScanGeometry, options.Group(without=("line_offset", "slow_axis"))],
    slow_axis: Annotated[
        SlowAxis | None,
        typer.Option(
            help="Where backward lines lie along the slow axis.",
            show_default="stepped for pairs, otherwise continuous",
        ),
    ] = None,
    device: options.Device = "auto",
    markdown: Annotated[bool, typer.Option(help="Print the table as Markdown.")] = False,
) -> None:
    """Compare our models with classical registration, on simulated and on your own scans.

    NCC, SSIM and PSNR are against the hidden truth where there is one, else against the forward pass. The geometry
    options say how raw frames and pairs were scanned, and how simulated ones are.
    """
    from sasnet_live.errors import InputError
    from sasnet_live.evaluation.benchmark import run_benchmark, summarize
    from sasnet_live.evaluation.datasets import open_dataset
    from sasnet_live.evaluation.methods import make_methods
    from sasnet_live.evaluation.optional import library
    from sasnet_live.evaluation.report import write_report
    from sasnet_live.evaluation.tables import write_scores

    for path in (report, csv):
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"{path}: its folder does not exist; make it first or choose another place")
        if path is not None and not _can_be_written(path):
            raise InputError(f"{path}: cannot be written; choose another place")
    if report is not None:
        library("matplotlib")
    geometry = None
    if slow_axis is not None or passes != ScanGeometry():
        geometry = replace(passes, slow_axis=slow_axis or "continuous")
    found = open_dataset(dataset, kind, geometry, parse_shape(size)).select(split_names(levels), limit)
    chosen = make_methods(split_names(methods) or ["all"], device)
    if against is not None and against not in chosen:
        raise InputError(f"cannot compare against {against!r}; expected one of {', '.join(chosen)}")

    benchmark = _with_progress(run_benchmark, found, chosen)
    _print(summarize(benchmark, against), markdown)
    if csv is not None:
        write_scores(benchmark, csv)
        echo(f"{len(benchmark.scores)} rows in {csv}")
    if report is not None:
        write_report(benchmark, report, against)
        echo(f"report in {report}")


def _can_be_written(path: Path) -> bool:
    """Asked before hours of work, whose scores would be lost."""
    return not path.is_dir() and os.access(path if path.exists() else path.absolute().parent, os.W_OK)


def split_names(options: list[str] | None) -> list[str]:
    """Names from repeated options and from commas."""
    return [name.strip() for option in options or [] for name in option.split(",") if name.strip()]


def parse_shape(size: str) -> tuple[int, int]:
    """(H, W) from ``HxW``."""
    from sasnet_live.errors import InputError

    parts = size.lower().split("x")
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise InputError(f"size is {size!r}; expected height x width, as in 512x512")
    return int(parts[0]), int(parts[1])


def _with_progress(run: Any, dataset: Any, methods: Any) -> Benchmark:
    """The benchmark, with a bar on standard error, or now and then a line where that is no terminal."""
    import time

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    if not sys.stderr.isatty():
        said_s = time.monotonic()

        def say(done: int, total: int, what: str) -> None:
            nonlocal said_s
            if time.monotonic() - said_s >= _PLAIN_EVERY_S:
                said_s = time.monotonic()
                echo(f"{done} of {total}: {what}", sys.stderr)

        plain: Benchmark = run(dataset, methods, say)
        return plain

    columns = (
        BarColumn(None, table_column=Column(ratio=1, min_width=4)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        # A name's end may be left out, no figure.
        TextColumn("{task.description}", markup=False, table_column=Column(ratio=2, no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=console(err=True), transient=True, expand=True) as bar:
        task = bar.add_task("", total=len(dataset) * len(methods))

        def show(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=printable(what))

        benchmark: Benchmark = run(dataset, methods, show)
        return benchmark


def _print(summaries: Any, as_markdown: bool) -> None:
    from sasnet_live.evaluation.tables import markdown, text_rows

    if as_markdown:
        sys.stdout.write(markdown(summaries) + "\n")
        return
    from rich import box
    from rich.table import Table

    header, *rows = text_rows(summaries)
    table = Table(box=box.SIMPLE_HEAD)
    for name in header:
        table.add_column(name, overflow="fold", justify="left" if name in ("level", "method", "remarks") else "right")
    level = ""
    for row in rows:
        if level and row[0] != level:
            table.add_section()
        table.add_row(row[0] if row[0] != level else "", *row[1:])
        level = row[0]
    console(width_elsewhere=250).print(table)
