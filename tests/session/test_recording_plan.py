"""What is written where, and what is refused before the first frame."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sasnet_live.errors import InputError
from sasnet_live.session.recording_plan import RecordingPlan
from sasnet_live.session.settings import LiveSettings
from sasnet_live.settings import RegistrarSettings


@pytest.mark.parametrize(
    ("out", "raw", "table", "how", "expected"),
    [
        (None, None, None, {}, []),
        ("a.ome.tiff", None, None, {}, ["a.ome.tiff", "a_metrics.csv"]),
        ("a.ome.tiff", "r.ome.zarr", "t.csv", {}, ["a.ome.tiff", "r.ome.zarr", "t.csv"]),
        (None, "r.ome.tiff", None, {"both": True}, ["r.ome.tiff"]),
        ("a.ome.tiff", None, None, {"both": True}, ["a_rendered.ome.tiff", "a_warped.ome.tiff", "a_metrics.csv"]),
        ("a.ome.tiff", None, None, {"both": True, "side_by_side": True}, ["a.ome.tiff", "a_metrics.csv"]),
    ],
)
def test_names_are_those_given(
    tmp_path: Path, out: str | None, raw: str | None, table: str | None, how: dict[str, bool], expected: list[str]
) -> None:
    paths = [None if name is None else tmp_path / name for name in (out, raw, table)]
    plan = RecordingPlan.named(*paths, **how)
    assert [path.name for path in plan.outputs] == expected
    assert len(plan.sinks(dict)) == len(expected)


def test_names_have_the_time_and_nothing_is_replaced(tmp_path: Path) -> None:
    now = datetime(2026, 2, 3, 14, 5, 6)
    settings = LiveSettings(
        registrar=RegistrarSettings(output="both"),
        record_folder=str(tmp_path),
        record_name="ear",
        record_format="ome.zarr",
    )
    plan = RecordingPlan.timed(settings, now)
    assert {content: path.name for content, path in plan.images.items()} == {
        "registered": "ear_20260203-140506.ome.zarr",
        "warped": "ear_20260203-140506_warped.ome.zarr",
        "raw": "ear_20260203-140506_raw.ome.zarr",
    }
    assert plan.table == tmp_path / "ear_20260203-140506_metrics.csv"
    assert len(plan.sinks(dict)) == 4
    plain = RecordingPlan.timed(
        replace(settings, registrar=RegistrarSettings(), record_raw=False, record_metrics=False), now
    )
    assert len(plain.sinks(dict)) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"record_folder": ""}, "choose one under Recording"),
        ({"record_name": "a/b"}, "signs that file names cannot have"),
        ({"record_folder": "/no/such/folder"}, "does not exist"),
    ],
)
def test_what_cannot_be_recorded_is_refused_at_once(tmp_path: Path, change: dict[str, str], words: str) -> None:
    settings = replace(LiveSettings(record_folder=str(tmp_path)), **change)
    with pytest.raises(InputError, match=words):
        RecordingPlan.timed(settings).sinks(dict)


@pytest.mark.parametrize(
    ("name", "how", "words"),
    [
        ("a.png", {}, "written as .ome.tiff or .ome.zarr"),
        ("a.ome.tiff", {"dtype": "complex64"}, "such as uint16"),
        ("a.ome.tiff", {"dtype": "no type"}, "such as uint16"),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(tmp_path: Path, name: str, how: dict[str, Any], words: str) -> None:
    plan = replace(RecordingPlan.named(tmp_path / name, None, None), **how)
    with pytest.raises(InputError, match=words):
        plan.sinks(dict)
