"""Weights of the published network, which `Registrar` refuses, as a method to be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.network.checkpoint import load_model
from sasnet_live.network.device import device_of
from sasnet_live.network.published import PublishedSASNet
from sasnet_live.scan import forward_at_backward_lines

from .protocol import Registered

Image = np.ndarray[Any, np.dtype[Any]]


class ImplicitModel:
    """The published SAS-Net: it paints the backward lines where it has learned that they belong, and gives no
    displacement.

    Raises
    ------
    InputError
        If these are not weights of such a network, or the device is not there.
    """

    def __init__(self, weights: Path, device: str = "auto") -> None:
        network, _ = load_model(weights)
        if not isinstance(network, PublishedSASNet):
            raise InputError(f"{weights}: is a network with explicit correspondence; it runs through the registrar")
        self._device = device_of(device)
        self._network = network.to(self._device)

    @torch.inference_mode()
    def register(self, forward: Image, backward: Image, geometry: ScanGeometry) -> Registered:
        """See `Method`."""
        target = forward_at_backward_lines(forward, len(backward), geometry)
        first, second = (torch.from_numpy(lines)[None].to(self._device) for lines in (target, backward))
        # The published network does not look at the neighbouring lines.
        rendered = self._network(second, first, first, first).rendered
        return Registered(rendered[0].float().cpu().numpy())
