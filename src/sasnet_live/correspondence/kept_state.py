"""What is known of a scanner as arrays by name, to be kept on disk and taken up again."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from sasnet_live.errors import InputError

from .arrays import Floats

_NUMBER = "="  # before the names of plain numbers


def state_of(holder: Any, within: str = "") -> dict[str, Floats]:
    """All that a dataclass such as `Tracker` holds: arrays, numbers, and dataclasses of them. None is left out."""
    state: dict[str, Floats] = {}
    for field in fields(holder):
        name, value = within + field.name, getattr(holder, field.name)
        if isinstance(value, np.ndarray):
            state[name] = np.ascontiguousarray(value)
        elif is_dataclass(value):
            state |= state_of(value, f"{name}.")
        elif isinstance(value, bool | int | float):
            state[_NUMBER + name] = np.array(float(value))
        elif value is not None:
            raise TypeError(f"{name} is of type {type(value).__name__}, which is not kept")
    return state


def restore(holder: Any, state: dict[str, Floats]) -> None:
    """Make a dataclass hold what `state_of` gave, to the bit.

    Raises
    ------
    InputError
        If it is of something else, as another version of this program may have it; nothing is changed then.
    """
    numbers = {name for name in state_of(holder) if name.startswith(_NUMBER)}
    if numbers != {name for name in state if name.startswith(_NUMBER)}:
        raise InputError("the state is of another version of this program")
    _restore(holder, state, "")


def _restore(holder: Any, state: dict[str, Floats], within: str) -> None:
    for field in fields(holder):
        name, value = within + field.name, getattr(holder, field.name)
        if is_dataclass(value):
            _restore(value, state, f"{name}.")
        elif _NUMBER + name in state:
            setattr(holder, field.name, type(value)(state[_NUMBER + name].item()))
        else:
            kept = state.get(name)
            setattr(holder, field.name, kept)
