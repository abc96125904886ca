"""Moving other data of a scan by the displacement that was stored of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from sasnet_live.convert import as_dtype
from sasnet_live.errors import InputError
from sasnet_live.files import OutputLock, check_writable_folder, partial_path, refuse_interrupted, refuse_present
from sasnet_live.frame import Pixels
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout
from sasnet_live.parameters import parameter
from sasnet_live.recordings import Recording, open_recording
from sasnet_live.recordings.formats import TIFF_SUFFIXES
from sasnet_live.recordings.settings import ReadSettings
from sasnet_live.settings import RegistrarSettings
from sasnet_live.sinks.metrics_table import figures_of
from sasnet_live.sinks.ome_tiff import OmeTiffWriter, frame_figures, is_registered, read_record
from sasnet_live.sinks.tiff_pages import storable

from .displacement_file import StoredDisplacement, open_displacement
from .plan import refuse_inputs

_MAY_DIFFER = ("device", "precision", "software")


@dataclass(frozen=True)
class ApplySettings:
    """How data are moved by a stored displacement.

    Attributes
    ----------
    registrar
        What moves, and renders where asked; its geometry is not used: the stored one counts.
    reading
        How the data are read, where their file does not say it.
    overwrite, resume
        Replace an output that is there; go on with an interrupted one.
    """

    registrar: RegistrarSettings = RegistrarSettings(model="correspondence", output="warped")
    reading: ReadSettings = ReadSettings()
    overwrite: bool = parameter(False, "Replace an output that is there.")
    resume: bool = parameter(False, "Go on with an interrupted output.")

    def __post_init__(self) -> None:
        if self.overwrite and self.resume:
            raise InputError("overwrite and resume exclude each other; give one of them")
        if self.registrar.output == "both":
            raise InputError("output is 'both'; apply writes one file: expected warped or rendered")


@dataclass(frozen=True)
class Applied:
    """What came of it.

    Attributes
    ----------
    output
        The file written.
    scans, moved
        Scans in it, and those of which every channel was moved.
    passed_through
        Reason by position, of the first of those that were not: each "t 3, z 0".
    one_for_all
        Whether one displacement was used for every scan.
    """

    output: Path
    scans: int
    moved: int
    passed_through: Mapping[str, str]
    one_for_all: bool


SHOWN = 5
"""Scans that were passed through of which the position is kept; the others are counted."""


def apply_displacement(
    displacement: str | Path,
    raw: str | Path,
    output: str | Path,
    settings: ApplySettings | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Applied:
    """Move data of the same scan, such as another detector's, by what `reprocess` stored of it.

    Parameters
    ----------
    displacement
        As ``reprocess(also=SideOutputSettings(displacement=...))`` wrote it. Where it holds one scan, that moves all.
    raw
        TIFF of the same frames: shape, number and axes must agree; channels may be others.
    output
        OME-TIFF to write.
    progress
        Called after each scan with the number done and of all.

    Returns
    -------
    What came of it. Scans that were not accepted are passed through unchanged, and so are those that moving would make
    worse.

    Raises
    ------
    InputError
        If the data are of another geometry, shape or number of frames, or a file is there or cannot be read.
    """
    settings = settings or ApplySettings()
    displacement, raw, output = Path(displacement), Path(raw), Path(output)
    if output.suffix.lower() not in TIFF_SUFFIXES:
        raise InputError(f"{output}: only OME-TIFF is written; give a name that ends with .ome.tiff")
    refuse_inputs([displacement, raw], [output])
    if not (settings.overwrite or settings.resume):
        refuse_present(output)
        refuse_interrupted(partial_path(output))
    with open_displacement(displacement) as stored, open_recording(raw, settings.reading) as stack:
        places = _matched(stored, stack.layout, raw, displacement)
        _refuse_other_geometry(raw, stored.series.geometry)
        check_writable_folder(output.parent)
        with OutputLock([output]):
            job = _Job(displacement, output, settings, stored, stack)
            return job.run(places, progress)


class _Job:
    """One file being moved."""

    def __init__(
        self, source: Path, output: Path, settings: ApplySettings, stored: StoredDisplacement, stack: Recording
    ) -> None:
        self._stored, self._stack = stored, stack
        geometry = stored.series.geometry
        self._registrar = replace(settings.registrar, geometry=geometry).make()
        layout = stack.layout
        described = {name: text for name, text in self._registrar.describe().items() if text and name != "software"}
        self._writer = OmeTiffWriter(
            output,
            replace(layout, frame_shape=geometry.frame_shape(layout.frame_shape), dtype=storable(layout.dtype)),
            record={
                "source": stack.path.name,
                "displacement": source.name,
                "displacement.source": stored.series.record.get("source", "not known"),
                **described,
                "output": settings.registrar.output,
            },
            ignored=_MAY_DIFFER,
            overwrite=settings.overwrite,
            resume=settings.resume,
        )

    def run(self, places: list[dict[str, int]], progress: Callable[[int, int], None] | None) -> Applied:
        """All pages, in the order of the file's own axes; channels need not be its last axis."""
        layout, order = self._stack.layout, tuple(axis for axis in self._stack.layout.axes if axis != "c")
        number_of = {tuple(place.items()): number for number, place in enumerate(places)}
        # Pages of an earlier run: what became of them is kept with each.
        earlier = list(islice(frame_figures(self._writer.partial), self._writer.pages_written))
        failed: dict[int, str] = {}
        with self._writer as writer:
            for page, where in enumerate(layout.indices()):
                number = number_of[tuple((axis, where[axis]) for axis in order)]
                if page < len(earlier):
                    if not earlier[page].get("accepted"):
                        failed.setdefault(number, _reason(str(earlier[page].get("reason", ""))))
                    continue
                found = self._stored.scan(number if self._stored.scans > 1 else 0).registration()
                moved = self._registrar.apply(self._stack.read(where), found)
                image: Pixels = as_dtype(moved.image, writer.layout.dtype)
                writer.write(image, figures=figures_of(moved))
                if not moved.accepted:
                    failed.setdefault(number, _reason(moved.reason))
                if progress is not None and page % (layout.size("c") or 1) == 0:
                    progress(number + 1, len(places))
        shown = {_said(places[number]): reason for number, reason in list(failed.items())[:SHOWN]}
        one_for_all = self._stored.scans == 1 < len(places)
        return Applied(self._writer.path, len(places), len(places) - len(failed), shown, one_for_all)


