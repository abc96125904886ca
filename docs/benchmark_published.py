"""The published SAS-Net (arXiv 2602.09050) trained again and tested by its own claims. Run from the repository:

    python docs/benchmark_published.py --out runs/published

The `paper` architecture at reduced width learns one simulated scanner without truth, once with all losses and once
without each of those that the paper leaves out. All are scored on the test split of or-pam-sim-one beside the raw
pass and SIFT, and on a recording of 118 frames for temporal NCC. A benchmark that was killed goes on where it was when
it is started again; `--only train` and `--only evaluate` do one half.

Losses: cross-domain reconstruction and domain alignment compare the registered lines with the forward pass, the one by
mean absolute difference, the other by 1 - NCC. "without alignment" leaves out both: were one kept, it would still
align. "without NCC" leaves out the second alone.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from sasnet_live.evaluation.benchmark import Benchmark, run_benchmark
from sasnet_live.evaluation.datasets import open_dataset
from sasnet_live.evaluation.methods import make_methods
from sasnet_live.evaluation.tables import write_scores
from sasnet_live.network.checkpoint import read_card
from sasnet_live.training.loop import BEST, Progress, train
from sasnet_live.training.settings import TrainingSettings
from sasnet_live.training.weights import LossWeights

ALL = LossWeights(cross=1.0, similarity=0.0, alignment=1.0, scene=0.1, self_=1.0, cycle=0.1)
VARIANTS = {
    "all losses": ALL,
    "without alignment": replace(ALL, cross=0.0, alignment=0.0),
    "without scene consistency": replace(ALL, scene=0.0),
    "without cycle": replace(ALL, cycle=0.0),
    "without NCC": replace(ALL, alignment=0.0),
}
PUBLISHED = {
    "sift-affine": "NCC 0.723, SSIM 0.679",
    "all losses": "NCC 0.961 ± 0.038, SSIM 0.894 ± 0.021, temporal NCC 0.964 ± 0.010",
    "without alignment": "NCC 0.175",
}
OTHERS = ("none", "sift-affine", "correspondence")
COLUMNS = {"ncc": "NCC", "ssim": "SSIM", "psnr_db": "PSNR, dB"}


def settings_of(losses: LossWeights, options: argparse.Namespace) -> TrainingSettings:
    return TrainingSettings(
        preset="paper",
        channels=tuple(options.channels),
        scanner="one",
        losses=losses,
        steps=options.steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        height=options.size[0],
        width=options.size[1],
        validate_every=max(1, options.steps // 10),
        validation_frames=24,
        seed=options.seed,
    )


def folder_of(name: str, options: argparse.Namespace) -> Path:
    return Path(options.out) / name.replace(" ", "-")


def train_variant(name: str, options: argparse.Namespace) -> None:
    """Train one variant, or what is left of it."""
    folder, wanted = folder_of(name, options), settings_of(VARIANTS[name], options)
    begun = TrainingSettings.are_in(folder)
    if begun and TrainingSettings.load(folder) != wanted:
        raise SystemExit(f"{folder} was begun with other settings; choose another --out")

    def show(progress: Progress) -> None:
        for score in progress.scores:
            print(
                f"{name}: step {progress.step} of {progress.steps}, {progress.elapsed_s:.0f} s, validation NCC "
                f"{score.ncc_source:.4f} -> {score.ncc_rendered:.4f}, SSIM {score.ssim_source:.4f} -> "
                f"{score.ssim_rendered:.4f}, {progress.losses}",
                flush=True,
            )

    train(wanted, folder, resume=begun, device=options.device, report=show)


def evaluate(options: argparse.Namespace) -> Benchmark:
    files = {str(folder_of(name, options) / BEST): name for name in options.variants}
    methods = make_methods([*OTHERS, *files], options.device)
    named = {files.get(name, name): method for name, method in methods.items()}
    dataset = open_dataset("or-pam-sim-one", shape=tuple(options.size)).select(limit=options.limit)
    return run_benchmark(dataset, named)


def print_table(benchmark: Benchmark, options: argparse.Namespace) -> None:
    def figures(level: str, method: str, name: str) -> np.ndarray:
        values = [getattr(s, name) for s in benchmark.scores if (s.level, s.method) == (level, method)]
        return np.array([value for value in values if np.isfinite(value)])

    def cell(level: str, method: str, name: str) -> str:
        values, digits = figures(level, method, name), 2 if name == "psnr_db" else 3
        return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"

    frames = len(figures("one-scanner", "none", "ncc"))
    pairs = len(figures("recording", "none", "temporal_ncc"))
    cards = [read_card(folder_of(name, options) / BEST) for name in options.variants]
    print(f"\n{frames} test frames of {options.size[0]} x {options.size[1]} px, temporal NCC over {pairs} pairs.")
    print(
        f"Trained: channels {cards[0].config.channels}, {options.steps} steps of {options.batch_size} samples, "
        f"{cards[0].training['computed_in']}; best checkpoints at steps "
        f"{', '.join(str(card.training['step']) for card in cards)}.\n"
    )
    print(f"| method | {' | '.join(COLUMNS.values())} | NCC with the forward pass | temporal NCC | published |")
    print("|---|---|---|---|---|---|---|")
    for method in benchmark.methods:
        cells = [cell("one-scanner", method, name) for name in (*COLUMNS, "reference_ncc")]
        cells += [cell("recording", method, "temporal_ncc"), PUBLISHED.get(method, "")]
        print(f"| {method} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder of the runs")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--channels", type=int, nargs=3, default=[12, 24, 48], help="32 64 128 is the published width")
    parser.add_argument("--size", type=int, nargs=2, default=[128, 192], help="lines and px of raw frames")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--limit", type=int, help="test frames, and frames of the recording")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--only", choices=["train", "evaluate"])
    options = parser.parse_args()
    if options.only != "evaluate":
        for name in options.variants:
            train_variant(name, options)
    if options.only != "train":
        benchmark = evaluate(options)
        write_scores(benchmark, Path(options.out) / "scores.csv")
        print_table(benchmark, options)


if __name__ == "__main__":
    main()
