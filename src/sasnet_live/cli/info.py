"""``sasnet-live info``: what is installed, which devices and models there are, and what a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sasnet_live.errors import InputError
from sasnet_live.recordings.settings import ReadSettings

from .printing import echo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sasnet_live.recordings import ReadSettings, ScanFacts

_PACKAGES = ("torch", "numpy", "tifffile", "pymmcore-plus", "ome-writers", "napari", "superqt", "pyqtgraph")


def info(
    file: Annotated[
        Path | None, typer.Argument(help="A recording to describe, or a folder.", show_default=False)
    ] = None,
    *,
    reading: ReadSettings,
) -> None:
    """Show versions, devices and models; or, for a recording, its axes, its scan, and what was done to it."""
    file = file or next(iter(reading.passes_in_files), None)
    _print(_recordings(file, reading) if file is not None else _installation())


def _print(lines: Iterator[tuple[str, str]]) -> None:
    pairs = list(lines)
    width = max(len(name) for name, _ in pairs) + 2
    for name, value in pairs:
        echo(f"{name:<{width}}{value}".rstrip())


def _installation() -> Iterator[tuple[str, str]]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from sasnet_live import __version__

    yield "sasnet-live", __version__
    yield "Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, "not installed"
    yield from _devices()
    yield from _models()


def _devices() -> Iterator[tuple[str, str]]:
    import torch

    yield "CPU", f"{torch.get_num_threads()} threads"
    if not torch.cuda.is_available():
        yield "CUDA", "none found"
    for number in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(number)
        yield f"cuda:{number}", f"{device.name}, {device.total_memory / 2**30:.0f} GiB"


def _models() -> Iterator[tuple[str, str]]:
    from importlib.resources import files

    yield "model", "correspondence: displacement and gain only, no weights"
    folder = Path(str(files("sasnet_live.network"))) / "weights"
    for path in sorted(folder.glob("*.safetensors")):
        yield "model", f"{path.stem}: {describe_weights(path)}"


def _scan(scan: ScanFacts) -> Iterator[tuple[str, str]]:
    """What the file says of the scan."""
    if scan.microscope:
        yield "microscope", scan.microscope
    if scan.bidirectional is not None:
        yield "lines", "scanned both ways" if scan.bidirectional else "scanned one way: nothing to register"
    if scan.line_period_s is not None:
        yield "line period", f"{scan.line_period_s * 1e6:.6g} µs"
    if scan.line_phase_s is not None:
        yield "line phase", f"{scan.line_phase_s * 1e6:.6g} µs, as set in the microscope: its frames have it already"


def describe_weights(path: Path) -> str:
    """Size, checksum and scores of a weights file, from its header alone: no torch needed."""
    import hashlib
    import json
    import math

    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header: dict[str, dict[str, object]] = json.loads(content[8 : 8 + length])
    metadata: Mapping[str, object] = header.pop("__metadata__", {})
    parameters = sum(math.prod(tensor["shape"]) for tensor in header.values())  # type: ignore[call-overload]
    parts = [f"{parameters / 1e6:.2f} M parameters, {len(content) / 2**20:.1f} MiB"]
    if metadata.get("version"):
        parts.append(f"trained with {metadata['version']}")
    parts += _scores(metadata.get("scores"))
    return ", ".join([*parts, f"sha256 {hashlib.sha256(content).hexdigest()}"])


def _scores(text: object) -> Iterator[str]:
    """Scores by level of difficulty and metric, as training writes them."""
    import json

    scores = json.loads(text) if isinstance(text, str) and text else {}
    for level, figures in scores.items():
        if isinstance(figures, dict) and {"ncc_rendered", "ssim_rendered"} <= set(figures):
            yield f"{level} NCC {_short(figures['ncc_rendered'])} SSIM {_short(figures['ssim_rendered'])}"
        elif isinstance(figures, dict):
            yield " ".join([level, *(f"{name} {_short(value)}" for name, value in figures.items())])
        else:
            yield f"{level} {_short(figures)}"


def _short(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _recordings(path: Path, reading: ReadSettings) -> Iterator[tuple[str, str]]:
    from sasnet_live.recordings import find_recordings

    recordings = find_recordings([path], reading)
    for number, found in enumerate(recordings):
        if number:
            yield "", ""
        try:
            yield from _recording(found.paths, reading)
        except InputError as error:
            if len(recordings) == 1:
                raise
            yield "not readable", str(error)


def _recording(paths: tuple[Path, ...], reading: ReadSettings) -> Iterator[tuple[str, str]]:
    from sasnet_live.recordings import open_recording
    from sasnet_live.sinks.ome_tiff import read_record

    path = paths[0]
    with open_recording(paths, reading) as stack:
        layout, remarks, scan = stack.layout, stack.remarks, stack.scan
        format_name = stack.format_name
    yield "file", str(path) + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
    yield "format", format_name
    yield "axes", f"{layout.letters}YX"
    yield "sizes", " x ".join(str(size) for size in layout.shape)
    yield "data type", str(layout.dtype)
    if layout.pixel_size_um is not None:
        yield "pixel size", "{1:.6g} x {0:.6g} µm (x, y)".format(*layout.pixel_size_um)
    if layout.z_step_um is not None:
        yield "depth step", f"{layout.z_step_um:.6g} µm"
    if layout.interval_s is not None:
        yield "interval", f"{layout.interval_s:.6g} s"
    if layout.channel_names:
        yield "channels", ", ".join(layout.channel_names)
    yield from _scan(scan)
    for remark in remarks:
        yield "note", remark.removeprefix(f"{path}: ")
    record = read_record(path)
    if not record:
        yield "written by", "another program"
    elif path.suffix == ".partial":
        yield "written by", "SASNet Live, not complete: --resume goes on with it"
    for name, value in record.items():
        yield f"  {name}", value
