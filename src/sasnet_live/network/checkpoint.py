"""Weights on disk: safetensors with the configuration, origin and scores in the metadata. Never pickle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from sasnet_live.errors import InputError
from sasnet_live.files import write_whole

from .config import SASNetConfig
from .published import PublishedSASNet
from .sasnet import SASNet

FORMAT = "sasnet-live/1"
LONGEST_HEADER = 16 * 2**20  # bytes; weights that ship have 6 to 15 KB, the state of a long run hundreds


@dataclass(frozen=True)
class ModelCard:
    """What a weights file says of itself.

    Attributes
    ----------
    name
        Preset or user's name.
    config
        Architecture.
    training_data
        Fingerprint of the data trained on.
    version
        Of sasnet-live that trained it.
    scores
        Figures on the validation split, by level and metric.
    training
        Settings of the run: steps, seed, loss weights and so on.
    sha256
        Of the file; empty while it is not on disk.
    """

    name: str
    config: SASNetConfig
    training_data: str = ""
    version: str = ""
    scores: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""


def save_model(path: Path, model: torch.nn.Module, card: ModelCard) -> None:
    """Write weights in half precision with their card; the file appears whole or not at all."""
    tensors = {name: tensor.detach().cpu().half().contiguous() for name, tensor in model.state_dict().items()}
    metadata = {
        "format": FORMAT,
        "name": card.name,
        "config": json.dumps(card.config.to_dict()),
        "training_data": card.training_data,
        "version": card.version,
        "scores": json.dumps(card.scores),
        "training": json.dumps(card.training),
    }
    write_whole(path, save(tensors, metadata))  # not `save_file`, whose files nobody but their owner may read


def read_card(path: Path) -> ModelCard:
    """The card of a weights file; of other files no more than a header is read.

    Raises
    ------
    InputError
        If the file is missing, is not safetensors (a pickle, say), is not a SAS-Net of this format, or holds other
        weights than those of its configuration.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a .safetensors file, for a run's folder its best.safetensors")
    if not path.is_file():
        raise InputError(f"{path}: no such weights file; give a .safetensors file or the name of a model")
    try:
        check_header(path)
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"{path}: not a safetensors file ({_kind(path)}); give weights written by `sasnet-live train`. "
            "Pickled weights are refused because loading them can run any code"
        ) from error
    if metadata.get("format") != FORMAT:
        raise InputError(
            f"{path}: safetensors of format {metadata.get('format', 'unknown')!r}, expected {FORMAT!r}; "
            "give weights written by `sasnet-live train`"
        )
    try:
        card = ModelCard(
            name=metadata["name"],
            config=SASNetConfig.from_dict(json.loads(metadata["config"])),
            training_data=metadata.get("training_data", ""),
            version=metadata.get("version", ""),
            scores=json.loads(metadata.get("scores", "{}")),
            training=json.loads(metadata.get("training", "{}")),
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: what it says of itself is damaged ({error!r}); get or train it anew") from error
    with safe_open(str(path), framework="pt") as file:
        if not _fits(shapes_in(file), card.config):
            raise InputError(f"{path}: its weights do not fit its own configuration; the file is damaged")
    with path.open("rb") as content:
        return replace(card, sha256=hashlib.file_digest(content, "sha256").hexdigest())


def load_model(path: Path) -> tuple[SASNet | PublishedSASNet, ModelCard]:
    """A network with its weights, in float32 on the CPU, ready for inference.

    Raises
    ------
    InputError
        As `read_card`, or if a weight is not finite.
    """
    card = read_card(path)
    with safe_open(str(path), framework="pt") as file:
        state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - not a dict
    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            raise InputError(f"{path}: {name} holds NaN or infinite numbers; get or train it anew")
    model = build_model(card.config)
    model.load_state_dict(state)
    return model.eval(), card


def _fits(shapes: dict[str, tuple[int, ...]], config: SASNetConfig) -> bool:
    """Whether tensors of these shapes are the weights of a configuration, however much memory that asks for."""
    if sum(config.blocks) + config.scene_blocks > len(shapes):
        return False
    try:
        with torch.device("meta"):  # shapes alone, nothing is allocated
            expected = build_model(config).state_dict()
    except (RuntimeError, OverflowError, TypeError):
        return False
    return shapes == {name: tuple(tensor.shape) for name, tensor in expected.items()}


def check_header(path: Path) -> None:
    """Refuse a safetensors file by the length it gives for its header, before anything of it is read.

    Raises
    ------
    ValueError
        If it is longer than the file, or than any header that is ours.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= min(LONGEST_HEADER, path.stat().st_size - 8):
        raise ValueError(f"a header of {length} bytes")


def shapes_in(file: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors in an open safetensors file, by name."""
    return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - not a dict


def build_model(config: SASNetConfig) -> SASNet | PublishedSASNet:
    """An untrained network of this architecture."""
    return SASNet(config) if config.correspondence == "explicit" else PublishedSASNet(config)


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(2)
    if head == b"PK" or head[:1] == b"\x80":
        return "it looks like a pickle"
    return "its header is not readable"
