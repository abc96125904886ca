"""`sasnet-live train`: weights of one's own, on the simulator and on one's own recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sasnet_live.training.loop import Progress


def train(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run: settings, state, best.safetensors.")],
    recordings: Annotated[
        list[Path] | None, typer.Argument(help="Raw TIFF stacks to train on without truth. None: the simulator alone.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Architecture: lite, full, paper.")] = "lite",
    steps: Annotated[int, typer.Option(min=1, help="Training steps.")] = 8000,
    batch_size: Annotated[int, typer.Option(min=1)] = 8,
    learning_rate: Annotated[float, typer.Option()] = 2e-3,
    seed: Annotated[int, typer.Option(help="Of weights, samples and batches.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make samples.")] = 1,
    height: Annotated[int, typer.Option(help="Lines of a simulated training frame.")] = 192,
    width: Annotated[int, typer.Option(help="Px of a line of a simulated training frame.")] = 320,
    precision: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    loss: Annotated[
        list[str] | None,
        typer.Option(
            help="Weight of a loss, NAME=VALUE; cross, similarity, alignment, scene, self, cycle. Repeatable."
        ),
    ] = None,
    simulated_share: Annotated[float, typer.Option(help="Part of simulated samples beside recordings.")] = 0.5,
    initial_weights: Annotated[str, typer.Option(help="Weights to start from: a model's name or a file.")] = "",
    validate_every: Annotated[int, typer.Option(min=1, help="Steps between validations and checkpoints.")] = 250,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder, with its settings.")
    ] = False,
    line_axis: Annotated[str, typer.Option(help="Of the recordings: rows or columns.")] = "rows",
    first: Annotated[str, typer.Option(help="Pass of line 0: forward or backward.")] = "forward",
    mirrored: Annotated[bool, typer.Option("--mirrored", help="Backward lines are stored right to left.")] = False,
    slow_axis: Annotated[str, typer.Option(help="continuous, stepped or interleaved.")] = "continuous",
) -> None:
    """Train the network; several processes with torchrun -m sasnet_live train ..."""
    from sasnet_live.network.checkpoint import find_weights
    from sasnet_live.scan import ScanGeometry
    from sasnet_live.training.loop import train as run
    from sasnet_live.training.settings import TrainingSettings

    settings = TrainingSettings(
        preset=preset,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        height=height,
        width=width,
        workers=workers,
        precision=precision,  # type: ignore[arg-type]
        losses=_weights(loss or []),
        recordings=tuple(str(path) for path in recordings or []),
        simulated_share=simulated_share,
        initial_weights=str(find_weights(initial_weights)) if initial_weights else "",
        validate_every=validate_every,
        geometry=ScanGeometry(line_axis, first, mirrored, slow_axis=slow_axis),  # type: ignore[arg-type]
    )
    with _Display() as display:
        best = run(settings, out, resume=resume, device=device, report=display.show)
    typer.echo(f"Best weights: {best}")


def _weights(pairs: list[str]):  # type: ignore[no-untyped-def]
    from dataclasses import fields, replace

    from sasnet_live.errors import InputError
    from sasnet_live.training.weights import LossWeights

    weights = LossWeights()
    names = {field.name.rstrip("_"): field.name for field in fields(weights)}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            weights = replace(weights, **{names[name]: float(value)})
        except (KeyError, ValueError) as error:
            raise InputError(f"--loss {pair} came; expected NAME=VALUE with a name of {', '.join(names)}") from error
    return weights


class _Display:
    """Progress bar with the time left, and a table row a validation; plain lines where there is no terminal."""

    def __init__(self) -> None:
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
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("training", total=None, losses="")
        self._header = False

    def __enter__(self) -> _Display:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, progress: Progress) -> None:
        text = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
        self._progress.update(self._task, completed=progress.step, total=progress.steps, losses=text)
        if not progress.scores:
            return
        if not self._header:
            self._console.print("   step  time left  group       NCC before -> rendered     SSIM before -> rendered")
            self._header = True
        left_s = progress.elapsed_s / progress.step * (progress.steps - progress.step)
        for score in progress.scores:
            mark = "  best so far" if progress.best and score is progress.scores[-1] else ""
            self._console.print(
                f"{progress.step:7d}  {left_s / 60:5.0f} min  {score.group:10s}  {score.ncc_source:.4f} -> "
                f"{score.ncc_rendered:.4f}           {score.ssim_source:.4f} -> {score.ssim_rendered:.4f}{mark}",
                highlight=False,
            )
        if not self._console.is_terminal:
            self._console.print(f"         {text}", highlight=False)
