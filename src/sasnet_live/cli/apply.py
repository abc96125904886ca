"""``sasnet-live apply``: move other data of a scan by a stored displacement."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from . import options
from .interrupts import interrupts
from .printing import complain, echo

_SAID_EVERY_S = 5.0


def apply(
    displacement: Annotated[
        Path, typer.Argument(metavar="DISPLACEMENT_FILE", help="As reprocess --displacement wrote it.")
    ],
    raw: Annotated[Path, typer.Argument(metavar="RAW", help="TIFF of the same frames, such as another detector's.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="NAME.ome.tiff", help="OME-TIFF to write.")],
    output: Annotated[
        Literal["warped", "rendered"],
        typer.Option(help="Moved only, measured intensities kept; or rendered in the forward appearance, too."),
    ] = "warped",
    model: options.Model = "default",
    device: options.Device = "auto",
    axes: Annotated[
        str | None, typer.Option(metavar="TYX", help="What the axes are, where the file has them wrong.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that is there.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted output.")] = False,
) -> None:
    """Move other data of a scan by the displacement that was found on it.

    The scan geometry is that of the displacement file. Data of another shape, number of frames or geometry are refused.
    Where the file holds one displacement, it moves all frames. Frames that were not accepted are passed through, and
    said. Exit status 0: done; 2: bad arguments or files.
    """
    from sasnet_live.recordings import ReadSettings
    from sasnet_live.reprocess.apply import ApplySettings, apply_displacement
    from sasnet_live.settings import RegistrarSettings

    # Nothing is rendered of moved lines: no network is loaded for them.
    wanted = "correspondence" if output == "warped" else model
    settings = ApplySettings(
        RegistrarSettings(wanted, device, output=output), ReadSettings(axes=axes), overwrite, resume
    )
    try:
        done = apply_displacement(displacement, raw, out, settings, progress=_Progress(raw.name))
    except KeyboardInterrupt:
        interrupts().answered = True
        complain("interrupted; what is done so far is kept: the same command with --resume goes on from there")
        raise typer.Exit(interrupts().status) from None
    if done.one_for_all:
        complain(f"{displacement}: holds one displacement, which moved all {done.scans} frames")
    for place, reason in done.passed_through.items():
        complain(f"{raw}: {place} passed through: {reason}")
    untold = done.scans - done.moved - len(done.passed_through)
    if untold:
        complain(f"{raw}: {untold} more passed through; the reason of each is kept with its page")
    echo(f"moved {done.moved} of {done.scans} frames")
    echo(f"wrote {done.output}")


class _Progress:
    """Now and then a line."""

    def __init__(self, name: str) -> None:
        self._name, self._said_s = name, time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._said_s >= _SAID_EVERY_S:
            self._said_s = time.monotonic()
            echo(f"{self._name}  {done}/{total}", sys.stderr)
