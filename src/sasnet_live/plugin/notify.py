"""What users are told, and what they can do about it."""

from __future__ import annotations

import errno
from pathlib import PurePosixPath, PureWindowsPath

from sasnet_live.errors import InputError
from sasnet_live.live.status import PipelineError, in_words


def advice(error: BaseException) -> str:
    """One line: what went wrong, and what to do."""
    if isinstance(error, InputError):
        return reason_first(str(error))
    if isinstance(error, PipelineError):
        return f"{error}. What was written until then can be read."
    text = in_words(error)
    name = type(error).__name__
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"The disk is full ({error.filename or 'recording'}). Free some space, then press Start again."
    if "OutOfMemory" in name or "out of memory" in text:
        return f"The GPU has too little free memory ({text}). Choose the CPU or the lite model under Model and device."
    if isinstance(error, MemoryError):
        return f"{text}. Close other programs, or record fewer channels, then press Start again."
    if isinstance(error, ImportError):
        return f"{text}. Install what is missing in the environment of napari, then start napari again."
    return f'{text}. Press Start to try again; if it comes back, choose the model "correspondence" and report it.'


def reason_first(text: str) -> str:
    """``PATH: REASON``, as errors are written on a command line, with the reason first.

    Notifications and the status line are narrow, and a long path would be all that is seen.
    """
    path, _, reason = text.partition(": ")
    is_path = PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()
    return f"{reason} ({path})" if is_path and reason else text


def complain(error: BaseException | str) -> None:
    """Show an error as a napari notification."""
    from napari.utils.notifications import show_error

    show_error(f"SASNet Live: {error if isinstance(error, str) else advice(error)}")


class Faults:
    """Tells of each failure once, however often it is looked at."""

    def __init__(self) -> None:
        self._told = ""

    def tell(self, error: BaseException | str) -> None:
        """Show an error, unless it is the one told last."""
        text = error if isinstance(error, str) else advice(error)
        if text != self._told:
            self._told = text
            complain(text)

    def forget(self) -> None:
        """A new attempt: the same failure is told again."""
        self._told = ""


def warn(message: str) -> None:
    """Show a warning as a napari notification."""
    from napari.utils.notifications import show_warning

    show_warning(f"SASNet Live: {message}")


def tell(message: str) -> None:
    """Show a message as a napari notification."""
    from napari.utils.notifications import show_info

    show_info(f"SASNet Live: {message}")
