"""``sasnet-live simulate``: a raw recording to try things on, with the truth if wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sasnet_live.geometry import ScanGeometry

from . import options
from .printing import echo


def simulate(
    out: Annotated[Path, typer.Option("--out", "-o", help="OME-TIFF to write.", show_default=False)],
    *,
    frames: Annotated[int, typer.Option(min=1, help="Number of frames.")] = 50,
    level: Annotated[
        Literal["easy", "medium", "hard"], typer.Option(help="Scanner: about 3, 8 or 16 px of lag at 512 px a line.")
    ] = "medium",
    size: Annotated[int, typer.Option(min=16, help="Height and width of frames, px.")] = 512,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same frames.")] = 0,
    interval: Annotated[float, typer.Option(max=86_400, metavar="S", help="Time from frame to frame, s.")] = 0.5,
    truth: Annotated[
        bool,
        typer.Option(
            "--truth",
            help="Also write NAME_truth (the backward lines as the forward pass would have read them, free of noise) "
            "and NAME_displacement (px).",
        ),
    ] = False,
    geometry: Annotated[ScanGeometry, options.Group(without=("line_offset",))],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Simulate a raw bidirectional recording of blood vessels."""
    from contextlib import ExitStack
    from dataclasses import asdict

    import numpy as np

    from sasnet_live.errors import InputError
    from sasnet_live.files import renamed
    from sasnet_live.layout import Layout
    from sasnet_live.recordings.formats import TIFF_SUFFIXES
    from sasnet_live.simulation.levels import random_scanner
    from sasnet_live.simulation.recording import RecordingSettings, record
    from sasnet_live.sinks.ome_tiff import OmeTiffWriter

    if out.suffix.lower() not in TIFF_SUFFIXES:
        raise InputError(f"{out}: expected a name that ends with .ome.tiff or .tif")
    rng = np.random.default_rng(seed)
    series = record(
        seed,
        random_scanner(rng, level, size),
        rng,
        frames,
        height=size,
        width=size,
        geometry=geometry,
        recording=RecordingSettings(frame_interval_s=interval),
    )
    done = {
        "simulated": f"{level} scanner, seed {seed}",
        **{f"geometry.{name}": str(value) for name, value in asdict(geometry).items()},
    }
    with ExitStack() as stack:
        writers: dict[str, OmeTiffWriter] = {}
        for number, frame in enumerate(series, 1):
            images = {"": frame.raw}
            if truth:
                images |= {"_truth": frame.truth, "_displacement": frame.displacement_px}
            for kind, image in images.items():
                if kind not in writers:
                    shape = image.shape[0], image.shape[1]
                    layout = Layout.stack(shape, image.dtype, "t", (frames,), interval_s=interval)
                    writer = OmeTiffWriter(renamed(out, kind), layout, record=done, overwrite=overwrite)
                    writers[kind] = stack.enter_context(writer)
                writers[kind].write(image, times={"DeltaT": (number - 1) * interval})
    for writer in writers.values():
        echo(f"wrote {writer.path}  {frames} frames")
