"""LabVIEW's TDMS files: channels that are lines, frames or runs of frames, and one line where they are damaged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from array_files import check, refusal, stack, survives_damage
from sasnet_live.recordings import ReadSettings, open_recording

nptdms = pytest.importorskip("nptdms", reason="npTDMS is not installed: pip install sasnet-live[tdms]")


def save(path: Path, channels: dict[str, Any], group: str = "scan", segments: int = 1, mode: str = "w") -> Path:
    """As LabVIEW writes it while it records: in several segments."""
    with nptdms.TdmsWriter(path, mode=mode) as writer:
        for part in range(segments):
            writer.write_segment(
                [
                    nptdms.ChannelObject(group, name, np.array_split(np.ravel(values), segments)[part])
                    for name, values in channels.items()
                ]
            )
    return path


@pytest.mark.parametrize("segments", [1, 3])
@pytest.mark.parametrize("dtype", ["i2", "u2", "f4", "f8"])
def test_one_channel_is_a_run_of_frames(tmp_path: Path, segments: int, dtype: str) -> None:
    frames = stack(5, dtype=dtype)
    path = save(tmp_path / "a.tdms", {"signal": frames}, segments=segments)
    check(path, frames, "TYX", ReadSettings(raw_shape=(5, 8, 12)))


def test_each_channel_is_a_line(tmp_path: Path) -> None:
    frame = stack()
    path = save(tmp_path / "a.tdms", {f"line {number}": line for number, line in enumerate(frame)})
    check(path, frame, "YX")


def test_each_channel_is_a_frame(tmp_path: Path) -> None:
    frames = stack(5)
    path = save(tmp_path / "a.tdms", {f"frame {number}": one for number, one in enumerate(frames)})
    check(path, frames, "TYX", ReadSettings(raw_shape=(8, 12)))


def test_each_channel_is_a_channel(tmp_path: Path) -> None:
    frames = stack(2, 5)
    path = save(tmp_path / "a.tdms", {"pa": frames[0], "ultrasound": frames[1]}, segments=2)
    reading = ReadSettings(raw_shape=(5, 8, 12))
    check(path, frames, "CTYX", reading)
    with open_recording(path, reading) as recording:
        assert recording.layout.channel_names == ("pa", "ultrasound")


def test_axes_that_the_user_names(tmp_path: Path) -> None:
    frames = stack(5)
    path = save(tmp_path / "a.tdms", {"signal": frames.transpose(1, 2, 0)})
    check(path, frames, "TYX", ReadSettings("YXT", raw_shape=(8, 12, 5)))


def test_one_of_several_groups_and_channels(tmp_path: Path) -> None:
    save(tmp_path / "a.tdms", {"signal": stack(5), "clock": stack(5, seed=1)})
    path = save(tmp_path / "a.tdms", {"x": np.arange(9.0)}, group="mirror", mode="a")
    said = refusal(path)
    assert "holds 2 groups; say which, or which channel, with --dataset: scan/signal (480 values), scan/clock" in said
    assert "holds no group or channel 'scan/x'" in refusal(path, ReadSettings(dataset="scan/x"))
    check(path, stack(5, seed=1), "TYX", ReadSettings(dataset="scan/clock", raw_shape=(5, 8, 12)))


def test_two_channels_as_passes(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tdms", {"trace": stack(3), "retrace": stack(3, seed=1)})
    reading = ReadSettings(raw_shape=(3, 8, 12), passes=("scan/trace", "scan/retrace"))
    with open_recording(path, reading) as recording:
        assert recording.layout.shape == (3, 16, 12)
        np.testing.assert_array_equal(recording.frame(1)[1::2], stack(3, seed=1)[1])


@pytest.mark.parametrize(
    ("channels", "reading", "said"),
    [
        ({"a": stack(5)}, {}, "a is a run of 480 values; say what they are with --raw-shape T,H,W"),
        ({"a": stack(5)}, {"raw_shape": (6, 8, 12)}, "480 values and 6x8x12 takes 576; check --raw-shape, or add"),
        ({"a": stack(5)}, {"raw_shape": (4, 8, 12)}, "a has 480 values and 4x8x12 takes 384; check --raw-shape"),
        ({"a": stack(5), "b": stack(4)}, {"raw_shape": (4, 8, 12)}, "its channels differ (a (480 uint16), b (384"),
        ({"a": np.array(["one", "two"])}, {}, "values"),
        ({}, {}, "holds no values"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, channels: Any, reading: Any, said: str) -> None:
    assert said in refusal(save(tmp_path / "a.tdms", channels), ReadSettings(**reading))


def test_what_is_whole_of_a_short_channel(tmp_path: Path) -> None:
    frames = stack(5)
    path = save(tmp_path / "a.tdms", {"signal": frames.ravel()[:-5]})
    check(path, frames[:4], "TYX", ReadSettings(raw_shape=(5, 8, 12), allow_missing=True))


def test_truncated_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tdms", {"signal": stack(50)})
    path.write_bytes(path.read_bytes()[:-1000])
    said = refusal(path, ReadSettings(raw_shape=(50, 8, 12)))
    assert "--allow-missing" in said or "damaged" in said
    path.write_bytes(b"no such thing")
    assert "no TDMS file, or damaged" in refusal(path)


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tdms", {"signal": stack(3), "other": stack(3)}, segments=2)
    survives_damage(path, ReadSettings(dataset="scan/signal", raw_shape=(3, 8, 12)), head=400)


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.tdms", {"signal": stack(3)})
    monkeypatch.setitem(sys.modules, "nptdms", None)
    assert 'run: pip install "sasnet-live[tdms]"' in refusal(path)
