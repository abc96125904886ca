"""How recordings are read, where their files do not say it themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sasnet_live.errors import InputError
from sasnet_live.parameters import check_values, parameter

LARGEST_MIB = 256.0
"""MiB that one frame may take, unless the user allows more: 11,000 x 11,000 px of 16 bits. Registering it takes some
ten times as much, and a small file may claim to unpack to far more."""

# Real numbers only, in the words of NumPy, which is not loaded for the shell's help.
_DTYPE = re.compile(r"(u?int(8|16|32|64)|float(16|32|64))|[<>=|]?([iu][1248]|f[248])")

_WHAT_IS_READ = ("dataset", "raw_shape", "raw_dtype", "raw_offset", "passes")

FEWEST_IN_SERIES = 8
"""Files of one frame each, of names that count up, from which on they are taken for one recording: fewer may well be
single pictures, and as many in a row are a scan over time."""

SeriesKind = Literal["auto", "join", "apart"]


@dataclass(frozen=True)
class ReadSettings:
    """How recordings are read.

    Attributes
    ----------
    axes
        What the axes really are, slowest first, such as "TYX", where a file says something else or nothing. Letters of
        `sasnet_live.layout.STACK_AXES` and Y, X, in either case. In a TIFF Y and X are last; in an array they may be
        anywhere: "YXT".
    allow_missing
        Take a truncated file, or one of an acquisition that was aborted, up to the last whole step of its first axis.
    largest_mib
        Memory that one frame may take, MiB, however small it is packed in the file.
    dataset
        Name of the array to read, where a file holds several: a dataset of HDF5, a variable of MATLAB, an array of a
        ``.npz`` file or of Zarr, a group or ``group/channel`` of TDMS.
    raw_shape
        Shape of the array in a raw binary file, slowest axis first; of the values of a channel of TDMS.
    raw_dtype
        Data type of a raw binary file as NumPy writes it: "uint16", or ">u2" with the high byte first.
    raw_offset
        Bytes of a raw binary file before its first px.
    passes
        Forward and backward images of a scan that was recorded as two: two files, two channels of a recording by number
        or name, or two of its datasets.
    series
        Which files are one recording. "auto": those that say so themselves, and `FEWEST_IN_SERIES` or more of one frame
        each whose names count up; "join": all that lie in one folder; "apart": each is a recording of its own.
    """

    axes: str | None = parameter(
        None,
        "What the axes are, where a file is silent or wrong: T, Z, C, P, and YX; of A-lines also Y, X and D (samples).",
    )
    allow_missing: bool = parameter(False, "Register what is whole of a truncated file.")
    largest_mib: float = parameter(
        LARGEST_MIB, "Memory that a frame may take unpacked, however small its file.", unit="MiB", at_least=1
    )
    dataset: str | None = parameter(None, "Array to read of a file that holds several: dataset, variable, group.")
    raw_shape: tuple[int, ...] | None = parameter(None, "Shape of the array in a raw binary file, slowest axis first.")
    raw_dtype: str | None = parameter(None, "Data type of a raw binary file: uint16, >u2 with the high byte first.")
    raw_offset: int = parameter(0, "Bytes of a raw binary file before its first px.", at_least=0)
    passes: tuple[str, str] | None = parameter(
        None, "Forward and backward pass, recorded as two: two files, or two channels or datasets of each input."
    )
    series: SeriesKind = parameter("auto", "Which files are one recording: found out, all of a folder, or each.")

    def __post_init__(self) -> None:
        check_values(self)
        if self.raw_shape is not None and (not self.raw_shape or any(size < 1 for size in self.raw_shape)):
            raise InputError(f"raw_shape is {self.raw_shape}; expected sizes of 1 or more, as 200,512,512")
        if self.raw_dtype is not None and not _DTYPE.fullmatch(self.raw_dtype):
            raise InputError(
                f"raw_dtype is {self.raw_dtype!r}; expected uint8, uint16, int16, float32 or the like, or >u2 with the "
                "high byte first"
            )

    @property
    def passes_in_files(self) -> tuple[Path, ...]:
        """The two files that `passes` name; none where these are channels or datasets."""
        from .passes import name_files

        named = self.passes is not None and name_files(self.passes, raw=self.raw_shape is not None)
        return tuple(Path(one) for one in self.passes or ()) if named else ()

    def described(self) -> dict[str, str]:
        """What these say of what is in a file, for the record of what was done; without what is left at its default."""
        return {name: str(value) for name in _WHAT_IS_READ if (value := getattr(self, name))}


def read_shape(text: str | None) -> tuple[int, ...] | None:
    """A shape as the shell takes it: ``200,512,512``."""
    if text is None:
        return None
    try:
        return tuple(int(size) for size in text.replace("x", ",").split(","))
    except ValueError:
        raise InputError(f"--raw-shape {text} came; expected whole numbers with commas between: 200,512,512") from None
