"""Arrays that lie in a file as they are: raw binary, NumPy's own files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

MOST_MAPPED = 64 * 2**20
"""Bytes that are mapped at once: what was touched of a mapped file counts as this process's memory until it is
unmapped, and a frame of an array in an order of its own touches all of the file."""


class MappedArray:
    """An array in a file, mapped anew for each part of it that is read.

    Parameters
    ----------
    path
        The file.
    shape, dtype, offset, order
        Of the array in it, which must lie within the file; offset in bytes.
    """

    def __init__(
        self, path: Path, shape: Sequence[int], dtype: np.dtype[Any], offset: int = 0, order: Literal["C", "F"] = "C"
    ) -> None:
        self._file = path.open("rb")
        self.shape, self.dtype = tuple(shape), dtype
        self._offset, self._order = offset, order
        steps = np.cumprod([dtype.itemsize, *(self.shape[:0:-1] if order == "C" else self.shape[:-1])], dtype=object)
        self._strides = tuple(steps[::-1] if order == "C" else steps)

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray[Any, Any]:
        """A part, with an integer or a whole slice for each axis; a new array."""
        sliced = [axis for axis, one in enumerate(key) if isinstance(one, slice)]
        slowest = max(sliced, key=lambda axis: self._strides[axis])
        length, stride = self.shape[slowest], self._strides[slowest]
        step = max(1, MOST_MAPPED // stride)
        parts = []
        for start in range(0, length, step):
            part = list(key)
            part[slowest] = slice(start, min(start + step, length))
            parts.append(np.array(self._map()[tuple(part)]))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=sliced.index(slowest))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _map(self) -> np.ndarray[Any, Any]:
        count = math.prod(self.shape) * self.dtype.itemsize
        flat: np.ndarray[Any, Any] = np.memmap(self._file, np.uint8, "r", self._offset, (count,))
        return flat.view(np.ndarray).view(self.dtype).reshape(self.shape, order=self._order)
