"""Settings of a training run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from sasnet_live.errors import InputError
from sasnet_live.files import write_whole
from sasnet_live.geometry import ScanGeometry
from sasnet_live.network.config import PRESETS, SASNetConfig

from .weights import LossWeights

FILE = "settings.json"

Scanner = Literal["any", "one"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]


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
        The user's own raw TIFF stacks, trained on without truth; empty: the simulator alone.
    simulated_share
        Part of the samples that is simulated where there are recordings too.
    geometry
        Of the recordings.
    initial_weights
        Weights file to start from; empty: from scratch.
    validate_every
        Steps between validations and checkpoints.
    validation_frames
        Simulated frames a level that checkpoints are chosen by.
    """

    preset: str = "lite"
    channels: tuple[int, ...] = ()
    steps: int = 8000
    batch_size: int = 8
    learning_rate: float = 2e-3
    seed: int = 0
    height: int = 192
    width: int = 320
    scanner: Scanner = "any"
    workers: int = 1
    precision: Precision = "auto"
    averaging: float = 0.998
    losses: LossWeights = field(default_factory=LossWeights)
    recordings: tuple[str, ...] = ()
    simulated_share: float = 0.5
    geometry: ScanGeometry = field(default_factory=ScanGeometry)
    initial_weights: str = ""
    validate_every: int = 250
    validation_frames: int = 6

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise InputError(f"preset is {self.preset!r}; expected one of {', '.join(PRESETS)}")
        if self.precision not in get_args(Precision):
            raise InputError(f"precision is {self.precision!r}; expected one of {', '.join(get_args(Precision))}")
        if self.scanner not in get_args(Scanner):
            raise InputError(f"scanner is {self.scanner!r}; expected one of {', '.join(get_args(Scanner))}")
        for name in ("steps", "batch_size", "workers", "validate_every", "validation_frames"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if self.height < 32 or self.width < 64 or self.height % 2:
            # An odd number of lines gives one pass a line more, now this one, now the other: samples of two sizes.
            raise InputError(
                f"training frames of {self.height} x {self.width} came; expected at least 32 x 64, an even height"
            )
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; expected 0 or more")
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
        values = dict(values)
        try:
            losses, geometry = LossWeights(**values.pop("losses", {})), ScanGeometry(**values.pop("geometry", {}))
            return cls(losses=losses, geometry=geometry, **values)
        except TypeError as error:
            raise InputError(f"the settings of this run are not those of this version: {error}") from error

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
