"""Registering recordings on disk, see `run`.

The names below load on first use: settings are read where nothing is registered, as for the shell's help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sasnet_live.lazy import loader

_HOME = {
    "FileReport": "report",
    "Progress": "report",
    "ReprocessReport": "report",
    "ReprocessSettings": "settings",
    "reprocess": "run",
}

__all__ = ["FileReport", "Progress", "ReprocessReport", "ReprocessSettings", "reprocess"]

if TYPE_CHECKING:
    from .report import FileReport, Progress, ReprocessReport
    from .run import reprocess
    from .settings import ReprocessSettings


__getattr__ = loader(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
