"""Recordings on disk, opened one way whatever wrote them: see `open_recording`.

The names below load on first use: settings are read where no file is opened, as for the shell's help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sasnet_live.lazy import loader

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


__getattr__ = loader(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
