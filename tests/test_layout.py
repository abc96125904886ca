"""What is known of a run of frames: places along named axes, scales, and that all of it survives a file."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sasnet_live.errors import InputError
from sasnet_live.frame import Frame
from sasnet_live.layout import STACK_AXES, Layout
from sasnet_live.recordings.tiff import TiffStack
from sasnet_live.sinks.ome_tiff import OmeTiffWriter

SHAPE = (4, 6)
UINT16 = np.dtype(np.uint16)


@st.composite
def stacks(draw: st.DrawFn, shortest: int = 1) -> Layout:
    axes = draw(st.lists(st.sampled_from(STACK_AXES), unique=True))
    sizes = tuple(draw(st.integers(shortest, 3)) for _ in axes)
    return Layout.stack(SHAPE, UINT16, axes, sizes)


@st.composite
def described(draw: st.DrawFn) -> Layout:
    """A stack that a file can hold as it is: positions first, no axis of one place, which files do not tell of."""
    layout = draw(stacks(shortest=2).filter(lambda layout: "p" not in layout.axes[1:]))
    known = st.none() | st.floats(1e-3, 1e3)
    y, x = draw(st.floats(1e-3, 1e3)), draw(st.floats(1e-3, 1e3))
    names = tuple(f"{450 + n} nm" for n in range(layout.size("c") or 1))
    return replace(
        layout,
        dtype=np.dtype(draw(st.sampled_from(["uint8", "uint16", "int16", "float32"]))),
        pixel_size_um=draw(st.sampled_from([None, (y, x)])),
        z_step_um=draw(known),
        interval_s=draw(known),
        channel_names=draw(st.sampled_from([(), names])),
        description=draw(st.sampled_from(["", "mouse ear <3 & more"])),
    )


@given(stacks(), st.randoms())
def test_each_place_is_listed_once_and_in_order(layout: Layout, random: Any) -> None:
    indices = list(layout.indices())
    assert [tuple(index.values()) for index in indices] == list(np.ndindex(*layout.shape[:-2]))  # type: ignore[arg-type]
    assert all(tuple(index) == layout.axes for index in indices)
    assert [layout.index(n) for n in range(len(indices))] == indices
    if layout.axes:
        assert [layout.place(index) for index in indices] == list(range(len(indices)))
    order = random.sample(layout.axes, len(layout.axes))
    others = list(layout.indices(order))
    assert sorted(others, key=lambda index: [index[axis] for axis in layout.axes]) == indices
    assert sorted(others, key=lambda index: [index[axis] for axis in order]) == others


@given(stacks())
def test_shape_sizes_and_frames_agree(layout: Layout) -> None:
    assert layout.shape == (*(layout.size(axis) for axis in layout.axes), *SHAPE)
    assert layout.frames == math.prod(layout.shape[:-2]) == len(list(layout.indices()))  # type: ignore[arg-type]
    assert layout.is_stack
    assert all(layout.size(axis) == 1 for axis in set(STACK_AXES) - set(layout.axes))
    if layout.axes:
        assert layout.with_length(None).frames is None
        assert layout.with_length(None).is_stack
        assert layout.with_length(None).with_length(layout.sizes[0]) == layout
        assert layout.stored(SHAPE, UINT16) == layout


@given(described())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_layout_survives_the_way_through_files(tmp_path: Path, layout: Layout) -> None:
    read = _through_a_file(layout, tmp_path / "first.ome.tiff")
    assert replace(read, ome_xml="", source="") == layout
    # The second file carries on what the first one says of itself.
    again = _through_a_file(read, tmp_path / "second.ome.tiff")
    assert replace(again, ome_xml="", source="") == layout


def _through_a_file(layout: Layout, path: Path) -> Layout:
    with OmeTiffWriter(path, layout, overwrite=True) as writer:
        for n in range(layout.frames or 0):
            writer.write(np.full(layout.frame_shape, n, layout.dtype))
    with TiffStack(path) as stack:
        assert [int(frame[0, 0]) for frame in stack.frames()] == list(range(layout.frames or 0))
        assert stack.layout.source == path.name
        return stack.layout


@pytest.mark.parametrize(
    ("axes", "sizes", "frames", "stored"),
    [
        ("tz", (3, 2), 6, "tz"),
        ("ptc", (2, 3, 2), 12, "ptc"),
        ("gz", (4, 2), 8, "pz"),
        ("pg", (2, 4), 8, "t"),
        ("ta", (3, 2), 6, "t"),
        ("tc", (3, 2), 5, "t"),
        ("t", (3,), None, "t"),
        ("tc", (None, 2), None, "tc"),
        ("", (), None, "t"),
        ("", (), 1, "t"),
        ("", (), 5, "t"),
    ],
)
def test_what_is_no_stack_is_stored_as_it_comes(axes: str, sizes: Any, frames: int | None, stored: str) -> None:
    layout = Layout(SHAPE, UINT16, tuple(axes), sizes, frames, channel_names=("a", "b"), ome_xml="<OME/>")
    written = layout.stored((8, 9), np.dtype(np.float32))
    assert ("".join(written.axes), written.frame_shape, written.dtype) == (stored, (8, 9), np.float32)
    assert written.is_stack
    assert (written.channel_names, written.ome_xml) == (("a", "b") if "c" in stored else (), "")
    last = {axis: (size or 1) - 1 for axis, size in zip(axes, sizes, strict=True)}
    kept = bool(axes) and len(stored) == len(axes) and frames == (None if None in sizes else math.prod(sizes))
    assert written.sizes == (sizes if kept else (None,))
    assert layout.place(last) == (math.prod(size or 1 for size in sizes) - 1 if kept else None)
    assert layout.place({}) is None


@pytest.mark.parametrize(
    ("axes", "sizes"), [("tt", (2, 2)), ("tc", (2,)), ("t", (0,)), ("tc", (2, None)), ("", (3,)), ("t", ())]
)
def test_axes_that_cannot_be(axes: str, sizes: tuple[int | None, ...]) -> None:
    with pytest.raises(InputError, match="expected"):
        Layout.stack(SHAPE, UINT16, axes, sizes)


def test_the_number_of_frames_must_be_known_to_list_them() -> None:
    with pytest.raises(InputError, match="not known yet"):
        Layout.stack(SHAPE, UINT16).indices()


def test_steps_along_axes_have_units_of_their_own() -> None:
    layout = Layout(SHAPE, UINT16, pixel_size_um=(2.0, 0.5), z_step_um=3.0, interval_s=0.04)
    assert [layout.scale(axis) for axis in "tzyxcp"] == [0.04, 3.0, 2.0, 0.5, None, None]
    assert [Layout(SHAPE, UINT16).scale(axis) for axis in "tzyx"] == [None] * 4


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        ((2.0, 0.5), (2.0, 0.5)),
        ([2.0, 0.5], (2.0, 0.5)),
        (1.25, (1.25, 1.25)),
        ("1.25", (1.25, 1.25)),
        (0, None),
        (0.0, None),
        (-1.0, None),
        ((2.0, 0.0), None),
        ((2.0, float("nan")), None),
        (float("inf"), None),
        ((1.0, 2.0, 3.0), None),
        ("many", None),
    ],
)
def test_the_size_of_a_px_has_two_axes_or_is_not_known(given: Any, kept: object) -> None:
    assert Layout(SHAPE, UINT16, pixel_size_um=given).pixel_size_um == kept
    frame = Frame(np.zeros(SHAPE, np.uint16), metadata={} if given is None else {"pixel_size_um": given})
    assert Layout.of(frame).pixel_size_um == kept
