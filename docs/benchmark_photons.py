"""Recordings with few photons: how many frames are accepted, and how many of these are right. Run from the repository:

    python docs/benchmark_photons.py
    python docs/benchmark_photons.py --photons 0.3 --seeds 10 --each-frame

Simulated recordings of vessels through a scanner that drifts and jitters, each px a Poisson count with a mean of so many
photons over the frame, most of them background, under a scene that stands still or slides. Right: the mean error is below 0.5 px where there is
texture. Frames are judged from the 20th on (`--from`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sasnet_live.registrar import Registrar
from sasnet_live.simulation import SimulatedFrame, random_scanner, scan, vascular_scene

RIGHT_PX = 0.5
NOISES = ("pulse_noise", "shot_noise", "electronic_noise", "line_gain_noise", "line_offset_noise")
SLIDES = {"still": (0.0, 0.0), "slides along lines": (0.0, 0.7), "slides across": (0.5, 0.3)}  # px a frame, (y, x)


def recording(seed: int, photons: float, slide: tuple[float, float], options: argparse.Namespace) -> Iterator[SimulatedFrame]:
    """Frames with so many photons a px."""
    rng = np.random.default_rng([seed, round(100 * photons), options.size])
    size = options.size
    scanner = replace(random_scanner(rng, options.level, size), **dict.fromkeys(NOISES, 0.0))
    scene = vascular_scene(rng, size, size)
    for index in range(options.frames):
        moved = scene.moved(slide[0] * index, slide[1] * index)
        frame = scan(moved, scanner, rng, height=size, width=size, time_s=0.5 * index)
        signal = (frame.raw - np.quantile(frame.raw, 0.001)).clip(0)
        share = options.background + (1 - options.background) * signal / signal.mean()
        counts = rng.poisson(photons * share)
        yield replace(frame, raw=counts.astype(np.uint16))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photons", type=float, nargs="+", default=[0.3, 0.5, 1.0])
    parser.add_argument("--seeds", type=int, default=4, help="recordings of each kind")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--from", dest="begin", type=int, default=20, help="frame from which on is judged")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--level", default="medium", choices=["easy", "medium", "hard"])
    parser.add_argument("--background", type=float, default=0.7, help="share of all photons that is of no structure")
    parser.add_argument("--each-frame", action="store_true")
    options = parser.parse_args()
    print("| photons a px | scene | frames judged | accepted | of those right | mean error, px | rests on frames |")
    print("|---|---|---|---|---|---|---|")
    for photons in options.photons:
        for name, slide in SLIDES.items():
            errors, rests_on, judged = [], [], 0
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                registrar = Registrar("correspondence", output="warped")
                for index, frame in enumerate(recording(seed, photons, slide, options)):
                    found = registrar.register(frame.raw)
                    error = np.abs(found.displacement_px - frame.displacement_px)[frame.textured].mean()
                    if options.each_frame:
                        print(
                            f"{seed} {index:3d} accepted {found.accepted} confidence {found.metrics.confidence:.2f} "
                            f"frames {found.evidence_frames} error {error:.2f} {found.reason}"
                        )
                    if index < options.begin:
                        continue
                    judged += 1
                    if found.accepted:
                        errors.append(error)
                        rests_on.append(found.evidence_frames)
            right = np.mean(np.array(errors) < RIGHT_PX) if errors else np.nan
            mean = np.mean(errors) if errors else np.nan
            frames = f"{min(rests_on)} to {max(rests_on)}" if rests_on else "–"
            print(
                f"| {photons:g} | {name} | {judged} | {len(errors) / judged:.1%} | {right:.1%} | {mean:.2f} | {frames} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
