"""The training loop: samples in, the best checkpoint out; it survives being killed."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from torch import nn

from sasnet_live import __version__
from sasnet_live.errors import InputError
from sasnet_live.network.checkpoint import ModelCard, build_model, load_model, save_model
from sasnet_live.network.config import PRESETS

from .data import SamplePool, SimulatedSource
from .losses import losses
from .recordings import MixedSource, recorded_validation
from .settings import TrainingSettings
from .state import load_state, save_state
from .validation import Score, merit, simulated_validation, validate

BEST = "best.safetensors"
WARM_UP = 0.02


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
    first process validates and writes.

    Raises
    ------
    InputError
        If `folder` holds a run and `resume` is not asked for, or there is none to resume.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    settings = _open_folder(settings, folder, resume, rank)
    place = _device(device)
    torch.manual_seed(settings.seed)
    network = _network(settings).to(place).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).eval()
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, betas=(0.9, 0.98), weight_decay=1e-4)
    record = load_state(folder, network, average, optimizer) if resume else None
    record = record or {"step": 0, "elapsed_s": 0.0, "best": -math.inf, "history": []}

    model: nn.Module = network
    if world > 1:
        torch.distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
        model = nn.parallel.DistributedDataParallel(network)
    precision = _precision(settings.precision, place)
    scaler = torch.amp.GradScaler(place.type, enabled=precision is torch.float16)
    kind = PRESETS[settings.preset].correspondence
    groups = recorded_validation(settings) if settings.recordings else simulated_validation(6, kind)
    # A resumed run draws other samples than the ones it has seen, the same whenever it is resumed at this step.
    seed = settings.seed + 1000 * rank + 7919 * record["step"]
    source = SimulatedSource(seed, settings.height, settings.width, kind)
    began = time.perf_counter() - record["elapsed_s"]
    running: dict[str, float] = {}
    with SamplePool(
        MixedSource(settings, source) if settings.recordings else source,
        batch_size=settings.batch_size,
        seed=seed,
        workers=settings.workers,
    ) as pool:
        while record["step"] < settings.steps:
            step = record["step"]
            for group in optimizer.param_groups:
                group["lr"] = _rate(settings, step)
            batch = pool.next_batch().to(place)
            with torch.autocast(place.type, dtype=precision, enabled=precision is not None):
                total, terms = losses(model, batch, settings.losses)
            scaler.scale(total).backward()  # type: ignore[no-untyped-call]
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
            _average(average, network, min(settings.averaging, (1 + step) / (10 + step)))

            record["step"] = step = step + 1
            record["elapsed_s"] = time.perf_counter() - began
            for name, term in terms.items():
                running[name] = 0.98 * running.get(name, float(term)) + 0.02 * float(term)
            scores: tuple[Score, ...] = ()
            best = False
            if rank == 0 and (step % settings.validate_every == 0 or step == settings.steps):
                scores = tuple(validate(average, groups, place))
                best = merit(scores) > record["best"]
                record["history"].append({"step": step, "scores": [asdict(s) for s in scores], **running})
                if best:
                    record["best"] = merit(scores)
                    save_model(folder / BEST, average, _card(settings, source, scores, record))
                save_state(folder, network, average, optimizer, record)
            report(Progress(step, settings.steps, dict(running), record["elapsed_s"], scores, best))
    if world > 1:
        torch.distributed.destroy_process_group()
    return folder / BEST


def _open_folder(settings: TrainingSettings, folder: Path, resume: bool, rank: int) -> TrainingSettings:
    if resume:
        return TrainingSettings.load(folder)
    if rank == 0:
        if (folder / "settings.json").exists():
            raise InputError(f"{folder}: holds a training run; go on with --resume, or choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        settings.save(folder)
    return settings


def _network(settings: TrainingSettings) -> nn.Module:
    if settings.initial_weights:
        network, _ = load_model(Path(settings.initial_weights))
        return network.train()
    return build_model(PRESETS[settings.preset])


def _device(name: str) -> torch.device:
    if name != "auto":
        return torch.device(name)
    return (
        torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else torch.device("cpu")
    )


def _precision(name: str, device: torch.device) -> torch.dtype | None:
    """The dtype of autocast; None for float32."""
    if name == "auto":
        fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_computes_bfloat16()
        return torch.bfloat16 if fast else None
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def _cpu_computes_bfloat16() -> bool:
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _rate(settings: TrainingSettings, step: int) -> float:
    warm = max(1, round(WARM_UP * settings.steps))
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    turn = (step - warm) / max(1, settings.steps - warm)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * turn)))


@torch.no_grad()
def _average(average: nn.Module, network: nn.Module, decay: float) -> None:
    for kept, new in zip(average.parameters(), network.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)


def _card(settings: TrainingSettings, source: SimulatedSource, scores: tuple[Score, ...], record: Any) -> ModelCard:
    return ModelCard(
        name=settings.preset,
        config=PRESETS[settings.preset],
        training_data=source.fingerprint()
        + (f" + {len(settings.recordings)} recordings" if settings.recordings else ""),
        version=__version__,
        scores={s.group: {k: round(v, 4) for k, v in asdict(s).items() if k != "group"} for s in scores},
        training={"step": record["step"], "elapsed_s": round(record["elapsed_s"]), **json.loads(settings.to_json())},
    )
