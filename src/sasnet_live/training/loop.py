"""The training loop: samples in, the best checkpoint out; it survives being killed."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sasnet_live.errors import InputError
from sasnet_live.network.checkpoint import build_model, load_model, save_model
from sasnet_live.network.config import PRESETS, CorrespondenceKind
from sasnet_live.network.published import PublishedSASNet
from sasnet_live.network.sasnet import SASNet

from .card import model_card
from .data import Sample, SamplePool, SimulatedSource
from .devices import Process, autocast_dtype, in_step, pick_device
from .losses import losses
from .recordings import MixedSource, recorded_validation
from .settings import TrainingSettings
from .state import has_state, load_state, save_state
from .validation import Score, merit, one_scanner_validation, simulated_validation, validate

BEST = "best.safetensors"
WARM_UP = 0.02  # part of the steps in which the learning rate rises
FIRST_BATCHES = 8  # as many samples as these hold are made before the first step
LARGEST_GRADIENT = 1.0  # norm that gradients are clipped to
MOST_SKIPPED = 50  # steps in a row without a finite gradient, after which a run is given up


@dataclass(frozen=True)
class Progress:
    """What a run tells after a step.

    Attributes
    ----------
    step, steps
        Done, and in all.
    losses
        Each loss without its weight, averaged over the last steps.
    elapsed_s
        Of all sittings together.
    scores
        After a validation; else empty.
    best
        True if this validation gave the best weights so far.
    """

    step: int
    steps: int
    losses: dict[str, float]
    elapsed_s: float
    scores: tuple[Score, ...] = ()
    best: bool = False


def train(
    settings: TrainingSettings,
    folder: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    report: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Train a SAS-Net; returns the path of its best weights, ``folder / "best.safetensors"``.

    Started by `torchrun`, each process trains on its own samples on its own device, gradients are averaged, and the
    first process validates, writes and reports.

    Parameters
    ----------
    settings
        Of a new run; a resumed one goes on with those in its folder.
    folder
        Of the run: its settings, its state, and the best weights.
    report
        Called after every step, in the first process only.

    Raises
    ------
    InputError
        If `folder` holds a run and `resume` is not asked for, there is none to resume, or recordings, initial weights
        or the device cannot be used. Nothing is written then.
    RuntimeError
        If training diverges.
    """
    process = Process.from_environment()
    if resume:
        settings = TrainingSettings.load(folder)
    elif process.leads and TrainingSettings.are_in(folder):
        raise InputError(f"{folder}: holds a training run; go on with --resume, or choose another folder")
    place = pick_device(device, process)
    precision = autocast_dtype(settings.precision, place)
    torch.manual_seed(settings.seed)
    network = _network(settings, started=resume and has_state(folder)).to(place).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).eval()
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, betas=(0.9, 0.98), weight_decay=1e-4)
    scaler = torch.amp.GradScaler(place.type, enabled=precision is torch.float16)
    record: dict[str, Any] = {"step": 0, "elapsed_s": 0.0, "best": -math.inf, "history": []}
    as_json = json.loads(settings.to_json())
    if resume:
        record |= load_state(folder, network, average, optimizer, as_json) or {}
        if record.get("scaler"):
            scaler.load_state_dict(record["scaler"])
    record["settings"] = as_json

    kind = network.config.correspondence
    # A resumed run draws other samples than the ones it has seen, the same whenever it is resumed at this step.
    seed = settings.seed + 1000 * process.rank + 7919 * record["step"]
    simulated = SimulatedSource(seed, settings.height, settings.width, kind, settings.scanner)
    source = MixedSource(settings, simulated) if settings.recordings else simulated
    groups: dict[str, list[Sample]] = {}
    if process.leads:
        groups = _validation_samples(settings, kind)
        if not resume:
            _begin(settings, folder)
    conditions = {
        "device": place.type,
        "processes": str(process.world),
        "computed_in": str(precision or torch.float32).removeprefix("torch."),
        "torch": torch.__version__,
    }
    began = time.perf_counter() - record["elapsed_s"]
    running: dict[str, float] = {}
    skipped = 0
    with (
        in_step(network, process, place) as model,
        SamplePool(
            source,
            batch_size=settings.batch_size,
            seed=seed,
            workers=settings.workers,
            initial=FIRST_BATCHES * settings.batch_size,
        ) as pool,
    ):
        while record["step"] < settings.steps:
            step = record["step"]
            for group in optimizer.param_groups:
                group["lr"] = _rate(settings, step)
            batch = pool.next_batch().to(place)
            with torch.autocast(place.type, dtype=precision, enabled=precision is not None):
                total, terms = losses(model, batch, settings.losses)
            if _descend(total, network, optimizer, scaler):
                _average(average, network, min(settings.averaging, (1 + step) / (10 + step)))
                for name, term in terms.items():
                    running[name] = 0.98 * running.get(name, float(term)) + 0.02 * float(term)
                skipped = 0
            elif (skipped := skipped + 1) >= MOST_SKIPPED:
                raise RuntimeError(f"no finite gradient in steps {step - skipped + 2} to {step + 1}; learn more slowly")

            record["step"] = step = step + 1
            record["elapsed_s"] = time.perf_counter() - began
            if not process.leads:
                continue
            scores: tuple[Score, ...] = ()
            best = False
            if step % settings.validate_every == 0 or step == settings.steps:
                scores = tuple(validate(average, groups, place))
                best = merit(scores) > record["best"]
                record["history"].append({"step": step, "scores": [asdict(s) for s in scores], **running})
                if best:
                    record["best"] = merit(scores)
                    save_model(folder / BEST, average, model_card(settings, network.config, scores, record, conditions))
                save_state(folder, network, average, optimizer, record | {"scaler": scaler.state_dict()})
            report(Progress(step, settings.steps, dict(running), record["elapsed_s"], scores, best))
    if process.leads and not (folder / BEST).is_file():
        raise RuntimeError(f"{folder} has no best weights: no validation gave a score, or {BEST} was removed")
    return folder / BEST


