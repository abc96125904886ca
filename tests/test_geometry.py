"""Scan geometry: what is refused, and that it is light."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"line_axis": "row"}, "line_axis is 'row'; expected one of rows, columns"),
        ({"first": 0}, "first is 0; expected one of forward, backward"),
        ({"slow_axis": "zigzag"}, "slow_axis is 'zigzag'; expected one of continuous, stepped, interleaved"),
        ({"line_offset": 1.5}, "line_offset is 1.5; expected whole px"),
        ({"crop": (1,)}, r"crop is \(1,\); expected two whole numbers"),
        ({"crop": (-1, 0)}, r"crop is \(-1, 0\)"),
        ({"crop": (0.5, 0)}, r"crop is \(0.5, 0\)"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ScanGeometry(**options)


def test_crop_given_as_a_list_still_hashes() -> None:
    assert hash(ScanGeometry(crop=[1, 2])) == hash(ScanGeometry(crop=(1, 2)))  # type: ignore[arg-type]


def test_importing_the_geometry_loads_no_numpy() -> None:
    code = "import sys, sasnet_live.geometry; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
