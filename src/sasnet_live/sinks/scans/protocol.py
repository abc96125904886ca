"""What is asked of a kind of file that is made of what was found in each scan."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from sasnet_live.errors import InputError

from .log import ScanLog


class ScanOutput(Protocol):
    """Makes one file of a whole `ScanLog`.

    The order of calls is ``check`` before any work, then ``write`` and ``count`` once all scans are in the log. A
    writer holds a few scans in memory, whatever their number.
    """

    def check(self, path: Path) -> None:
        """Raise InputError if such a file cannot be made, as where a library is missing."""
        ...

    def write(self, log: ScanLog, path: Path) -> None:
        """Make the file at a path where there is nothing."""
        ...

    def count(self, path: Path) -> int:
        """Scans that are really in a file, read anew."""
        ...


def finish(output: ScanOutput, log: ScanLog) -> Path:
    """Make the file of a whole log, count what is in it, give it its final name, and remove the log.

    Raises
    ------
    InputError
        If scans are missing; the log stays, so that `resume` makes the file again.
    """
    log.check_whole()
    unfinished = log.path.with_name(log.path.name + ".converting")
    unfinished.unlink(missing_ok=True)  # left by a process that was killed, or a link
    try:
        output.write(log, unfinished)
        there = output.count(unfinished)
        if there != log.rows:
            raise InputError(f"{log.path}: {there} of {log.rows} scans are in it; go on with --resume")
        os.replace(unfinished, log.path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    log.remove()
    return log.path


def library(name: str, extra: str, path: Path) -> Any:
    """Import a library that not everybody needs.

    Raises
    ------
    InputError
        If it is missing, with the command that installs it.
    """
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise InputError(f'{path}: needs {package}; run: pip install "sasnet-live[{extra}]"') from None
