"""Files that another program writes: each when it is complete, once, in order."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live.errors import InputError
from sasnet_live.sources.folder import FolderSource

from .conftest import Collector, wait_for


def write(path: Path, *values: int, shape: tuple[int, int] = (16, 12)) -> None:
    tifffile.imwrite(path, np.stack([np.full(shape, value, np.uint16) for value in values]).squeeze())


def values(collector: Collector) -> list[int]:
    return [int(frame.data[0, 0]) for frame in collector.frames]


@pytest.fixture
def watched(tmp_path: Path, collector: Collector) -> Iterator[FolderSource]:
    source = FolderSource(tmp_path, settle_s=0.05, poll_s=0.01, give_up_s=0.3)
    source.start(collector)
    yield source
    source.stop()
    assert source.error is None
    assert collector.sources == []


def test_files_come_when_they_are_complete_in_order(
    tmp_path: Path, watched: FolderSource, collector: Collector
) -> None:
    for number in range(6):
        write(tmp_path / f"frame{number}.tif", number)
        os.utime(tmp_path / f"frame{number}.tif", (number, number))
    wait_for(lambda: len(collector.frames) == 6)
    assert values(collector) == list(range(6))
    assert [frame.sequence_number for frame in collector.frames] == list(range(6))
    assert collector.frames[2].metadata["file"] == "frame2.tif"
    assert len(collector.streams) == 1, "single frames make one stream"


def test_a_file_that_grows_is_left_alone_until_it_has_settled(
    tmp_path: Path, watched: FolderSource, collector: Collector
) -> None:
    write(tmp_path / "whole.tif", *range(1, 9))
    content = (tmp_path / "whole.tif").read_bytes()
    (tmp_path / "whole.tif").unlink()
    with (tmp_path / "slow.tif").open("wb") as file:
        for start in range(0, len(content), 1000):
            file.write(content[start : start + 1000])
            file.flush()
            time.sleep(0.02)
            assert collector.frames == []
    wait_for(lambda: len(collector.frames) == 8)
    assert watched.problems == ()


def test_a_file_with_several_frames_is_a_stream_with_its_axes(
    tmp_path: Path, watched: FolderSource, collector: Collector
) -> None:
    stack = np.arange(6, dtype=np.uint16).reshape(3, 2, 1, 1) + np.zeros((1, 1, 16, 12), np.uint16)
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata={"axes": "TCYX", "Channel": {"Name": ["DAPI", "FITC"]}})
    wait_for(lambda: len(collector.ends) == 1)
    [stream] = collector.streams
    assert (stream.axes, stream.sizes, stream.channel_names) == (("t", "c"), (3, 2), ("DAPI", "FITC"))
    assert stream.frames == 6
    assert [(frame.index["t"], frame.index["c"]) for frame in collector.frames] == [
        (t, c) for t in range(3) for c in range(2)
    ]
    assert collector.ends[0][0] == "completed"


def test_a_file_written_again_is_delivered_again(tmp_path: Path, watched: FolderSource, collector: Collector) -> None:
    for number in range(3):
        write(tmp_path / "live.tif", number)
        os.utime(tmp_path / "live.tif", (1000 + number, 1000 + number))
        wait_for(lambda number=number: len(collector.frames) == number + 1)  # type: ignore[misc]
    assert values(collector) == [0, 1, 2]


def test_a_file_that_does_not_open_is_passed_over_and_reported(
    tmp_path: Path, watched: FolderSource, collector: Collector
) -> None:
    (tmp_path / "broken.tif").write_bytes(b"II*\0 nonsense")
    (tmp_path / "notes.txt").write_text("not a frame")
    write(tmp_path / "good.tif", 1)
    wait_for(lambda: len(watched.problems) == 1)
    assert watched.problems[0].path.name == "broken.tif"
    assert "broken.tif" in watched.problems[0].reason
    assert values(collector) == [1]


def test_frames_of_another_size_begin_a_stream(tmp_path: Path, watched: FolderSource, collector: Collector) -> None:
    write(tmp_path / "a.tif", 1)
    wait_for(lambda: len(collector.frames) == 1)
    write(tmp_path / "b.tif", 2, shape=(8, 12))
    wait_for(lambda: len(collector.frames) == 2)
    assert [stream.frame_shape for stream in collector.streams] == [(16, 12), (8, 12)]


def test_a_folder_may_come_later_and_go_for_a_time(tmp_path: Path, collector: Collector) -> None:
    folder = tmp_path / "drive"
    source = FolderSource(folder, settle_s=0.02, poll_s=0.01)
    source.start(collector)
    folder.mkdir()
    write(folder / "a.tif", 1)
    wait_for(lambda: len(collector.frames) == 1)
    folder.rename(tmp_path / "gone")
    time.sleep(0.05)
    (tmp_path / "gone").rename(folder)
    write(folder / "b.tif", 2)
    wait_for(lambda: len(collector.frames) == 2)
    assert source.running
    source.stop()
    assert values(collector) == [1, 2]


def test_files_that_are_there_already_may_be_left_out(tmp_path: Path, collector: Collector) -> None:
    write(tmp_path / "old.tif", 1)
    source = FolderSource(tmp_path, existing=False, settle_s=0.02, poll_s=0.01)
    source.start(collector)
    write(tmp_path / "new.tif", 2)
    wait_for(lambda: bool(collector.frames))
    source.stop()
    assert values(collector) == [2]


def test_a_file_is_not_a_folder(tmp_path: Path, collector: Collector) -> None:
    write(tmp_path / "a.tif", 1)
    with pytest.raises(InputError, match="is a file"):
        FolderSource(tmp_path / "a.tif")
    source = FolderSource(tmp_path)
    source.start(collector)
    with pytest.raises(InputError, match="started before"):
        source.start(collector)
    source.stop()


def test_a_consumer_that_fails_ends_the_watch_with_its_error(tmp_path: Path, collector: Collector) -> None:
    def put(frame: Any, *, wait: bool = True) -> bool:
        raise RuntimeError("no more room")

    collector.put = put  # type: ignore[method-assign]
    write(tmp_path / "a.tif", 1)
    source = FolderSource(tmp_path, settle_s=0.02, poll_s=0.01)
    source.start(collector)
    wait_for(lambda: not source.running)
    assert str(source.error) == "no more room"
    assert collector.ends[0][0] == "errored"
