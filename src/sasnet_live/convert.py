"""Pixels in another data type: the one place where numbers are rounded and clipped."""

from __future__ import annotations

from typing import Any

import numpy as np

from .frame import Pixels


def as_dtype(image: Pixels, dtype: np.dtype[Any] | None) -> Pixels:
    """An image in another data type.

    Parameters
    ----------
    image
        Any shape; integers, real numbers or bool.
    dtype
        Of the result; None: as it is.

    Returns
    -------
    The image itself where it is of this type. In integers: rounded to the nearest (halves to the even one), clipped to
    their range, never wrapped; NaN is 0. In bool: whether above one half. In floating numbers: the nearest, infinite
    beyond their range, NaN stays.
    """
    if dtype is None or dtype == image.dtype:
        return image
    if dtype.kind == "b":
        return image > 0.5
    if dtype.kind not in "ui":
        with np.errstate(over="ignore"):
            return image.astype(dtype)
    limits = np.iinfo(dtype)
    if image.dtype.kind == "b":
        return image.astype(dtype)
    if image.dtype.kind in "ui":
        own = np.iinfo(image.dtype)
        return image.clip(max(limits.min, own.min), min(limits.max, own.max)).astype(dtype)
    # float64 has all integers of 32 bits. Of those of 64 bits the highest lies above the range, and is put in after.
    values = np.nan_to_num(np.rint(image.astype(np.float64)), nan=0.0, posinf=np.inf, neginf=-np.inf)
    highest = float(limits.max)
    inside = np.nextafter(highest, 0) if highest > limits.max else highest
    result = values.clip(float(limits.min), inside).astype(dtype)
    result[values >= highest] = limits.max
    return result
