"""Whatever is wrong with a file, in one line that names it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sasnet_live.errors import InputError

MOST_PACKED = 1032
"""Bytes that one byte of deflate may stand for, at most; a file that claims more is damaged, or means harm."""


def no_such_file(path: Path) -> None:
    """Raise InputError where there is nothing at a path."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the name")
    if not path.is_file():
        raise InputError(f"{path}: is not a file; check the name")


@contextmanager
def damage_in_one_line(path: Path, format_name: str) -> Iterator[None]:
    """Whatever a library raises, as an `InputError` that names the file."""
    try:
        yield
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}); check who may read it") from error
    except Exception as error:
        raise InputError(
            f"{path}: no {format_name} file, or damaged ({first_line(error)}); copy or export it again"
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of an error, which may quote the file, without what a terminal would act on."""
    lines = str(error).strip().splitlines()
    text = lines[0][:160] if lines else type(error).__name__
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def by(shape: Sequence[int]) -> str:
    """A shape for people: 200x512x512."""
    return "x".join(map(str, shape)) or "a single number"
