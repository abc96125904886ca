"""Where the plugin keeps its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from sasnet_live.plugin.preferences import FOLDER_VARIABLE, data_folder, largest_frame_mib, settings_store
from sasnet_live.recordings.settings import LARGEST_MIB

MANIFEST = Path(__file__).parents[2] / "src" / "sasnet_live" / "napari.yaml"


def test_the_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "here"))
    assert data_folder() == tmp_path / "here"
    assert settings_store().path == tmp_path / "here" / "settings.json"


def test_the_largest_frame_is_that_of_the_preferences() -> None:
    pytest.importorskip("napari")
    from napari.settings import get_plugin_settings
    from npe2 import PluginManager, PluginManifest

    manager, manifest = PluginManager.instance(), PluginManifest.from_file(MANIFEST)
    if manifest.name not in manager:
        manager.register(manifest)
    assert largest_frame_mib() == LARGEST_MIB  # the default in the manifest
    reading = get_plugin_settings(manifest.name).reading
    reading.largest_frame_mib = 300
    try:
        assert largest_frame_mib() == 300
    finally:
        reading.largest_frame_mib = LARGEST_MIB
