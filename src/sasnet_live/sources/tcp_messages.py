"""What another program may say, in which order, and what each message must hold. No sockets, no threads.

``start``, then any number of ``frame``, then ``end``; and again. See `docs/tcp.md` for the keys of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import EndReason, Pixels
from sasnet_live.layout import STACK_AXES, Layout
from sasnet_live.sources.tcp_fields import Fields
from sasnet_live.sources.tcp_wire import ProtocolError, shown

ReplyKind = Literal["metrics", "profile", "displacement", "registered"]
REPLY_KINDS: tuple[ReplyKind, ...] = get_args(ReplyKind)
"""What a sender can ask for, in the order in which it is sent for a frame."""
DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
"""What digitizers and the programs around them have."""
END_REASONS = ("completed", "canceled", "errored")
LONGEST_SIDE = 65_535
"""Px of a frame along one side: scanners have a few thousand."""
MOST_FRAMES = 10**9
"""Of one stream: a year at 30 frames a second."""
MOST_CHANNELS = 64


@dataclass(frozen=True)
class Start:
    """A stream begins.

    Attributes
    ----------
    layout
        What its frames are like.
    replies
        What is wanted back for each frame.
    may_wait
        Whether the sender may be held back where every frame is kept and there is no room in memory. Otherwise frames
        go to disk, as those of a camera do.
    """

    layout: Layout
    replies: tuple[ReplyKind, ...]
    may_wait: bool


@dataclass(frozen=True)
class FrameHeader:
    """A frame, without its px.

    Attributes
    ----------
    number
        Count of frames in this stream, from 0.
    index
        Position along the axes of the stream.
    timestamp_s
        The sender's clock, None if it did not say.
    """

    number: int
    index: Mapping[str, int]
    timestamp_s: float | None


@dataclass(frozen=True)
class End:
    """A stream ends.

    Attributes
    ----------
    reason
        How.
    missing
        Frames that were acquired or announced and never came.
    """

    reason: EndReason
    missing: int


Message = Start | FrameHeader | End


class Conversation:
    """What one sender has said, and what it may say next.

    Parameters
    ----------
    check
        Called with what frames will be like; an `InputError` refuses the stream.
    answers
        Whether replies can be asked for.
    largest_px
        Bytes of px that a frame may have.

    Attributes
    ----------
    stream
        The stream under way, None if there is none.
    begun
        Frames of it whose header came.
    """

    def __init__(self, check: Callable[[Layout], None], *, answers: bool, largest_px: int) -> None:
        self._check, self._answers, self._largest_px = check, answers, largest_px
        self.stream: Start | None = None
        self.begun = 0
        self._place = -1

    def read(self, header: Mapping[str, Any], px_bytes: int) -> Message:
        """The message of a header.

        Raises
        ------
        ProtocolError
            If it is not a message that may come now, or not followed by the px that it should have.
        """
        kinds: dict[str, Callable[[Fields], Message]] = {"start": self._start, "frame": self._frame, "end": self._end}
        fields = Fields(header)
        kind = fields.choice("type", tuple(kinds))
        if kind != "start" and self.stream is None:
            raise ProtocolError(f'"{kind}" came before "start"; begin every stream with a "start" message')
        if kind == "start" and self.stream is not None:
            raise ProtocolError('"start" came within a stream; send "end" first')
        if kind != "frame" and px_bytes:
            raise ProtocolError(f'"{kind}" came with {px_bytes} bytes of px; expected none')
        message = kinds[kind](fields)
        fields.refuse_others(kind)
        if self.stream is not None and kind == "frame":
            self._check_px(self.stream.layout, px_bytes)
            self.begun += 1
        elif isinstance(message, Start):
            self.stream, self.begun, self._place = message, 0, -1
        elif isinstance(message, End):
            self.stream = None
        return message

    def missing_if_cut(self, *, within_message: bool, within_px: bool) -> int:
        """Frames of the stream that never came, when the sender is gone.

        Parameters
        ----------
        within_message
            Whether the last message came in part.
        within_px
            Whether its header came, but not all of its px.
        """
        if self.stream is None:
            return 0
        complete = self.begun - within_px
        return max((self.stream.layout.frames or 0) - complete, int(within_message))

    def _start(self, fields: Fields) -> Start:
        shape = fields.shape("shape", LONGEST_SIDE)
        dtype = np.dtype(fields.choice("dtype", DTYPES))
        size = math.prod(shape) * dtype.itemsize
        if size > self._largest_px:
            raise ProtocolError(
                f"frames of {shape[0]}x{shape[1]} {dtype} take {size} bytes; expected {self._largest_px} at most: if "
                "they really are that large, start the server with --largest-frame"
            )
        axes, sizes = _axes(fields)
        frames = fields.whole("frames", 1, MOST_FRAMES)
        axes, sizes, frames = _complete(axes, sizes, frames)
        names = fields.texts("channel_names", MOST_CHANNELS)
        channels = sizes[axes.index("c")] if "c" in axes else 0
        if names and len(names) != channels:
            raise ProtocolError(
                f'{len(names)} "channel_names" came for {channels} channels along axis c; give one each'
            )
        layout = Layout(
            shape,
            dtype,
            axes,
            sizes,
            frames,
            pixel_size_um=fields.lengths("pixel_size_um"),
            z_step_um=fields.length("z_step_um"),
            interval_s=fields.length("interval_s"),
            exposure_ms=fields.length("exposure_ms"),
            channel_names=names,
            source=fields.text("source") or "another program",
        )
        replies = fields.choices("replies", REPLY_KINDS)
        if replies and not self._answers:
            raise ProtocolError('"replies" were asked for; nothing here gives any: leave them out')
        try:
            self._check(layout)
        except InputError as error:
            raise ProtocolError(str(error)) from None
        return Start(layout, tuple(kind for kind in REPLY_KINDS if kind in replies), fields.flag("may_wait"))

    def _frame(self, fields: Fields) -> FrameHeader:
        assert self.stream is not None
        layout = self.stream.layout
        # They may be said again with each frame; they must be the same.
        shape, dtype = (
            fields.shape("shape", LONGEST_SIDE, layout.frame_shape),
            fields.choice("dtype", DTYPES, str(layout.dtype)),
        )
        if shape != layout.frame_shape or dtype != layout.dtype:
            raise ProtocolError(
                f"a frame of {shape[0]}x{shape[1]} {dtype} came in a stream of {_by(layout)}; end the stream and start "
                "another"
            )
        if layout.frames is not None and self.begun >= layout.frames:
            raise ProtocolError(f"frame {self.begun + 1} of {layout.frames} came; announce as many as are sent")
        index = fields.index("index", {axis: layout.size(axis) or MOST_FRAMES for axis in layout.axes})
        if index is None:
            if not layout.is_stack and layout.axes:
                raise ProtocolError('"index" is missing; give it, or announce a frame at every place along the axes')
            if self._place + 1 >= (layout.frames or math.inf):
                raise ProtocolError(f"a frame came after the last of {layout.frames} places; give it its index")
            index = layout.index(self._place + 1)
        place = layout.place(index) if layout.is_stack else None
        if place is not None:
            if place <= self._place:
                raise ProtocolError(
                    f"the frame at {shown(index)} came after later ones; send frames in the order of the axes "
                    f"({', '.join(layout.axes)}, the last one fastest)"
                )
            self._place = place
        return FrameHeader(self.begun, index, fields.real("timestamp_s"))

    def _end(self, fields: Fields) -> End:
        assert self.stream is not None
        reason = cast(EndReason, fields.choice("reason", END_REASONS, "completed"))
        acquired = fields.whole("frames", 0, MOST_FRAMES)
        if acquired is None:  # nobody misses the frames of a run that was called off
            acquired = 0 if reason == "canceled" else self.stream.layout.frames or 0
        return End(reason, max(0, acquired - self.begun))

    def _check_px(self, layout: Layout, px_bytes: int) -> None:
        expected = math.prod(layout.frame_shape) * layout.dtype.itemsize
        if px_bytes != expected:
            raise ProtocolError(f"a frame of {px_bytes} bytes came; expected {expected}: the stream has {_by(layout)}")


def frame_of(px: Pixels, layout: Layout) -> Pixels:
    """(bytes,) uint8 as they came -> (H, W) of the machine's own byte order."""
    return px.view(layout.dtype.newbyteorder("<")).reshape(layout.frame_shape).astype(layout.dtype, copy=False)


