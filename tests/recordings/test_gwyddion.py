"""Gwyddion files: trace and retrace are found by their titles and become one scan."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from array_files import refusal, registered, stack, survives_damage
from fake_registrar import expected
from sasnet_live.geometry import ScanGeometry
from sasnet_live.recordings import ReadSettings, open_recording
from sasnet_live.reprocess import ReprocessSettings, reprocess
from sasnet_live.settings import RegistrarSettings

gwyfile = pytest.importorskip("gwyfile", reason="gwyfile is not installed: pip install sasnet-live[probe]")


def save(path: Path, images: dict[str, Any]) -> Path:
    content = gwyfile.objects.GwyContainer()
    for number, (title, image) in enumerate(images.items()):
        height, width = image.shape
        field = gwyfile.objects.GwyDataField(
            image.astype(float),
            xreal=width * 2e-9,
            yreal=height * 4e-9,
            si_unit_xy=gwyfile.objects.GwySIUnit(unitstr="m"),
        )
        content[f"/{number}/data/title"], content[f"/{number}/data"] = title, field
    content.tofile(str(path))
    return path


FORWARD, BACKWARD = stack(dtype="f8"), stack(seed=1, dtype="f8")
RAW = np.stack([FORWARD, BACKWARD], axis=1).reshape(16, 12)


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        ("Height (Trace)", "Height (Retrace)"),
        ("Z [Forward]", "Z [Backward]"),
        ("Topography forward", "Topography backward"),
        ("Trace", "Retrace"),
    ],
)
def test_trace_and_retrace_become_one_scan(tmp_path: Path, forward: str, backward: str) -> None:
    path = save(tmp_path / "a.gwy", {backward: BACKWARD, forward: FORWARD, "Mask": FORWARD * 0})
    with open_recording(path) as recording:
        assert recording.layout.pixel_size_um == pytest.approx((0.002, 0.002))
        np.testing.assert_array_equal(recording.read(), RAW)
    found, _ = registered(path)
    np.testing.assert_array_equal(found, expected(RAW))


def test_one_of_several_channels(tmp_path: Path) -> None:
    other = {"Phase (Trace)": FORWARD + 500, "Phase (Retrace)": BACKWARD + 500}
    path = save(tmp_path / "a.gwy", {"Height (Trace)": FORWARD, "Height (Retrace)": BACKWARD, **other})
    assert "holds 2 pairs of trace and retrace; say which with --dataset: Height, Phase" in refusal(path)
    for dataset, raw in (("Phase", RAW + 500), ("Height (Retrace)", BACKWARD)):
        with open_recording(path, ReadSettings(dataset=dataset)) as recording:
            np.testing.assert_array_equal(recording.read(), raw)
    with open_recording(path, ReadSettings(passes=("Phase (Retrace)", "Height (Trace)"))) as recording:
        np.testing.assert_array_equal(recording.read()[1::2], FORWARD)


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    assert "holds no array with lines" in refusal(save(tmp_path / "a.gwy", {}))
    assert "holds 2 arrays" in refusal(save(tmp_path / "b.gwy", {"Height": FORWARD, "Phase": BACKWARD}))
    assert "differ" in refusal(save(tmp_path / "c.gwy", {"Trace": FORWARD, "Retrace": BACKWARD[:5]}))
    (tmp_path / "d.gwy").write_bytes(b"no such thing")
    assert "no Gwyddion file, or damaged" in refusal(tmp_path / "d.gwy")


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.gwy", {"Trace": FORWARD, "Retrace": BACKWARD})
    path.write_bytes(path.read_bytes()[:-300])
    assert "damaged" in refusal(path)


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.gwy", {"Trace": FORWARD, "Retrace": BACKWARD})
    survives_damage(path, head=400, tail=1000)


def test_a_real_trace_and_retrace(tmp_path: Path, real_pairs: list[Path]) -> None:
    """Of a real microscope, written as Gwyddion keeps it: displaced by the rigid shift that is known of it."""
    pair = tifffile.imread(next(one for one in real_pairs if one.stem == "spym_topo_1"))
    path = save(tmp_path / "a.gwy", {"Height (Trace)": pair[0], "Height (Retrace)": pair[1]})
    settings = RegistrarSettings("correspondence", geometry=ScanGeometry(slow_axis="stepped"))
    steps: list[Any] = []
    report = reprocess([path], tmp_path / "out", ReprocessSettings(settings), progress=steps.append)
    assert not report.failed
    assert steps[-1].registration.accepted
    assert np.median(steps[-1].registration.displacement_px) == pytest.approx(6.38, abs=1.0)


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.gwy", {"Trace": FORWARD, "Retrace": BACKWARD})
    monkeypatch.setitem(sys.modules, "gwyfile", None)
    assert 'run: pip install "sasnet-live[probe]"' in refusal(path)
