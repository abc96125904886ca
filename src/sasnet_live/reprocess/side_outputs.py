"""Files beside the registered ones, made of what was found in each scan: displacements, shifts, a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from sasnet_live.errors import InputError
from sasnet_live.files import name_and_ending
from sasnet_live.frame import Pixels, Registration
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout
from sasnet_live.sinks.scans.displacement_h5 import Hdf5Displacement
from sasnet_live.sinks.scans.displacement_npz import NpzDisplacement
from sasnet_live.sinks.scans.displacement_tif import TiffDisplacement
from sasnet_live.sinks.scans.log import ScanLog
from sasnet_live.sinks.scans.protocol import ScanOutput, finish, library
from sasnet_live.sinks.scans.series import ScanSeries
from sasnet_live.sinks.scans.suite2p_shifts import Suite2pShifts

from .settings import SideOutputSettings

ENDINGS = {
    "displacement": (".npz", ".h5", ".hdf5", ".tif", ".tiff"),
    "report": (".html", ".htm"),
    "export_shifts": (".npy",),
}
"""Of the names that each kind may have, by its field of `SideOutputSettings`."""

NEEDS = {
    ".h5": ("h5py", "hdf5"),
    ".hdf5": ("h5py", "hdf5"),
    ".htm": ("matplotlib", "evaluate"),
    ".html": ("matplotlib", "evaluate"),
}
"""The library that a file takes, by its ending, and the extra that installs it."""

Frames = tuple[Callable[[dict[str, int]], Pixels], Callable[[dict[str, int]], Pixels]]
"""Reads the raw and the registered frame of a scan, by its position."""


def side_paths(settings: SideOutputSettings, source: Path, beside: Path, *, alone: bool) -> dict[str, Path]:
    """What the side outputs of one input are called, by kind.

    Parameters
    ----------
    beside
        Its registered file. Where only an ending is given, such as ``.npz``, the file lies beside it.
    alone
        Whether it is the only input: others cannot share a name.

    Raises
    ------
    InputError
        If a name has an ending that the kind does not know, is one for several inputs, or needs a library that is
        missing.
    """
    paths = {}
    for kind, endings in ENDINGS.items():
        given: Path | None = getattr(settings, kind)
        if given is None:
            continue
        ending = given.name if given.name.lower() in endings else given.suffix
        option = f"--{kind.replace('_', '-')}"
        if ending.lower() not in endings:
            raise InputError(f"{given}: {option} writes {', '.join(endings)}; give such a name, or only the ending")
        if ending.lower() in NEEDS:
            library(*NEEDS[ending.lower()], given)
        if ending == given.name:
            name = f"{name_and_ending(source)[0]}_{kind.removeprefix('export_')}{ending}"
            paths[kind] = beside.with_name(name)
        elif alone:
            paths[kind] = given
        else:
            raise InputError(
                f"{given}: is one file for several inputs; give only the ending, {option} {ending}, and each has one "
                "beside its output"
            )
    return paths


class SideOutputs:
    """Those of one recording, written scan by scan; each is made when all scans are there.

    Parameters
    ----------
    paths
        By kind, see `side_paths`.
    series
        What its scans have in common.
    settings
        What is wanted.
    frames
        Of the recording, for pictures.
    ignored
        Names in the record of `series` that may differ on `resume`.
    overwrite, resume
        As for `sasnet_live.sinks.scans.log.ScanLog`; on `resume`, files that are complete are left as they are.

    Raises
    ------
    InputError
        If a file is there, is of other scans, or needs a library that is missing.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        series: ScanSeries,
        settings: SideOutputSettings,
        frames: Frames,
        *,
        ignored: tuple[str, ...] = (),
        overwrite: bool = False,
        resume: bool = False,
    ) -> None:
        self.paths = tuple(paths.values())
        self._open: list[tuple[ScanOutput, ScanLog]] = []
        try:
            for kind, path in paths.items():
                output = _output(kind, path, settings, series.geometry, frames)
                output.check(path)
                if resume and path.exists():
                    _refuse_other(kind, path, series, ignored)
                    continue
                log = ScanLog(path, series, ignored=ignored, overwrite=overwrite, resume=resume)
                self._open.append((output, log))
        except BaseException:
            self.abandon()
            raise

    def rows(self, scans: int) -> int:
        """Scans that each of them already has, at most `scans`."""
        return min([scans, *(log.rows for _, log in self._open)])

    def cut(self, scans: int) -> None:
        """Keep the first so many scans."""
        for _, log in self._open:
            log.cut(scans)

    def write(self, found: Registration) -> None:
        """Take the next scan."""
        for _, log in self._open:
            log.append(found)

    def finish(self) -> None:
        """Make the files, count what is in them, and give them their final names."""
        while self._open:
            finish(*self._open[0])
            self._open.pop(0)

    def abandon(self) -> None:
        """Close what is not complete, under its partial name."""
        for _, log in self._open:
            log.close()


def series_of(layout: Layout, geometry: ScanGeometry, order: Sequence[str], record: Mapping[str, str]) -> ScanSeries:
    """The scans of a recording: its frames without their channels."""
    kept = [(axis, size) for axis, size in zip(layout.axes, layout.sizes, strict=True) if axis != "c"]
    return ScanSeries(
        frame_shape=layout.frame_shape,
        geometry=geometry,
        axes=tuple(axis for axis, _ in kept),
        sizes=tuple(cast(int, size) for _, size in kept),
        order=tuple(axis for axis in order if axis != "c"),
        pixel_size_um=layout.pixel_size_um,
        interval_s=layout.interval_s,
        record=record,
    )


def _output(kind: str, path: Path, settings: SideOutputSettings, geometry: ScanGeometry, frames: Frames) -> ScanOutput:
    ending = path.suffix.lower()
    if kind == "export_shifts":
        return Suite2pShifts(geometry)
    if kind == "report":
        from .report_page import ReportPage

        return ReportPage(*frames)
    if ending == ".npz":
        return NpzDisplacement(per_px=settings.per_px)
    return Hdf5Displacement(per_px=settings.per_px) if ending in (".h5", ".hdf5") else TiffDisplacement()


def _refuse_other(kind: str, path: Path, series: ScanSeries, ignored: tuple[str, ...]) -> None:
    """A complete displacement of other scans; reports and shifts are not read back."""
    if kind != "displacement":
        return
    from .displacement_file import open_displacement

    with open_displacement(path) as kept:
        same = [
            replace(one, record={name: text for name, text in one.record.items() if name not in ignored})
            for one in (kept.series, series)
        ]
    if same[0] != same[1]:
        raise InputError(f"{path}: is there already, of other scans or settings; add --overwrite in place of --resume")
