"""The values of a header, each asked for once and checked."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from sasnet_live.sources.tcp_wire import ProtocolError, shown

T = TypeVar("T")

LONGEST_TEXT = 200
"""Characters of a name."""


class Fields:
    """Values by their keys; each method raises `ProtocolError` where what came is not what it asks for.

    null counts as not said.
    """

    def __init__(self, header: Mapping[str, Any]) -> None:
        self._header = header
        self._known: set[str] = set()

    def get(self, name: str) -> Any:
        """As it came."""
        self._known.add(name)
        return self._header.get(name)

    def refuse_others(self, kind: str) -> None:
        """A key that nobody knows is a misspelt one."""
        for name in self._header:
            if name not in self._known:
                nearest = get_close_matches(name[:LONGEST_TEXT], self._known, 1)
                hint = (
                    f"; did you mean {shown(nearest[0])}?" if nearest else f"; it has {', '.join(sorted(self._known))}"
                )
                raise ProtocolError(f'"{kind}" has no key {shown(name)}{hint}')

    def choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """One of several words."""
        value = self.get(name)
        value = default if value is None else value
        if not isinstance(value, str) or value not in choices:
            raise ProtocolError(f'"{name}" is {shown(value)}; expected one of {", ".join(choices)}')
        return value

    def choices(self, name: str, choices: tuple[T, ...]) -> tuple[T, ...]:
        """Some of several words."""
        value = self._list(name, len(choices))
        if any(one not in choices for one in value):
            raise ProtocolError(f'"{name}" is {shown(value)}; expected some of {", ".join(map(str, choices))}')
        return tuple(value)

    def flag(self, name: str) -> bool:
        """True or false; false if not said."""
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise ProtocolError(f'"{name}" is {shown(value)}; expected true or false')
        return bool(value)

    def whole(self, name: str, least: int, most: int) -> int | None:
        """A whole number."""
        value = self.get(name)
        if value is None:
            return None
        return _whole(name, value, least, most)

    def real(self, name: str) -> float | None:
        """Any number."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ProtocolError(f'"{name}" is {shown(value)}; expected a number')
        return float(value)

    def length(self, name: str) -> float | None:
        """A number above 0."""
        value = self.real(name)
        if value is not None and not value > 0:
            raise ProtocolError(f'"{name}" is {shown(value)}; expected a number above 0, or null where it is not known')
        return value

    def lengths(self, name: str) -> tuple[float, float] | None:
        """One number for both axes, or [y, x]."""
        value = self.get(name)
        pair = value if isinstance(value, list) else [value, value]
        if len(pair) != 2:
            raise ProtocolError(f'"{name}" is {shown(value)}; expected one number, or two: [y, x]')
        y, x = (Fields({name: one}).length(name) for one in pair)
        return None if y is None or x is None else (y, x)

    def text(self, name: str) -> str:
        """Text that may be printed; empty if not said."""
        value = self.get(name)
        return "" if value is None else _text(name, value)

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        """A list of such."""
        return tuple(_text(name, one) for one in self._list(name, most))

    def sizes(self, name: str, axes: int, largest: int) -> list[int | None]:
        """Lengths of so many axes at most; the first may be null."""
        return [
            None if one is None and place == 0 else _whole(name, one, 1, largest)
            for place, one in enumerate(self._list(name, axes))
        ]

    def shape(self, name: str, longest_side: int, default: tuple[int, int] | None = None) -> tuple[int, int]:
        """(H, W) of a frame."""
        value = self.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, list) or len(value) != 2:
            raise ProtocolError(f'"{name}" is {shown(value)}; expected [lines, px of a line]')
        height, width = (_whole(name, one, 1, longest_side) for one in value)
        return height, width

    def index(self, name: str, sizes: Mapping[str, int]) -> dict[str, int] | None:
        """A position along each of these axes, below its length."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, dict) or set(value) != set(sizes):
            raise ProtocolError(
                f'"{name}" is {shown(value)}; expected a position for each axis of the stream: '
                f"{', '.join(sizes) or 'none were announced'}"
            )
        return {axis: _whole(f"{name}.{axis}", value[axis], 0, size - 1) for axis, size in sizes.items()}

    def _list(self, name: str, most: int) -> list[Any]:
        value = self.get(name)
        if not isinstance(value, list):  # MATLAB writes a list of one as that one
            value = [] if value is None else [value]
        if len(value) > most:
            raise ProtocolError(f'"{name}" is {shown(value)}; expected a list of {most} at most')
        return value


def _whole(name: str, value: Any, least: int, most: int) -> int:
    # MATLAB and LabVIEW write whole numbers as 3 or as 3.0.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ProtocolError(f'"{name}" is {shown(value)}; expected a whole number from {least} to {most}')
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or not value.isprintable():
        raise ProtocolError(f'"{name}" is {shown(value)}; expected printable text of {LONGEST_TEXT} characters at most')
    return value
