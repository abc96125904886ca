"""How A-lines become frames: which axis is depth, and what of an A-line counts. Free of NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sasnet_live.errors import InputError
from sasnet_live.parameters import check_values, parameter

Projection = Literal["max", "mean"]


@dataclass(frozen=True)
class VolumeSettings:
    """How the A-lines of a volume are projected to frames.

    Attributes
    ----------
    depth_axis
        Which axis holds the samples of an A-line, where `ReadSettings.axes` does not name it by D: "last" (lines, px,
        samples), "first" (samples, lines, px; of a series of volumes, the axis before lines), or the axis' number,
        from 0, or from -1 backwards. None: there is none, unless `ReadSettings.axes` has a D.
    envelope
        Take the envelope of RF samples, the magnitude of their analytic signal, before anything else.
    band_mhz
        Band of the transducer, (low, high): what lies outside of it is removed before the envelope is taken.
    sampling_mhz
        Samples of an A-line a us.
    gate
        The samples that count, from the first up to but not including the second. The envelope is taken before, so that
        the gate has no edge in it.
    projection
        "max": the largest sample; "mean": the mean.
    sound_speed
        In the tissue, m/s. With `sampling_mhz` depths are um (one way, as photoacoustic waves go), else samples.

    Raises
    ------
    InputError
        For a value that cannot be, or one that needs another.
    """

    depth_axis: str | None = parameter(
        None,
        "Axis of the samples of A-lines: last (lines, px, samples), first (samples, lines, px) or its number. Or name "
        "it D in --axes.",
    )
    envelope: bool = parameter(False, "Take the envelope of RF A-lines.")
    band_mhz: tuple[float, float] | None = parameter(
        None, "Band of the transducer; what lies outside of it is removed before the envelope is taken.", unit="MHz"
    )
    sampling_mhz: float | None = parameter(None, "Sampling rate of A-lines.", unit="MHz", at_least=1e-6)
    gate: tuple[int, int] | None = parameter(None, "Samples of A-lines that count, from START up to END.")
    projection: Projection = parameter("max", "What a frame shows of each A-line.")
    sound_speed: float | None = parameter(
        None, "Speed of sound, for depths in um; samples without it.", unit="m/s", at_least=1
    )

    def __post_init__(self) -> None:
        check_values(self)
        if self.depth_axis is not None and self.depth_axis not in ("first", "last"):
            try:
                int(self.depth_axis)
            except ValueError:
                raise InputError(
                    f"depth_axis is {self.depth_axis!r}; expected first, last or the number of an axis, from 0"
                ) from None
        if self.gate is not None and not 0 <= self.gate[0] < self.gate[1]:
            raise InputError(f"gate is {self.gate}; expected two samples, 0 or more, the second after the first")
        if self.band_mhz is not None:
            self._check_band(self.band_mhz)
        if self.sound_speed is not None and self.sampling_mhz is None:
            raise InputError("sound_speed says nothing of depth without the sampling rate; add --sampling-mhz")

    def _check_band(self, band: tuple[float, float]) -> None:
        if not self.envelope:
            raise InputError("band_mhz is for the envelope; add --envelope")
        if self.sampling_mhz is None:
            raise InputError("band_mhz cannot be found in samples without their rate; add --sampling-mhz")
        highest = self.sampling_mhz / 2
        if not 0 <= band[0] < band[1] <= highest:
            raise InputError(
                f"band_mhz is {band}; expected (low, high) from 0 to {highest:g}, half the sampling rate, in MHz"
            )

    def given(self, axes: str | None) -> bool:
        """Whether recordings are volumes, with what is said of their axes.

        Raises
        ------
        InputError
            If something is said of A-lines, but not where they are.
        """
        if self.depth_axis is not None or "d" in (axes or "").lower():
            return True
        if self != VolumeSettings():
            raise InputError(
                "envelope, gate, projection and the like are of A-lines; say which axis they lie along with "
                "--depth-axis, or with a D in --axes"
            )
        return False

    @property
    def um_per_sample(self) -> float | None:
        """Depth of a sample, um; None if that is not known."""
        if self.sound_speed is None or self.sampling_mhz is None:
            return None
        # 1 m/s is 1 um/us.
        return self.sound_speed / self.sampling_mhz
