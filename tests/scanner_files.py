"""What tests of laser-scanning files share: real recordings, and a registrar that leaves its mark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from fake_registrar import FakeRegistrar, expected
from sasnet_live.recordings import ReadSettings
from sasnet_live.reprocess import ReprocessReport, ReprocessSettings, reprocess
from sasnet_live.reprocess.file import FrameRegistrar
from sasnet_live.settings import RegistrarSettings

TWO_PHOTON = Path(__file__).resolve().parents[2] / "shared" / "data" / "two-photon"

Array = np.ndarray[Any, Any]


def two_photon() -> Path:
    """The folder of real laser-scanning recordings; the test is skipped where they are not at hand."""
    if not TWO_PHOTON.is_dir():
        pytest.skip(f"no real recordings in {TWO_PHOTON.name}/ beside the project: they are not part of it")
    return TWO_PHOTON


def make(settings: RegistrarSettings) -> FrameRegistrar:
    return FakeRegistrar(settings.model, settings.output, settings.geometry)


def run(inputs: Sequence[Path], out: Path, **reading: Any) -> ReprocessReport:
    """Reprocess with a registrar that shifts and adds 1 to every backward line."""
    return reprocess(inputs, out, ReprocessSettings(reading=ReadSettings(**reading)), make_registrar=make)


def check_written(report: ReprocessReport, data: Array, axes: str) -> Path:
    """One recording came out, every frame of it where it belongs."""
    assert [file.error for file in report.failed] == []
    (file,) = report.files
    (written,) = file.outputs
    with tifffile.TiffFile(written) as tiff:
        assert (tiff.series[0].axes, tiff.series[0].shape) == (axes, data.shape)
        np.testing.assert_array_equal(tiff.asarray(), expected(data))
    channels = data.shape[axes.index("C")] if "C" in axes else 1
    assert file.frames == int(np.prod(data.shape[:-2])) // channels
    return written


def refused(report: ReprocessReport, out: Path) -> str:
    """The one line of a recording that cannot be read, of which nothing is left."""
    (file,) = report.files
    assert file.error
    assert "\n" not in file.error
    assert not list(out.glob("*"))
    return file.error


def frames(*leading: int, seed: int = 0, shape: tuple[int, int] = (8, 12)) -> Array:
    return np.random.default_rng(seed).integers(1, 4000, (*leading, *shape)).astype(np.uint16)
