"""SASNet Live: live registration of bidirectional raster scans.

The names below load on first use; importing the package itself loads neither torch nor Qt, napari or pymmcore.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "InputError": "errors",
    "Frame": "frame",
    "Registration": "frame",
    "RegistrationMetrics": "frame",
    "ScanGeometry": "geometry",
    "split": "scan",
    "merge": "scan",
    "move_lines": "scan",
    "Registrar": "registrar",
    "LivePipeline": "live.pipeline",
}

__all__ = [*sorted(_HOME), "__version__"]

if TYPE_CHECKING:
    from .errors import InputError as InputError
    from .frame import Frame as Frame
    from .frame import Registration as Registration
    from .frame import RegistrationMetrics as RegistrationMetrics
    from .geometry import ScanGeometry as ScanGeometry
    from .live.pipeline import LivePipeline as LivePipeline
    from .registrar import Registrar as Registrar
    from .scan import merge as merge
    from .scan import move_lines as move_lines
    from .scan import split as split


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
