"""How recordings are reprocessed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sasnet_live.errors import InputError
from sasnet_live.parameters import parameter
from sasnet_live.recordings.settings import ReadSettings
from sasnet_live.recordings.volume_settings import VolumeSettings
from sasnet_live.settings import RegistrarSettings


@dataclass(frozen=True)
class SideOutputSettings:
    """Files beside the registered ones, see `sasnet_live.reprocess.side_outputs`; None: not wanted.

    A name counts for one input. Only an ending, such as ``.npz``, gives each input a file beside its output.
    """

    displacement: Path | None = parameter(
        None, "Displacement of every frame, with its uncertainty: .npz, .h5 (needs h5py) or .tif (each px)."
    )
    per_px: bool = parameter(False, "Write the displacement of each px into .npz or .h5, too.")
    report: Path | None = parameter(
        None, "One page a recording, .html: figures, displacement, frames before and after (needs matplotlib)."
    )
    export_shifts: Path | None = parameter(None, "The mean shift in the form that suite2p reads, .npy.")


@dataclass(frozen=True)
class ReprocessSettings:
    """How recordings are registered and written.

    Attributes
    ----------
    registrar
        What registers. With its output "both", two files are written, named ``_rendered`` and ``_warped``.
    align_on
        The channel in which the displacement is found, by index or name; the others are moved with it.
    reading
        How the inputs are read, where their files do not say it themselves.
    volume
        Where the inputs are A-lines: how they become frames. With an axis of depth, the displacement is found on the
        projections, every sample is moved by it, and two more files are written, ``_volume`` and ``_depth``.
    dtype
        Data type to write; None: the input's. Integers are rounded and clipped, never wrapped.
    overwrite
        Replace outputs that are there.
    resume
        Go on with interrupted outputs, and leave complete ones with the same settings as they are.
    treat_as_bidirectional
        Register also recordings that say themselves that lines went one way only; they are refused otherwise.
    include_registered
        Register also inputs that came out of this program registered: those of a live session whose frames were passed
        through, say.
    geometry_from
        "auto": line axis, mirroring, first pass and line offset are found in each recording, see
        `sasnet_live.reprocess.geometry`; one whose frames do not tell them is refused. What is given in
        ``registrar.geometry`` counts where frames tell nothing.
    """

    registrar: RegistrarSettings = RegistrarSettings()
    align_on: int | str = parameter("0", "Channel, by number or name, in which the displacement is found.")
    reading: ReadSettings = ReadSettings()
    volume: VolumeSettings = VolumeSettings()
    dtype: str | None = parameter(None, "Data type to write, such as float32; by default the input's.")
    overwrite: bool = parameter(False, "Replace outputs that are there.")
    resume: bool = parameter(False, "Go on with interrupted outputs; leave complete ones as they are.")
    treat_as_bidirectional: bool = parameter(False, "Take also recordings that say that lines went one way.")
    include_registered: bool = parameter(False, "Take also files that this program has registered.")
    geometry_from: Literal["given", "auto"] = parameter(
        "given", "Whether the scan geometry is as given, or found in each recording; refused if that is not certain."
    )

    def __post_init__(self) -> None:
        if self.overwrite and self.resume:
            raise InputError("overwrite and resume exclude each other; give one of them")
        self.volume.given(self.reading.axes)
        if self.dtype is not None:
            import numpy as np

            from sasnet_live.sinks.tiff_pages import storable

            try:
                storable(np.dtype(self.dtype))
            except TypeError:
                raise InputError(f"dtype is {self.dtype!r}; expected uint8, uint16, float32 or the like") from None
