"""Raw binary files: px where the settings say they are, and one line where the size does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from array_files import check, refusal, stack, survives_damage
from sasnet_live.errors import InputError
from sasnet_live.recordings import ReadSettings, is_recording, open_recording


@pytest.mark.parametrize("dtype", ["uint16", ">u2", "<i2", "u1", "float32", ">f8"])
@pytest.mark.parametrize("offset", [0, 7])
def test_every_frame_comes_out(tmp_path: Path, dtype: str, offset: int) -> None:
    frames = stack(5, dtype=dtype)
    (tmp_path / "a.bin").write_bytes(b"x" * offset + frames.tobytes())
    reading = ReadSettings(raw_shape=(5, 8, 12), raw_dtype=dtype, raw_offset=offset)
    check(tmp_path / "a.bin", frames, "TYX", reading)


@pytest.mark.parametrize("name", ["a.raw", "a.dat", "scan", "scan.0001"])
def test_any_name_is_raw_where_a_shape_is_given(tmp_path: Path, name: str) -> None:
    frames = stack(2, 3)
    (tmp_path / name).write_bytes(frames.tobytes())
    check(tmp_path / name, frames, "ZTYX", ReadSettings("ZTYX", raw_shape=(2, 3, 8, 12), raw_dtype="u2"))


def test_a_name_alone_makes_no_recording_of_a_raw_file() -> None:
    assert not is_recording("a.bin")


@pytest.mark.parametrize(
    ("size", "reading", "said"),
    [
        (1920, {}, "a raw file of 1920 bytes does not say what it holds; say it with --raw-shape T,H,W"),
        (1920, {"raw_shape": (10, 8, 12)}, "--raw-dtype uint16"),
        (
            1900,
            {"raw_shape": (10, 8, 12), "raw_dtype": "u2"},
            "enough for 9 of 10 frames; copy it again, check --raw-shape, or add",
        ),
        (1920, {"raw_shape": (5, 8, 12), "raw_dtype": "u2"}, "are there, enough for 10 of 8x12; check --raw-shape"),
        (1920, {"raw_shape": (10, 8, 12), "raw_dtype": "u2", "raw_offset": 5000}, "0 are there"),
        (1920, {"raw_shape": (960,), "raw_dtype": "u2"}, "has 1 axes (960)"),
        (0, {"raw_shape": (2, 8, 12), "raw_dtype": "u2"}, "truncated"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(tmp_path: Path, size: int, reading: dict[str, object], said: str) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(size))
    assert said in refusal(tmp_path / "a.bin", ReadSettings(**reading))  # type: ignore[arg-type]


def test_what_is_whole_of_a_short_file(tmp_path: Path) -> None:
    frames = stack(5)
    (tmp_path / "a.bin").write_bytes(frames.tobytes()[:-1])
    reading = ReadSettings(raw_shape=(5, 8, 12), raw_dtype="u2", allow_missing=True)
    check(tmp_path / "a.bin", frames[:4], "TYX", reading)


def test_frames_far_into_a_large_file(tmp_path: Path) -> None:
    path, last = tmp_path / "a.raw", np.full((512, 512), 7, ">u2")
    with path.open("wb") as file:
        file.seek(4 * 2**30)
        file.write(last.tobytes())
    count = 4 * 2**30 // last.nbytes
    reading = ReadSettings(raw_shape=(count, 512, 512), raw_dtype=">u2", raw_offset=last.nbytes)
    with open_recording(path, reading) as recording:
        np.testing.assert_array_equal(recording.frame(count - 1), last)
        assert not recording.frame(count - 2).any()


@pytest.mark.parametrize(
    "reading",
    [{"raw_shape": (0, 4)}, {"raw_shape": ()}, {"raw_dtype": "object"}, {"raw_dtype": "U3"}, {"raw_offset": -1}],
)
def test_settings_that_are_none_are_refused(reading: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(reading))):
        ReadSettings(**reading)  # type: ignore[arg-type]


def test_files_of_any_length_are_refused_or_read(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(stack(3).tobytes())
    for allowed in (False, True):
        reading = ReadSettings(raw_shape=(3, 8, 12), raw_dtype="u2", allow_missing=allowed)
        survives_damage(tmp_path / "a.bin", reading, examples=100)
