"""What napari keeps for the plugin: the user's preferences, and the folder that settings lie in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sasnet_live.recordings.settings import LARGEST_MIB
from sasnet_live.session.settings import SettingsStore

FOLDER_VARIABLE = "SASNET_LIVE_SETTINGS"


@dataclass(frozen=True)
class DisplayPreferences:
    """What is chosen in napari's Preferences, under SASNet Live."""

    rate_hz: int = 30
    overlay_font_size: int = 11


def display_preferences() -> DisplayPreferences:
    """As chosen, or the defaults where napari does not know the plugin's settings."""
    try:
        from napari.settings import get_plugin_settings

        display = get_plugin_settings("sasnet-live").display
        return DisplayPreferences(int(display.rate_hz), int(display.overlay_font_size))
    except (ImportError, KeyError, AttributeError, TypeError, ValueError):
        return DisplayPreferences()


def largest_frame_mib() -> float:
    """Memory that a frame of a file may take, MiB: as chosen, or the default."""
    try:
        from napari.settings import get_plugin_settings

        return float(get_plugin_settings("sasnet-live").reading.largest_frame_mib)
    except (ImportError, KeyError, AttributeError, TypeError, ValueError):
        return LARGEST_MIB


def settings_store() -> SettingsStore:
    """Beside napari's own settings, or in the folder that `SASNET_LIVE_SETTINGS` names."""
    folder = data_folder()
    return SettingsStore(None if folder is None else folder / "settings.json")


def data_folder() -> Path | None:
    """Folder for what the plugin keeps; None where napari keeps nothing either."""
    if os.environ.get(FOLDER_VARIABLE):
        return Path(os.environ[FOLDER_VARIABLE])
    from napari.settings import get_settings

    path = get_settings().config_path
    return None if path is None else Path(path).parent / "sasnet-live"
