"""OME-TIFF files written frame by frame that survive a kill and are never mistaken for complete before they are."""

from __future__ import annotations

import json
import math
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sasnet_live import __version__
from sasnet_live.errors import InputError
from sasnet_live.files import name_and_ending, partial_path, refuse_folder, refuse_present, refuse_unless_file
from sasnet_live.frame import Pixels
from sasnet_live.layout import STACK_AXES, Layout

from . import ome_xml
from .tiff_pages import TiffPages, count_pages, read_description, read_figures

CREATOR = f"SASNet Live {__version__}"
_CLASSIC_LIMIT = 2**32 - 2**25
_PAGE_OVERHEAD = 2048


class OmeTiffWriter:
    """Writes a stack to ``NAME.partial``, which becomes ``NAME`` once every frame is verified to be in it.

    While it grows, the partial file is a plain TIFF: other processes see every frame for which `write` has returned,
    and a process killed at any moment leaves it readable to there. What was done is in the first page's description,
    so that `resume` can refuse to go on with other settings.

    Parameters
    ----------
    path
        The final name.
    layout
        The stack. Where its first size is None the number of frames is what was written when `close` is called.
    order
        Order of axes, slowest first, in which frames come; as in `layout` if not given. The finished file has the
        axes of `layout` either way.
    record
        What was done, as text by name: goes into the OME-XML, and must be the same to `resume`.
    ignored
        Names in `record` that may differ on `resume`, such as the device.
    overwrite
        Replace a file or a partial one that is there.
    resume
        Go on with a partial file that is there; a new one is begun where there is none.
    big
        BigTIFF; by default where the file may pass 4 GB or the number of frames is not known.

    Raises
    ------
    InputError
        If the file is there, was written with other settings, or is being written by another process.

    Notes
    -----
    ::

        new -> write ... write -> close -> complete (NAME)
                     |-> abandon, an exception, a kill -> NAME.partial -> resume
    """

    def __init__(
        self,
        path: str | Path,
        layout: Layout,
        *,
        order: Sequence[str] | None = None,
        record: Mapping[str, str] | None = None,
        ignored: tuple[str, ...] = (),
        overwrite: bool = False,
        resume: bool = False,
        big: bool | None = None,
    ) -> None:
        self.path = Path(path)
        self.partial = partial_path(self.path)
        self.layout = layout
        self.order = layout.axes if order is None else tuple(order)
        if not layout.is_stack:
            raise InputError(
                f"{layout.frames} frames along the axes {layout.axes} with sizes {layout.sizes} came; expected one at "
                f"each place along axes of {', '.join(STACK_AXES)}"
            )
        if sorted(self.order) != sorted(layout.axes):
            raise InputError(f"order {self.order} came; expected the axes {layout.axes}, each once")
        if None in layout.sizes and self.order[:1] != layout.axes[:1]:
            raise InputError(f"order {self.order} came; the axis of unknown length, {layout.axes[0]}, must be first")
        self.record = {"software": CREATOR, **(record or {})}
        if not overwrite:
            refuse_present(self.path)
        refuse_folder(self.path)
        kept = self._kept_record() if resume and os.path.lexists(self.partial) else None
        if kept is not None:
            self._refuse_other_settings(kept, ignored)
            self.record = kept
        # A partial file in which no page is whole yet says nothing; it is begun again.
        self._pages = TiffPages(
            self.partial,
            layout.frame_shape,
            layout.dtype,
            pixel_size_um=layout.pixel_size_um,
            resume=kept is not None,
            overwrite=overwrite or resume,
            description=json.dumps({"sasnet_live_partial": self._signature(), "record": self.record}),
            big=_needs_big(layout) if big is None else big,
        )

    def __enter__(self) -> OmeTiffWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    @property
    def pages_written(self) -> int:
        """Frames that are in the file; after `resume`, those of the earlier run too."""
        return self._pages.pages

    def write(
        self, frame: Pixels, *, figures: Mapping[str, Any] | None = None, times: Mapping[str, float] | None = None
    ) -> None:
        """Append the next frame; when this returns, other processes can read it.

        Parameters
        ----------
        frame
            (H, W) in the data type of the layout.
        figures
            What was found for this frame, numbers and text by name; kept with its page, see `frame_figures`.
        times
            "DeltaT" (s since the start) and "ExposureTime" (ms) of the frame: kept with its page, too, and for the
            OME-XML.
        """
        expected = self.layout.frames
        if expected is not None and self.pages_written >= expected:
            raise InputError(f"{self.path}: all {expected} frames are written; another one came")
        kept = {**(figures or {}), **(times or {})}
        self._pages.append(frame, json.dumps(kept, default=str) if kept else "")

    def cut(self, pages: int) -> None:
        """Keep only the first so many frames; the next one is written behind them."""
        self._pages.cut(pages)

    def close(self) -> Path:
        """Complete the file: write its OME-XML, count the frames that are really in it, give it its final name.

        Returns
        -------
        The final path. Frames of a last time point that is not whole (a first size of None, an acquisition cancelled
        between channels) stay in the file as pages behind those that the OME-XML names.

        Raises
        ------
        InputError
            If frames are missing; the partial file stays.
        """
        expected, written = self.layout.frames, self.pages_written
        layout = self.layout
        if expected is None:
            group = layout.with_length(1).frames or 1
            if written >= group:
                layout = layout.with_length(written // group)
            else:
                # Not one whole time point: every frame is kept, along time.
                layout = replace(layout, axes=("t",), sizes=(None,), channel_names=(), ome_xml="")
                layout = layout.with_length(max(written, 1))
        order = self.order if layout.axes == self.layout.axes else layout.axes
        if written < (expected or 1):
            self.abandon()
            raise InputError(f"{self.partial}: {written} of {expected or 'any'} frames came; it stays under this name")
        name, _ = name_and_ending(self.path)
        times = _times_of(self.partial)
        xml = ome_xml.ome_xml(layout, order=order, record=self.record, planes=times, name=name, creator=CREATOR)
        self._pages.finish(xml)
        there = count_pages(self.partial)
        if there != written:
            raise InputError(f"{self.partial}: {there} of {written} frames are in the file; write it again")
        os.replace(self.partial, self.path)
        return self.path

    def abandon(self) -> None:
        """Close the file as it is, under its partial name; one without a single frame is removed."""
        if self._pages.close() and not self.pages_written:
            self.partial.unlink(missing_ok=True)

    def _signature(self) -> dict[str, Any]:
        layout = self.layout
        return {
            "axes": layout.letters,
            "sizes": list(layout.sizes),
            "frame_shape": list(layout.frame_shape),
            "dtype": str(layout.dtype),
            "order": "".join(self.order).upper(),
        }

    def _kept_record(self) -> dict[str, str] | None:
        """The record in the partial file; None if no page of it is whole yet."""
        refuse_unless_file(self.partial)
        if _whole_pages(self.partial) == 0:
            return None
        try:
            stored = json.loads(read_description(self.partial))
            signature, record = stored["sasnet_live_partial"], stored["record"]
        except (ValueError, KeyError, TypeError):
            # All pages were written and the description was replaced, then came the kill: the OME-XML has it.
            record = ome_xml.read_record(read_description(self.partial))
            signature = self._signature() if record else None
        if signature is None:
            raise InputError(f"{self.partial}: was not written by this program; remove it or use another name")
        if signature != self._signature():
            raise InputError(f"{self.partial}: is of a stack of other axes or sizes; start again with --overwrite")
        return dict(record)

    def _refuse_other_settings(self, kept: Mapping[str, str], ignored: tuple[str, ...]) -> None:
        differences = [
            f"{name} was {kept.get(name, 'not given')}, now {self.record.get(name, 'not given')}"
            for name in dict.fromkeys((*kept, *self.record))
            if kept.get(name) != self.record.get(name) and name not in ignored
        ]
        if differences:
            raise InputError(
                f"{self.partial}: was begun with other settings ({'; '.join(differences)}); give the same again, or "
                "--overwrite to start again"
            )


def _whole_pages(path: Path) -> int:
    """Whole pages of a file, 0 also where not even its header is whole."""
    return count_pages(path) if path.stat().st_size >= 16 else 0


def read_record(path: str | Path) -> dict[str, str]:
    """What was done to a file written by this program, complete or partial; empty for any other file."""
    if not Path(path).is_file():
        return {}
    # Asked of every file in a folder, whatever it is: one that cannot be read, or parsed, is none of ours.
    with suppress(Exception):
        description = read_description(path)
        if not description.startswith("{"):
            return ome_xml.read_record(description)
        record = json.loads(description)["record"]
        return {str(name): str(value) for name, value in record.items()}
    return {}


def is_registered(path: str | Path) -> bool:
    """Whether a file came out of this program registered, by what is in it; raw recordings of ours are not."""
    record = read_record(path)
    # Live recordings say what they hold. Reprocessed files do not: they are never raw.
    return record["content"] != "raw" if "content" in record else "output" in record


def frame_figures(path: str | Path) -> Iterator[dict[str, Any]]:
    """The figures kept with each page of a file written by this program, in the order of its pages."""
    return (_figures(text) for text in read_figures(path))


def _figures(text: str) -> dict[str, Any]:
    """Figures of one page; none where they are damaged, which is no reason to lose the frames."""
    with suppress(ValueError, RecursionError):
        figures = json.loads(text)
        if isinstance(figures, dict):
            return figures
    return {}


def _times_of(path: Path) -> ome_xml.PlaneTimes:
    """The times kept with each page, as numbers side by side: of a long recording, 16 bytes a frame."""
    times = {name: array("d") for name in ome_xml.TIMES}
    for figures in frame_figures(path):
        for name, values in times.items():
            value = figures.get(name)
            values.append(math.nan if value is None else value)
    return times


def _needs_big(layout: Layout) -> bool:
    if layout.frames is None:
        return True
    height, width = layout.frame_shape
    return layout.frames * (height * width * layout.dtype.itemsize + _PAGE_OVERHEAD) > _CLASSIC_LIMIT
