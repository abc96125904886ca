"""Pixels in another data type: rounded and clipped, never wrapped, NaN defined."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from sasnet_live.convert import as_dtype

INTEGERS = [np.dtype(f"{kind}{size}") for kind in ("int", "uint") for size in (8, 16, 32, 64)]
FLOATS = [np.dtype("float32"), np.dtype("float64")]


@pytest.mark.parametrize("given", FLOATS, ids=str)
@pytest.mark.parametrize("wanted", INTEGERS, ids=str)
def test_floating_numbers_to_integers(given: np.dtype[Any], wanted: np.dtype[Any]) -> None:
    limits = np.iinfo(wanted)
    values = [np.nan, np.inf, -np.inf, 1e30, -1e30, float(limits.max), float(limits.min), 2.5, 3.5, -0.4, 7.6]
    lowest = limits.min
    expected = [0, limits.max, lowest, limits.max, lowest, limits.max, lowest, 2, 4, 0, 8]
    image = np.array(values, given)
    before = image.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = as_dtype(image, wanted)
    assert result.dtype == wanted
    assert result.tolist() == expected
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("given", INTEGERS, ids=str)
@pytest.mark.parametrize("wanted", INTEGERS, ids=str)
def test_integers_to_integers(given: np.dtype[Any], wanted: np.dtype[Any]) -> None:
    own, limits = np.iinfo(given), np.iinfo(wanted)
    values = [own.min, own.max, 0, 1, 100]
    result = as_dtype(np.array(values, given), wanted)
    assert result.dtype == wanted
    assert result.tolist() == [min(max(value, limits.min), limits.max) for value in values]


def test_the_rest() -> None:
    image = np.array([0.2, 0.7, np.nan])
    assert as_dtype(image, None) is image
    assert as_dtype(image, image.dtype) is image
    assert as_dtype(image, np.dtype(bool)).tolist() == [False, True, False]
    assert as_dtype(np.array([7, 4095], np.uint16), np.dtype("float32")).tolist() == [7.0, 4095.0]
    assert as_dtype(np.array([True, False]), np.dtype("uint8")).tolist() == [1, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert as_dtype(np.array([1e300, 1.5]), np.dtype("float32")).tolist() == [np.inf, 1.5]
