"""The losses of SAS-Net, each with a weight that can be zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sasnet_live.errors import InputError
from sasnet_live.metrics import ncc, ssim

from .data import Batch
from .weights import LossWeights


def losses(network: nn.Module, batch: Batch, weights: LossWeights) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the losses of a batch, and each by name without its weight."""
    rendering = network(batch.source, batch.target, batch.earlier, batch.later)
    rendered = rendering.rendered.float()
    scale = batch.target.std((1, 2), keepdim=True) + 1e-6
    terms: dict[str, Tensor] = {}
    if weights.cross:
        terms["cross"] = ((rendered - batch.truth).abs() / scale).mean()
    if weights.similarity:
        terms["similarity"] = (1 - ssim(batch.truth, rendered)).mean()
    if weights.alignment:
        terms["alignment"] = (1 - ncc(batch.target, rendered)).nan_to_num(0).mean()
    if weights.scene:
        terms["scene"] = (rendering.scene_source - rendering.scene_reference).abs().mean()
    if weights.self_:
        own = network(batch.target, batch.target, batch.earlier, batch.later).rendered
        terms["self_"] = ((own - batch.target).abs() / scale).mean()
    if weights.cycle:
        again = network(rendered, batch.target, batch.earlier, batch.later)
        scene = (again.scene_source - rendering.scene_source).abs().mean()
        terms["cycle"] = scene + (again.code_source - rendering.code_reference).abs().mean()
    if not terms:
        raise InputError("all loss weights are 0; give at least one a weight")
    total = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
    return total, {name.rstrip("_"): term.detach() for name, term in terms.items()}
