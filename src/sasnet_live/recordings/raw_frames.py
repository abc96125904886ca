"""Frames one after another in files without a header, whose shape is known from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Pixels
from sasnet_live.layout import Layout


class RawFrames:
    """Files of frames of one shape and data type, read one frame at a time.

    Parameters
    ----------
    files
        In order.
    frame_shape, dtype
        Of each frame; the data type with its byte order.
    allow_missing
        Whether a frame that is cut off at the end of a file is left out instead of refused.

    Raises
    ------
    InputError
        For a file that cannot be read, or is no whole number of frames.
    """

    def __init__(
        self, files: Sequence[Path], frame_shape: tuple[int, int], dtype: np.dtype[Any], *, allow_missing: bool = False
    ) -> None:
        self.files, self._shape, self._dtype = list(files), frame_shape, dtype
        self._count = math.prod(frame_shape)
        bytes_each = self._count * dtype.itemsize
        self.layouts: list[Layout] = []
        for path in self.files:
            try:
                size = path.stat().st_size
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
            whole, rest = divmod(size, bytes_each)
            if not whole or (rest and not allow_missing):
                raise InputError(
                    f"{path}: truncated, its {size} bytes are {whole} frames of {frame_shape[0]}x{frame_shape[1]} "
                    f"{dtype.name} and {rest} bytes; copy it again"
                    + (", or add --allow-missing to use the whole frames" if whole else "")
                )
            self.layouts.append(Layout.stack(frame_shape, dtype.newbyteorder("="), ("t",), (whole,), source=path.name))

    def read(self, file: int, frame: int) -> Pixels:
        """A frame of a file; (H, W)."""
        path = self.files[file]
        try:
            found = np.fromfile(path, self._dtype, self._count, offset=frame * self._count * self._dtype.itemsize)
        except OSError as error:
            raise InputError(f"{path}: frame {frame} cannot be read ({error.strerror}); copy it again") from error
        if found.size < self._count:
            raise InputError(f"{path}: frame {frame} is not whole any more; was the file changed?")
        return found.reshape(self._shape).astype(self._dtype.newbyteorder("="), copy=False)

    def close(self) -> None:
        """Nothing is kept open."""
