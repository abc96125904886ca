"""Where a run computes: one process or one of several, on which device, in which arithmetic."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed
from torch import nn

from sasnet_live.errors import InputError
from sasnet_live.network.device import device_of
from sasnet_live.network.precision import computes_bfloat16


@dataclass(frozen=True)
class Process:
    """This process among those of the run, as `torchrun` numbers them.

    Attributes
    ----------
    rank, world
        Number of this process, from 0, and how many there are.
    local_rank
        Its number on this machine: the GPU that it takes.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls) -> Process:
        """As `torchrun` started it, or the only one."""
        return cls(*(int(os.environ.get(name, value)) for name, value in _VARIABLES.items()))

    @property
    def leads(self) -> bool:
        """True in the one process that validates, writes and reports."""
        return self.rank == 0


_VARIABLES = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0}


def pick_device(name: str, process: Process) -> torch.device:
    """The device of this process; "auto" and "cuda" give each process of a machine a GPU of its own.

    Raises
    ------
    InputError
        If there is no such device.
    """
    device = device_of(name)
    if device.type != "cuda":
        return device
    count = torch.cuda.device_count()
    index = process.local_rank if device.index is None else device.index
    if index >= count:
        raise InputError(
            f"CUDA device {index} was asked for, but torch finds {count}; use --device cpu, or fewer processes"
        )
    return torch.device("cuda", index)


def autocast_dtype(name: str, device: torch.device) -> torch.dtype | None:
    """The dtype that convolutions are computed in; None for float32.

    Raises
    ------
    InputError
        For fp16 anywhere but on CUDA, where gradients are scaled to survive its range.
    """
    if name == "auto":
        return torch.bfloat16 if computes_bfloat16(device) else None
    if name == "fp16" and device.type != "cuda":
        raise InputError(f"precision fp16 was asked for on {device.type}; it needs CUDA: use fp32 or bf16")
    return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[name]


@contextmanager
def in_step(network: nn.Module, process: Process, device: torch.device) -> Iterator[nn.Module]:
    """The network, with its gradients averaged over all processes where there are several."""
    if process.world == 1:
        yield network
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield nn.parallel.DistributedDataParallel(network)
        torch.distributed.barrier()  # until the first process has validated and written for the last time
    finally:
        torch.distributed.destroy_process_group()
