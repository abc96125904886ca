"""Sinks that write streams to OME-TIFF files and tables of metrics, each stream to files of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Pixels, Registration
from sasnet_live.layout import Layout
from sasnet_live.sinks.metrics_table import MetricsTable, check_name
from sasnet_live.sinks.ome_tiff import OmeTiffWriter
from sasnet_live.sinks.output import Content, Destination, Written, check_writable, elapsed_s
from sasnet_live.sinks.protocol import SinkReport
from sasnet_live.sinks.tiff_pages import count_pages, storable


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
        self._written = Written(content, None if dtype is None else storable(np.dtype(dtype)), record)
        self._destination = Destination(path, overwrite)
        self._writer: OmeTiffWriter | None = None
        self._stream: Layout | None = None
        self._first: Frame | None = None
        self._missing = 0
        self._failed = False

    @property
    def name(self) -> str:
        """The file's name."""
        return self._destination.name

    def open(self, stream: Layout) -> None:
        """Choose the file; it is made with the first frame, whose size after registration is known then."""
        path = self._destination.next()
        self._stream = stream
        self._first = None
        self._missing = 0
        self._failed = False
        check_writable(path, self._destination.overwrite)

    def write(self, frame: Frame, registration: Registration) -> None:
        """Append a frame; other processes can read it when this returns."""
        image = self._written.image_of(frame, registration)
        if self._writer is None:
            self._writer = self._new_writer(image)
            self._first = frame
        self._failed = True
        self._fill_up_to(frame, image)
        figures = {"frame": frame.sequence_number, **frame.index, **self._written.figures_of(registration)}
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
        if self._stream is None:
            raise InputError("write() came before open(); open the sink with a stream first")
        return OmeTiffWriter(
            self._destination.path,
            self._stream.stored((image.shape[0], image.shape[1]), image.dtype).with_length(None),
            record=self._written.record_of(self._stream),
            overwrite=self._destination.overwrite,
        )

    def _fill_up_to(self, frame: Frame, like: Pixels) -> None:
        page = self._stream.place(frame.index) if self._stream is not None else None
        if self._writer is None or page is None:
            return
        if page < self._writer.pages_written:
            raise InputError(
                f"{self.name}: the frame at {dict(frame.index)} came after later ones; the axes announced are "
                f"{self._writer.layout.letters}"
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
        check_name(Path(path))
        self._destination = Destination(path, overwrite)
        self._table: MetricsTable | None = None
        self._axes: tuple[str, ...] = ()
        self._first: Frame | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self._destination.name

    def open(self, stream: Layout) -> None:
        """Begin a table with the axes of the stream as columns."""
        path = self._destination.next()
        self._axes = stream.axes
        self._first = None
        columns = ("frame", *self._axes, "elapsed_s")
        self._table = MetricsTable(path, columns, overwrite=self._destination.overwrite)

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
            paths = (table.partial,) if table.partial.exists() else ()
            return SinkReport(self.name, 0, _rows_in(table.partial), paths, str(error))


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
