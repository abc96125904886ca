"""``sasnet-live detect``: the geometry of a recording, and how certain it is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sasnet_live.geometry import ScanGeometry, SlowAxis
from sasnet_live.parameters import parameter_at
from sasnet_live.recordings.settings import LARGEST_MIB

from . import options
from .printing import echo

if TYPE_CHECKING:
    from sasnet_live.correspondence.detect import DetectedGeometry

_TITLES = {
    "line_axis": "line axis",
    "backward_mirrored": "backward lines",
    "first": "first line",
    "line_offset": "displacement",
}


def detect(
    file: Annotated[Path, typer.Argument(help="A recording with content: vessels, not the background.")],
    channel: Annotated[int, typer.Option(min=0, help="In which the displacement is looked for, from 0.")] = 0,
    axes: Annotated[str | None, typer.Option(metavar="TYX", help="What the axes are, where a file is wrong.")] = None,
    slow_axis: Annotated[SlowAxis, typer.Option(help=parameter_at(ScanGeometry, "slow_axis").help)] = "continuous",
    crop: Annotated[
        tuple[int, int], typer.Option(metavar="START END", help=parameter_at(ScanGeometry, "crop").help)
    ] = (0, 0),
    largest_frame: options.LargestFrame = LARGEST_MIB,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Find how a recording was scanned: lines along rows or columns, which pass is first, mirrored or not, the lag.

    Exit status 0: certain enough for `reprocess --geometry auto`; 1: not; 2: bad arguments or file.
    """
    from sasnet_live.errors import InputError
    from sasnet_live.recordings import ReadSettings, open_recording
    from sasnet_live.reprocess.geometry import NEEDED, find_geometry

    known = ScanGeometry(slow_axis=slow_axis, crop=crop)
    with open_recording(file, ReadSettings(axes=axes, largest_mib=largest_frame)) as recording:
        channels = recording.layout.size("c") or 1
        if channel >= channels:
            raise InputError(f"{file}: has no channel {channel}; it has {channels}, from 0")
        found = find_geometry(recording, known, channel)
    certain = not set(NEEDED) & set(found.unsure)
    if as_json:
        import json

        sys.stdout.write(json.dumps(_as_dict(found, certain), indent=2) + "\n")
    else:
        _print(found, certain)
    raise typer.Exit(0 if certain else 1)


def _as_dict(found: DetectedGeometry, certain: bool) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "geometry": asdict(found.geometry),
        "certainty": dict(found.sureness),
        "unsure": list(found.unsure),
        "displacement_px": found.displacement_px,
        "doubt": found.doubt,
        "certain": certain,
    }


def _print(found: DetectedGeometry, certain: bool) -> None:
    values = found.values | {"line_offset": f"{found.displacement_px:+.1f} px in the mean"}
    for trait, title in _TITLES.items():
        note = "  not certain: please check" if trait in found.unsure else ""
        if trait == "first" and found.sureness["first"] == 0:
            note = "  not told by such a frame: as given"
        echo(f"{title:<16}{values[trait]:<24}{found.sureness[trait]:>5.0%}{note}")  # type: ignore[index]
    if found.doubt:
        echo(f"doubt           {found.doubt}")
    echo(f"to register     sasnet-live reprocess FILE -o OUT {_options(found)}" if certain else "not certain enough")


def _options(found: DetectedGeometry) -> str:
    """The geometry as options of the shell; the defaults are left out but for the two that matter most."""
    geometry = found.geometry
    words = [f"--line-axis {geometry.line_axis} --first {geometry.first}"]
    if geometry.backward_mirrored:
        words.append("--mirrored")
    if geometry.line_offset:
        words.append(f"--line-offset {geometry.line_offset}")
    if any(geometry.crop):
        words.append("--crop {} {}".format(*geometry.crop))
    if geometry.slow_axis != "continuous":
        words.append(f"--slow-axis {geometry.slow_axis}")
    return " ".join(words)
