"""Settings are kept between sessions, and never in the way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sasnet_live.session.settings import LiveSettings, SettingsStore


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    chosen = LiveSettings(
        source="folder", folder="/data", line_axis="columns", mirrored=True, crop_start=3, layers=("raw", "error")
    )
    store = SettingsStore(tmp_path / "new folder" / "settings.json")
    store.save(chosen)
    assert store.load() == chosen
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["settings.json"]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"unknown": 1}, LiveSettings()),
        ({"line_axis": "diagonals"}, LiveSettings()),
        ({"crop_start": -4, "mirrored": True}, LiveSettings(mirrored=True)),
        ({"line_offset": "7"}, LiveSettings()),
        ({"settle_s": 2.5}, LiveSettings(settle_s=2.5)),
        ({"settle_s": -1.0}, LiveSettings()),
        ({"settle_s": float("nan")}, LiveSettings()),
        ({"settle_s": 1e9}, LiveSettings()),
        ({"line_offset": True}, LiveSettings()),
        ({"layers": [1, 2]}, LiveSettings()),
        ({"layers": ["raw"], "output": "warped"}, LiveSettings(layers=("raw",), output="warped")),
        ([], LiveSettings()),
    ],
)
def test_what_does_not_fit_is_left_at_its_default(tmp_path: Path, stored: object, expected: LiveSettings) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(stored))
    assert SettingsStore(path).load() == expected


def test_a_damaged_or_missing_file_means_defaults(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{")
    assert SettingsStore(tmp_path / "settings.json").load() == LiveSettings()
    assert SettingsStore(tmp_path / "none.json").load() == LiveSettings()


def test_settings_that_cannot_be_kept_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    SettingsStore(tmp_path / "file" / "settings.json").save(LiveSettings())
    SettingsStore(None).save(LiveSettings())
    assert SettingsStore(None).load() == LiveSettings()


def test_geometry_has_the_values_of_the_panel() -> None:
    settings = replace(LiveSettings(), line_axis="columns", mirrored=True, crop_start=2, crop_end=5, line_offset=-3)
    geometry = settings.geometry
    assert (geometry.line_axis, geometry.backward_mirrored) == ("columns", True)
    assert (geometry.crop, geometry.line_offset) == ((2, 5), -3)