def _begin(settings: TrainingSettings, folder: Path) -> None:
    """Write the settings, once everything that they name has been opened: a mistyped name leaves no run behind."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        settings.save(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror}); choose another folder") from error


def _network(settings: TrainingSettings, *, started: bool) -> SASNet | PublishedSASNet:
    if started or not settings.initial_weights:
        return build_model(settings.config)
    network, card = load_model(Path(settings.initial_weights))
    if card.config != settings.config:
        fitting = [name for name, config in PRESETS.items() if config == card.config]
        hint = f"give --preset {fitting[0]}" if fitting else "they are of another version of sasnet-live"
        raise InputError(f"{settings.initial_weights}: are not weights of the preset {settings.preset!r}; {hint}")
    return network.train()


def _validation_samples(settings: TrainingSettings, kind: CorrespondenceKind) -> dict[str, list[Sample]]:
    if settings.recordings:
        return recorded_validation(settings, kind)
    if settings.scanner == "one":
        return one_scanner_validation(settings.validation_frames, kind, settings.height, settings.width)
    return simulated_validation(settings.validation_frames, kind)


def _descend(total: Tensor, network: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> bool:
    """One step down the gradient; False if there is no finite one: such a step would spoil all weights."""
    scaler.scale(total).backward()  # type: ignore[no-untyped-call]
    scaler.unscale_(optimizer)
    # After averaging over processes: all of them come to the same norm, and take or skip the step together.
    finite = bool(nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT).isfinite())
    if finite or scaler.is_enabled():
        scaler.step(optimizer)
        scaler.update()
    optimizer.zero_grad(set_to_none=True)
    return finite


def _rate(settings: TrainingSettings, step: int) -> float:
    """Learning rate: rises over the first steps, then falls along a cosine to 1 % of its peak."""
    warm = max(1, round(WARM_UP * settings.steps))
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    turn = (step - warm) / max(1, settings.steps - warm)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * turn)))


@torch.no_grad()
def _average(average: nn.Module, network: nn.Module, decay: float) -> None:
    for kept, new in zip(average.parameters(), network.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)
