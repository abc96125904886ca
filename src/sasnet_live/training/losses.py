"""The losses of SAS-Net, each with a weight that can be zero."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .data import Batch
from .similarity import ncc, ssim
from .weights import LossWeights

LEAST_DEVIATION = 0.1  # of a sample, in deviations of the whole frame that it is from


def losses(network: nn.Module, batch: Batch, weights: LossWeights) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the losses of a batch, and each by name without its weight.

    Parameters
    ----------
    network
        SAS-Net, or a wrapper that averages its gradients over processes.

    Returns
    -------
    total, terms
        Scalars; `terms` are detached, and only those that have a weight.
    """
    rendering = network(batch.source, batch.target, batch.earlier, batch.later)
    rendered = rendering.rendered.float()
    # A part of a recorded frame may be empty: its noise must not count for more than the rest of the batch.
    scale = batch.target.std((1, 2), keepdim=True).clamp_min(LEAST_DEVIATION)
    terms: dict[str, Tensor] = {}
    if weights.cross:
        terms["cross"] = ((rendered - batch.truth).abs() / scale).mean()
    if weights.similarity:
        terms["similarity"] = _unlikeness(ssim, batch.truth, rendered)
    if weights.alignment:
        terms["alignment"] = _unlikeness(ncc, batch.target, rendered)
    if weights.scene:
        terms["scene"] = (rendering.scene_source - rendering.scene_reference).abs().mean()
    if weights.self_:
        passes = (batch.target, batch.source)
        own = [network(images, images, batch.earlier, batch.later).rendered for images in passes]
        errors = [(image - images).abs() / scale for image, images in zip(own, passes, strict=True)]
        terms["self_"] = torch.stack(errors).mean()
    if weights.cycle:
        again = network(rendered, batch.target, batch.earlier, batch.later)
        scene = (again.scene_source - rendering.scene_source).abs().mean()
        terms["cycle"] = scene + (again.code_source - rendering.code_reference).abs().mean()
    total = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
    if not weights.reach_the_renderer:
        # Processes that train in step wait for a gradient of every parameter, if only of 0.
        total = total + 0 * rendered.sum()
    return total, {name.rstrip("_"): term.detach() for name, term in terms.items()}


def _unlikeness(likeness: Callable[[Tensor, Tensor], Tensor], reference: Tensor, image: Tensor) -> Tensor:
    """1 - likeness, averaged over the frames for which it is defined: a constant one has a gradient of NaN."""
    usable = _varies(reference) & _varies(image)
    if not bool(usable.all()):
        reference, image = reference[usable], image[usable]
    return (1 - likeness(reference, image)).mean() if len(image) else image.sum()


def _varies(images: Tensor) -> Tensor:
    return images.amax((1, 2)) > images.amin((1, 2))
