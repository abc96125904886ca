"""What the weights of a run say of how they came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from sasnet_live import __version__
from sasnet_live.network.checkpoint import ModelCard
from sasnet_live.network.config import SASNetConfig

from .data import SimulatedSource
from .settings import TrainingSettings
from .validation import Score


def model_card(
    settings: TrainingSettings,
    config: SASNetConfig,
    scores: Sequence[Score],
    record: Mapping[str, Any],
    conditions: Mapping[str, str],
) -> ModelCard:
    """The card of a checkpoint: enough to train it again.

    Parameters
    ----------
    record
        Of the run, with the steps done and the seconds they took.
    conditions
        What the settings leave open: device, number of processes and so on.

    Notes
    -----
    Recordings and initial weights are named without their folders, which are nobody's business but the user's; initial
    weights are identified by their checksum.
    """
    training = asdict(settings) | {"recordings": [Path(path).name for path in settings.recordings]}
    if settings.initial_weights:
        path = Path(settings.initial_weights)
        training |= {"initial_weights": path.name, "initial_sha256": sha256(path.read_bytes()).hexdigest()}
    return ModelCard(
        name=settings.preset,
        config=config,
        training_data=_training_data(settings),
        version=__version__,
        scores={s.group: {k: round(v, 4) for k, v in asdict(s).items() if k != "group"} for s in scores},
        training={"step": record["step"], "elapsed_s": round(record["elapsed_s"]), **training, **conditions},
    )


def _training_data(settings: TrainingSettings) -> str:
    parts = []
    if not settings.recordings or settings.simulated_share:
        source = SimulatedSource(settings.seed, settings.height, settings.width, scanner=settings.scanner)
        parts.append(source.fingerprint())
    if settings.recordings:
        parts.append(f"{len(settings.recordings)} recordings")
    return " + ".join(parts)
