"""Where all text for people goes through: nothing in it that a terminal obeys, onto streams that may end before us."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

PRINTING_ENDED = "nothing more is printed, the work goes on"

_READER_GONE = {errno.EPIPE, errno.EIO, errno.ECONNRESET, errno.EINVAL if os.name == "nt" else errno.EPIPE}
"""What writing raises when nobody reads any more: a closed pipe (EINVAL on Windows), a terminal that went away."""


def printable(text: object) -> str:
    """Text with every character that a terminal or a line of a log would obey written out, as in ``\\x1b`` and ``\\n``.

    File names and metadata may hold escape codes, line breaks, marks that turn the direction of writing, and bytes that
    are no text at all.
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in str(text))


def echo(line: object, stream: TextIO | None = None) -> None:
    """Print one line, to standard output if not told, and flush, so that whoever reads a pipe sees it now."""
    stream = sys.stdout if stream is None else stream
    if stream is not None:
        stream.write(f"{printable(line)}\n")
        stream.flush()


def complain(message: object) -> None:
    """Print one line to standard error, with the name of the program before it."""
    echo(f"sasnet-live: {message}", sys.stderr)


def in_words(error: BaseException) -> str:
    """An error that no message of ours explains, in one line."""
    # Such messages have lines; ours have none, so that a line break in one came with a file's name, and is shown.
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no further message'}"


def console(*, err: bool = False, width_elsewhere: int | None = None) -> Console:
    """A console of rich that prints text as it is: no markup, no colours by content, nothing that a terminal obeys.

    Parameters
    ----------
    err
        On standard error.
    width_elsewhere
        Columns where it is no terminal: kept in a file, figures must not be wrapped to the width of a terminal.
    """
    from .printing_rich import PlainTextConsole

    made = PlainTextConsole(stderr=err, markup=False, highlight=False, emoji=False)
    if width_elsewhere is not None and not made.is_terminal:
        made.width = width_elsewhere
    return made


def styled(text: object, style: str = "") -> Text:
    """Text for rich in one style."""
    from rich.text import Text

    return Text(printable(text), style)


@contextmanager
def lasting_streams(ended: Callable[[OSError], None]) -> Iterator[None]:
    """Standard output and error that take what nobody reads: printing may end, the work does not.

    Parameters
    ----------
    ended
        Called once, with what writing to standard output raised.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _lasting(sys.stdout, ended), _lasting(sys.stderr, lambda _: None)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(ValueError):  # closed by somebody else
                stream.flush()
        sys.stdout, sys.stderr = before


def reader_gone(error: OSError) -> bool:
    """Whether it was the reader who wanted no more; else what was printed is lost, as on a full disk."""
    return error.errno in _READER_GONE


def _lasting(stream: Any, ended: Callable[[OSError], None]) -> TextIO:
    if stream is None:  # closed before we were started; a file of ours must not take its place
        return open(os.devnull, "w", encoding="utf-8")
    try:
        number = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return stream  # type: ignore[no-any-return]  # in memory
    if os.name == "nt" and stream.isatty():
        return stream  # type: ignore[no-any-return]  # written through another interface than files are
    stream.flush()
    raw = _LastingFile(number, ended)
    # What an encoding cannot say is written out: a table must not fail for a Greek letter.
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, "backslashreplace", line_buffering=stream.isatty(), write_through=False
    )


class _LastingFile(io.FileIO):
    """A file descriptor that takes everything, also once writing to it has failed."""

    def __init__(self, number: int, ended: Callable[[OSError], None]) -> None:
        super().__init__(number, "w", closefd=False)
        self._tell = ended
        self._ended = False

    def write(self, data: Any) -> int:
        """Write it, or nothing from the first failure on."""
        if not self._ended:
            try:
                return super().write(data)
            except OSError as error:
                self._ended = True
                self._tell(error)
        return memoryview(data).nbytes
