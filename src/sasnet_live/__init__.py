"""SASNet Live: live registration of bidirectional raster scans.

The names below load on first use; importing the package itself loads neither torch nor Qt, napari or pymmcore.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import loader

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


__getattr__ = loader(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
