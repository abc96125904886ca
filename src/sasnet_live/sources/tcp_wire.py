"""How messages lie on the wire between this program and another: a prefix, JSON, px. No sockets, no threads.

::

    offset  bytes  what, all little-endian
         0      4  magic, the letters SNLF
         4      4  version, unsigned: 1
         8      4  bytes of JSON that follow, unsigned: 2 to 16384
        12      4  bytes of px that follow the JSON, unsigned
        16         JSON in UTF-8, then px

`docs/tcp.md` is the reference. Sizes are checked before anything is allocated for them.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels

Header = TypeVar("Header")

MAGIC = b"SNLF"
VERSION = 1
PREFIX = struct.Struct("<4sIII")
LARGEST_JSON = 16_384
"""Bytes: a hundred times what a frame needs, and too little to do harm."""
DEEPEST_JSON = 4
"""Levels of lists and objects in one another. Messages need 2; Python's parser would recurse as deep as is asked."""
LONGEST_NUMBER = 24
"""Characters: what a float64 needs to be exact. Longer ones take time that grows with the square of their length."""
MOST_SHOWN = 40
"""Characters of what came that an error quotes."""

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


class ProtocolError(InputError):
    """A message that cannot be understood: what came, what was expected, what to do, in one line for its sender."""


def encode(header: Mapping[str, Any], px: Pixels | None = None) -> bytes:
    """One message.

    Parameters
    ----------
    header
        What JSON can say.
    px
        Any shape; written line after line (C order), little-endian.
    """
    return b"".join(encode_parts(header, px))


def encode_parts(header: Mapping[str, Any], px: Pixels | None = None) -> tuple[bytes, memoryview]:
    """One message as prefix with JSON, and px, which are not copied where they lie as they are sent."""
    # The line break makes an error readable for a person at a terminal.
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    body = memoryview(b"")
    if px is not None and px.size:
        body = np.ascontiguousarray(px, px.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data
    return PREFIX.pack(MAGIC, VERSION, len(text), len(body)) + text, body


def read_prefix(prefix: bytes, largest_px: int) -> tuple[int, int]:
    """Bytes of JSON and of px that follow.

    Raises
    ------
    ProtocolError
        If this is no message of ours, or one that is too large.
    """
    magic, version, json_bytes, px_bytes = PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise ProtocolError(
            f"a message began with {magic!r}; expected {MAGIC!r}: it is another protocol, or the message before was "
            "longer or shorter than it said"
        )
    if version != VERSION:
        swapped = " (big-endian? send little-endian)" if version == 0x01000000 else ""
        raise ProtocolError(f"protocol version {version} came{swapped}; expected {VERSION}")
    if not 2 <= json_bytes <= LARGEST_JSON:
        raise ProtocolError(f"a header of {json_bytes} bytes was announced; expected 2 to {LARGEST_JSON}")
    if px_bytes > largest_px:
        raise ProtocolError(
            f"px of {px_bytes} bytes were announced; expected {largest_px} at most: if frames really are that large, "
            "start the server with --largest-frame"
        )
    return json_bytes, px_bytes


def read_json(data: bytes) -> dict[str, Any]:
    """The object that a header holds.

    Raises
    ------
    ProtocolError
        If it is not UTF-8, not one JSON object, nested too deeply, has a key twice or a number that is none.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"the header is not UTF-8 (byte {error.start}); send JSON in UTF-8") from None
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(bracket, 0)
        deepest = max(deepest, depth)
    if deepest > DEEPEST_JSON:
        raise ProtocolError(f"the header is nested {deepest} levels deep; expected {DEEPEST_JSON} at most")
    try:
        found = json.loads(
            text, object_pairs_hook=_without_repeats, parse_int=_whole, parse_float=_real, parse_constant=_no_number
        )
    except json.JSONDecodeError as error:
        raise ProtocolError(f"the header is not JSON ({error.msg} at character {error.pos}); send one object") from None
    if not isinstance(found, dict):
        raise ProtocolError(f"the header is {shown(found)}; expected one JSON object")
    return found


def shown(value: Any) -> str:
    """A value that came, as an error quotes it: short, in ASCII, in one line."""
    text = ascii(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


class Decoder(Generic[Header]):
    """Bytes of one sender in, messages out; whoever reads a socket writes into its buffer, so that px are not copied.

    ::

        count = socket.recv_into(decoder.get_buffer())
        message = decoder.buffer_updated(count)

    It holds one prefix, one header, and the px of one message once `read` has accepted the header.

    Parameters
    ----------
    read
        Called with the header and the number of bytes of px before memory is taken for these; raises `ProtocolError`
        if it does not want them.
    largest_px
        Bytes of px that one message may have.
    """

    def __init__(self, read: Callable[[dict[str, Any], int], Header], largest_px: int) -> None:
        self._read, self._largest_px = read, largest_px
        self._begin()

    def _begin(self) -> None:
        """Wait for the next message."""
        self._part = "prefix"
        self._header: Header | None = None
        self._px_bytes = 0
        self._expect(PREFIX.size)

    def _expect(self, count: int) -> None:
        self._bytes: Pixels = np.empty(count, np.uint8)
        self._filled = 0

    @property
    def begun(self) -> bool:
        """Whether part of a message has come, but not all of it."""
        return self._part != "prefix" or self._filled > 0

    @property
    def in_px(self) -> bool:
        """Whether the header of a message has come, but not all of its px."""
        return self._part == "px"

    def get_buffer(self) -> memoryview:
        """Where the next bytes go; never empty."""
        return self._bytes.data[self._filled :]

    def buffer_updated(self, count: int) -> tuple[Header, Pixels] | None:
        """So many bytes were written into the buffer.

        Returns
        -------
        The message that they complete: what `read` made of its header, and its px, (bytes,) uint8, which are the
        caller's from now on. None if it is not complete.

        Raises
        ------
        ProtocolError
            If the message cannot be understood; nothing may follow it.
        """
        self._filled += count
        if self._filled < len(self._bytes):
            return None
        if self._part == "prefix":
            json_bytes, self._px_bytes = read_prefix(self._bytes.tobytes(), self._largest_px)
            self._part = "json"
            self._expect(json_bytes)
            return None
        if self._part == "json":
            self._header = self._read(read_json(self._bytes.tobytes()), self._px_bytes)
            self._part = "px"
            self._expect(self._px_bytes)
            if self._px_bytes:
                return None
        assert self._header is not None
        message = self._header, self._bytes
        self._begin()
        return message

    def feed(self, data: bytes) -> Iterator[tuple[Header, Pixels]]:
        """The messages that these bytes complete, for whoever has them already."""
        rest = memoryview(data)
        while rest:
            buffer = self.get_buffer()
            count = min(len(buffer), len(rest))
            buffer[:count] = rest[:count]
            rest = rest[count:]
            message = self.buffer_updated(count)
            if message is not None:
                yield message


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ProtocolError("the header has a key twice; give each once")
    return found


def _whole(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ProtocolError(f"a number of {len(digits)} characters came; expected {LONGEST_NUMBER} at most")
    return int(digits)


def _real(digits: str) -> float:
    if len(digits) > LONGEST_NUMBER or not math.isfinite(float(digits)):
        raise ProtocolError(
            f"the number {shown(digits)} came; expected a finite one of {LONGEST_NUMBER} characters at most"
        )
    return float(digits)


def _no_number(word: str) -> float:
    raise ProtocolError(f"{word} came; JSON has no such number: send null")
