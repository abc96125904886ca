"""Unit scale: whatever the dtype, the units and the pedestal, a frame has the same values, and they come back."""

from __future__ import annotations

import numpy as np
import pytest

from sasnet_live.intensity import LARGEST, IntensityScale

INTEGERS = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"]


def counts(top: int = 100) -> np.ndarray:
    return np.random.default_rng(0).integers(0, top, (12, 40))


def scale_of(*passes: np.ndarray) -> IntensityScale:
    scale = IntensityScale.of(*passes)
    assert isinstance(scale, IntensityScale), scale
    return scale


@pytest.mark.parametrize("dtype", [*INTEGERS, "f2", "f4", "f8", ">u2", ">f4", "?", np.longdouble])
def test_values_are_those_of_the_range_and_come_back(dtype: str) -> None:
    px = counts(2 if dtype == "?" else 100).astype(dtype)
    kept = px.copy()
    scale = scale_of(px[0::2], px[1::2])
    values = scale.to_values(px.T)
    assert values.dtype == np.float32
    assert values.flags.c_contiguous
    assert values.min() == 0
    assert 0.5 <= values.max() <= 1
    np.testing.assert_array_equal(scale.to_px(values), px.T.astype(float))
    np.testing.assert_array_equal(px, kept)


@pytest.mark.parametrize("unit", [1e-38, 1e-20, 1e-3, 1.0, 1e9, 1e20, 1e34])
@pytest.mark.parametrize("pedestals", [0, 1, 1e3, 1e7, 1e10])
def test_units_and_pedestals_leave_the_values_as_they_are(unit: float, pedestals: float) -> None:
    """`pedestals` in ranges of the frame."""
    plain = counts() / 100
    px = (plain + pedestals) * unit
    if np.abs(px).max() > LARGEST:
        assert "beyond what float32 holds" in str(IntensityScale.of(px))
        return
    expected = plain - plain.min()
    values = scale_of(px).to_values(px)
    np.testing.assert_allclose(values / values.max(), expected / expected.max(), atol=1e-5)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_the_whole_range_of_integers(dtype: str) -> None:
    limits = np.iinfo(dtype)
    px = np.array([[limits.min, limits.max], [limits.min // 2 + limits.max // 2, limits.max // 3]], dtype)
    scale = scale_of(px)
    np.testing.assert_allclose(
        scale.to_px(scale.to_values(px)), px.astype(float), rtol=1e-7, atol=float(limits.max) / 1e7
    )


@pytest.mark.parametrize(
    ("px", "words"),
    [
        ([0.0, np.nan], "NaN or infinite"),
        ([-np.inf, 0.0], "NaN or infinite"),
        ([0.0, 3e38], "beyond what float32 holds (0 to 3e+38)"),
        ([-1e300, 0.0], "beyond what float32 holds (-1e+300 to 0)"),
        ([0.0, 1e-50], "a contrast of 1e-50 at 1e-50 is finer"),
        ([1e15, 1e15 + 1], "a contrast of 1 at 1e+15 is finer"),
        (np.array([2**63, 2**63 + 4096], np.uint64), "a contrast of 4096 at 9.22337e+18 is finer"),
    ],
)
def test_what_floating_point_numbers_do_not_hold_is_named(px: list[float], words: str) -> None:
    scale = IntensityScale.of(np.asarray(px)[None])
    assert isinstance(scale, str)
    assert words in scale


def test_a_constant_frame_has_a_scale() -> None:
    px = np.full((4, 8), 7, np.uint16)
    scale = scale_of(px)
    np.testing.assert_array_equal(scale.to_values(px), 0)
    np.testing.assert_array_equal(scale.to_px(scale.to_values(px)), px)


def test_structure_keeps_its_digits_beside_a_hot_pixel() -> None:
    px = counts().astype(float)
    px[3, 4] = 1e20
    scale = scale_of(px)
    px[3, 4] = 0
    np.testing.assert_allclose(scale.to_values(px) * scale.unit, px, rtol=1e-6)
