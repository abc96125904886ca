"""Sinks that write streams to OME-TIFF files and tables of metrics, each stream to files of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Pixels, Registration
from sasnet_live.sinks.layout import PageOrder, elapsed_s
from sasnet_live.sinks.metrics_table import MetricsTable, figures_of
from sasnet_live.sinks.ome_tiff import OmeTiffWriter, partial_path
from sasnet_live.sinks.protocol import SinkReport, part_path
from sasnet_live.sinks.tiff_pages import count_pages, storable
from sasnet_live.stream import StreamInfo

Content = Literal["registered", "warped", "raw", "side by side"]


class OmeTiffSink:
    """Writes each stream to an OME-TIFF file: ``a.ome.tiff``, the next one to ``a_002.ome.tiff``.

    While a stream runs the file is called ``NAME.partial`` and can be read by other programs up to the last frame; so
    it stays if the process is killed or the disk is full. Frames of a regular acquisition go to the place that their
    index gives them. The place of a frame that never came is filled with zeros and marked ``missing`` in the figures of
    its page.

    Parameters
    ----------
    path
        Of the first stream.
    content
        "registered": as `Registration.image`; "warped": moved only, where the registrar gives both; "raw": as acquired;
        "side by side": raw on the left, registered on the right.
    dtype
        To write; None: that of the frames. Integers are rounded and clipped.
    record
        Asked once a stream for what to write about the processing, text by name.
    overwrite
        Replace files that are there.
    """

    def __init__(
        self,
        path: str | Path,
        content: Content = "registered",
        *,
        dtype: Any = None,
        record: Callable[[], Mapping[str, str]] | None = None,
        overwrite: bool = False,
    ) -> None:
        if content not in get_args(Content):
            raise InputError(f"content is {content!r}; expected one of {', '.join(get_args(Content))}")
        self._path = Path(path)
        self._content: Content = content
        self._dtype = None if dtype is None else storable(np.dtype(dtype))
        self._record = record or dict
        self._overwrite = overwrite
        self._part = 0
        self._writer: OmeTiffWriter | None = None
        self._stream: StreamInfo | None = None
        self._order: PageOrder | None = None
        self._first: Frame | None = None
        self._missing = 0
        self._failed = False
        check_writable(self._path, overwrite)

    @property
    def name(self) -> str:
        """The file's name."""
        return part_path(self._path, max(self._part, 1)).name

    def open(self, stream: StreamInfo) -> None:
        """Choose the file; it is made with the first frame, whose size after registration is known then."""
        self._part += 1
        self._stream = stream
        self._order = PageOrder.of(stream)
        self._first = None
        self._missing = 0
        self._failed = False
        check_writable(part_path(self._path, self._part), self._overwrite)

    def write(self, frame: Frame, registration: Registration) -> None:
        """Append a frame; other processes can read it when this returns."""
        image = as_dtype(content_of(self._content, frame, registration), self._dtype)
        if self._writer is None:
            self._writer = self._new_writer(image)
            self._first = frame
        self._failed = True
        self._fill_up_to(frame, image)
        figures: dict[str, Any] = {"frame": frame.sequence_number, **frame.index}
        if self._content != "raw":
            figures.update(figures_of(registration))
        times = {"DeltaT": elapsed_s(frame, self._first or frame)}
        exposure_ms = frame.metadata.get("exposure_ms")
        if exposure_ms:
            times["ExposureTime"] = float(exposure_ms)
        self._writer.write(image, figures=figures, times=times)
        self._failed = False

    def flush(self) -> None:
        """Nothing is held back; but notice early when the file has been taken away."""
        if self._writer is not None and not self._writer.partial.exists():
            raise FileNotFoundError(f"{self._writer.partial} has been removed while it was being written")

    def close(self) -> SinkReport:
        """Complete the file, and count the frames in it."""
        writer, self._writer = self._writer, None
        if writer is None:
            return SinkReport(self.name, 0, verified=0)
        problem = "a frame could not be written"
        if not self._failed:
            try:
                path = writer.close()
                return SinkReport(self.name, 0, count_pages(path) - self._missing, (path,))
            except (OSError, InputError) as error:
                problem = str(error)
        writer.abandon()
        kept = max(0, _pages_in(writer.partial) - self._missing)
        paths = (writer.partial,) if writer.partial.exists() else ()
        return SinkReport(self.name, 0, kept, paths, problem)

    def _new_writer(self, image: Pixels) -> OmeTiffWriter:
        if self._stream is None or self._order is None:
            raise InputError("write() came before open(); open the sink with a stream first")
        return OmeTiffWriter(
            part_path(self._path, self._part),
            self._order.layout(self._stream, (image.shape[0], image.shape[1]), image.dtype),
            record={**describe_stream(self._stream), "content": self._content, **self._record()},
            overwrite=self._overwrite,
        )

    def _fill_up_to(self, frame: Frame, like: Pixels) -> None:
        page = self._order.page(frame.index) if self._order is not None else None
        if self._writer is None or page is None:
            return
        if page < self._writer.pages_written:
            raise InputError(
                f"{self.name}: the frame at {dict(frame.index)} came after later ones; the axes announced are "
                f"{self._order.axes if self._order else ''}"
            )
        while self._writer.pages_written < page:
            self._writer.write(np.zeros_like(like), figures={"missing": True})
            self._missing += 1


