"""The whole state of a run on disk, so that a killed run goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from sasnet_live.errors import InputError
from sasnet_live.files import write_whole

FILE = "state.safetensors"


def save_state(
    folder: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, record: Any
) -> None:
    """Weights, their average, the optimizer's moments and a JSON record; whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for prefix, module in (("network", network), ("average", average)):
        for name, tensor in module.state_dict().items():
            tensors[f"{prefix}.{name}"] = tensor.detach().cpu().contiguous()
    for index, moments in optimizer.state_dict()["state"].items():
        for name, tensor in moments.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(tensor).detach().cpu().contiguous()
    write_whole(folder / FILE, save(tensors, {"record": json.dumps(record)}))


def has_state(folder: Path) -> bool:
    """Whether a run in this folder came as far as its first checkpoint."""
    return (folder / FILE).is_file()


def load_state(folder: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    """Restore what `save_state` wrote; returns the record, or None where a run was killed before its first."""
    if not has_state(folder):
        return None
    path = folder / FILE
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            record = json.loads(file.metadata()["record"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not the state of a training run; delete it to begin again") from error
    for prefix, module in (("network.", network), ("average.", average)):
        try:
            module.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
        except RuntimeError as error:
            raise InputError(f"{path}: is not of the network in settings.json; delete it to begin again") from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, moment = name.split(".", 2)
            state.setdefault(int(index), {})[moment] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return record
