"""`sasnet-live train`: weights of one's own, on the simulator and on one's own recordings."""

from __future__ import annotations

import shlex
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sasnet_live.errors import InputError
from sasnet_live.training.settings import TrainingSettings
from sasnet_live.training.weights import LossWeights

from . import options
from .interrupts import interrupts
from .printing import complain

if TYPE_CHECKING:
    from sasnet_live.training.loop import Progress


def _widths(channels: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in channels.split(",")) if channels else ()
    except ValueError as error:
        raise InputError(f"--channels {channels} came; expected whole numbers with commas between") from error


def _loss_weights(pairs: list[str] | None) -> LossWeights:
    names = {field.name.rstrip("_"): field.name for field in fields(LossWeights)}
    given: dict[str, float] = {}
    for pair in pairs or []:
        name, _, value = pair.partition("=")
        try:
            given[names[name]] = float(value)
        except (KeyError, ValueError) as error:
            raise InputError(f"--loss {pair} came; expected NAME=VALUE with a name of {', '.join(names)}") from error
    return replace(LossWeights(), **given)


def _absolute(paths: list[Path] | None) -> tuple[str, ...]:
    return tuple(str(path.absolute()) for path in paths or [])


def _weights(name: str | None) -> str:
    """The file of a model's name: a run goes on with the same one, wherever it is resumed from."""
    from sasnet_live.network.names import find_weights

    return str(find_weights(name).absolute()) if name else ""


_SPELLED = {
    "channels": options.Spelling(metavar="N,N,...", kind=str, read=_widths),
    "losses": options.Spelling(
        ("--loss",),
        kind=list[str],
        read=_loss_weights,
        help="Weight of a loss, NAME=VALUE; cross, similarity, alignment, scene, self, cycle. Repeatable.",
    ),
    "recordings": options.Spelling(kind=list[Path], read=_absolute, is_argument=True),
    "initial_weights": options.Spelling(kind=str, read=_weights),
}


def train(
    context: typer.Context,
    *,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder of the run: settings, state, best.safetensors.", show_default=False),
    ],
    settings: Annotated[TrainingSettings, options.Group(spelled=_SPELLED)],
    device: options.Device = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder, with its settings.")
    ] = False,
) -> None:
    """Train the network. Several GPUs: torchrun --nproc-per-node N -m sasnet_live train ..."""
    from sasnet_live.training.devices import Process
    from sasnet_live.training.loop import train as run

    if resume:
        _refuse_changes(context, settings, TrainingSettings.load(out), out)
    leads = Process.from_environment().leads
    try:
        with _Display(visible=leads) as display:
            best = run(settings, out, resume=resume, device=device, report=display.show)
    except KeyboardInterrupt:
        interrupts().answered = True
        if leads:
            complain(_interrupted(out))
        raise typer.Exit(interrupts().status) from None
    if leads:
        typer.echo(f"Best weights: {best}")


def _interrupted(folder: Path) -> str:
    """What is kept of an interrupted run, and how to go on."""
    from sasnet_live.training.state import steps_kept

    if not TrainingSettings.are_in(folder):
        return f"interrupted before the run began: nothing is kept in {folder}"
    steps, kept = TrainingSettings.load(folder).steps, steps_kept(folder)
    what = f"{kept} of {steps} steps are kept" if kept else "no step is kept, for the first validation was not reached"
    return f"interrupted: {what}; go on with: sasnet-live train -o {shlex.quote(str(folder))} --resume"


def _refuse_changes(context: typer.Context, given: TrainingSettings, kept: TrainingSettings, folder: Path) -> None:
    """A resumed run keeps its settings: an option that says otherwise is not passed over in silence."""
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE":
            continue
        for here, there in ((given, kept), (given.geometry, kept.geometry), (given.reading, kept.reading)):
            if getattr(here, name, None) != getattr(there, name, None):
                option = parameter.opts[0].removeprefix("--")
                raise InputError(
                    f"{folder}: was begun with another {option} ({getattr(there, name)}); "
                    "leave that out to go on with --resume, or begin a run in another folder"
                )


class _Display:
    """On a terminal a progress bar with the time left and a table of each validation; elsewhere a line of each."""

    def __init__(self, *, visible: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._console = Console()
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
            console=self._console,
            disable=not (visible and self._console.is_terminal),
        )
        self._task = self._progress.add_task("training", total=None, losses="")
        self._header = False

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, progress: Progress) -> None:
        losses = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
        self._progress.update(self._task, completed=progress.step, total=progress.steps, losses=losses)
        if not progress.scores:
            return
        left_s = progress.elapsed_s / progress.step * (progress.steps - progress.step)
        if self._console.is_terminal:
            self._table(progress, left_s)
            return
        scores = "  ".join(
            f"{score.group} NCC {score.ncc_source:.4f} -> {score.ncc_rendered:.4f} "
            f"SSIM {score.ssim_source:.4f} -> {score.ssim_rendered:.4f}"
            for score in progress.scores
        )
        best = "  best so far" if progress.best else ""
        self._line(f"{progress.step} of {progress.steps}  {left_s / 60:.0f} min left  {scores}  {losses}{best}")

    def _table(self, progress: Progress, left_s: float) -> None:
        if not self._header:
            self._line("   step  time left  group       NCC before -> rendered     SSIM before -> rendered")
            self._header = True
        for score in progress.scores:
            mark = "  best so far" if progress.best and score is progress.scores[-1] else ""
            self._line(
                f"{progress.step:7d}  {left_s / 60:5.0f} min  {score.group:10s}  {score.ncc_source:.4f} -> "
                f"{score.ncc_rendered:.4f}           {score.ssim_source:.4f} -> {score.ssim_rendered:.4f}{mark}"
            )

    def _line(self, text: str) -> None:
        """One line, however long: it may go to a file."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
