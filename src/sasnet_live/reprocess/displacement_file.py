"""Stored displacements, read back scan by scan from the files that `--displacement` writes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import MeasuredDisplacement, Pixels, Registration, RegistrationMetrics
from sasnet_live.recordings import open_recording
from sasnet_live.sinks.ome_tiff import frame_figures, read_record
from sasnet_live.sinks.scans.displacement_tif import METADATA
from sasnet_live.sinks.scans.protocol import library
from sasnet_live.sinks.scans.series import ScanSeries

_PARTS = ("profile_px", "lines_px", "creep_px", "profile_deviation_px", "line_deviation_px", "creep_deviation_px")


@dataclass(frozen=True)
class StoredScan:
    """What is stored of one scan; `measured` is None where the file has the displacement of each px only."""

    accepted: bool
    reason: str
    confidence: float
    displacement_px: Pixels
    measured: MeasuredDisplacement | None = None
    line_confidence: Pixels | None = None

    def registration(self) -> Registration:
        """As `sasnet_live.registrar.Registrar.apply` takes it: it asks for the displacement and what is known of it."""
        nothing = np.empty((0, 0), np.float32)
        return Registration(
            image=nothing,
            rendered=None,
            warped=nothing,
            displacement_px=self.displacement_px,
            metrics=RegistrationMetrics(confidence=self.confidence),
            accepted=self.accepted,
            reason=self.reason,
            line_confidence=self.line_confidence,
            measured=self.measured,
        )


class StoredDisplacement:
    """The displacements of a recording, in the order of its axes.

    Attributes
    ----------
    series
        What the scans have in common.
    scans
        How many there are.
    """

    def __init__(self, series: ScanSeries, scan: Callable[[int], StoredScan], files: ExitStack) -> None:
        self.series, self.scans = series, series.scans
        self._scan, self._files = scan, files

    def __enter__(self) -> StoredDisplacement:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def scan(self, number: int) -> StoredScan:
        """One of them."""
        return self._scan(number)


def open_displacement(path: str | Path) -> StoredDisplacement:
    """Open a file that `reprocess --displacement` wrote.

    Raises
    ------
    InputError
        In one line, if it is none, is damaged or cut, or h5py is missing for `.h5`.
    """
    path = Path(path)
    openers = {".npz": _npz, ".h5": _h5, ".hdf5": _h5, ".tif": _tif, ".tiff": _tif}
    opener = openers.get(path.suffix.lower())
    if opener is None:
        raise InputError(f"{path}: a displacement file ends with {', '.join(openers)}; give one of these")
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the name")
    with ExitStack() as files:
        try:
            opened = opener(path, files)
        except InputError:
            raise
        except Exception as error:  # whatever a library makes of a damaged file
            text = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{path}: cannot be read as a displacement file ({text}); write it again") from error
        return StoredDisplacement(*opened, files.pop_all())
    raise AssertionError  # not reached


def _npz(path: Path, files: ExitStack) -> tuple[ScanSeries, Callable[[int], StoredScan]]:
    with np.load(path, allow_pickle=False) as archive:
        series = ScanSeries.read(_json(str(archive["metadata"])), str(path))
    return series, _of_arrays(path, series, lambda name: _member(path, name))


def _member(path: Path, name: str) -> Any:
    """An array of an `.npz` file, as it lies on disk where it is not compressed, so that no recording fills memory."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
        if info.compress_type == zipfile.ZIP_STORED:
            with archive.open(info) as member:
                version = np.lib.format.read_magic(member)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, fortran, dtype = read(member)
                inside = member.tell()
            if not fortran and not dtype.hasobject:
                with path.open("rb") as file:
                    file.seek(info.header_offset + 26)
                    lengths = np.frombuffer(file.read(4), "<u2")  # of the name and of what is beside it
                start = info.header_offset + 30 + int(lengths.sum()) + inside
                return np.memmap(path, dtype, "r", start, shape) if np.prod(shape) else np.empty(shape, dtype)
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[name]


def _h5(path: Path, files: ExitStack) -> tuple[ScanSeries, Callable[[int], StoredScan]]:
    h5py = library("h5py", "hdf5", path)
    file = files.enter_context(h5py.File(path, "r"))
    series = ScanSeries.read(_json(file.attrs.get("metadata", "{}")), str(path))
    return series, _of_arrays(path, series, lambda name: file[name])


def _of_arrays(path: Path, series: ScanSeries, array: Callable[[str], Any]) -> Callable[[int], StoredScan]:
    lines, width = series.lines_shape
    arrays = {name: array(name) for name in (*_PARTS, "line_confidence", "accepted", "reason", "confidence")}
    for name, values in arrays.items():
        shape: tuple[int, ...] = (series.scans,)
        if name in (*_PARTS, "line_confidence"):
            shape = (series.scans, lines if name.startswith("line") else width)
        if values.shape != shape:
            raise InputError(f"{path}: {name} has the shape {values.shape}; expected {shape}: write it again")

    def scan(number: int) -> StoredScan:
        single = {name: np.asarray(arrays[name][number], np.float32) for name in (*_PARTS, "line_confidence")}
        of_lines = single.pop("line_confidence")
        measured = MeasuredDisplacement(**single, unpaired=series.unpaired)
        return StoredScan(
            accepted=bool(arrays["accepted"][number]),
            reason=bytes(arrays["reason"][number]).decode(errors="replace"),
            confidence=float(arrays["confidence"][number]),
            displacement_px=_finite(measured.displacement_px(), path, number),
            measured=measured,
            line_confidence=of_lines,
        )

    return scan


def _tif(path: Path, files: ExitStack) -> tuple[ScanSeries, Callable[[int], StoredScan]]:
    series = ScanSeries.read(_json(read_record(path).get(METADATA, "{}")), str(path))
    stack = files.enter_context(open_recording(path))
    expected = (*series.sizes, 2, *series.lines_shape)
    if stack.layout.shape != expected and stack.layout.shape != expected[len(series.sizes) :]:
        raise InputError(f"{path}: has the shape {stack.layout.shape}; expected {expected}: write it again")
    figures = [figures for page, figures in enumerate(frame_figures(path)) if page % 2 == 0]

    def scan(number: int) -> StoredScan:
        index = {axis: at for axis, at in series.index(number).items() if axis in stack.layout.axes}
        of_scan = figures[number]
        return StoredScan(
            accepted=bool(of_scan["accepted"]),
            reason=str(of_scan["reason"]),
            confidence=float(of_scan["confidence"]),
            displacement_px=_finite(stack.read({**index, "c": 0}), path, number),
        )

    return series, scan


def _finite(displacement: Pixels, path: Path, number: int) -> Pixels:
    if not np.isfinite(displacement).all():
        raise InputError(f"{path}: the displacement of scan {number} is not finite; write it again")
    return displacement


def _json(text: Any) -> dict[str, Any]:
    values = json.loads(text)
    return values if isinstance(values, dict) else {}
