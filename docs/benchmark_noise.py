"""How far noise and appearance bound PSNR on the simulated test split. Run from the repository:

    python docs/benchmark_noise.py --limit 144

Nothing is registered: each row is what is left of an error when the displacement is known exactly.
"""

from __future__ import annotations

import argparse

import numpy as np

from sasnet_live.metrics import ncc, psnr, ssim
from sasnet_live.network.gain import match_gain
from sasnet_live.scan import forward_at_backward_lines, move_lines, split
from sasnet_live.simulation import LEVELS, SimulatedPairs

ROWS = (
    "truth + the noise of the backward pass",
    "backward pass without noise, moved, gain matched",
    "backward pass moved",
    "backward pass moved, gain matched",
    "forward pass interpolated to the backward lines",
)


def images(pairs: SimulatedPairs, index: int) -> tuple[np.ndarray, list[np.ndarray], float]:
    """The truth, the images of `ROWS`, and the deviation of the noise as a part of full scale."""
    frame, clean = (pairs.load_pair("test", index, noise=noise) for noise in (True, False))
    forward, backward = (lines.astype(np.float32) for lines in split(frame.raw, frame.geometry))
    _, quiet = (lines.astype(np.float32) for lines in split(clean.raw, clean.geometry))
    noise = backward - quiet
    reference = forward_at_backward_lines(forward, len(backward), frame.geometry)
    moved, moved_quiet = (move_lines(lines, frame.displacement_px) for lines in (backward, quiet))
    shown = [frame.truth + noise, match_gain(frame.truth, moved_quiet), moved, match_gain(reference, moved), reference]
    return frame.truth, shown, float(noise.std()) / frame.full_scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=48, help="frames a level, up to 144")
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    pairs = SimulatedPairs(height=options.size, width=options.size)
    scenes = pairs.size("test") // len(LEVELS)
    count = min(options.limit, scenes)
    table = {row: [] for row in ROWS}
    noises = []
    for number, _ in enumerate(LEVELS):
        figures: dict[str, list[tuple[float, float, float]]] = {row: [] for row in ROWS}
        deviations = []
        for k in range(count):
            truth, shown, deviation = images(pairs, len(LEVELS) * (k * scenes // count) + number)
            deviations.append(deviation)
            for row, image in zip(ROWS, shown, strict=True):
                figures[row].append((psnr(truth, image), ncc(truth, image), ssim(truth, image)))
        noises.append(f"{100 * np.mean(deviations):.1f} %")
        for row in ROWS:
            table[row].append(np.mean(figures[row], 0))
    print(f"{count} frames a level; noise of the backward pass, part of full scale: {', '.join(noises)}")
    print(f"\nPSNR in dB / NCC / SSIM against the truth:\n\n| | {' | '.join(LEVELS)} | all |\n|---|---|---|---|---|")
    for row in ROWS:
        cells = [*table[row], np.mean(table[row], 0)]
        print(f"| {row} | {' | '.join(f'{db:.1f} / {a:.3f} / {b:.3f}' for db, a, b in cells)} |")


if __name__ == "__main__":
    main()
