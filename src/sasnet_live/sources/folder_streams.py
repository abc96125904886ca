"""Which stream the frames of each file in a watched folder belong to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sasnet_live.frame import EndReason, Frame
from sasnet_live.layout import Layout
from sasnet_live.sources.folder_memory import SentFrames
from sasnet_live.sources.protocol import FrameConsumer


class FolderStreams:
    """Begins and ends streams: one for files with a single frame each that are alike, one for each other file.

    Attributes
    ----------
    of_one_file
        Whether the stream that is open is that of a file with several frames.
    """

    def __init__(self, consumer: FrameConsumer) -> None:
        self._consumer = consumer
        self._open: Layout | None = None
        self._number = -1
        self.of_one_file = False

    def enter(self, path: Path, layout: Layout, sent: SentFrames) -> Layout:
        """Have the stream open that the next frames of a file belong to.

        Parameters
        ----------
        sent
            Of this file. The rest of one that has grown goes on where its first frames went, as long as that is open;
            else it is a stream without axes.
        """
        single = layout.frames == 1
        stream = replace(layout.as_they_come(), source=f"folder {path.parent.name}") if single else layout
        if self._open is not None:
            if len(sent):
                if sent.stream == self._number and _goes_on(self._open, stream):
                    return self._open
            elif single and not self.of_one_file and _alike(self._open, stream):
                sent.stream = self._number
                return self._open
        self.end_file()
        if len(sent):
            stream = stream.as_they_come()
        self._open, self.of_one_file = stream, not single
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


def _alike(one: Layout, other: Layout) -> bool:
    return (one.frame_shape, one.dtype, one.pixel_size_um) == (other.frame_shape, other.dtype, other.pixel_size_um)


def _goes_on(open_: Layout, grown: Layout) -> bool:
    """Whether a stream takes more frames of its file: only the first axis has become longer."""
    longer = not open_.axes or (open_.axes, open_.sizes[1:]) == (grown.axes, grown.sizes[1:])
    return longer and _alike(open_, grown)
