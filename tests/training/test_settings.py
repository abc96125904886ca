"""Settings of a run: what is refused, and what a folder keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.recordings import ReadSettings
from sasnet_live.training.settings import TrainingSettings
from sasnet_live.training.weights import LossWeights

CHANGED = TrainingSettings(
    preset="paper",
    channels=(8, 16, 32),
    steps=7,
    batch_size=3,
    learning_rate=1e-4,
    seed=9,
    height=64,
    width=128,
    scanner="one",
    workers=2,
    precision="fp32",
    averaging=0.9,
    losses=LossWeights(cross=0.0, self_=2.0, cycle=0.25),
    recordings=("a.tif", "b.tif"),
    simulated_share=0.25,
    geometry=ScanGeometry("columns", "backward", True, 5, (1, 2), "stepped"),
    initial_weights="w.safetensors",
    validate_every=3,
    validation_frames=2,
    reading=ReadSettings("TYX", True, 12, "scan", (3, 8, 12), "uint16", 7, ("0", "1")),
)


@pytest.mark.parametrize("settings", [TrainingSettings(), CHANGED])
def test_a_folder_keeps_every_setting(settings: TrainingSettings, tmp_path: Path) -> None:
    assert not TrainingSettings.are_in(tmp_path)
    settings.save(tmp_path)
    assert TrainingSettings.are_in(tmp_path)
    assert TrainingSettings.load(tmp_path) == settings
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def test_every_setting_differs_in_the_test_above() -> None:
    plain = json.loads(TrainingSettings().to_json())
    assert not [name for name, value in json.loads(CHANGED.to_json()).items() if plain[name] == value]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "litle"}, "preset is 'litle'; expected one of lite, full, paper"),
        ({"precision": "int8"}, "precision is 'int8'; expected one of auto, fp32"),
        ({"scanner": "two"}, "scanner is 'two'; expected one of any, one"),
        ({"channels": [8, 16, 32]}, "must name the same, at least one, scale"),
        ({"channels": [8, 0]}, "has a size below 1"),
        ({"steps": 0}, "steps is 0; expected 1 or more"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"workers": 0}, "workers is 0"),
        ({"validate_every": 0}, "validate_every is 0"),
        ({"validation_frames": 0}, "validation_frames is 0"),
        ({"height": 30}, "training frames of 30 x 320 came; expected at least 32 x 64, an even height"),
        ({"height": 33}, "an even height"),
        ({"width": 63}, "expected at least 32 x 64"),
        ({"seed": -1}, "seed is -1; expected 0 or more"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; expected a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"averaging": 1.5}, "averaging is 1.5; expected a number from 0 to 1"),
        ({"simulated_share": -0.5}, "simulated_share is -0.5"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainingSettings.from_mapping(change)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no settings.json, so no run to resume; start one without --resume"),
        ("{", "is not JSON"),
        ("[1]", "holds no settings"),
        ('{"speed": 3}', "speed is not a setting of this version; did you mean seed"),
        ('{"losses": {"beauty": 1}}', "beauty is not a setting of this version; expected one of cross"),
        ('{"steps": 0}', "steps is 0"),
    ],
)
def test_folders_without_usable_settings_are_refused(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "settings.json").write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        TrainingSettings.load(tmp_path)
    assert "\n" not in str(caught.value)
