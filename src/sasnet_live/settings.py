"""What registers frames, and how: one frozen object that live sessions, reprocessing and the shell share.

Free of NumPy and torch: they are loaded where a registrar is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import InputError
from .geometry import ScanGeometry
from .parameters import check_values, parameter

if TYPE_CHECKING:
    from .registrar import Registrar

Output = Literal["rendered", "warped", "both"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class RegistrarSettings:
    """The parameters of `sasnet_live.registrar.Registrar`, which says more of each.

    Raises
    ------
    InputError
        For an unknown precision or output, or a `search_px` below 1. Models and devices are looked for by `make`.
    """

    model: str = parameter(
        "default",
        "The weights that render backward lines: a model that ships (see `sasnet-live info`) or a .safetensors file. "
        "With correspondence lines are moved and their gain is matched, nothing is learned.",
    )
    device: str = parameter("auto", "Where the model runs.")
    precision: Precision = parameter(
        "auto", "Arithmetic of the model; auto is 16 bit on a GPU and on a CPU that has instructions for it."
    )
    output: Output = parameter(
        "rendered",
        "Backward lines re-rendered in the forward appearance and denoised; moved only, measured intensities kept; or "
        "both.",
    )
    geometry: ScanGeometry = ScanGeometry()
    search_px: float | None = parameter(
        None,
        "Largest displacement looked for, either side of the line offset and at most half a line; by default a tenth "
        "of it. Three times as far where a first frame clearly fits better there.",
        unit="px",
    )
    temporal: bool = parameter(True, "Whether earlier frames help to register later ones.")

    def __post_init__(self) -> None:
        check_values(self)
        if self.search_px is not None and not 1 <= self.search_px < math.inf:
            raise InputError(f"search_px is {self.search_px}; expected 1 px or more, and at most half of a line")

    def make(self) -> Registrar:
        """A registrar; torch is loaded here.

        Raises
        ------
        InputError
            For an unknown model (with the nearest name) or device.
        """
        from .registrar import Registrar

        return Registrar(**vars(self))
