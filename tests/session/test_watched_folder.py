"""A live session that watches a folder: what it may not write into it, and what it tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.session.engine import LiveEngine
from sasnet_live.session.live_source import LiveSource
from sasnet_live.session.settings import LiveSettings
from sasnet_live.settings import RegistrarSettings
from sources.conftest import wait_for

pytest.importorskip("psygnal")


@pytest.fixture
def engine() -> Iterator[LiveEngine]:
    one = LiveEngine()
    yield one
    one.shutdown()


@pytest.fixture
def watching(tmp_path: Path) -> LiveSettings:
    """Settings that watch one folder and record into another."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    return LiveSettings(
        source="folder",
        folder=str(tmp_path / "in"),
        record_folder=str(tmp_path / "out"),
        registrar=RegistrarSettings("correspondence", "cpu"),
        settle_s=0.05,
    )


def scan(path: Path, seed: int, shape: tuple[int, int] = (32, 48)) -> None:
    image = np.random.default_rng(seed).integers(0, 200, shape).astype(np.uint16)
    tifffile.imwrite(path, image, resolution=(2e4, 5e3), resolutionunit="CENTIMETER")


def test_recording_into_the_watched_folder_is_refused(engine: LiveEngine, watching: LiveSettings) -> None:
    endless = replace(watching, record_folder=watching.folder)
    with pytest.raises(InputError, match="lies in the folder that is watched"):
        engine.begin_recording(endless)  # before Start
    assert not engine.recorder.recording
    engine.start(watching)
    with pytest.raises(InputError, match="lies in the folder that is watched"):
        engine.begin_recording(endless)  # while it runs
    # Another folder was chosen, and the one in use is still watched.
    with pytest.raises(InputError, match="lies in the folder that is watched"):
        engine.begin_recording(replace(endless, folder=str(Path(watching.folder).parent)))
    assert not engine.recorder.recording
    assert list(Path(watching.folder).iterdir()) == []


def test_watching_the_folder_that_is_recorded_into_is_refused(engine: LiveEngine, watching: LiveSettings) -> None:
    engine.begin_recording(replace(watching, source="camera"))
    with pytest.raises(InputError, match="lies in the folder that is watched"):
        engine.start(replace(watching, folder=watching.record_folder))
    assert engine.state == "idle"
    engine.recorder.end()
    engine.start(replace(watching, folder=watching.record_folder))  # what was recorded before matters no more


def test_other_sources_may_record_into_any_folder(engine: LiveEngine, watching: LiveSettings) -> None:
    engine.begin_recording(replace(watching, source="camera", record_folder=watching.folder))
    assert engine.recorder.recording


def test_the_frames_have_both_sizes_of_a_px_and_what_is_left_out_is_told(
    engine: LiveEngine, watching: LiveSettings
) -> None:
    folder = Path(watching.folder)
    scan(folder / "a.tif", 1)
    for number in range(3):
        scan(folder / f"thumb{number}.tif", number, (8, 8))
    engine.start(watching)
    wait_for(lambda: len(engine.source.problems) == 3)  # type: ignore[union-attr]
    line = engine.take_problem()
    assert line.startswith("thumb0.tif: a frame of 8 lines of 8 px came")
    assert line.endswith("left out (and 2 more such lines)")
    assert engine.take_problem() == ""
    results = []
    wait_for(lambda: bool((result := engine.take_latest()) and (results.append(result) or True)))
    assert results[0].scan.frame.metadata["pixel_size_um"] == pytest.approx((2.0, 0.5))
    assert engine.error is None


def test_settle_time_and_largest_frame_reach_the_source(watching: LiveSettings) -> None:
    source: Any = LiveSource(replace(watching, settle_s=7.5, largest_mib=300.0)).source
    assert (source._settle_s, source._largest_mib) == (7.5, 300.0)


def test_a_channel_that_cannot_be_aligned_on_is_told(engine: LiveEngine, watching: LiveSettings) -> None:
    scan(Path(watching.folder) / "a.tif", 1)
    engine.start(replace(watching, align_on="DAPI"))
    said: list[str] = []
    wait_for(lambda: bool((line := engine.take_problem()) and (said.append(line) or True)))
    assert said[0].startswith("the channel to align on, 'DAPI', is not used")
    assert engine.take_problem() == ""
    assert engine.error is None
