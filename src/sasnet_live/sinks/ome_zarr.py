"""A sink that writes streams to OME-Zarr by way of ome-writers."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.files import OutputLock, partial_path
from sasnet_live.frame import Frame, Pixels, Registration
from sasnet_live.layout import UNITS, Layout
from sasnet_live.sinks.output import Content, Destination, Written, check_writable, elapsed_s
from sasnet_live.sinks.protocol import SinkReport

if TYPE_CHECKING:
    from ome_writers import Dimension, OMEStream

_CHECKED_FRAMES = 1000
_RECORD = "sasnet_live"


class OmeZarrSink:
    """Writes each stream to an OME-Zarr folder: ``a.ome.zarr``, the next one to ``a_002.ome.zarr``.

    Every frame is a chunk of its own, on disk when `flush` returns; the figures of each frame go into the attributes
    when the stream is closed. Frames go to the place that their index gives them, places of frames that never came stay
    empty. At the end frames are read back and compared with what was given, all of them up to 1000 and as many spread
    over longer streams.

    Parameters
    ----------
    path, content, dtype, record, overwrite
        As for `sasnet_live.sinks.recording.OmeTiffSink`.

    Notes
    -----
    ome-writers 0.3 cannot write float32 with named channels: such streams have numbered ones, and the names in the
    record.
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
        self._written = Written(content, None if dtype is None else np.dtype(dtype), record)
        self._destination = Destination(path, overwrite, is_folder=True)
        self._info: Layout | None = None
        self._stream: OMEStream | None = None
        self._lock: OutputLock | None = None
        self._first: Frame | None = None
        self._at = 0
        self._checksums: dict[int, int] = {}

    @property
    def name(self) -> str:
        """The folder's name."""
        return self._destination.name

    def open(self, stream: Layout) -> None:
        """Choose the folder; it is made with the first frame, whose size after registration is known then."""
        folder = self._destination.next()
        self._info = stream
        self._stream = self._first = None
        self._at = 0
        self._checksums.clear()
        check_writable(folder, self._destination.overwrite)
        # As the other sinks lock the partial file that they write to; a run has locked the final name.
        self._lock = OutputLock([partial_path(folder)])

    def write(self, frame: Frame, registration: Registration) -> None:
        """Hand a frame to the writer."""
        image = np.ascontiguousarray(self._written.image_of(frame, registration))
        if self._stream is None:
            self._first = frame
            self._stream = self._new_stream(image)
        place = None if self._info is None else self._info.place(frame.index)
        if place is not None and place < self._at:
            raise InputError(f"{self.name}: the frame at {dict(frame.index)} came after later ones")
        if place is not None and place > self._at:
            self._stream.skip(frames=place - self._at)
            self._at = place
        metadata: dict[str, Any] = {"frame": frame.sequence_number, "delta_t": elapsed_s(frame, self._first or frame)}
        exposure_ms = frame.metadata.get("exposure_ms")
        if exposure_ms:
            metadata["exposure_time"] = float(exposure_ms) / 1e3
        # JSON has no NaN.
        metadata.update({k: None if v != v else v for k, v in self._written.figures_of(registration).items()})
        self._stream.append(image, frame_metadata=metadata)
        self._checksums[frame.sequence_number] = zlib.crc32(image.data)
        self._at += 1

    def flush(self) -> None:
        """Wait until the frames handed over are on disk."""
        if self._stream is None:
            return
        if not self._destination.path.exists():
            raise FileNotFoundError(f"{self._destination.path} has been removed while it was being written")
        # ome-writers keeps the futures of its writes until it is closed, and has no flush of its own.
        futures = getattr(self._stream._backend, "_futures", [])
        while futures:
            futures.pop().result()

    def close(self) -> SinkReport:
        """Complete the folder, and read back what is there."""
        stream, self._stream = self._stream, None
        lock, self._lock = self._lock, None
        try:
            if stream is None:
                return SinkReport(self.name, 0, verified=0)
            stream.close()
            verified = self._verified()
        except Exception as error:
            return SinkReport(self.name, 0, 0, (self._destination.path,), f"{type(error).__name__}: {error}")
        finally:
            if lock is not None:
                lock.release()
        return SinkReport(self.name, 0, verified, (self._destination.path,))

    def _new_stream(self, image: Pixels) -> OMEStream:
        from ome_writers import AcquisitionSettings, OmeZarrFormat, create_stream

        if self._info is None:
            raise InputError("write() came before open(); open the sink with a stream first")
        if self._destination.overwrite and os.path.lexists(self._destination.path):
            _remove(self._destination.path)
        settings = AcquisitionSettings(
            root_path=str(self._destination.path),
            dtype=str(image.dtype),
            dimensions=tuple(_dimensions(self._info.stored((image.shape[0], image.shape[1]), image.dtype))),
            format=OmeZarrFormat(),
            overwrite=self._destination.overwrite,
        )
        stream = create_stream(settings)
        record = self._written.record_of(self._info)
        channels = self._info.channel_names if "c" in self._info.axes else ()
        stream.set_global_metadata(_RECORD, {**record, "channels": json.dumps(channels)})
        return stream

    def _verified(self) -> int:
        """Number of frames whose pixels are on disk as they were given."""
        listed = 0
        numbers = sorted(self._checksums)
        checked = set(numbers[:: max(1, -(-len(numbers) // _CHECKED_FRAMES))])
        for group in (self._destination.path, *(path for path in self._destination.path.iterdir() if path.is_dir())):
            places = _places_in(group)
            if not places:
                continue
            store = _opened(group)
            for number, place in places.items():
                if number in checked:
                    pixels = np.ascontiguousarray(store[place].read().result())
                    listed += zlib.crc32(pixels.data) == self._checksums[number]
                else:
                    listed += number in self._checksums
        return listed


def _dimensions(stack: Layout) -> list[Dimension]:
    """Axes of a stack as ome-writers has them, in the order of acquisition."""
    from ome_writers import Channel, Dimension, Position, PositionDimension

    made: list[Dimension] = []
    for axis, size in zip(stack.axes, stack.sizes, strict=True):
        # The first axis is open, so that a run that ends early leaves no empty frames behind; positions cannot be.
        count = size if made else None
        if axis == "p":
            made.append(PositionDimension(coords=[Position(name=f"Pos{n}") for n in range(size or 1)]))
        elif axis != "c":
            made.append(_axis(stack, axis, count, 1))
        elif stack.channel_names and stack.dtype.kind in "ui":
            named: list[Any] = [Channel(name=name) for name in stack.channel_names]
            made.append(Dimension(name="c", type="channel", coords=named, count=len(named), chunk_size=1))
        else:
            made.append(Dimension(name="c", type="channel", count=size, chunk_size=1))
    return made + [_axis(stack, axis, size, size) for axis, size in zip("yx", stack.frame_shape, strict=True)]


def _axis(stack: Layout, axis: str, count: int | None, chunk: int) -> Dimension:
    from ome_writers import Dimension

    kind: Literal["time", "space"] = "time" if axis == "t" else "space"
    scale = stack.scale(axis)
    if not scale:
        return Dimension(name=axis, type=kind, count=count, chunk_size=chunk)
    return Dimension(name=axis, type=kind, count=count, chunk_size=chunk, scale=scale, unit=UNITS[axis])


def _remove(path: Path) -> None:
    """Remove a folder to be replaced; of a link, only the link."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
    else:
        shutil.rmtree(path)


def _places_in(group: Path) -> dict[int, tuple[int, ...]]:
    """Where each frame is, by its number, as the attributes of an image say."""
    try:
        attributes = json.loads((group / "zarr.json").read_text())["attributes"]
        frames = attributes["ome_writers"]["frame_metadata"]
    except (OSError, KeyError, ValueError):
        return {}
    return {int(frame["frame"]): tuple(frame["storage_index"]) for frame in frames}


def _opened(group: Path) -> Any:
    """The pixels of an image, as they are on disk now."""
    import tensorstore

    store = {"driver": "file", "path": str(group / "0")}
    return tensorstore.open({"driver": "zarr3", "kvstore": store}, read=True, open=True).result()
