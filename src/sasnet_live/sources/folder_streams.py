"""Which stream the frames of each file in a watched folder belong to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sasnet_live.frame import Frame
from sasnet_live.layout import Layout
from sasnet_live.sources.folder_memory import SentFrames
from sasnet_live.sources.protocol import FrameConsumer
from sasnet_live.stream import Axis, EndReason, StreamInfo


class FolderStreams:
    """Begins and ends streams: one for files with a single frame each that are alike, one for each other file.

    Attributes
    ----------
    of_one_file
        Whether the stream that is open is that of a file with several frames.
    """

    def __init__(self, consumer: FrameConsumer) -> None:
        self._consumer = consumer
        self._open: StreamInfo | None = None
        self._number = -1
        self.of_one_file = False

    def enter(self, path: Path, layout: Layout, sent: SentFrames) -> StreamInfo:
        """Have the stream open that the next frames of a file belong to.

        Parameters
        ----------
        sent
            Of this file. The rest of one that has grown goes on where its first frames went, as long as that is open;
            else it is a stream without axes.
        """
        stream = stream_of(path, layout)
        if self._open is not None:
            if len(sent):
                if sent.stream == self._number and _goes_on(self._open, stream):
                    return self._open
            elif layout.frames == 1 and not self.of_one_file and _alike(self._open, stream):
                sent.stream = self._number
                return self._open
        self.end_file()
        if len(sent):
            stream = replace(stream, axes=(), expected=None)
        self._open, self.of_one_file = stream, layout.frames != 1
        self._number += 1
        sent.stream = self._number
        self._consumer.begin_stream(stream)
        return stream

    def put(self, frame: Frame) -> None:
        """Hand over a frame of the stream that is open."""
        self._consumer.put(frame)

    def end_file(self) -> None:
        """End the stream of a file with several frames, if it is open."""
        if self.of_one_file:
            self._consumer.end_stream("completed")
            self._open, self.of_one_file = None, False

    def end(self, reason: EndReason) -> None:
        """End whatever is open."""
        self._consumer.end_stream(reason)
        self._open, self.of_one_file = None, False


def stream_of(path: Path, layout: Layout) -> StreamInfo:
    """A file's frames as a stream; without axes if there is only one."""
    many = layout.frames != 1
    names = layout.channel_names
    axes = tuple(
        Axis(axis, size or 1, names if axis == "c" else ())
        for axis, size in zip(layout.axes, layout.sizes, strict=True)
    )
    return StreamInfo(
        shape=layout.frame_shape,
        dtype=layout.dtype,
        axes=axes if many else (),
        expected=layout.frames if many else None,
        pixel_size_um=layout.pixel_size_um,
        z_step_um=layout.z_step_um,
        interval_s=layout.interval_s,
        source=path.name if many else f"folder {path.parent.name}",
    )


def _alike(one: StreamInfo, other: StreamInfo) -> bool:
    return (one.shape, one.dtype, one.pixel_size_um) == (other.shape, other.dtype, other.pixel_size_um)


def _goes_on(open_: StreamInfo, grown: StreamInfo) -> bool:
    """Whether a stream takes more frames of its file: only the first axis has become longer."""
    if not open_.axes:
        return _alike(open_, grown)
    before, now = ([(axis.name, axis.size) for axis in stream.axes] for stream in (open_, grown))
    return _alike(open_, grown) and before[0][0] == now[0][0] and before[1:] == now[1:]
