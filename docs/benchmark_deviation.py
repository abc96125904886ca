"""What the standard deviation of a displacement is worth, on simulated frames with truth. Run from the repository:

    python docs/benchmark_deviation.py
    python docs/benchmark_deviation.py --follow 10 --sizes 256

For each size and level: frames accepted, the mean of the squared error over the variance (1 where it is honest), and
the share of px whose error is within one and two deviations (0.68 and 0.95 for a normal distribution).
"""

from __future__ import annotations

import argparse

import numpy as np

from sasnet_live.correspondence import ACCEPTED_CONFIDENCE, Tracker
from sasnet_live.correspondence.uncertainty import measured_displacement
from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import forward_at_backward_lines, split
from sasnet_live.simulation import random_scanner, scan, vascular_scene

MARGIN_PX = 8  # at both ends of a line, where content is not seen by both passes


def ratios(size: int, level: str, frames: int, follow: int) -> list[np.ndarray]:
    """Squared error over variance of each px, of each accepted frame; each after so many others of its scanner."""
    geometry, found = ScanGeometry(), []
    for seed in range(frames):
        rng = np.random.default_rng(1000 + seed)
        scene, scanner, tracker = vascular_scene(rng, size, size), random_scanner(rng, level, size), Tracker()  # type: ignore[arg-type]
        for _ in range(follow + 1):
            made = scan(scene, scanner, rng, height=size, width=size, geometry=geometry)
            forward, backward = split(made.raw.astype(np.float32), geometry)
            one = tracker.find(forward_at_backward_lines(forward, len(backward), geometry), backward)
            if one.confidence >= ACCEPTED_CONFIDENCE:
                tracker.accept(one)
        if one.confidence >= ACCEPTED_CONFIDENCE:
            error = one.displacement_px - made.displacement_px
            of_px = np.square(error / measured_displacement(one).deviation_px())
            found.append(of_px[:, MARGIN_PX:-MARGIN_PX].ravel())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512], help="lines and px of a frame")
    parser.add_argument("--frames", type=int, default=16, help="of each size and level")
    parser.add_argument("--follow", type=int, default=0, help="frames of the same scanner before each one")
    options = parser.parse_args()
    print("| px | level | accepted | squared error / variance | within 1 | within 2 |")
    print("|---|---|---|---|---|---|")
    for size in options.sizes:
        for level in ("easy", "medium", "hard"):
            found = ratios(size, level, options.frames, options.follow)
            if not found:
                print(f"| {size} | {level} | 0 of {options.frames} | – | – | – |")
                continue
            of_px = np.concatenate(found)
            shares = " | ".join(f"{(of_px < deviations**2).mean():.2f}" for deviations in (1, 2))
            accepted = f"{len(found)} of {options.frames}"
            print(f"| {size} | {level} | {accepted} | {of_px.mean():.2f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