def _reason(reason: str) -> str:
    """Without the registrar's word for the data that a displacement was found on, which lie elsewhere here."""
    return reason.removeprefix("aligned channel: ")


def _matched(stored: StoredDisplacement, layout: Layout, raw: Path, displacement: Path) -> list[dict[str, int]]:
    """The position of each scan of the data, in the order of the stored ones."""
    series = stored.series
    if layout.frame_shape != series.frame_shape:
        height, width = layout.frame_shape
        raise InputError(
            f"{raw}: has frames of {height} x {width} px; expected {series.frame_shape[0]} x {series.frame_shape[1]}, "
            f"of which {displacement.name} is"
        )
    sizes = {axis: size or 1 for axis, size in zip(layout.axes, layout.sizes, strict=True) if axis != "c"}
    scans = 1
    for size in sizes.values():
        scans *= size
    stored_sizes = dict(zip(series.axes, series.sizes, strict=True))
    same_axes = {a: n for a, n in sizes.items() if n > 1} == {a: n for a, n in stored_sizes.items() if n > 1}
    one_axis = max(len([n for n in each.values() if n > 1]) for each in (sizes, stored_sizes)) <= 1
    if series.scans > 1 and scans != series.scans:
        raise InputError(f"{raw}: has {scans} scans; expected {series.scans}, of which {displacement.name} is")
    if series.scans > 1 and not (same_axes or one_axis):
        raise InputError(
            f"{raw}: has the axes {_axes(sizes)}; expected {_axes(stored_sizes)}, of which {displacement.name} is: "
            "say what they are with --axes"
        )
    if series.scans > 1 and same_axes:
        return [{axis: series.index(n).get(axis, 0) for axis in sizes} for n in range(scans)]
    of_one_channel = (where for where in layout.indices() if where.get("c", 0) == 0)
    return [{axis: where[axis] for axis in sizes} for where in of_one_channel]


def _refuse_other_geometry(raw: Path, geometry: ScanGeometry) -> None:
    """Refuse data that say of themselves that they are no raw frames of this geometry."""
    if is_registered(raw):
        raise InputError(f"{raw}: is registered already; give the raw recording")
    kept = read_record(raw).get("geometry", "")
    if kept and kept != str(geometry):
        raise InputError(f"{raw}: was recorded as {kept}, and the displacement is of {geometry}; expected the same")


def _axes(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{axis.upper()} {size}" for axis, size in sizes.items()) or "none"


def _said(place: Mapping[str, int]) -> str:
    return ", ".join(f"{axis} {at}" for axis, at in place.items()) or "the only one"
