"""Scan geometry by property: splitting, merging, resampling along the slow axis and moving along the fast one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import earlier_weight, forward_at_backward_lines, forward_neighbours, merge, move_lines, split

KERNELS = ("linear", "cubic", "lanczos")
DTYPES = (np.uint8, np.uint16, np.int16, np.uint32, np.float32, np.float64)
Array = np.ndarray[Any, np.dtype[Any]]


def geometries(crop: bool = False) -> st.SearchStrategy[ScanGeometry]:
    return st.builds(
        ScanGeometry,
        line_axis=st.sampled_from(["rows", "columns"]),
        first=st.sampled_from(["forward", "backward"]),
        backward_mirrored=st.booleans(),
        crop=st.tuples(st.integers(0, 4), st.integers(0, 4)) if crop else st.just((0, 0)),
        slow_axis=st.sampled_from(["continuous", "stepped", "interleaved"]),
    )


@st.composite
def raw_frames(draw: st.DrawFn, minimum: int = 1) -> Array:
    """Batches of distinct values: any misplaced pixel shows."""
    batch = draw(st.lists(st.integers(1, 3), max_size=2))
    shape = (*batch, draw(st.integers(minimum, 13)), draw(st.integers(minimum, 13)))
    dtype = draw(st.sampled_from(DTYPES))
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)


class TestSplitAndMerge:
    @given(raw=raw_frames(), geometry=geometries())
    def test_merge_undoes_split(self, raw: Array, geometry: ScanGeometry) -> None:
        again = merge(*split(raw, geometry), geometry)
        np.testing.assert_array_equal(again, raw)
        assert again.dtype == raw.dtype
        assert not np.shares_memory(again, raw)

    @given(raw=raw_frames(minimum=9), geometry=geometries(crop=True))
    def test_views_and_shapes(self, raw: Array, geometry: ScanGeometry) -> None:
        kept = raw.copy()
        forward, backward = split(raw, geometry)
        assert np.shares_memory(forward, raw)
        assert np.shares_memory(backward, raw)
        height, width = geometry.frame_shape(raw.shape)
        lines, fast = (height, width) if geometry.line_axis == "rows" else (width, height)
        assert forward.shape[:-2] == backward.shape[:-2] == raw.shape[:-2]
        assert forward.shape[-1] == backward.shape[-1] == fast
        assert forward.shape[-2] + backward.shape[-2] == lines
        longer = forward if geometry.first == "forward" else backward
        assert longer.shape[-2] == (lines + 1) // 2
        assert merge(forward, backward, geometry).shape == (*raw.shape[:-2], height, width)
        np.testing.assert_array_equal(raw, kept)

    # One frame, every option: (geometry, forward, backward).
    FRAME = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])

    @pytest.mark.parametrize(
        ("geometry", "forward", "backward"),
        [
            (ScanGeometry(), [[1, 2, 3], [7, 8, 9]], [[4, 5, 6]]),
            (ScanGeometry(first="backward"), [[4, 5, 6]], [[1, 2, 3], [7, 8, 9]]),
            (ScanGeometry(backward_mirrored=True), [[1, 2, 3], [7, 8, 9]], [[6, 5, 4]]),
            (ScanGeometry(line_axis="columns"), [[1, 4, 7], [3, 6, 9]], [[2, 5, 8]]),
            (ScanGeometry(line_axis="columns", backward_mirrored=True), [[1, 4, 7], [3, 6, 9]], [[8, 5, 2]]),
            (ScanGeometry(crop=(1, 0)), [[2, 3], [8, 9]], [[5, 6]]),
            # Cropping follows un-mirroring: both passes lose the same end of the field of view.
            (ScanGeometry(crop=(1, 0), backward_mirrored=True), [[2, 3], [8, 9]], [[5, 4]]),
            (ScanGeometry(crop=(0, 2), first="backward"), [[4]], [[1], [7]]),
        ],
    )
    def test_table(self, geometry: ScanGeometry, forward: Any, backward: Any) -> None:
        found = split(self.FRAME, geometry)
        np.testing.assert_array_equal(found[0], forward)
        np.testing.assert_array_equal(found[1], backward)

    @given(geometry=geometries(crop=True), seed=st.integers(0, 99))
    def test_crop_drops_the_ends_only(self, geometry: ScanGeometry, seed: int) -> None:
        raw = np.random.default_rng(seed).random((14, 15))
        uncropped = ScanGeometry(geometry.line_axis, geometry.first, geometry.backward_mirrored)
        start, end = geometry.crop
        for whole, part in zip(split(raw, uncropped), split(raw, geometry), strict=True):
            np.testing.assert_array_equal(part, whole[:, start : whole.shape[1] - end])

    def test_one_line(self) -> None:
        raw = np.arange(5.0)[None]
        forward, backward = split(raw, ScanGeometry())
        assert (forward.shape, backward.shape) == ((1, 5), (0, 5))
        assert forward_at_backward_lines(forward, 0, ScanGeometry()).shape == (0, 5)
        assert move_lines(backward, np.zeros((0, 5))).shape == (0, 5)

    @pytest.mark.parametrize(
        ("shapes", "geometry"),
        [
            (((3, 4), (1, 4)), ScanGeometry()),
            (((2, 4), (3, 4)), ScanGeometry()),
            (((3, 4), (2, 4)), ScanGeometry(first="backward")),
            (((3, 4), (3, 5)), ScanGeometry()),
            (((2, 3, 4), (3, 4)), ScanGeometry()),
        ],
    )
    def test_passes_that_do_not_interleave(self, shapes: Any, geometry: ScanGeometry) -> None:
        with pytest.raises(InputError, match=f"do not interleave; expected .* more in the {geometry.first} pass"):
            merge(*(np.zeros(shape) for shape in shapes), geometry)

    @pytest.mark.parametrize(
        ("raw", "geometry", "message"),
        [
            (np.zeros(7), ScanGeometry(), r"shape \(7,\) came; expected \(..., H, W\)"),
            (np.zeros((4, 6)), ScanGeometry(crop=(3, 3)), "leaves nothing of lines 6 px long"),
            (np.zeros((4, 6)), ScanGeometry(crop=(3, 3), line_axis="columns"), "leaves nothing of lines 4 px long"),
        ],
    )
    def test_frames_that_do_not_split(self, raw: Array, geometry: ScanGeometry, message: str) -> None:
        with pytest.raises(InputError, match=message):
            split(raw, geometry)


def _line_positions(n_lines: int, width: int, geometry: ScanGeometry) -> Array:
    """(n_lines, width) slow-axis position of the beam at each px of a frame, left to right, in lines, by time."""
    along = np.linspace(0, 1, width)
    position = np.empty((n_lines, width))
    for line in range(n_lines):
        is_backward = (line % 2 == 0) == (geometry.first == "backward")
        if geometry.slow_axis == "continuous":
            position[line] = line + (1 - along if is_backward else along)
        elif geometry.slow_axis == "interleaved":
            position[line] = line
        else:
            position[line] = line // 2
    return position


class TestSlowAxis:
    @given(geometry=geometries(crop=True), n_lines=st.integers(9, 24), width=st.integers(10, 24))
    def test_a_plane_along_the_slow_axis_comes_out_where_the_backward_lines_are(
        self, geometry: ScanGeometry, n_lines: int, width: int
    ) -> None:
        """The raw frame holds each pixel's slow-axis position: both passes of a scene that is a plane in y."""
        raw = _line_positions(n_lines, width, geometry)
        if geometry.backward_mirrored:
            second = slice(0 if geometry.first == "backward" else 1, None, 2)
            raw[second] = raw[second, ::-1]
        raw = raw if geometry.line_axis == "rows" else raw.T
        forward, backward = split(raw, geometry)
        resampled = forward_at_backward_lines(forward, backward.shape[0], geometry)
        assert resampled.shape == backward.shape
        # At the edges of the frame a neighbour may be missing.
        np.testing.assert_allclose(resampled[1:-1], backward[1:-1], atol=1e-9)
        if geometry.slow_axis == "stepped" and len(forward) >= len(backward):
            np.testing.assert_array_equal(resampled, backward)

    @given(geometry=geometries(crop=True), n_lines=st.integers(2, 9), width=st.integers(1, 9))
    def test_a_constant_stays_constant(self, geometry: ScanGeometry, n_lines: int, width: int) -> None:
        forward, backward = split(np.full((n_lines, width), 7.25), ScanGeometry(first=geometry.first))
        np.testing.assert_array_equal(forward_at_backward_lines(forward, len(backward), geometry), backward)

    @pytest.mark.parametrize(
        ("first", "earlier", "later"), [("forward", [0, 1, 2], [1, 2, 2]), ("backward", [0, 0, 1], [0, 1, 2])]
    )
    def test_neighbours(self, first: Any, earlier: list[int], later: list[int]) -> None:
        forward = np.arange(3.0)[:, None] * np.ones((1, 4))
        found = forward_neighbours(forward, 3, ScanGeometry(first=first))
        assert [list(lines[:, 0]) for lines in found] == [earlier, later]

    def test_weights_meet_at_the_turning_points(self) -> None:
        np.testing.assert_allclose(earlier_weight(5, ScanGeometry()), [0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(earlier_weight(3, ScanGeometry(crop=(2, 0))), [0.5, 0.75, 1])
        np.testing.assert_allclose(earlier_weight(4, ScanGeometry(slow_axis="interleaved")), 0.5)
        np.testing.assert_allclose(earlier_weight(4, ScanGeometry(slow_axis="stepped")), 1)

    def test_views_where_the_lines_are_a_plain_run(self) -> None:
        forward = np.random.default_rng(0).random((5, 6))
        earlier, later = forward_neighbours(forward, 4, ScanGeometry())
        assert np.shares_memory(earlier, forward)
        assert np.shares_memory(later, forward)

    def test_no_forward_line(self) -> None:
        forward, backward = split(np.zeros((1, 5)), ScanGeometry(first="backward"))
        with pytest.raises(InputError, match="a forward pass without lines came for 1 backward lines"):
            forward_at_backward_lines(forward, len(backward), ScanGeometry(first="backward"))


def _band_limited(x: Array) -> Array:
    """(n, W) lines with periods from 8 px up, at any positions."""
    periods, phases = np.array([8.0, 11.3, 17.0, 40.0]), np.array([0.1, 2.0, 4.0, 1.0])
    return np.asarray(np.sin(2 * np.pi * x[..., None] / periods + phases).sum(-1))


class TestMoveLines:
    # Sum over the four periods of the largest error of each kernel on a sine of that period.
    TOLERANCE = {"linear": 0.13, "cubic": 0.013, "lanczos": 0.022}  # noqa: RUF012

    @pytest.mark.parametrize("kernel", KERNELS)
    @given(shift=st.floats(-12, 12), slope=st.floats(-0.03, 0.03), per_line=st.floats(-2, 2))
    @settings(max_examples=40)
    def test_a_known_displacement_with_its_sign(self, kernel: Any, shift: float, slope: float, per_line: float) -> None:
        x = np.tile(np.arange(160.0), (3, 1))
        displacement = shift + slope * (x - 80) + per_line * np.arange(3)[:, None]
        lines, expected = _band_limited(x), _band_limited(x - displacement)
        moved = move_lines(lines, displacement, kernel)
        inside = slice(24, -24)
        assert abs(moved - expected)[:, inside].max() < self.TOLERANCE[kernel]

    @pytest.mark.parametrize("fraction", [0.0, 1e-6, 0.2, 0.5, 0.73, 0.99995, 0.999999])
    def test_lanczos_is_the_normalized_windowed_sinc(self, fraction: float) -> None:
        lines = np.zeros((1, 21))
        lines[0, 10] = 1.0
        x = np.arange(21.0) - fraction - 10
        weights = np.sinc(x) * np.sinc(x / 3) * (abs(x) < 3)
        np.testing.assert_allclose(move_lines(lines, np.float64(fraction))[0], weights / weights.sum(), atol=1e-7)

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_positive_moves_content_to_the_right(self, kernel: Any) -> None:
        lines = np.zeros((1, 20))
        lines[0, 8] = 1.0
        assert move_lines(lines, np.float64(3.0), kernel)[0].argmax() == 11
        np.testing.assert_allclose(move_lines(lines, np.float64(3.0), kernel)[0], np.roll(lines[0], 3), atol=1e-7)

    @pytest.mark.parametrize("kernel", KERNELS)
    @given(seed=st.integers(0, 99), scale=st.sampled_from([0.3, 5.0, 1000.0]))
    def test_a_constant_stays_constant(self, kernel: Any, seed: int, scale: float) -> None:
        displacement = np.random.default_rng(seed).standard_normal((4, 30)) * scale
        np.testing.assert_allclose(move_lines(np.full((4, 30), 3.7), displacement, kernel), 3.7, rtol=1e-12)

    @pytest.mark.parametrize("kernel", KERNELS)
    @pytest.mark.parametrize("displacement", [0.0, 1.0, -4.0])
    def test_whole_px_are_exact(self, kernel: Any, displacement: float) -> None:
        lines = np.random.default_rng(1).random((2, 30)).astype(np.float32)
        moved = move_lines(lines, np.full((2, 30), displacement), kernel)
        x = (np.arange(30) - int(displacement)).clip(0, 29)
        np.testing.assert_allclose(moved, lines[:, x], atol=1e-6)

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_beyond_the_ends_the_end_value(self, kernel: Any) -> None:
        lines = np.random.default_rng(2).random((2, 12))
        np.testing.assert_allclose(move_lines(lines, np.full((2, 12), 50.0), kernel), lines[:, :1] + 0 * lines)
        np.testing.assert_allclose(move_lines(lines, np.full((2, 12), -50.0), kernel), lines[:, -1:] + 0 * lines)

    @pytest.mark.parametrize("kernel", KERNELS)
    @pytest.mark.parametrize("broadcast", [(), (1,), (20,), (3, 1), (1, 20)])
    def test_displacement_broadcasts(self, kernel: Any, broadcast: tuple[int, ...]) -> None:
        rng = np.random.default_rng(4)
        lines, displacement = rng.random((2, 3, 20)), rng.standard_normal(broadcast)
        full = np.broadcast_to(displacement, (3, 20)).copy()
        np.testing.assert_allclose(move_lines(lines, np.asarray(displacement), kernel), move_lines(lines, full, kernel))

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_single_precision_is_nearly_as_good_anywhere_between_two_px(self, kernel: Any) -> None:
        lines = np.random.default_rng(5).random((1, 600))
        fractions = np.concatenate([np.linspace(0, 1, 500), 10.0 ** -np.arange(1, 8), 1 - 10.0 ** -np.arange(1, 8)])
        for fraction in fractions:
            exact = move_lines(lines, np.full((1, 600), fraction), kernel)
            single = move_lines(lines.astype(np.float32), np.full((1, 600), fraction, np.float32), kernel)
            assert abs(exact - single).max() < 1e-5

    @pytest.mark.parametrize("kernel", KERNELS)
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_dtype_follows_the_lines_and_positions_stay_fine(self, kernel: Any, dtype: Any) -> None:
        """A ramp read at x - 0.25 must not fall back to whole px in half precision at the far end of the line."""
        ramp = np.arange(1000.0)[None] / 1000
        moved = move_lines((ramp % 0.01).astype(dtype), np.full((1, 1000), 0.25), kernel)
        assert moved.dtype == dtype
        expected = move_lines(ramp % 0.01, np.full((1, 1000), 0.25), kernel)
        np.testing.assert_allclose(moved, expected, atol=2e-4, rtol=2e-2)

    def test_input_is_not_modified(self) -> None:
        lines, displacement = np.random.default_rng(6).random((2, 3, 10))
        kept = lines.copy(), displacement.copy()
        move_lines(lines, displacement)
        np.testing.assert_array_equal((lines, displacement), kept)

    def test_unknown_kernel(self) -> None:
        with pytest.raises(InputError, match="kernel is 'spline'; expected one of linear, cubic, lanczos"):
            move_lines(np.zeros((2, 2)), np.zeros((2, 2)), "spline")  # type: ignore[arg-type]
