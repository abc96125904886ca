"""Registering recordings on disk, see `run`.

The names below load on first use: settings are read where nothing is registered, as for the shell's help.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
