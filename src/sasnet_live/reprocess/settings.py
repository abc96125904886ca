"""How recordings are reprocessed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.sinks.tiff_pages import storable
from sasnet_live.sources.tiff_directories import LARGEST_MIB

Output = Literal["rendered", "warped", "both"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class ReprocessSettings:
    """How recordings are registered and written.

    Attributes
    ----------
    geometry
        How the lines were recorded.
    model, device, precision, temporal, search_px
        As `sasnet_live.registrar.Registrar` takes them.
    output
        "rendered", "warped", or "both": two files, named ``_rendered`` and ``_warped``.
    align_on
        The channel in which the displacement is found, by index or name; the others are moved with it.
    axes
        Axes of the inputs where their files have them wrong, see `sasnet_live.sources.tiff.TiffStack`.
    allow_missing
        Register what is whole of a truncated file, see `sasnet_live.sources.tiff.TiffStack`.
    largest_mib
        Memory that one frame of an input may take, MiB, see `sasnet_live.sources.tiff.TiffStack`.
    dtype
        Data type to write; None: the input's. Integers are rounded and clipped, never wrapped.
    overwrite
        Replace outputs that are there.
    resume
        Go on with interrupted outputs, and leave complete ones with the same settings as they are.
    include_registered
        Register also inputs that came out of this program registered: those of a live session whose frames were passed
        through, say.
    """

    geometry: ScanGeometry = field(default_factory=ScanGeometry)
    model: str = "default"
    device: str = "auto"
    precision: Precision = "auto"
    temporal: bool = True
    search_px: float | None = None
    output: Output = "rendered"
    align_on: int | str = 0
    axes: str | None = None
    allow_missing: bool = False
    largest_mib: float = LARGEST_MIB
    dtype: str | None = None
    overwrite: bool = False
    resume: bool = False
    include_registered: bool = False

    def __post_init__(self) -> None:
        if self.output not in get_args(Output):
            raise InputError(f"output is {self.output!r}; expected one of {', '.join(get_args(Output))}")
        if self.overwrite and self.resume:
            raise InputError("overwrite and resume exclude each other; give one of them")
        if self.dtype is not None:
            try:
                storable(np.dtype(self.dtype))
            except TypeError:
                raise InputError(f"dtype is {self.dtype!r}; expected uint8, uint16, float32 or the like") from None
