"""Libraries that only evaluation needs, imported when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sasnet_live.errors import InputError

_PACKAGE = {"skimage": "scikit-image"}
"""Where a library has another name on the package index."""


def library(module: str) -> Any:
    """Import a library of the `evaluate` extra: without it, the one that is missing can be installed by itself.

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
            f"this needs {name}, which cannot be imported ({error}); run: pip install {_PACKAGE.get(name, name)}"
        ) from error
