"""Where the plugin keeps its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from sasnet_live.plugin.preferences import FOLDER_VARIABLE, data_folder, settings_store


def test_the_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "here"))
    assert data_folder() == tmp_path / "here"
    assert settings_store().path == tmp_path / "here" / "settings.json"
