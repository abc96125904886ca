"""How simulated A-lines are recorded. Free of NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sasnet_live.errors import InputError
from sasnet_live.parameters import check_values, parameter


@dataclass(frozen=True)
class AlineSettings:
    """How A-lines are recorded.

    Attributes
    ----------
    samples
        D, samples of an A-line.
    sampling_mhz
        Samples a us.
    centre_mhz, bandwidth
        Of the transducer: centre of its band, and the width at half of the amplitude in parts of it.
    layers
        Of the tissue.
    """

    samples: int = parameter(
        0, "Samples of RF A-lines: volumes in place of frames, their depth as axis Z. 0: frames.", at_least=0
    )
    sampling_mhz: float = parameter(250.0, "Sampling rate of A-lines.", unit="MHz", at_least=1e-6)
    centre_mhz: float = parameter(50.0, "Centre frequency of the transducer.", unit="MHz", at_least=1e-6)
    bandwidth: float = parameter(
        0.8, "Bandwidth of the transducer in parts of its centre frequency.", at_least=0.05, at_most=2.0
    )
    layers: int = parameter(3, "Layers of vessels, each at a depth of its own.", at_least=1)

    def __post_init__(self) -> None:
        check_values(self)
        highest = self.centre_mhz * (1 + self.bandwidth / 2)
        if highest > self.sampling_mhz / 2:
            raise InputError(
                f"the transducer's band reaches {highest:g} MHz; expected half of sampling_mhz, "
                f"{self.sampling_mhz / 2:g} MHz, at most"
            )
        if 0 < self.samples < 8 * self.burst_samples:
            raise InputError(
                f"samples is {self.samples}; expected {math.ceil(8 * self.burst_samples)} or more: a burst is that long"
            )

    @property
    def burst_samples(self) -> float:
        """Standard deviation of a burst's envelope, samples."""
        # Of a Gaussian spectrum whose amplitude is a half at half of the band from its centre.
        sigma_us = math.sqrt(2 * math.log(2)) / (math.pi * self.bandwidth * self.centre_mhz)
        return sigma_us * self.sampling_mhz
