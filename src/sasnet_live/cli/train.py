"""`sasnet-live train`: weights of one's own, on the simulator and on one's own recordings."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from . import options
from .interrupts import interrupts
from .printing import complain

if TYPE_CHECKING:
    from sasnet_live.training.loop import Progress
    from sasnet_live.training.settings import TrainingSettings
    from sasnet_live.training.weights import LossWeights


def train(
    context: typer.Context,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder of the run: settings, state, best.safetensors.", show_default=False),
    ],
    recordings: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Raw TIFF stacks to train on without truth. None: the simulator alone.", show_default=False
        ),
    ] = None,
    preset: Annotated[str, typer.Option(help="Architecture: lite, full, paper.")] = "lite",
    channels: Annotated[
        str,
        typer.Option(
            metavar="N,N,...", help="Feature channels at each scale in place of the preset's.", show_default=False
        ),
    ] = "",
    steps: Annotated[int, typer.Option(min=1, help="Training steps.")] = 8000,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples a step, in each process.")] = 8,
    learning_rate: Annotated[float, typer.Option(help="Its peak.")] = 2e-3,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, samples and batches.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make samples.")] = 1,
    height: Annotated[int, typer.Option(help="Lines of a raw training frame.")] = 192,
    width: Annotated[int, typer.Option(help="Px of a line of a training frame.")] = 320,
    scanner: Annotated[
        Literal["any", "one"],
        typer.Option(help="Simulated samples of any scanner; or of one, without truth, as in the published protocol."),
    ] = "any",
    precision: options.Precision = "auto",
    averaging: Annotated[float, typer.Option(help="Decay of the average of the weights that is saved.")] = 0.998,
    loss: Annotated[
        list[str] | None,
        typer.Option(
            help="Weight of a loss, NAME=VALUE; cross, similarity, alignment, scene, self, cycle. Repeatable.",
            show_default=False,
        ),
    ] = None,
    simulated_share: Annotated[float, typer.Option(help="Part of simulated samples beside recordings.")] = 0.5,
    initial_weights: Annotated[
        str, typer.Option(help="Weights to start from: a model's name or a file.", show_default=False)
    ] = "",
    validate_every: Annotated[int, typer.Option(min=1, help="Steps between validations and checkpoints.")] = 250,
    validation_frames: Annotated[int, typer.Option(min=1, help="Simulated frames a level to validate on.")] = 6,
    device: options.Device = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder, with its settings.")
    ] = False,
    line_axis: options.LineAxis = "rows",
    first: options.First = "forward",
    mirrored: options.Mirrored = False,
    line_offset: options.LineOffset = 0,
    crop: options.Crop = (0, 0),
    slow_axis: options.SlowAxis = "continuous",
) -> None:
    """Train the network. Several GPUs: torchrun --nproc-per-node N -m sasnet_live train ..."""
    from sasnet_live.network.names import find_weights
    from sasnet_live.training.devices import Process
    from sasnet_live.training.loop import train as run
    from sasnet_live.training.settings import TrainingSettings

    settings = TrainingSettings(
        preset=preset,
        channels=_widths(channels),
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        height=height,
        width=width,
        scanner=scanner,
        workers=workers,
        precision=precision,
        averaging=averaging,
        losses=_loss_weights(loss or []),
        recordings=tuple(str(path.absolute()) for path in recordings or []),
        simulated_share=simulated_share,
        initial_weights=str(find_weights(initial_weights).absolute()) if initial_weights else "",
        validate_every=validate_every,
        validation_frames=validation_frames,
        geometry=options.scan_geometry(line_axis, first, mirrored, line_offset, crop, slow_axis),
    )
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
    from sasnet_live.training.settings import TrainingSettings
    from sasnet_live.training.state import steps_kept

    if not TrainingSettings.are_in(folder):
        return f"interrupted before the run began: nothing is kept in {folder}"
    steps, kept = TrainingSettings.load(folder).steps, steps_kept(folder)
    what = f"{kept} of {steps} steps are kept" if kept else "no step is kept, for the first validation was not reached"
    return f"interrupted: {what}; go on with: sasnet-live train -o {shlex.quote(str(folder))} --resume"


def _widths(channels: str) -> tuple[int, ...]:
    from sasnet_live.errors import InputError

    try:
        return tuple(int(width) for width in channels.split(",")) if channels else ()
    except ValueError as error:
        raise InputError(f"--channels {channels} came; expected whole numbers with commas between") from error


def _loss_weights(pairs: list[str]) -> LossWeights:
    from dataclasses import fields, replace

    from sasnet_live.errors import InputError
    from sasnet_live.training.weights import LossWeights

    names = {field.name.rstrip("_"): field.name for field in fields(LossWeights)}
    given: dict[str, float] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            given[names[name]] = float(value)
        except (KeyError, ValueError) as error:
            raise InputError(f"--loss {pair} came; expected NAME=VALUE with a name of {', '.join(names)}") from error
    return replace(LossWeights(), **given)


_SETTING_OF_OPTION = {
    "loss": "losses",
    **dict.fromkeys(("line_axis", "first", "mirrored", "line_offset", "crop", "slow_axis"), "geometry"),
}


def _refuse_changes(context: typer.Context, given: TrainingSettings, kept: TrainingSettings, folder: Path) -> None:
    """A resumed run keeps its settings: an option that says otherwise is not passed over in silence."""
    from sasnet_live.errors import InputError

    for parameter in context.command.params:
        name = parameter.name or ""
        setting = _SETTING_OF_OPTION.get(name, name)
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE" or not hasattr(kept, setting):
            continue
        if getattr(given, setting) != getattr(kept, setting):
            raise InputError(
                f"{folder}: was begun with another {parameter.opts[0].removeprefix('--')} ({getattr(kept, setting)}); "
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
