"""An array on disk for what comes in one order and is needed in another, as A-lines and depths; memory stays bounded.

Read and written by position instead of mapped: mapped pages count as memory of the process as long as there is some.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from .files import write_all
from .frame import Pixels


class Scratch:
    """(A, B, C) values in a file that has no name and is gone when it is closed, or its process ends.

    Parameters
    ----------
    folder
        Where there is room for it; None: the system's folder of temporary files.
    shape, dtype
        Of the array; nothing is written at first, and what is never written reads as 0.

    Raises
    ------
    OSError
        If the disk is full, or cannot be written to.
    """

    def __init__(self, folder: Path | None, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = shape, dtype
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `close`
        try:
            self._file.truncate(math.prod(shape) * dtype.itemsize)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove it; to do so twice is no error."""
        self._file.close()

    def write(self, block: Pixels, first: int, start: int) -> None:
        """Write (a, b, C) values from the place (first, start, 0) on."""
        for number, part in enumerate(block, first):
            write_all(self._file, np.ascontiguousarray(part, self.dtype).data, self._position(number, start))

    def read(self, first: int, last: int, start: int, end: int) -> Pixels:
        """Read (last - first, end - start, C) values from the place (first, start, 0) on; a new array."""
        block = np.empty((last - first, end - start, self.shape[2]), self.dtype)
        for number, part in enumerate(block, first):
            view = memoryview(part).cast("B") if part.size else memoryview(b"")
            self._file.seek(self._position(number, start))
            while view:
                count = self._file.readinto(view)
                if not count:
                    raise OSError(f"the temporary file of {self.shape} values ends too early")
                view = view[count:]
        return block

    def _position(self, first: int, start: int) -> int:
        return (first * self.shape[1] + start) * self.shape[2] * self.dtype.itemsize
