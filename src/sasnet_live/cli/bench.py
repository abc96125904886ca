"""`sasnet-live bench`: how many frames a second this machine registers."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .printing import console, echo

if TYPE_CHECKING:
    from rich.table import Table

    from sasnet_live.evaluation.speed import Speed


def bench(
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="Models to time, with commas between; may be repeated.", show_default="all"),
    ] = None,
    size: Annotated[str, typer.Option(help="Height x width of the raw frames.")] = "512x512",
    frames: Annotated[int, typer.Option(min=2, help="How many frames are timed for each model.")] = 40,
    device: options.Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
) -> None:
    """Time the whole path from raw frame to registered frame, and put it beside what the machine can do at all."""
    from sasnet_live.evaluation.speed import measure
    from sasnet_live.network.names import model_names

    from .evaluate import parse_shape, split_names

    names = split_names(models) or list(model_names())
    speed = measure(names, parse_shape(size), frames, device, progress=lambda what: echo(f"... {what}", sys.stderr))
    if as_json:
        import json

        sys.stdout.write(json.dumps(_without_nan(speed.as_dict()), indent=2) + "\n")
    else:
        _print(speed)


def _without_nan(value: object) -> object:
    """NaN is not JSON: None instead, at any depth."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _print(speed: Speed) -> None:
    from rich import box
    from rich.table import Table

    out = console(width_elsewhere=150)
    machine = ", ".join(f"{key} {value}" for key, value in speed.machine.items() if value)
    out.print(machine)
    rates = ", ".join(f"{rate:.0f} GFLOP/s in {name}" for name, rate in speed.convolution_gflop_per_s.items())
    out.print(
        f"convolution {rates}; NCC and SSIM before and after "
        f"{speed.metrics.median_ms:.1f} ms (fastest {speed.metrics.fastest_ms:.1f})"
    )
    height, width = speed.shape
    table = Table(box=box.SIMPLE_HEAD, title=f"{height} x {width} raw frames", title_justify="left")
    table.add_column("model", no_wrap=True)
    for name in ("FPS", "median ms", "p99 ms", "fastest ms", "GFLOP", "x arithmetic", "metrics share"):
        table.add_column(name, justify="right", overflow="fold")
    for model in speed.models:
        ratio = "–" if math.isnan(model.over_arithmetic) else f"{model.over_arithmetic:.2f}"
        table.add_row(
            model.model,
            f"{model.frames_per_s:.1f}",
            f"{model.frame.median_ms:.1f}",
            f"{model.frame.p99_ms:.1f}",
            f"{model.frame.fastest_ms:.1f}",
            f"{model.gflop:.2f}",
            ratio,
            f"{100 * speed.metrics.median_ms / model.frame.median_ms:.0f} %",
        )
    out.print(table)
    out.print(_inside(speed))


def _inside(speed: Speed) -> Table:
    """What a frame costs within: stages of its time, and how often torch and the device are asked."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title="a frame that follows others: median ms by stage", title_justify="left")
    table.add_column("model", no_wrap=True)
    stages = list(dict.fromkeys(stage for model in speed.models for stage in model.stages_ms))
    for name in (*stages, "torch operations", "of these kernels", "synchronizations"):
        table.add_column(name, justify="right", overflow="fold")
    for model in speed.models:
        times = (f"{model.stages_ms[stage]:.1f}" if stage in model.stages_ms else "–" for stage in stages)
        counts = (model.operations, model.kernels, model.synchronizations)
        table.add_row(model.model, *times, *map(str, counts))
    return table
