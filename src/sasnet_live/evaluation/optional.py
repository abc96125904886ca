"""Libraries that only evaluation needs, imported when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sasnet_live.errors import InputError


def library(module: str) -> Any:
    """Import a library of the `evaluate` extra.

    Raises
    ------
    InputError
        If it is not installed, with the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise InputError(
            f'evaluation needs {name}, which cannot be imported ({error}); run: pip install "sasnet-live[evaluate]"'
        ) from error
