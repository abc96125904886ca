"""``sasnet-live simulate``: a raw recording to try things on, with the truth if wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sasnet_live.geometry import ScanGeometry
from sasnet_live.simulation.aline_settings import AlineSettings

from . import options
from .printing import echo

if TYPE_CHECKING:
    from sasnet_live.frame import Pixels
    from sasnet_live.simulation.alines import SimulatedVolume
    from sasnet_live.sinks.ome_tiff import OmeTiffWriter

_LINES_AT_ONCE = 8
"""Lines of A-lines that are made at a time: 8 of 512 px and 1024 samples take 16 MB."""


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
    alines: AlineSettings,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Simulate a raw bidirectional recording of blood vessels; with --samples, of RF A-lines."""
    from dataclasses import asdict

    import numpy as np

    from sasnet_live.errors import InputError
    from sasnet_live.recordings.formats import TIFF_SUFFIXES
    from sasnet_live.simulation.levels import random_scanner

    if out.suffix.lower() not in TIFF_SUFFIXES:
        raise InputError(f"{out}: expected a name that ends with .ome.tiff or .tif")
    rng = np.random.default_rng(seed)
    scanner = random_scanner(rng, level, size)
    done = {
        "simulated": f"{level} scanner, seed {seed}",
        **{f"geometry.{name}": str(value) for name, value in asdict(geometry).items()},
    }
    shape: Any = {"height": size, "width": size, "geometry": geometry}
    images: Iterator[dict[str, _Planes]]
    if alines.samples:
        from sasnet_live.simulation.alines import layered_tissue, scan_volume

        done |= {f"alines.{name}": str(value) for name, value in asdict(alines).items()}
        tissue = layered_tissue(np.random.default_rng(seed), size, size, alines)
        volumes = (
            scan_volume(tissue, scanner, alines, rng, time_s=number * interval, **shape) for number in range(frames)
        )
        images = (_of_volume(volume, out.parent, truth=truth) for volume in volumes)
    else:
        from sasnet_live.simulation.recording import RecordingSettings, record

        series = record(seed, scanner, rng, frames, recording=RecordingSettings(frame_interval_s=interval), **shape)
        images = (
            {"": _one(frame.raw)}
            | ({"_truth": _one(frame.truth), "_displacement": _one(frame.displacement_px)} if truth else {})
            for frame in series
        )
    for writer in _written(images, out, frames, interval, done, overwrite=overwrite):
        echo(f"wrote {writer.path}  {frames} {'volumes' if alines.samples else 'frames'}")


_Planes = tuple["Callable[[], Iterator[Pixels]]", int]
"""What gives the planes of one frame or volume, and how many there are."""


def _one(image: Pixels) -> _Planes:
    return lambda: iter([image]), 1


def _of_volume(volume: SimulatedVolume, folder: Path, *, truth: bool) -> dict[str, _Planes]:
    """The planes of a volume and its truths, by what is added to the name."""
    turned = volume.geometry.line_axis == "columns"
    depth = volume.alines.samples

    def planes(lines: Callable[[int, int], Any], count: int, px: int) -> _Planes:
        return lambda: _planes(lines, (depth, count, px), folder, turned=turned), depth

    _, count, px = volume.amplitude.shape
    images = {"": planes(volume.lines, count, px)}
    if truth:
        images["_truth"] = planes(volume.truth, *volume.displacement_px.shape)
        images["_displacement"] = _one(volume.displacement_px)
    return images


def _planes(
    lines: Callable[[int, int], Any], shape: tuple[int, int, int], folder: Path, *, turned: bool
) -> Iterator[Pixels]:
    """Depth by depth what is made line by line."""
    import numpy as np

    from sasnet_live.scratch import Scratch

    depth, count, _ = shape
    with Scratch(folder, shape, np.dtype(np.int16)) as scratch:
        for start in range(0, count, _LINES_AT_ONCE):
            end = min(start + _LINES_AT_ONCE, count)
            scratch.write(lines(start, end).transpose(2, 0, 1), 0, start)
        for number in range(depth):
            plane = scratch.read(number, number + 1, 0, count)[0]
            yield plane.T if turned else plane


def _written(
    images: Iterator[dict[str, _Planes]],
    out: Path,
    frames: int,
    interval: float,
    done: dict[str, str],
    *,
    overwrite: bool,
) -> list[OmeTiffWriter]:
    """Write all frames, or all planes of all volumes, each kind to a file of its own."""
    from contextlib import ExitStack

    from sasnet_live.files import renamed
    from sasnet_live.layout import Layout
    from sasnet_live.sinks.ome_tiff import OmeTiffWriter

    with ExitStack() as stack:
        writers: dict[str, OmeTiffWriter] = {}
        for number, kinds in enumerate(images):
            for kind, (planes, count) in kinds.items():
                for image in planes():
                    if kind not in writers:
                        shape = image.shape[0], image.shape[1]
                        axes, sizes = ("t", (frames,)) if count == 1 else ("tz", (frames, count))
                        layout = Layout.stack(shape, image.dtype, axes, sizes, interval_s=interval)
                        writer = OmeTiffWriter(renamed(out, kind), layout, record=done, overwrite=overwrite)
                        writers[kind] = stack.enter_context(writer)
                    writers[kind].write(image, times={"DeltaT": number * interval})
    return list(writers.values())
