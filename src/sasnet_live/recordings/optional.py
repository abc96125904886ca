"""Libraries that only some formats need."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from sasnet_live.errors import InputError


def library(module: str, extra: str, path: Path) -> Any:
    """Import the library that reads a format.

    Parameters
    ----------
    module
        Name to import.
    extra
        Of this program, that brings it.
    path
        The file that it is for.

    Raises
    ------
    InputError
        If it is not installed; it says how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.split(".")[0]
        raise InputError(
            f'{path}: is read with {name}, which is not installed ({error}); run: pip install "sasnet-live[{extra}]"'
        ) from error
