"""Recordings on disk, opened one way whatever wrote them: see `open_recording`.

The names below load on first use: settings are read where no file is opened, as for the shell's help.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "Found": "find",
    "ReadSettings": "settings",
    "Recording": "recording",
    "ScanFacts": "recording",
    "VolumeRecording": "volumes",
    "VolumeSettings": "volume_settings",
    "find_recordings": "find",
    "is_recording": "formats",
    "open_recording": "formats",
    "open_volume": "volumes",
}

__all__ = [
    "Found",
    "ReadSettings",
    "Recording",
    "ScanFacts",
    "VolumeRecording",
    "VolumeSettings",
    "find_recordings",
    "is_recording",
    "open_recording",
    "open_volume",
]

if TYPE_CHECKING:
    from .find import Found, find_recordings
    from .formats import is_recording, open_recording
    from .recording import Recording, ScanFacts
    from .settings import ReadSettings
    from .volume_settings import VolumeSettings
    from .volumes import VolumeRecording, open_volume


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
