"""What tests of array formats share: stacks, reprocessing with a fake registrar, and files that are damaged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fake_registrar import FakeRegistrar, expected
from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.recordings import ReadSettings, open_recording
from sasnet_live.reprocess import ReprocessSettings, reprocess
from sasnet_live.settings import RegistrarSettings

SHAPE = (8, 12)
MOST_TAKEN = 64 * 2**20
"""Bytes of memory that this process may come to take while small damaged files are read."""

Array = np.ndarray[Any, Any]


def stack(*leading: int, dtype: Any = np.uint16, seed: int = 0) -> Array:
    """Frames of `SHAPE`, no two alike."""
    return np.random.default_rng(seed).integers(1, 120, (*leading, *SHAPE)).astype(dtype)


def registered(
    source: str | Path | list[Path], reading: ReadSettings | None = None, geometry: ScanGeometry | None = None
) -> tuple[Array, str]:
    """Frames and axes of the file that reprocessing writes, with a registrar that moves backward lines by 2 px."""
    inputs = source if isinstance(source, list) else [source]
    out = Path(inputs[0] if inputs else (reading or ReadSettings()).passes[0]).parent / "out"  # type: ignore[index]
    report = reprocess(
        inputs,
        out,
        ReprocessSettings(RegistrarSettings(geometry=geometry or ScanGeometry()), reading=reading or ReadSettings()),
        make_registrar=lambda chosen: FakeRegistrar(chosen.model, chosen.output, chosen.geometry),
    )
    assert [file.error for file in report.failed] == []
    (written,) = report.files[0].outputs
    assert written.name.endswith("_registered.ome.tiff")
    with tifffile.TiffFile(written) as tiff:
        frames = tiff.asarray()
        axes = tiff.series[0].axes
        channels = frames.shape[axes.index("C")] if "C" in axes else 1
        assert report.files[0].frames == len(tiff.pages) / channels
        return frames, axes


def check(source: Path, frames: Array, axes: str, reading: ReadSettings | None = None) -> None:
    """Reprocess a file: every frame of it comes out once, moved, in its place and type."""
    found, found_axes = registered(source, reading)
    assert found_axes == axes
    assert found.dtype == frames.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, expected(frames))


def refusal(path: Path, reading: ReadSettings | None = None) -> str:
    """The one line that a file is refused with."""
    with pytest.raises(InputError) as caught, open_recording(path, reading) as recording:
        list(recording.frames())
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message


def read_or_refuse(path: Path, reading: ReadSettings | None = None) -> list[Array] | None:
    """All frames, or None where the file is refused as it should be."""
    message, frames = f"{path}: ", None
    try:
        with open_recording(path, reading) as recording:
            frames = list(recording.frames())
    except InputError as error:
        message = str(error)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return frames


def survives_damage(
    path: Path, reading: ReadSettings | None = None, *, head: int = 2048, examples: int = 200, tail: int = 256
) -> None:
    """Change bytes of a file, mostly of its head and its end, or cut it: frames or one line, in little memory.

    Parameters
    ----------
    head, tail
        Bytes at the start and the end that changes fall into; where a format keeps what it claims.
    """
    content = path.read_bytes()
    size = len(content)
    assert read_or_refuse(path, reading)  # what is whole is read
    within_head = st.integers(0, min(head, size) - 1)
    places = st.one_of(within_head, st.integers(max(0, size - tail), size - 1))
    byte = st.one_of(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]), st.integers(0, 255))

    @settings(max_examples=examples, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(places, byte), max_size=4), st.one_of(st.none(), st.integers(0, size)))
    def damage(changes: list[tuple[int, int]], end: int | None) -> None:
        changed = bytearray(content)
        for place, value in changes:
            changed[place] = value
        path.write_bytes(changed[:end])
        read_or_refuse(path, reading)

    with little_memory():
        damage()
    path.write_bytes(content)


@contextmanager
def little_memory() -> Iterator[None]:
    """Fails if this process comes to take more than `MOST_TAKEN` more than it does; where Linux can tell."""
    reset = Path("/proc/self/clear_refs")
    if not os.access(reset, os.W_OK):
        yield
        return
    reset.write_text("5")
    before = _resident("VmRSS")
    yield
    assert _resident("VmHWM") - before < MOST_TAKEN


def _resident(name: str) -> int:
    return int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0]) * 1024
