"""Where a network computes, from the name that a user gives."""

from __future__ import annotations

import torch

from sasnet_live.errors import InputError


def device_of(name: str) -> torch.device:
    """The device of a name; "auto" is a CUDA device where there is one, else the CPU.

    Raises
    ------
    InputError
        If it is the name of none, or torch does not find it here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device is {name!r}; expected auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"device is {name!r}; expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {name!r} was asked for, but torch finds no CUDA device; use --device cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError("device 'mps' was asked for, but torch finds none; use --device cpu")
    return device
