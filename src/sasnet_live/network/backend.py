"""How backward lines are rendered in use: by a network on a device, or by gain matching alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sasnet_live.errors import InputError

from .checkpoint import ModelCard, load_model
from .inputs import Lines, RenderInputs
from .names import DEFAULT, WITHOUT_NETWORK, default_model, find_weights
from .precision import DTYPES, resolved_precision, with_convolutions_in
from .recorded import RecordedNetwork, Rendered, Run
from .sasnet import SASNet


class Renderer(Protocol):
    """Renders moved lines in the appearance of the forward pass.

    Attributes
    ----------
    name
        Of the model.
    card
        Of its weights, if it has any.
    precision
        "fp32", "bf16" or "fp16".
    """

    name: str
    card: ModelCard | None
    precision: str

    def render(self, inputs: RenderInputs) -> Lines:
        """(n, W) float32, units of the inputs."""
        ...


class GainRenderer:
    """Nothing learned: the smooth gain profile along the line matched."""

    def __init__(self, name: str) -> None:
        self.name, self.precision = name, "fp32"
        self.card: ModelCard | None = None

    def render(self, inputs: RenderInputs) -> Lines:
        """The gain-matched lines, which are part of the inputs."""
        return inputs.matched


class NetworkRenderer:
    """A SAS-Net on a device, in a precision that the device computes fast."""

    def __init__(self, network: SASNet, card: ModelCard, device: torch.device, precision: str) -> None:
        self.name = card.name
        self.card: ModelCard | None = card
        self.precision = resolved_precision(precision, device)
        self._device = device
        self._staging = torch.empty(0)
        # Converted once: autocast would convert weights and features again in every frame, a fifth of its time.
        network = with_convolutions_in(network.to(device), DTYPES[self.precision])
        self._run: Run = RecordedNetwork(network) if device.type == "cpu" else Rendered(network)

    @torch.inference_mode()
    def render(self, inputs: RenderInputs) -> Lines:
        """The residual of the network added to the gain-matched lines: one way to the device, one back."""
        images = (inputs.matched, inputs.target, inputs.earlier, inputs.later)
        rendered: Lines = self._run(*self._on_device(images))[0].cpu().numpy()
        return rendered

    def _on_device(self, images: tuple[Lines, ...]) -> Sequence[Tensor]:
        """(n, W) images as (1, n, W) on the device: on a CPU as they lie, elsewhere in one transfer.

        The memory they are gathered in is used again for frames of the same shape: the way back has waited for all
        that was asked of the device by then.
        """
        if self._device.type == "cpu":
            return [torch.from_numpy(np.require(image, np.float32, ("C", "W")))[None] for image in images]
        shape = (len(images), 1, *images[0].shape)
        if self._staging.shape != shape:
            self._staging = torch.empty(shape, pin_memory=self._device.type == "cuda")
        for staged, image in zip(self._staging.numpy(), images, strict=True):
            staged[0] = image
        return self._staging.to(self._device, non_blocking=True).unbind()


def open_renderer(model: str | Path, device: torch.device, precision: str) -> Renderer:
    """The renderer of a model's name or weights file.

    Raises
    ------
    InputError
        For an unknown name, an unusable file, or a precision that the device cannot compute.
    """
    if str(model) == WITHOUT_NETWORK:
        return GainRenderer(WITHOUT_NETWORK)
    if str(model) == DEFAULT:
        model = default_model(device.type)
    network, card = load_model(find_weights(model, also=(WITHOUT_NETWORK, DEFAULT)))
    if not isinstance(network, SASNet):
        raise InputError(
            f"{model}: an implicit network learns one scanner's displacement and cannot be checked; it is for "
            "`sasnet-live evaluate` only. Use lite, full or correspondence"
        )
    return NetworkRenderer(network, card, device, precision)
