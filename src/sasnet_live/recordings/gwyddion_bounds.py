"""Whether the parts of a Gwyddion file lie within it: gwyfile, which reads them, goes on without end where they do not.

See the description of the format in Gwyddion's user guide, "Gwyddion native data format".
"""

from __future__ import annotations

import struct

_SIZES = {"b": 1, "c": 1, "i": 4, "q": 8, "d": 8}
_ITEM_SIZES = {"C": 1, "I": 4, "Q": 8, "D": 8}
_DEEPEST = 20  # objects in objects; Gwyddion's own are three deep
_LENGTH = struct.Struct("<I")


def check_bounds(content: bytes) -> None:
    """Walk through the sizes that a file claims, from behind its first four bytes.

    Raises
    ------
    ValueError
        If a part of it does not lie within what it is a part of.
    """
    if _object(content, 4, len(content), 0) != len(content):
        raise ValueError("its length is not what it says")


def _object(content: bytes, at: int, end: int, depth: int) -> int:
    """Walk through an object; returns where it ends."""
    if depth > _DEEPEST:
        raise ValueError("its parts lie in each other without end")
    at = _string(content, at, end)
    size = _length(content, at, end)
    at += _LENGTH.size
    if at + size > end:
        raise ValueError(f"a part of it ends at byte {at + size} and should by {end}")
    end = at + size
    while at < end:
        at = _component(content, at, end, depth)
    return end


def _component(content: bytes, at: int, end: int, depth: int) -> int:
    at = _string(content, at, end)
    kind = content[at : at + 1].decode("latin-1")
    at += 1
    if kind in _SIZES:
        at += _SIZES[kind]
    elif kind == "s":
        at = _string(content, at, end)
    elif kind == "o":
        at = _object(content, at, end, depth + 1)
    else:
        count = _length(content, at, end)
        at += _LENGTH.size
        if kind in _ITEM_SIZES:
            at += count * _ITEM_SIZES[kind]
        elif kind in ("S", "O"):
            for _ in range(count):  # each takes a byte at least, so that it ends with the file
                at = _string(content, at, end) if kind == "S" else _object(content, at, end, depth + 1)
        else:
            raise ValueError(f"a part of it is of no known type ({kind!r})")
    if at > end:
        raise ValueError(f"a part of it ends at byte {at} and should by {end}")
    return at


def _string(content: bytes, at: int, end: int) -> int:
    """Where the text at a place ends."""
    found = content.find(b"\0", at, end)
    if found < 0:
        raise ValueError(f"the text at byte {at} does not end")
    return found + 1


def _length(content: bytes, at: int, end: int) -> int:
    if at + _LENGTH.size > end:
        raise ValueError(f"ends at byte {at}")
    return int(_LENGTH.unpack_from(content, at)[0])
