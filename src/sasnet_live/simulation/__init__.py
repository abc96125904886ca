"""Bidirectional scans with a known truth: scenes, the scanner that records them, recordings, named data sets.

The names below load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sasnet_live.lazy import loader

_HOME = {
    "Scene": "vessels",
    "vascular_scene": "vessels",
    "CONTENT_KINDS": "content",
    "content_scene": "content",
    "LEVELS": "levels",
    "random_scanner": "levels",
    "ScannerSettings": "settings",
    "SimulatedFrame": "scanner",
    "scan": "scanner",
    "AlineSettings": "aline_settings",
    "SimulatedVolume": "alines",
    "layered_tissue": "alines",
    "scan_volume": "alines",
    "RecordingSettings": "recording",
    "record": "recording",
    "DATASET_NAMES": "dataset",
    "SimulatedPairs": "dataset",
    "SceneBank": "dataset",
    "training_frame": "dataset",
}

__all__ = [
    "CONTENT_KINDS",
    "DATASET_NAMES",
    "LEVELS",
    "AlineSettings",
    "RecordingSettings",
    "ScannerSettings",
    "Scene",
    "SceneBank",
    "SimulatedFrame",
    "SimulatedPairs",
    "SimulatedVolume",
    "content_scene",
    "layered_tissue",
    "random_scanner",
    "record",
    "scan",
    "scan_volume",
    "training_frame",
    "vascular_scene",
]

if TYPE_CHECKING:
    from .aline_settings import AlineSettings
    from .alines import SimulatedVolume, layered_tissue, scan_volume
    from .content import CONTENT_KINDS, content_scene
    from .dataset import DATASET_NAMES, SceneBank, SimulatedPairs, training_frame
    from .levels import LEVELS, random_scanner
    from .recording import RecordingSettings, record
    from .scanner import SimulatedFrame, scan
    from .settings import ScannerSettings
    from .vessels import Scene, vascular_scene


__getattr__ = loader(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
