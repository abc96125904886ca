"""What a frame costs inside the registrar, seen from outside: operations of torch, waits for a device, stages.

Nothing in the registrar knows of it. Functions that it calls are replaced, for a while, by ones that look at the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from sasnet_live.network.recorded import RecordedNetwork

ELSE = "packing"  # all that is no other stage: checks, splitting, intensities to unit scale and back, merging


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what torch is asked to do meanwhile, also by networks that were recorded.

    Attributes
    ----------
    operations
        All that goes through torch's dispatcher.
    kernels
        Those of them that compute or copy something: no views.
    synchronizations
        Those that wait for all that was asked before: a number read by Python, an array brought back from a device.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = self.kernels = self.synchronizations = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        result = function(*arguments, **(named or {}))
        self.operations += 1
        given = _tensors(arguments)
        made = _tensors((result,))
        memory = {_memory(tensor) for tensor in given}
        new = any(_memory(tensor) not in memory for tensor in made)
        if new or function._schema.is_mutable:
            self.kernels += 1
        read = function is torch.ops.aten._local_scalar_dense.default
        # `copy_` writes to its first argument, all else from it.
        goal, source = made[:1], given[1:2] if function._schema.is_mutable else given[:1]
        brought = bool(goal and source) and goal[0].device.type == "cpu" != source[0].device.type
        self.synchronizations += read or brought
        return result


def _tensors(values: tuple[Any, ...]) -> list[Tensor]:
    """The tensors among them, also in lists."""
    found = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [each for each in value if isinstance(each, Tensor)]
    return found


def _memory(tensor: Tensor) -> Any:
    return tensor.untyped_storage()._cdata


@contextmanager
def timed_stages(registrar: Any) -> Iterator[dict[str, float]]:
    """The stages of what this registrar does meanwhile, in ms, summed up under their names.

    "displacement", "inputs" (lines moved, gain matched, neighbours gathered), "network", "judging" (with the metrics).
    A registrar that is another class has no stages. What a stage asks of a GPU is waited for where it is needed: in
    "network", which brings the lines back.
    """
    from sasnet_live import registrar as module

    spent: dict[str, float] = {}
    with ExitStack() as replaced:
        for stage, owner, name in _calls(module, registrar):
            replaced.enter_context(patch.object(owner, name, _clocked(getattr(owner, name), stage, spent)))
        yield spent


@contextmanager
def flops_of(registrar: Any) -> Iterator[FlopCounterMode]:
    """Counts floating-point operations of convolutions and matrix products that this registrar does meanwhile."""
    renderer = getattr(registrar, "_renderer", None)
    run = getattr(renderer, "_run", None)
    with ExitStack() as replaced, FlopCounterMode(display=False) as counter:
        if isinstance(run, RecordedNetwork):
            replaced.enter_context(patch.object(renderer, "_run", run.plain))
        yield counter


def _calls(module: Any, registrar: Any) -> list[tuple[str, Any, str]]:
    """Stage, owner and name of the functions that a registrar calls."""
    tracker, renderer = getattr(registrar, "_tracker", None), getattr(registrar, "_renderer", None)
    if tracker is None or renderer is None:
        return []
    return [
        ("displacement", tracker, "find"),
        ("displacement", tracker, "accept"),
        ("inputs", module, "forward_at_backward_lines"),
        ("inputs", module, "render_inputs"),
        ("network", renderer, "render"),
        ("judging", module, "judged"),
    ]


def _clocked(function: Callable[..., Any], stage: str, spent: dict[str, float]) -> Callable[..., Any]:
    @wraps(function)
    def clocked(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            spent[stage] = spent.get(stage, 0.0) + 1e3 * (time.perf_counter() - began)

    return clocked
