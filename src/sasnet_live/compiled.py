"""How loops over px are compiled: fused, without Python's lock, kept on disk for the next start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Loop = TypeVar("Loop", bound=Callable[..., Any])

# Sums may be taken in any order and products fused; infinite values and NaN keep their meaning.
REORDERED = {"reassoc", "contract", "arcp", "nsz"}


def compiled(loop: Loop) -> Loop:
    """Compiled when it is first called."""
    how: dict[str, Any] = {"nogil": True, "fastmath": REORDERED, "error_model": "numpy"}
    try:
        kept: Loop = njit(cache=True, **how)(loop)
        return kept
    except RuntimeError:  # nowhere to keep it: compiled anew at each start
        anew: Loop = njit(**how)(loop)
        return anew
