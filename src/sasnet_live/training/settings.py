"""Settings of a training run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sasnet_live.errors import InputError
from sasnet_live.files import write_whole
from sasnet_live.geometry import ScanGeometry
from sasnet_live.network.config import PRESETS, SASNetConfig
from sasnet_live.parameters import check_values, parameter, read_settings
from sasnet_live.recordings.settings import ReadSettings
from sasnet_live.settings import Precision

from .weights import LossWeights

FILE = "settings.json"

Scanner = Literal["any", "one"]


@dataclass(frozen=True)
class TrainingSettings:
    """Everything a run depends on; kept in its folder, so that `--resume` goes on with the same.

    Parameters
    ----------
    preset
        Architecture: a name of `network.PRESETS`.
    channels
        Feature channels at each scale in place of the preset's; empty: the preset's own.
    steps, batch_size, learning_rate
        Of AdamW; the rate rises for the first 2 % of the steps and falls to 1 % of its peak along a cosine.
    seed
        Of weights, samples and batches.
    height, width
        Raw frames simulated for training, lines (an even number) and px.
    scanner
        Simulated samples come from "any" scanner, with truth; or, as in the published protocol, from "one" that is
        always the same, without truth.
    workers
        Processes that make samples.
    precision
        Of convolutions: "auto" is bf16 where the device computes it fast, else fp32.
    averaging
        Decay of the exponential average of the weights, which is what is validated and saved.
    recordings
        The user's own raw recordings, trained on without truth; empty: the simulator alone.
    simulated_share
        Part of the samples that is simulated where there are recordings too.
    geometry
        Of the recordings.
    reading
        How they are read, where their files do not say it themselves.
    initial_weights
        Weights file to start from; empty: from scratch.
    validate_every
        Steps between validations and checkpoints.
    validation_frames
        Simulated frames a level that checkpoints are chosen by.
    """

    preset: str = parameter("lite", "Architecture: lite, full, paper.")
    channels: tuple[int, ...] = parameter((), "Feature channels at each scale in place of the preset's.")
    steps: int = parameter(8000, "Training steps.", at_least=1)
    batch_size: int = parameter(8, "Samples a step, in each process.", at_least=1)
    learning_rate: float = parameter(2e-3, "Its peak.")
    seed: int = parameter(0, "Of weights, samples and batches.", at_least=0)
    workers: int = parameter(1, "Processes that make samples.", at_least=1)
    height: int = parameter(192, "Lines of a raw training frame.")
    width: int = parameter(320, "Px of a line of a training frame.")
    scanner: Scanner = parameter(
        "any", "Simulated samples of any scanner; or of one, without truth, as in the published protocol."
    )
    precision: Precision = parameter(
        "auto", "Arithmetic of the convolutions; auto is bf16 where the device computes it fast, else fp32."
    )
    averaging: float = parameter(0.998, "Decay of the average of the weights that is saved.")
    losses: LossWeights = LossWeights()
    recordings: tuple[str, ...] = parameter((), "Raw recordings to train on without truth. None: the simulator alone.")
    simulated_share: float = parameter(0.5, "Part of simulated samples beside recordings.")
    initial_weights: str = parameter("", "Weights to start from: a model's name or a file.")
    validate_every: int = parameter(250, "Steps between validations and checkpoints.", at_least=1)
    validation_frames: int = parameter(6, "Simulated frames a level to validate on.", at_least=1)
    geometry: ScanGeometry = ScanGeometry()
    reading: ReadSettings = ReadSettings()

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise InputError(f"preset is {self.preset!r}; expected one of {', '.join(PRESETS)}")
        check_values(self)
        if self.height < 32 or self.width < 64 or self.height % 2:
            # An odd number of lines gives one pass a line more, now this one, now the other: samples of two sizes.
            raise InputError(
                f"training frames of {self.height} x {self.width} came; expected at least 32 x 64, an even height"
            )
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate is {self.learning_rate}; expected a number above 0")
        for name in ("averaging", "simulated_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number from 0 to 1")
        object.__setattr__(self, "recordings", tuple(self.recordings))
        object.__setattr__(self, "channels", tuple(self.channels))
        _ = self.config  # refuses channels that do not fit

    @property
    def config(self) -> SASNetConfig:
        """The architecture."""
        preset = PRESETS[self.preset]
        return replace(preset, channels=self.channels) if self.channels else preset

    def to_json(self) -> str:
        """For the run's folder and the weights' metadata."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TrainingSettings:
        """The reverse; unknown keys are refused."""
        return read_settings(cls, values)

    @staticmethod
    def are_in(folder: Path) -> bool:
        """Whether a folder holds the settings of a run."""
        return (folder / FILE).exists()

    def save(self, folder: Path) -> None:
        """Write them into a run's folder; whole or not at all."""
        write_whole(folder / FILE, self.to_json().encode())

    @classmethod
    def load(cls, folder: Path) -> TrainingSettings:
        """Read them from a run's folder.

        Raises
        ------
        InputError
            If there are none, or they are not settings of this version.
        """
        path = folder / FILE
        if not path.is_file():
            raise InputError(f"{folder}: no {FILE}, so no run to resume; start one without --resume")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: is not JSON ({error}); delete the folder to begin again") from error
        if not isinstance(values, dict):
            raise InputError(f"{path}: holds no settings; delete the folder to begin again")
        return cls.from_mapping(values)