class MetricsSink:
    """Writes a row a frame to a CSV or Parquet table, each stream to one of its own.

    Columns: the number of the frame, its position along the axes of the stream, `elapsed_s`, and the figures of
    `sasnet_live.sinks.metrics_table`.

    Parameters
    ----------
    path
        ``.csv`` or ``.parquet``, of the first stream.
    overwrite
        Replace tables that are there.
    """

    def __init__(self, path: str | Path, *, overwrite: bool = False) -> None:
        self._path = Path(path)
        self._overwrite = overwrite
        self._part = 0
        self._table: MetricsTable | None = None
        self._axes: tuple[str, ...] = ()
        self._first: Frame | None = None
        check_writable(self._path, overwrite)

    @property
    def name(self) -> str:
        """The file's name."""
        return part_path(self._path, max(self._part, 1)).name

    def open(self, stream: StreamInfo) -> None:
        """Begin a table with the axes of the stream as columns."""
        self._part += 1
        self._axes = tuple(axis.name for axis in stream.axes)
        self._first = None
        path = part_path(self._path, self._part)
        self._table = MetricsTable(path, ("frame", *self._axes, "elapsed_s"), overwrite=self._overwrite)

    def write(self, frame: Frame, registration: Registration) -> None:
        """Add a row; other processes can read it when this returns."""
        if self._table is None:
            raise InputError("write() came before open(); open the sink with a stream first")
        self._first = self._first or frame
        index = {name: frame.index.get(name) for name in self._axes}
        row = {"frame": frame.sequence_number, **index, "elapsed_s": elapsed_s(frame, self._first)}
        self._table.write(row, registration)

    def flush(self) -> None:
        """Nothing is held back; but notice early when the file has been taken away."""
        if self._table is not None and not self._table.partial.exists():
            raise FileNotFoundError(f"{self._table.partial} has been removed while it was being written")

    def close(self) -> SinkReport:
        """Complete the table, and count its rows."""
        table, self._table = self._table, None
        if table is None:
            return SinkReport(self.name, 0, verified=0)
        try:
            path = table.close()
            return SinkReport(self.name, 0, _rows_in(path), (path,))
        except (OSError, InputError) as error:
            table.abandon()
            return SinkReport(self.name, 0, _rows_in(table.partial), problem=str(error))


def check_writable(path: Path, overwrite: bool) -> None:
    """Find out before the first frame what would be found out with it.

    Raises
    ------
    InputError
        If the folder is not there or cannot be written to, or the file is there and not to be replaced.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; make it, or choose another one")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: the folder {path.parent} cannot be written to; choose another one")
    for there in (path, partial_path(path)):
        if there.exists() and not overwrite:
            raise InputError(f"{there}: is there already; choose another name, or add --overwrite to replace it")


def content_of(content: Content, frame: Frame, registration: Registration) -> Pixels:
    """What is to be written of a frame."""
    if content == "raw":
        return frame.data
    if content == "side by side":
        return np.concatenate([frame.data, registration.image.astype(frame.data.dtype, copy=False)], axis=1)
    if content == "warped" and registration.warped_image is not None:
        return registration.warped_image
    return registration.image


def describe_stream(stream: StreamInfo) -> dict[str, str]:
    """What is known of a stream, as text by name, for the record in a file."""
    record = {"source": stream.source} if stream.source else {}
    for name, value in stream.metadata.items():
        record[name] = value if isinstance(value, str) else json.dumps(value, default=str)
    return record


def as_dtype(image: Pixels, dtype: np.dtype[Any] | None) -> Pixels:
    """The image in another data type; whole numbers are rounded and clipped, never wrapped."""
    if dtype is None or dtype == image.dtype:
        return image
    if dtype.kind in "ui":
        limits = np.iinfo(dtype)
        return np.clip(np.rint(image), limits.min, limits.max).astype(dtype)
    return image.astype(dtype)


def _pages_in(path: Path) -> int:
    try:
        return count_pages(path)
    except OSError:
        return 0


def _rows_in(path: Path) -> int:
    """Rows of a table, read anew."""
    try:
        if path.suffix.lower() == ".parquet":
            return int(import_module("pyarrow.parquet").read_metadata(path).num_rows)
        with path.open("rb") as file:
            return max(0, sum(1 for _ in file) - 1)
    except OSError:
        return 0
