"""Settings of the registrar: what is refused, how stored ones are read, that every field says what it is for."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.parameters import hints_of, parameter_at, read_settings, read_what_fits
from sasnet_live.settings import RegistrarSettings

COLUMNS = RegistrarSettings(geometry=ScanGeometry(line_axis="columns"))


def test_importing_settings_loads_neither_numpy_nor_torch() -> None:
    code = "import sys, sasnet_live.settings; sys.exit(bool({'numpy', 'torch', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_registrar_takes_these_settings_with_these_defaults() -> None:
    from sasnet_live.registrar import Registrar

    parameters = inspect.signature(Registrar.__init__).parameters
    ours = {field.name: field.default for field in fields(RegistrarSettings)}
    assert {name: one.default for name, one in parameters.items() if name != "self"} == {**ours, "geometry": None}


def test_settings_make_a_registrar() -> None:
    registrar = RegistrarSettings(
        "correspondence", "cpu", output="warped", geometry=COLUMNS.geometry, search_px=20.0, temporal=False
    ).make()
    assert registrar.geometry == COLUMNS.geometry
    about = registrar.describe()
    assert [about[name] for name in ("model", "device", "output", "search_px", "temporal")] == [
        "correspondence", "cpu", "warped", "20", "false",
    ]  # fmt: skip


@pytest.mark.parametrize("settings", [RegistrarSettings, ScanGeometry])
def test_every_field_says_what_it_is_for(settings: type) -> None:
    for name, hint in hints_of(settings).items():
        if not is_dataclass(hint):
            assert parameter_at(settings, name).help.endswith(".")


def test_a_parameter_is_found_by_its_path() -> None:
    assert parameter_at(RegistrarSettings, "geometry.crop") == parameter_at(ScanGeometry, "crop")
    assert parameter_at(RegistrarSettings, "search_px").unit == "px"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"modle": "lite"}, "modle is not a setting of this version; did you mean model?"),
        ({"zzz": 1}, "zzz is not a setting of this version; expected one of model, device"),
        ({"geometry": {"mirrored": True}}, "mirrored is not a setting of this version; did you mean backward_mirrored"),
        ({"precision": "int8"}, "precision is 'int8'; expected one of auto, fp32, bf16, fp16"),
        ({"temporal": 1}, "temporal is 1; input should be a valid boolean"),
        ({"output": "painted"}, "output is 'painted'; expected one of rendered, warped, both"),
        ({"search_px": 0.5}, "search_px is 0.5; expected 1 px or more"),
        ({"geometry": {"crop": [-1, 0]}}, r"crop is \(-1, 0\); expected two whole numbers"),
    ],
)
def test_what_files_must_not_hold(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_settings(RegistrarSettings, values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"modle": "lite", "output": "warped"}, RegistrarSettings(output="warped")),
        ({"precision": "int8", "search_px": 20}, RegistrarSettings(search_px=20.0)),
        ({"search_px": 0}, RegistrarSettings()),
        ({"geometry": {"line_axis": "columns", "crop": [-1, 0], "line_offset": "7"}}, COLUMNS),
        ({"geometry": 3, "temporal": "yes"}, RegistrarSettings()),
    ],
)
def test_what_does_not_fit_can_be_left_at_its_default(values: dict[str, Any], expected: RegistrarSettings) -> None:
    assert read_what_fits(RegistrarSettings, values) == expected
