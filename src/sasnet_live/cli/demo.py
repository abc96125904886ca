"""`sasnet-live demo`: what this program does, with no microscope and no data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from . import options
from .printing import console


def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the recording, the result and the picture.")
    ] = Path("sasnet-live-demo"),
    frames: Annotated[int, typer.Option(min=1, help="Number of frames.")] = 16,
    size: Annotated[int, typer.Option(min=64, help="Height and width of frames, px.")] = 512,
    level: Annotated[
        Literal["easy", "medium", "hard"], typer.Option(help="Scanner: about 3, 8 or 16 px of lag.")
    ] = "medium",
    seed: Annotated[int, typer.Option(min=0)] = 7,
    model: options.Model = "default",
    device: options.Device = "auto",
) -> None:
    """Simulate a recording, register it, and show how much that helped: a table, an OME-TIFF and a picture."""
    from rich.table import Table

    from sasnet_live.evaluation.demo import PICTURE, RAW, REGISTERED, TABLE, demonstrate, draw
    from sasnet_live.evaluation.optional import library
    from sasnet_live.files import check_writable_folder

    library("matplotlib")
    check_writable_folder(out)
    screen = console()
    screen.print(f"Simulating {frames} frames of {size} x {size} px from a {level} scanner, then registering them ...")
    result = demonstrate(out, frames=frames, size=size, level=level, model=model, device=device, seed=seed)
    draw(result, out / PICTURE)
    table = Table(title="Backward lines against the hidden truth, mean over frames")
    for heading in ("", "NCC", "SSIM", "displacement error, px"):
        table.add_column(heading, justify="right" if heading else "left")
    for scores in result.scores:
        table.add_row(
            scores.name,
            f"{scores.ncc.mean():.3f}",
            f"{scores.ssim.mean():.3f}",
            f"{scores.displacement_error_px.mean():.2f}",
        )
    screen.print(table)
    per_frame = sum(r.metrics.elapsed_ms for r in result.registrations) / len(result.registrations)
    screen.print(
        f"{result.accepted} of {frames} frames registered, {per_frame:.0f} ms a frame; {result.elapsed_s:.0f} s in all."
    )
    for name, what in (
        (RAW, "the recording"),
        (REGISTERED, "the registered recording"),
        (TABLE, "figures of every frame"),
        (PICTURE, "the picture"),
    ):
        screen.print(f"{out / name}  {what}", soft_wrap=True)
