"""What a sender may say, in which order, and what it is told otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.layout import Layout
from sasnet_live.sources.tcp_messages import Conversation, End, FrameHeader, Start
from sasnet_live.sources.tcp_wire import ProtocolError

PX = 16 * 32 * 2
START: dict[str, Any] = {"type": "start", "shape": [16, 32], "dtype": "uint16"}
FRAME: dict[str, Any] = {"type": "frame"}


def conversation(**start: Any) -> Conversation:
    """One in which a stream has begun."""
    talk = Conversation(lambda layout: None, answers=True, largest_px=1 << 20)
    assert isinstance(talk.read({**START, **start}, 0), Start)
    return talk


def test_a_start_says_all_that_a_layout_holds() -> None:
    talk = conversation(
        axes="TC", sizes=[10, 2], pixel_size_um=[0.5, 1.5], z_step_um=2, interval_s=0.1, exposure_ms=33,
        channel_names=["532 nm", "558 nm"], source="Rig 3", replies=["registered", "metrics"], may_wait=True,
    )  # fmt: skip
    assert talk.stream is not None
    assert talk.stream.layout == Layout.stack(
        (16, 32), np.dtype("uint16"), "tc", (10, 2), pixel_size_um=(0.5, 1.5), z_step_um=2.0, interval_s=0.1,
        exposure_ms=33.0, channel_names=("532 nm", "558 nm"), source="Rig 3",
    )  # fmt: skip
    assert talk.stream.replies == ("metrics", "registered")
    assert talk.stream.may_wait


@pytest.mark.parametrize(
    ("said", "axes", "sizes", "frames"),
    [
        ({}, (), (), None),
        ({"frames": 5}, ("t",), (5,), 5),
        ({"axes": "t"}, ("t",), (None,), None),
        ({"axes": "t", "sizes": 5}, ("t",), (5,), 5),  # as MATLAB writes a list of one
        ({"axes": "tc", "sizes": [None, 3]}, ("t", "c"), (None, 3), None),
        ({"axes": "tc", "sizes": [None, 3], "frames": 12}, ("t", "c"), (4, 3), 12),
        ({"axes": "tc", "sizes": [4.0, 3.0]}, ("t", "c"), (4, 3), 12),
    ],
)
def test_axes_lengths_and_number_tell_of_one_another(said: Any, axes: Any, sizes: Any, frames: Any) -> None:
    stream = conversation(**said).stream
    assert stream is not None
    assert (stream.layout.axes, stream.layout.sizes, stream.layout.frames) == (axes, sizes, frames)


def test_frames_have_the_next_place_where_they_do_not_say_another() -> None:
    talk = conversation(axes="tc", sizes=[None, 2])
    said = [FRAME, FRAME, {**FRAME, "index": {"t": 5, "c": 1}, "timestamp_s": 12.5}]
    found = [talk.read(one, PX) for one in said]
    assert found == [
        FrameHeader(0, {"t": 0, "c": 0}, None),
        FrameHeader(1, {"t": 0, "c": 1}, None),
        FrameHeader(2, {"t": 5, "c": 1}, 12.5),
    ]


@pytest.mark.parametrize(
    ("start", "sent", "end", "missing"),
    [
        ({}, 3, {}, 0),
        ({"frames": 5}, 3, {}, 2),
        ({"frames": 5}, 3, {"reason": "canceled"}, 0),
        ({"frames": 5}, 3, {"reason": "errored"}, 2),
        ({}, 3, {"frames": 10}, 7),
        ({"frames": 5}, 3, {"reason": "canceled", "frames": 4}, 1),
    ],
)
def test_an_end_says_how_many_frames_are_missing(start: Any, sent: int, end: Any, missing: int) -> None:
    talk = conversation(**start)
    for _ in range(sent):
        talk.read(FRAME, PX)
    assert talk.read({"type": "end", **end}, 0) == End(end.get("reason", "completed"), missing)
    assert talk.stream is None
    assert isinstance(talk.read(START, 0), Start)


@pytest.mark.parametrize(
    ("announced", "sent", "within", "missing"),
    [
        (None, 3, "nothing", 0),
        (None, 3, "header", 1),
        (None, 3, "px", 1),  # of the third
        (5, 3, "nothing", 2),
        (5, 3, "header", 2),
        (5, 3, "px", 3),
        (3, 3, "nothing", 0),
    ],
)
def test_a_sender_that_goes_away_leaves_frames_missing(
    announced: int | None, sent: int, within: str, missing: int
) -> None:
    talk = conversation(frames=announced)
    for _ in range(sent):
        talk.read(FRAME, PX)
    assert talk.missing_if_cut(within_message=within != "nothing", within_px=within == "px") == missing


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({}, '"type" is None; expected one of start, frame, end'),
        ({"type": "begin"}, "\"type\" is 'begin'"),
        ({**START, "shape": [16]}, '"shape" is [16]; expected [lines, px of a line]'),
        ({**START, "shape": [16, 0]}, "whole number from 1 to 65535"),
        ({**START, "shape": [16, 1.5]}, "whole number"),
        ({**START, "shape": [16, True]}, "whole number"),
        ({**START, "shape": [60000, 60000]}, "frames of 60000x60000 uint16 take 7200000000 bytes"),
        ({**START, "dtype": "object"}, "expected one of uint8, int8"),
        ({**START, "dtype": ">u2"}, "expected one of uint8, int8"),
        ({**START, "axes": "xy"}, '"axes" is'),
        ({**START, "axes": "tt", "sizes": [1, 1]}, "each once"),
        ({**START, "axes": "tc", "sizes": [1]}, '1 "sizes" came'),
        ({**START, "axes": "tc", "sizes": [3, None]}, "whole number from 1"),
        ({**START, "sizes": [1]}, '1 "sizes" came'),
        ({**START, "frames": 0}, "whole number from 1"),
        ({**START, "pixel_size_um": [1, 2, 3]}, "[y, x]"),
        ({**START, "pixel_size_um": -1}, "above 0"),
        ({**START, "interval_s": "1"}, "expected a number"),
        ({**START, "channel_names": ["a"]}, '1 "channel_names" came for 0 channels'),
        ({**START, "source": "a\x1b[2J"}, "printable text"),
        ({**START, "source": "a" * 201}, "200 characters at most"),
        ({**START, "replies": ["everything"]}, "expected some of metrics, profile, displacement, registered"),
        ({**START, "replies": [[]]}, "expected some of metrics"),
        ({**START, "may_wait": 1}, "true or false"),
        ({**START, "timestamp": 1}, "\"start\" has no key 'timestamp'"),
        ({**START, "exposure": 1}, "did you mean 'exposure_ms'?"),
        (FRAME, '"frame" came before "start"'),
        ({"type": "end"}, '"end" came before "start"'),
    ],
)
def test_what_is_refused_at_the_beginning(header: Any, message: str) -> None:
    talk = Conversation(lambda layout: None, answers=True, largest_px=1 << 20)
    with pytest.raises(ProtocolError) as raised:
        talk.read(header, 0)
    assert message in str(raised.value)
    assert talk.stream is None


@pytest.mark.parametrize(
    ("header", "px_bytes", "message"),
    [
        (START, 0, '"start" came within a stream'),
        (FRAME, PX - 1, f"a frame of {PX - 1} bytes came; expected {PX}: the stream has 16x32 uint16"),
        (FRAME, 0, "a frame of 0 bytes"),
        ({"type": "end"}, 1, '"end" came with 1 bytes of px'),
        ({**FRAME, "shape": [32, 16]}, PX, "a frame of 32x16 uint16 came in a stream of 16x32 uint16"),
        ({**FRAME, "dtype": "int16"}, PX, "a frame of 16x32 int16"),
        ({**FRAME, "index": {"t": 1}}, PX, "a position for each axis of the stream: t, c"),
        ({**FRAME, "index": {"t": 3, "c": 0}}, PX, '"index.t" is 3; expected a whole number from 0 to 2'),
        ({**FRAME, "index": {"t": 0, "c": 0}}, PX, "came after later ones; send frames in the order of the axes (t, c"),
        ({**FRAME, "timestamp_s": "now"}, PX, "expected a number"),
        ({"type": "end", "reason": "stopped"}, 0, "expected one of completed, canceled, errored"),
        ({"type": "end", "frames": -1}, 0, "whole number from 0"),
    ],
)
def test_what_is_refused_within_a_stream(header: Any, px_bytes: int, message: str) -> None:
    talk = conversation(axes="tc", sizes=[3, 2])
    talk.read({**FRAME, "index": {"t": 0, "c": 1}}, PX)
    with pytest.raises(ProtocolError) as raised:
        talk.read(header, px_bytes)
    assert message in str(raised.value)


def test_no_more_frames_than_were_announced() -> None:
    talk = conversation(frames=2)
    for _ in range(2):
        talk.read(FRAME, PX)
    with pytest.raises(ProtocolError, match="frame 3 of 2 came"):
        talk.read(FRAME, PX)


def test_the_place_after_the_last_one_is_none() -> None:
    talk = conversation(axes="tc", sizes=[3, 2])
    talk.read({**FRAME, "index": {"t": 2, "c": 1}}, PX)
    with pytest.raises(ProtocolError, match="after the last of 6 places"):
        talk.read(FRAME, PX)


def test_a_frame_must_say_its_place_where_not_every_place_has_one() -> None:
    talk = conversation(axes="tc", sizes=[3, 2], frames=4)
    with pytest.raises(ProtocolError, match='"index" is missing'):
        talk.read(FRAME, PX)


def test_a_stream_that_cannot_be_registered_is_refused_in_the_words_of_the_check() -> None:
    def refuse(layout: Layout) -> None:
        raise InputError("too few lines")

    talk = Conversation(refuse, answers=True, largest_px=1 << 20)
    with pytest.raises(ProtocolError, match="too few lines"):
        talk.read(START, 0)


def test_replies_are_refused_where_nothing_gives_any() -> None:
    talk = Conversation(lambda layout: None, answers=False, largest_px=1 << 20)
    with pytest.raises(ProtocolError, match="nothing here gives any"):
        talk.read({**START, "replies": ["metrics"]}, 0)
