"""The files of one recording: what is written where, and the sinks that write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sasnet_live.errors import InputError
from sasnet_live.files import name_and_ending, renamed

if TYPE_CHECKING:
    from sasnet_live.session.settings import LiveSettings
    from sasnet_live.sinks.output import Content
    from sasnet_live.sinks.protocol import FrameSink


@dataclass(frozen=True)
class RecordingPlan:
    """What to write, and how.

    Attributes
    ----------
    images
        The stacks, by what is in them; ``.ome.tiff`` or ``.ome.zarr``.
    table
        Of the metrics of every frame; None: none.
    dtype
        Name of the type of all stacks but the raw one; None: that of the frames.
    overwrite
        Replace files that are there.
    """

    images: Mapping[Content, Path]
    table: Path | None = None
    dtype: str | None = None
    overwrite: bool = False

    @classmethod
    def named(
        cls, out: Path | None, raw: Path | None, table: Path | None, *, both: bool = False, side_by_side: bool = False
    ) -> RecordingPlan:
        """Names as given.

        Parameters
        ----------
        out, raw
            Of what is registered, and of what came; None: not written.
        table
            None: beside `out`, if that is written.
        both
            Rendered and warped images are written, to two files.
        side_by_side
            Raw and registered images are written, to one.
        """
        images: dict[Content, Path] = {}
        if out is not None and side_by_side:
            images["side by side"] = out
        elif out is not None and both:
            images |= {"registered": renamed(out, "_rendered"), "warped": renamed(out, "_warped")}
        elif out is not None:
            images["registered"] = out
        if raw is not None:
            images["raw"] = raw
        if table is None and out is not None:
            table = out.with_name(name_and_ending(out)[0] + "_metrics.csv")
        return cls(images, table)

    @classmethod
    def timed(cls, settings: LiveSettings, now: datetime | None = None) -> RecordingPlan:
        """Names with the time, so that no recording replaces another.

        Raises
        ------
        InputError
            If there is no folder, or the name cannot be one.
        """
        if not settings.record_folder:
            raise InputError("no folder to record to; choose one under Recording")
        name = settings.record_name.strip() or "scan"
        if any(sign in name for sign in '/\\:*?"<>|'):
            raise InputError(f"the name {name!r} has signs that file names cannot have; change it under Recording")
        folder = Path(settings.record_folder).expanduser()
        stem = f"{name}_{(now or datetime.now()):%Y%m%d-%H%M%S}"
        image = settings.record_format
        images: dict[Content, Path] = {"registered": folder / f"{stem}.{image}"}
        if settings.registrar.output == "both":
            images["warped"] = folder / f"{stem}_warped.{image}"
        if settings.record_raw:
            images["raw"] = folder / f"{stem}_raw.{image}"
        return cls(images, folder / f"{stem}_metrics.csv" if settings.record_metrics else None)

    @property
    def outputs(self) -> list[Path]:
        """All files to write."""
        return [*self.images.values(), *([] if self.table is None else [self.table])]

    def sinks(self, record: Callable[[], Mapping[str, str]]) -> list[FrameSink]:
        """Writers of the files.

        Parameters
        ----------
        record
            Asked once a stream for what to write about the processing, text by name.

        Raises
        ------
        InputError
            Now, if what is wanted could not be written later.
        """
        from sasnet_live.sinks.recording import MetricsSink

        dtype = _dtype(self.dtype)
        found = [
            _image_sink(path)(
                path, content, dtype=None if content == "raw" else dtype, record=record, overwrite=self.overwrite
            )
            for content, path in self.images.items()
        ]
        if self.table is not None:
            found.append(MetricsSink(self.table, overwrite=self.overwrite))
        return found


def _image_sink(path: Path) -> Callable[..., FrameSink]:
    suffix = path.suffix.lower()
    if suffix in (".tif", ".tiff"):
        from sasnet_live.sinks.recording import OmeTiffSink

        return OmeTiffSink
    if suffix == ".zarr":
        from sasnet_live.sinks.ome_zarr import OmeZarrSink

        return OmeZarrSink
    raise InputError(f"{path}: frames are written as .ome.tiff or .ome.zarr; choose such a name")


def _dtype(name: str | None) -> Any:
    import numpy as np

    try:
        dtype = None if name is None else np.dtype(name)
    except TypeError:
        dtype = np.dtype(object)
    if dtype is not None and dtype.kind not in "uif":
        raise InputError(f"dtype is {name!r}; expected a name such as uint16 or float32") from None
    return dtype
