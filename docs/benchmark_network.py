"""Size and time of the network for several choices of width, folding and depth. Run from the repository:

    python docs/benchmark_network.py
    python docs/benchmark_network.py --size 1024x1024 --repeats 40 --threads 1
    python docs/benchmark_network.py --accuracy 16

One configuration differs from `lite` in what its name says. Weights are random, which changes no time. Times are of the
network alone, for one frame: the fastest and the median of `--repeats` passes, configurations taking turns, so that
other load on the machine falls on all of them. Its accuracy each configuration would have to be trained for.

With `--accuracy N`: what 16 bit change in the NCC and SSIM of the shipped `lite` weights against the hidden truth, on
the first N validation frames of each level, given what training gives it (the true displacement and its small errors).
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from dataclasses import replace

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from sasnet_live.memory import keep_freed_memory
from sasnet_live.network.checkpoint import load_model
from sasnet_live.network.config import PRESETS, SASNetConfig
from sasnet_live.network.names import find_weights
from sasnet_live.network.precision import DTYPES, computes_bfloat16, with_convolutions_in
from sasnet_live.network.sasnet import SASNet
from sasnet_live.training.data import collate
from sasnet_live.training.similarity import ncc, ssim
from sasnet_live.training.validation import simulated_validation

LITE = PRESETS["lite"]
CONFIGURATIONS: dict[str, SASNetConfig] = {
    "lite": LITE,
    "channels 16, 32": replace(LITE, channels=(16, 32)),
    "channels 24, 48": replace(LITE, channels=(24, 48)),
    "channels 16, 32, 64": replace(LITE, channels=(16, 32, 64), blocks=(1, 1, 1)),
    "channels 16, 64": replace(LITE, channels=(16, 64)),
    "channels 32, 64": replace(LITE, channels=(32, 64)),
    "blocks 0, 1": replace(LITE, blocks=(0, 1)),
    "blocks 0, 2": replace(LITE, blocks=(0, 2)),
    "scene_blocks 0": replace(LITE, scene_blocks=0),
    "fold_px 8": replace(LITE, fold_px=8),
    "fold_px 8, channels 32, 64": replace(LITE, fold_px=8, channels=(32, 64)),
    "fold_px 8, channels 48, 64": replace(LITE, fold_px=8, channels=(48, 64)),
    "fold_px 8, channels 32, 48": replace(LITE, fold_px=8, channels=(32, 48)),
    "full": PRESETS["full"],
}


def passes(height: int, width: int) -> list[torch.Tensor]:
    """What the network is given of one raw frame."""
    generator = torch.Generator().manual_seed(0)
    scene = torch.rand((1, height // 2, width), generator=generator)
    return [scene + 0.1 * torch.rand(scene.shape, generator=generator) for _ in range(4)]


def print_accuracy(per_level: int) -> None:
    """NCC and SSIM in float32, and how they change in bfloat16: mean, and largest of any frame."""
    exact, _ = load_model(find_weights("lite"))
    assert isinstance(exact, SASNet)
    rounded = with_convolutions_in(copy.deepcopy(exact), torch.bfloat16)
    print("| level | frames | NCC, SSIM in fp32 | mean change in bf16 | largest change |\n|---|---|---|---|---|")
    for level, samples in simulated_validation(per_level, "explicit").items():
        rows = []
        for sample in samples:
            batch = collate([sample])
            lines = (batch.source, batch.target, batch.earlier, batch.later)
            with torch.inference_mode():
                images = [network(*lines).rendered for network in (exact, rounded)]
            rows.append([[float(likeness(batch.truth, image)) for likeness in (ncc, ssim)] for image in images])
        scores = np.array(rows)  # (frames, precision, likeness)
        change = scores[:, 1] - scores[:, 0]
        cells = (scores[:, 0].mean(0), change.mean(0), np.abs(change).max(0))
        forms = (".4f", ".1e", ".1e")
        texts = [", ".join(f"{value:{form}}" for value in cell) for cell, form in zip(cells, forms, strict=True)]
        print(f"| {level} | {len(samples)} | {' | '.join(texts)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="512x512", help="height x width of the raw frame")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--accuracy", type=int, metavar="N", help="of bfloat16 instead, on N frames a level")
    options = parser.parse_args()
    if options.accuracy:
        print_accuracy(options.accuracy)
        return
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    height, width = map(int, options.size.split("x"))
    frame = passes(height, width)
    precisions = ["fp32", "bf16"] if computes_bfloat16(torch.device("cpu")) else ["fp32"]

    networks: dict[tuple[str, str], SASNet] = {}
    facts: dict[str, tuple[int, float]] = {}
    for name, config in CONFIGURATIONS.items():
        network = SASNet(config).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(*frame)
        facts[name] = sum(p.numel() for p in network.parameters()), counter.get_total_flops() / 2e9
        for precision in precisions:
            networks[name, precision] = with_convolutions_in(copy.deepcopy(network), DTYPES[precision])

    times: dict[tuple[str, str], list[float]] = {key: [] for key in networks}
    with torch.inference_mode():
        for repeat in range(options.repeats + 3):
            for key, network in networks.items():
                began = time.perf_counter()
                network(*frame)
                if repeat >= 3:
                    times[key].append(1e3 * (time.perf_counter() - began))

    print(f"{options.size}, {options.threads} threads, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}\n")
    print(f"| configuration | parameters | GMAC | {' | '.join(f'{p}, ms: fastest, median' for p in precisions)} |")
    print("|---|---|---|" + "---|" * len(precisions))
    for name, (parameters, gmac) in facts.items():
        cells = [f"{min(times[name, p]):.1f}, {np.median(times[name, p]):.1f}" for p in precisions]
        print(f"| {name} | {parameters / 1e6:.3f} M | {gmac:.2f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
