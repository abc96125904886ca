"""One of two results, frame by frame."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result")


def either(first: Tensor, one: Result, other: Result) -> Result:
    """`one` in the frames where `first` (B,) is true, `other` elsewhere.

    Parameters
    ----------
    one, other
        Tensors (B, ...), or dataclasses or tuples that hold nothing else, of the same shapes; they may broadcast.
    """
    return _either(first, one, other)  # type: ignore[no-any-return]


def _either(first: Tensor, one: Any, other: Any) -> Any:
    if isinstance(one, Tensor):
        return torch.where(first.view(-1, *[1] * (one.ndim - 1)), one, other)
    if is_dataclass(one) and not isinstance(one, type):
        parts = {field.name: (getattr(one, field.name), getattr(other, field.name)) for field in fields(one)}
        return type(one)(**{name: _either(first, *pair) for name, pair in parts.items()})
    values = [_either(first, *pair) for pair in zip(one, other, strict=True)]
    return type(one)(*values) if hasattr(one, "_fields") else tuple(values)
