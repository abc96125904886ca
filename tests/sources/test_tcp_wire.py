"""Messages of the TCP protocol as bytes: what is written is read, in whatever pieces, and nothing else is."""

from __future__ import annotations

import json
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hostile_messages import framed, hostile_bytes, try_on, variants
from sasnet_live.sources.tcp_messages import DTYPES
from sasnet_live.sources.tcp_wire import LARGEST_JSON, MAGIC, Decoder, ProtocolError, encode, read_json

_headers = st.dictionaries(
    st.text(max_size=8), st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8), max_size=6
)
_px = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=3, max_side=8)))


def take_all(header: dict[str, Any], px_bytes: int) -> dict[str, Any]:
    return header


@settings(max_examples=200, deadline=None)
@given(messages=st.lists(st.tuples(_headers, st.none() | _px), max_size=4), piece=st.integers(1, 300))
def test_what_is_encoded_is_decoded_in_whatever_pieces_it_comes(messages: list[Any], piece: int) -> None:
    data = b"".join(encode(header, px) for header, px in messages)
    decoder = Decoder(take_all, 1 << 20)
    found = [message for at in range(0, len(data), piece) for message in decoder.feed(data[at : at + piece])]
    assert [header for header, _ in found] == [header for header, _ in messages]
    for (_, read), (_, px) in zip(found, messages, strict=True):
        expected = b"" if px is None else np.ascontiguousarray(px, px.dtype.newbyteorder("<")).tobytes()
        assert read.tobytes() == expected
    assert not decoder.begun


def test_px_go_line_after_line_and_little_endian_whatever_the_array() -> None:
    image = np.arange(6, dtype=">u2").reshape(2, 3).T
    assert encode({}, image).endswith(np.array([0, 3, 1, 4, 2, 5], "<u2").tobytes())


@pytest.mark.parametrize("cut", [1, 15, 16, 20, 40])
def test_a_message_that_came_in_part_is_begun(cut: int) -> None:
    data = encode({"type": "frame"}, np.zeros((4, 4), np.uint8))
    decoder = Decoder(take_all, 100)
    assert not list(decoder.feed(data[:cut]))
    assert decoder.begun
    assert decoder.in_px == (cut > len(data) - 16)
    assert len(list(decoder.feed(data[cut:]))) == 1
    assert not decoder.begun


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        (struct.pack("<4sIII", b"SNLX", 1, 10, 0), "began with b'SNLX'; expected b'SNLF'"),
        (struct.pack("<4sIII", MAGIC, 2, 10, 0), "version 2 came; expected 1"),
        (struct.pack(">4sIII", MAGIC, 1, 10, 0), "version 16777216 came (big-endian? send little-endian)"),
        (struct.pack("<4sIII", MAGIC, 1, 1, 0), "header of 1 bytes"),
        (struct.pack("<4sIII", MAGIC, 1, LARGEST_JSON + 1, 0), "expected 2 to 16384"),
        (struct.pack("<4sIII", MAGIC, 1, 10, 101), "px of 101 bytes were announced; expected 100 at most"),
    ],
)
def test_a_prefix_is_refused_before_anything_is_allocated(prefix: bytes, message: str) -> None:
    decoder = Decoder(take_all, 100)
    with pytest.raises(ProtocolError) as raised:
        list(decoder.feed(prefix))
    assert message in str(raised.value)
    assert len(decoder.get_buffer()) <= 16


def test_px_take_no_memory_before_the_header_is_accepted() -> None:
    def refuse(header: dict[str, Any], px_bytes: int) -> dict[str, Any]:
        assert px_bytes == 200 << 20
        raise ProtocolError("not wanted")

    text = b'{"a":1}'
    tracemalloc.start()
    with pytest.raises(ProtocolError, match="not wanted"):
        list(Decoder(refuse, 1 << 30).feed(struct.pack("<4sIII", MAGIC, 1, len(text), 200 << 20) + text))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff{}", "not UTF-8 (byte 0)"),
        (b'{"a":', "not JSON"),
        (b"[1, 2]", "expected one JSON object"),
        (b"{} {}", "not JSON (Extra data"),
        (b'{"a":1,"a":2}', "has a key twice"),
        (b'{"a":NaN}', "NaN came"),
        (b'{"a":-Infinity}', "-Infinity came"),
        (b'{"a":1e999}', "expected a finite one"),
        (b'{"a":' + b"1" * 25 + b"}", "a number of 25 characters"),
        (b'{"a":[[[[1]]]]}', "nested 5 levels deep; expected 4"),
        (b"[" * 16000, "nested 16000 levels deep"),
    ],
)
def test_headers_that_are_no_object_of_plain_values(text: bytes, message: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        read_json(text)
    assert message in str(raised.value)


def test_brackets_in_text_are_no_levels() -> None:
    header = {"a": "[[[[[[[{{{{{", "b": '\\"[[[[[[['}
    assert read_json(json.dumps(header).encode()) == header


@settings(max_examples=500, deadline=None)
@given(data=hostile_bytes, seed=st.integers(0, 2**32 - 1), piece=st.sampled_from([7, 100]))
def test_whatever_comes_is_a_message_or_one_line(data: bytes, seed: int, piece: int) -> None:
    """2000 of them."""
    for one in variants(data, seed, 4):
        assert try_on(one, piece) == try_on(one, 100_000)  # however it is cut


def test_the_hostile_messages_reach_past_the_prefix() -> None:
    assert try_on(framed(b'{"type":"start","shape":[16,32],"dtype":"uint8"}'), 7) == (1, "")
    assert try_on(framed(b'{"type":"start","shape":[16],"dtype":"uint8"}'), 7)[1].startswith('"shape" is [16]')
