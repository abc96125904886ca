"""Bytes that no well-meaning program sends, for tests and the benchmark of the TCP source."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from sasnet_live.layout import Layout
from sasnet_live.sources.tcp_messages import DTYPES, REPLY_KINDS, Conversation, Message
from sasnet_live.sources.tcp_wire import LARGEST_JSON, MAGIC, PREFIX, VERSION, Decoder, ProtocolError, encode

LARGEST_PX = 1 << 20
"""Bytes of px that these tests let a frame have."""

KEYS = (
    "type", "shape", "dtype", "axes", "sizes", "frames", "pixel_size_um", "z_step_um", "interval_s", "exposure_ms",
    "channel_names", "source", "replies", "may_wait", "index", "timestamp_s", "reason", "__class__", "",
)  # fmt: skip
_words = st.sampled_from([*DTYPES, *REPLY_KINDS, "start", "frame", "end", "tc", "tt", "completed", "\x1b[2J", "\ud800"])
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-3, 80)
    | st.sampled_from([2**31, 2**63, 10**30, -(10**9)])
    | st.floats(allow_nan=True)
    | st.text(max_size=20)
    | _words
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=2),
    max_leaves=3,
)
_headers = st.dictionaries(st.sampled_from(KEYS), _values, max_size=4)


def framed(text: bytes, px: bytes = b"") -> bytes:
    """Whatever text as a header, followed by px, with a prefix that is right."""
    return PREFIX.pack(MAGIC, VERSION, len(text), len(px)) + text + px


def _json(header: Any) -> bytes:
    return json.dumps(header).encode()


def _start(**more: Any) -> bytes:
    return encode({"type": "start", "shape": [16, 32], "dtype": "uint8", **more})


def _frame(**more: Any) -> bytes:
    return encode({"type": "frame", **more}, np.zeros((16, 32), np.uint8))


_good = st.sampled_from(
    [
        _start() + _frame() + encode({"type": "end"}),
        _start(axes="tc", sizes=[None, 2], replies=["metrics"], frames=4) + _frame(index={"t": 1, "c": 0}),
        _start(frames=2) + _frame() + _frame() + encode({"type": "end", "frames": 5}) + _start() + _frame(),
    ]
)


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """What a good sender says, with bytes changed, taken out or put in."""
    data = bytearray(draw(_good))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data) - 1))
        kind = draw(st.sampled_from(["change", "cut", "insert", "remove"]))
        if kind == "change":
            data[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[max(at, 1) :]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=8))
        elif len(data) > 1:
            del data[at]
    return bytes(data)


_prefixes = st.builds(
    lambda magic, numbers, rest: magic + struct.pack("<III", *numbers) + rest,
    st.sampled_from([MAGIC, MAGIC[::-1], b"GET "]),
    st.tuples(*[st.sampled_from([0, 1, 2, 16, 16384, 16385, 2**20, 2**31, 2**32 - 1])] * 3),
    st.binary(max_size=64),
)
_texts = st.sampled_from(
    [
        b"[" * 3000, b'{"a":' * 1500, b"{}" * 8, b"null", b"1e999", b"-" * 9000, b"9" * 5000, b'{"type":NaN}',
        b'{"type":1e400}', b'{"type":"start","type":"end"}', b"\xff\xfe{}", b'"' + b"\\" * 9001, b'{"type":"\\ud800"}',
        b'{"type":"frame","index":' + b"9" * 5000 + b"}", b"  ", b"\x00\x00",
    ]
)  # fmt: skip

hostile_bytes: st.SearchStrategy[bytes] = st.one_of(
    st.binary(max_size=200),
    _prefixes,
    _damaged(),
    st.builds(framed, st.builds(_json, _headers), st.binary(max_size=64)),
    st.builds(lambda header, px: _start() + framed(_json(header), px), _headers, st.just(b"") | st.just(bytes(512))),
    st.builds(lambda more: framed(_json({"type": "start", "shape": [16, 32], "dtype": "uint8"} | more)), _headers),
    st.builds(
        lambda more: _start(axes="tc", sizes=[4, 2]) + framed(_json({"type": "frame"} | more), bytes(512)), _headers
    ),
    st.builds(framed, _texts),
)


def variants(data: bytes, seed: int, count: int) -> list[bytes]:
    """These bytes, and the same with a few of them changed: quicker than to draw each anew."""
    rng = np.random.default_rng(seed)
    found = [data]
    for _ in range(count - 1):
        damaged = np.frombuffer(data, np.uint8).copy()
        if len(damaged):
            at = rng.integers(0, len(damaged), rng.integers(1, 5))
            damaged[at] = rng.choice(np.frombuffer(b'{}[],:"\\0199eE-.tn \0\xff', np.uint8), len(at))
        found.append(damaged.tobytes())
    return found


def decoder(check: Callable[[Layout], None] = lambda stream: None, largest_px: int = LARGEST_PX) -> Decoder[Message]:
    """What a source reads a connection with."""
    return Decoder(Conversation(check, answers=True, largest_px=largest_px).read, largest_px)


def try_on(data: bytes, piece: int) -> tuple[int, str]:
    """Have a decoder read these bytes in pieces; how many messages they were, and what was wrong, empty if nothing.

    Anything but a message or a `ProtocolError` in one line gets out, as does a buffer beyond the stated bound.
    """
    reads = decoder()
    messages = 0
    try:
        for at in range(0, len(data), piece):
            for _ in reads.feed(data[at : at + piece]):
                messages += 1
            assert 0 < len(reads.get_buffer()) <= max(LARGEST_JSON, LARGEST_PX)
    except ProtocolError as error:
        line = str(error)
        assert line
        assert line.isprintable()
        assert len(line) < 1000
        return messages, line
    return messages, ""
