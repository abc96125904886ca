"""The whole state of a run on disk, so that a killed run goes on where it was."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from sasnet_live.errors import InputError
from sasnet_live.files import write_whole
from sasnet_live.network.checkpoint import check_header, shapes_in

FILE = "state.safetensors"
OPTIMIZER = "optimizer."
MOMENTS = ("exp_avg", "exp_avg_sq")  # what AdamW keeps of a parameter, beside a number of steps


def save_state(
    folder: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, record: Any
) -> None:
    """Weights, their average, the optimizer's moments and a JSON record; whole or not at all."""
    tensors = _weights(network, average)
    for index, moments in optimizer.state_dict()["state"].items():
        for name, tensor in moments.items():
            tensors[f"{OPTIMIZER}{index}.{name}"] = torch.as_tensor(tensor)
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(folder / FILE, save(kept, {"record": json.dumps(record)}))


def has_state(folder: Path) -> bool:
    """Whether a run in this folder came as far as its first checkpoint."""
    return (folder / FILE).is_file()


def steps_kept(folder: Path) -> int:
    """Steps that a run in this folder would go on from; 0 where there is no checkpoint that can be read."""
    try:
        with _opened(folder / FILE) as file:
            return int(_record_of(file, folder / FILE)["step"])
    except InputError:
        return 0


def load_state(
    folder: Path,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: Mapping[str, Any] | None = None,
) -> Any:
    """Restore what `save_state` wrote; returns the record, or None where a run was killed before its first.

    Parameters
    ----------
    settings
        Those of the run, as JSON has them: a state whose record holds other ones is refused.

    Raises
    ------
    InputError
        If the file is damaged, of another network or other settings, or holds numbers that are not finite. Nothing is
        changed then.
    """
    if not has_state(folder):
        return None
    path = folder / FILE
    with _opened(path) as file:
        record = _record_of(file, path)
        _refuse_other_settings(path, record.get("settings"), settings)
        shapes = shapes_in(file)
        if shapes != _expected(shapes, network, average):
            raise InputError(f"{path}: is not of the network in settings.json; delete it to begin again")
        tensors = {name: file.get_tensor(name) for name in shapes}
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise InputError(f"{path}: {name} holds NaN or infinite numbers; delete the file to begin again")
    for prefix, module in (("network.", network), ("average.", average)):
        module.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(OPTIMIZER):
            _, index, moment = name.split(".", 2)
            state.setdefault(int(index), {})[moment] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return record


def _weights(network: nn.Module, average: nn.Module) -> dict[str, Tensor]:
    modules = {"network": network, "average": average}
    return {
        f"{kind}.{name}": tensor for kind, module in modules.items() for name, tensor in module.state_dict().items()
    }


def _expected(names: Iterable[str], network: nn.Module, average: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shapes of a state of these networks; a parameter that never had a gradient has no moments."""
    shapes = {name: tuple(tensor.shape) for name, tensor in _weights(network, average).items()}
    begun = {name.split(".")[1] for name in names if name.startswith(OPTIMIZER)}
    for index, parameter in enumerate(network.parameters()):
        if str(index) in begun:
            shapes |= {f"{OPTIMIZER}{index}.{name}": tuple(parameter.shape) for name in MOMENTS}
            shapes[f"{OPTIMIZER}{index}.step"] = ()
    return shapes


def _opened(path: Path) -> Any:
    try:
        check_header(path)
        return safe_open(str(path), framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path}: not the state of a training run; delete it to begin again") from error


def _record_of(file: Any, path: Path) -> dict[str, Any]:
    """What a state says of its run, checked."""
    try:
        record: dict[str, Any] = json.loads(file.metadata()["record"])
        step, history = record["step"], record.get("history", [])
        best, elapsed_s = (float(record.get(name, 0.0)) for name in ("best", "elapsed_s"))
        if type(step) is not int or step < 0 or math.isnan(best) or not 0 <= elapsed_s < math.inf:
            raise ValueError(f"step {step}, best {best}, elapsed_s {elapsed_s}")
        if not isinstance(history, list) or not isinstance(record.get("settings", {}), dict):
            raise TypeError("its history or its settings")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: not the state of a training run (its record is damaged); delete it to begin again"
        ) from error
    return record


def _refuse_other_settings(path: Path, kept: Mapping[str, Any] | None, given: Mapping[str, Any] | None) -> None:
    if kept is None or given is None:  # a state of an earlier version
        return
    # Files may have been moved, and processes that make samples are a matter of the machine.
    names = sorted((set(kept) | set(given)) - {"recordings", "initial_weights", "workers"})
    for name in names:
        if kept.get(name) != given.get(name):
            raise InputError(
                f"{path}: was trained with {name} {kept.get(name)}, and settings.json says {given.get(name)}; put that "
                "back, or delete this file to begin again"
            )
