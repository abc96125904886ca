"""Names of files that count up: which axes the numbers in them are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

_NUMBERS = re.compile(r"\d+")
_AXIS_WORDS = (
    ("c", ("ch", "channel", "c", "chan", "w")),
    ("z", ("z", "slice", "depth", "plane")),
    ("p", ("p", "pos", "position", "xy", "s", "tile")),
    ("t", ("t", "time", "frame", "cycle", "f")),
)
"""What stands before a number, lower case; `_Ch2_`, `z003`. Numbers behind other words are times, too."""

_LAST_WORD = re.compile(rf"[\W_]+({'|'.join(word for _, words in _AXIS_WORDS for word in words)})$", re.IGNORECASE)


@dataclass(frozen=True)
class Counted:
    """Files whose names count up along axes.

    Attributes
    ----------
    axes
        Slowest first, of `sasnet_live.layout.STACK_AXES`.
    numbers
        Of each axis, as they stand in the names, in order.
    files
        In the order of the axes.
    """

    axes: tuple[str, ...]
    numbers: tuple[tuple[int, ...], ...]
    files: tuple[Path, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return tuple(len(one) for one in self.numbers)

    @property
    def gaps(self) -> list[int]:
        """Numbers that are missing along time, or whatever counts up slowest."""
        found = self.numbers[0]
        return sorted(set(range(found[0], found[-1] + 1)) - set(found)) if found[-1] - found[0] < 10**6 else []


def pattern_of(path: Path) -> str:
    """A name with its numbers taken out: equal for files that count up."""
    return _NUMBERS.sub("#", path.name.lower())


def counted(files: Sequence[Path]) -> Counted | None:
    """Axes and order of files of one `pattern_of`; None where their numbers leave places empty or fill some twice."""
    numbers = [tuple(int(one) for one in _NUMBERS.findall(path.name)) for path in files]
    if not numbers or not numbers[0]:
        return None
    varying = [n for n in range(len(numbers[0])) if len({one[n] for one in numbers}) > 1]
    if not varying:
        return None
    axes = [_axis(files[0].name, n) for n in varying]
    # Only the last of several times is one; positions of a stage and cycles before it come first.
    if len(set(axes)) != len(axes):
        return None
    order = sorted(range(len(axes)), key=lambda n: "ptzc".index(axes[n]))
    at = {tuple(one[varying[n]] for n in order): path for one, path in zip(numbers, files, strict=True)}
    values = tuple(tuple(sorted({place[n] for place in at})) for n in range(len(order)))
    places = list(product(*values))
    if len(at) != len(files) or len(places) != len(files):
        return None
    return Counted(tuple(axes[n] for n in order), values, tuple(at[place] for place in places))


def common_name(files: Sequence[Path]) -> str:
    """What the names of several files begin with, without numbers and signs at its end; the first name if nothing."""
    names = [re.sub(r"\.ome$", "", path.stem, flags=re.IGNORECASE) for path in files]
    begin = names[0]
    while not all(name.startswith(begin) for name in names):
        begin = begin[:-1]
    begin = re.sub(r"[\W_]*\d*[\W_]*$", "", begin)
    return _LAST_WORD.sub("", begin) or names[0]


def _axis(name: str, number: int) -> str:
    """Which axis the number at a place in a name is; a time, where no word before it says otherwise."""
    start = list(_NUMBERS.finditer(name))[number].start()
    word = re.search(r"([A-Za-z]*)[_-]?$", name[:start])
    before = word[1].lower() if word else ""
    return next((axis for axis, words in _AXIS_WORDS if before in words), "t")
