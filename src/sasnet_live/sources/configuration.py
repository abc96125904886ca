"""A pymmcore-plus core of one's own with its devices loaded, and what its camera will send."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.layout import Layout
from sasnet_live.sources.live_poll import REFUSALS

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus


def load_core(config: Path | None = None) -> CMMCorePlus:
    """A core with the devices of a Micro-Manager configuration.

    Parameters
    ----------
    config
        None: Micro-Manager's own demo devices.

    Raises
    ------
    InputError
        If there is no such file, a device cannot be loaded, or none is a camera.
    """
    if config is not None and not config.is_file():
        raise InputError(f"{config}: no such file; give a Micro-Manager configuration")
    core = _empty_core(config)
    try:
        core.loadSystemConfiguration(*([] if config is None else [str(config)]))
    except FileNotFoundError as error:
        raise InputError(f"{error}; install Micro-Manager's devices with `mmcore install`") from error
    except (RuntimeError, OSError, ValueError, ImportError) as error:
        raise InputError(
            f"{config or 'the demo configuration'}: cannot be loaded ({' '.join(str(error).split())})"
        ) from error
    if not core.getCameraDevice():
        raise InputError(f"{config}: has no camera; add `Property,Core,Camera,LABEL` to it")
    return core


def layout_of_camera(core: CMMCorePlus) -> Layout | None:
    """What its frames will look like; None where the core does not tell, or where they are not gray."""
    with suppress(*REFUSALS):
        shape = (core.getImageHeight(), core.getImageWidth())
        pixel_bytes = core.getBytesPerPixel()
        if min(shape) > 0 and pixel_bytes in (1, 2):
            return Layout(shape, np.dtype(f"uint{8 * pixel_bytes}"))
    return None


def _empty_core(config: Path | None) -> CMMCorePlus:
    """A core of the kind that the configuration needs: the one for Python devices is still experimental."""
    if config is not None and "#py " in config.read_text(errors="replace"):
        from pymmcore_plus.experimental.unicore import UniMMCore

        return UniMMCore()
    from pymmcore_plus import CMMCorePlus

    return CMMCorePlus()
