"""Settings are kept between sessions, and never in the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sasnet_live.geometry import ScanGeometry
from sasnet_live.session.settings import LiveSettings, SettingsStore
from sasnet_live.settings import RegistrarSettings

MIRRORED = LiveSettings(registrar=RegistrarSettings(geometry=ScanGeometry(backward_mirrored=True)))
WARPED = RegistrarSettings(output="warped")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    geometry = ScanGeometry(line_axis="columns", backward_mirrored=True, crop=(3, 0))
    registrar = RegistrarSettings("/data/mine.safetensors", geometry=geometry, search_px=20.0)
    chosen = LiveSettings(source="folder", folder="/data", registrar=registrar, layers=("raw", "error"))
    store = SettingsStore(tmp_path / "new folder" / "settings.json")
    store.save(chosen)
    assert store.load() == chosen
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["settings.json"]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"unknown": 1}, LiveSettings()),
        ({"registrar": {"geometry": {"line_axis": "diagonals"}}}, LiveSettings()),
        ({"registrar": {"geometry": {"crop": [-4, 0], "backward_mirrored": True}}}, MIRRORED),
        ({"registrar": {"geometry": {"line_offset": "7"}, "search_px": -3}}, LiveSettings()),
        ({"registrar": {"geometry": {"line_offset": True}}}, LiveSettings()),
        ({"line_axis": "columns", "model": "of an earlier version"}, LiveSettings()),
        ({"settle_s": 2.5}, LiveSettings(settle_s=2.5)),
        ({"settle_s": -1.0}, LiveSettings()),
        ({"settle_s": float("nan")}, LiveSettings()),
        ({"settle_s": 1e9}, LiveSettings()),
        ({"layers": [1, 2]}, LiveSettings()),
        ({"layers": ["raw"], "registrar": {"output": "warped"}}, LiveSettings(registrar=WARPED, layers=("raw",))),
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