def _axes(fields: Fields) -> tuple[tuple[str, ...], tuple[int | None, ...]]:
    """Names and lengths of the axes before (y, x), slowest first."""
    letters = fields.text("axes").lower()
    sizes = fields.sizes("sizes", len(STACK_AXES), MOST_FRAMES)
    if set(letters) - set(STACK_AXES) or len(set(letters)) != len(letters):
        raise ProtocolError(
            f'"axes" is {shown(letters)}; expected letters of {"".join(STACK_AXES)}, each once, slowest first, such as '
            '"tc"'
        )
    if len(letters) == 1 and not sizes:
        sizes = [None]
    if len(letters) != len(sizes):
        raise ProtocolError(
            f'{len(sizes)} "sizes" came for the axes {shown(letters)}; give one each, null if not known'
        )
    return tuple(letters), tuple(sizes)


def _complete(
    axes: tuple[str, ...], sizes: tuple[int | None, ...], frames: int | None
) -> tuple[tuple[str, ...], tuple[int | None, ...], int | None]:
    """Axes, lengths and number of frames, where one of them tells of another."""
    if not axes:
        return (("t",), (frames,), frames) if frames is not None else ((), (), None)
    others = math.prod(size for size in sizes[1:] if size is not None)
    if sizes[0] is None and frames is not None and frames % others == 0:
        sizes = (frames // others, *sizes[1:])
    elif sizes[0] is not None and frames is None:
        frames = sizes[0] * others
    return axes, sizes, frames


def _by(layout: Layout) -> str:
    return f"{layout.frame_shape[0]}x{layout.frame_shape[1]} {layout.dtype}"
