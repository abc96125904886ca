"""Scores during a run, on frames that are kept aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from sasnet_live.network.config import CorrespondenceKind

from .data import Sample, collate, make_sample
from .similarity import ncc, ssim


@dataclass(frozen=True)
class Score:
    """Mean NCC and SSIM of one group of frames against their truth: what the network is given, and rendered."""

    group: str
    ncc_source: float
    ncc_rendered: float
    ssim_source: float
    ssim_rendered: float


def simulated_validation(
    per_level: int, correspondence: CorrespondenceKind, height: int = 512, width: int = 512
) -> dict[str, list[Sample]]:
    """The first frames of the validation split of or-pam-sim-4k, by level."""
    from sasnet_live.simulation.dataset import SimulatedPairs

    pairs = SimulatedPairs(height=height, width=width)
    groups: dict[str, list[Sample]] = {}
    for index in range(3 * per_level):
        frame = pairs.load_pair("validation", index)
        sample = make_sample(frame.raw, frame.geometry, frame.truth, correspondence=correspondence)
        if sample is not None:
            groups.setdefault(pairs.level(index), []).append(sample)
    return groups


def one_scanner_validation(
    frames: int, correspondence: CorrespondenceKind, height: int, width: int
) -> dict[str, list[Sample]]:
    """The first frames of the validation split of or-pam-sim-one, scored against the forward pass as published."""
    from sasnet_live.simulation.dataset import SimulatedPairs

    pairs = SimulatedPairs("or-pam-sim-one", height=height, width=width)
    raws = (pairs.load_pair("validation", index) for index in range(frames))
    samples = (make_sample(frame.raw, frame.geometry, correspondence=correspondence) for frame in raws)
    return {pairs.level(0): [sample for sample in samples if sample is not None]}


@torch.no_grad()
def validate(network: nn.Module, groups: dict[str, list[Sample]], device: torch.device) -> list[Score]:
    """Score every group, one frame at a time, in float32."""
    scores = []
    for group, samples in groups.items():
        rows = []
        for sample in samples:
            batch = collate([sample]).to(device)
            rendered = network(batch.source, batch.target, batch.earlier, batch.later).rendered
            images = (batch.source, rendered)
            rows.append([float(f(batch.truth, image)) for f in (ncc, ssim) for image in images])
        mean = torch.tensor(rows).nanmean(0).tolist()
        scores.append(Score(group, *mean))
    return scores


def merit(scores: Sequence[Score]) -> float:
    """One number to choose the best checkpoint by: mean of NCC and SSIM over groups."""
    return sum(score.ncc_rendered + score.ssim_rendered for score in scores) / (2 * len(scores))
