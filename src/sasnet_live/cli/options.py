"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from sasnet_live.geometry import ScanGeometry


LineAxis = Annotated[
    Literal["rows", "columns"],
    typer.Option(help="Whether each row or each column of a frame is one scan line."),
]
First = Annotated[
    Literal["forward", "backward"],
    typer.Option(help="The pass that line 0 belongs to."),
]
Mirrored = Annotated[
    bool,
    typer.Option(
        "--mirrored/--not-mirrored",
        help="Whether backward lines are stored in time order, right to left.",
    ),
]
LineOffset = Annotated[
    int,
    typer.Option(
        metavar="PX", help="Known displacement of backward lines, where the search starts; at most half a line."
    ),
]
Crop = Annotated[
    tuple[int, int],
    typer.Option(metavar="START END", help="Turnaround px dropped from the start and the end of each line."),
]
SlowAxis = Annotated[
    Literal["continuous", "stepped", "interleaved"],
    typer.Option(
        help="Where backward lines lie: the beam zig-zags, both passes lie at one place, or midway between forward "
        "lines."
    ),
]
Model = Annotated[
    str,
    typer.Option(metavar="NAME|FILE", help="A model that ships (see `sasnet-live info`) or a .safetensors file."),
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where the model runs.")]
Precision = Annotated[Literal["auto", "fp32", "bf16", "fp16"], typer.Option(help="Arithmetic of the model.")]
Output = Annotated[
    Literal["rendered", "warped", "both"],
    typer.Option(help="Backward lines re-rendered in the forward appearance; moved only; or both."),
]
Temporal = Annotated[
    bool,
    typer.Option("--temporal/--each-frame-alone", help="Whether earlier frames help to register later ones."),
]
SearchPx = Annotated[
    float | None,
    typer.Option(
        metavar="PX",
        help="Largest displacement looked for, at most half a line; by default a tenth of it. Three times as far where "
        "a first frame clearly fits better there.",
    ),
]
LargestFrame = Annotated[
    float,
    typer.Option(metavar="MIB", min=1, help="Memory that a frame may take unpacked, however small its file."),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="NAME.ome.tiff|NAME.ome.zarr", help="Write the registered frames."),
]
Raw = Annotated[Path | None, typer.Option(metavar="NAME.ome.tiff|NAME.ome.zarr", help="Write the raw frames, too.")]
Metrics = Annotated[
    Path | None,
    typer.Option(metavar="FILE.csv|.parquet", help="Table with a row a frame; by default beside --out."),
]
SideBySide = Annotated[
    bool, typer.Option("--side-by-side", help="Write raw and registered beside each other to --out.")
]
AlignOn = Annotated[
    str | None,
    typer.Option(
        metavar="CHANNEL", help="Move all channels with the displacement of this one; by default each has its own."
    ),
]
DType = Annotated[
    str | None, typer.Option(metavar="TYPE", help="Data type to write, such as float32; by default the input's.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a frame, and nothing else.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that are there.")]


def scan_geometry(
    line_axis: Literal["rows", "columns"],
    first: Literal["forward", "backward"],
    mirrored: bool,
    line_offset: int,
    crop: tuple[int, int],
    slow_axis: Literal["continuous", "stepped", "interleaved"],
) -> ScanGeometry:
    """The geometry that the options above describe."""
    from sasnet_live.geometry import ScanGeometry

    return ScanGeometry(
        line_axis=line_axis,
        first=first,
        backward_mirrored=mirrored,
        line_offset=line_offset,
        crop=crop,
        slow_axis=slow_axis,
    )
