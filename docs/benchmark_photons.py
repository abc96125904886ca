"""Recordings of few photons: how many frames are accepted, how many of those are right. Run from the repository:

    python docs/benchmark_photons.py
    python docs/benchmark_photons.py --real photon_starved.tif
    python docs/benchmark_photons.py --impostors

Simulated vessels over a background that has most of the photons, counted by a Poisson process, through scanners of the
level "medium" that drift; the scene stands still or slides. A frame is right if its mean error is below 0.5 px where
there is texture. With ``--real``, a recording without truth: its frames are compared with the mean of all of them. With
``--impostors``, recordings that nobody can register: noise that is new in each frame, and passes of two scenes, or
lattices displaced by a period, that stay under noise that is new; none of their frames may be accepted.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from sasnet_live.correspondence import find_displacement
from sasnet_live.evaluation.parts import error_parts
from sasnet_live.geometry import ScanGeometry
from sasnet_live.recordings import open_recording
from sasnet_live.registrar import Registrar
from sasnet_live.scan import forward_at_backward_lines, split
from sasnet_live.simulation import SimulatedFrame, random_scanner, scan, vascular_scene
from sasnet_live.simulation.impostors import IMPOSTOR_KINDS, impostor

RIGHT_PX = 0.5
SLIDES = ((0.0, 0.0), (0.0, 0.4), (0.3, 0.7))  # px a frame, down the frame and along the line
INTERVAL_S = 0.5  # between frames, which the scanner's drift goes by


def recording(
    seed: int, photons: float, background: float, slide: tuple[float, float], frames: int, size: int
) -> Iterator[tuple[SimulatedFrame, Any]]:
    """Frames and their counts (size, size) uint16, `photons` a px on average."""
    rng = np.random.default_rng(seed)
    scene = vascular_scene(rng, size, size, samples_per_px=2.0, margin_px=(40.0, 60.0))
    scanner = random_scanner(rng, "medium", size).without_noise()
    for k in range(frames):
        moved = scene.moved(slide[0] * k, slide[1] * k)
        frame = scan(moved, scanner, rng, height=size, width=size, time_s=INTERVAL_S * k)
        clean = np.maximum(frame.raw - scanner.black_level * scanner.full_scale, 0.0)
        mean = photons * (background + (1 - background) * clean / clean.mean())
        yield frame, rng.poisson(mean).astype(np.uint16)


def simulated(options: argparse.Namespace) -> None:
    """A row for each mean count and motion of the scene."""
    print(f"{'photons':>8} {'slide, px':>12} {'frames':>7} {'accepted':>9} {'alone':>6} {'right':>6} {'error, px':>10}")
    for photons in options.photons:
        for slide in SLIDES:
            accepted, errors, alone, count = 0, [], 0, 0
            for seed in range(options.seed, options.seed + options.recordings):
                registrar = Registrar("correspondence", device="cpu")
                frames = recording(seed, photons, options.background, slide, options.frames, options.size)
                for k, (frame, raw) in enumerate(frames):
                    found = registrar.register(raw)
                    if k < options.begin:
                        continue
                    count += 1
                    accepted += found.accepted
                    alone += found.evidence_frames == 1
                    if found.accepted:
                        errors.append(error_parts(found.displacement_px, frame.displacement_px, frame.textured).total)
            right = np.mean(np.array(errors) < RIGHT_PX) if errors else float("nan")
            mean = np.mean(errors) if errors else float("nan")
            print(
                f"{photons:8.2f} {slide!s:>12} {count:7d} {accepted / count:9.1%} {alone:6d} {right:6.1%} {mean:10.3f}",
                flush=True,
            )


def real(path: str) -> None:
    """Frames of a recording beside the mean of all."""
    geometry = ScanGeometry()
    with open_recording(path) as file:
        frames = [frame.astype(np.float32) for frame in file.frames()]
    forward, backward = split(np.mean(frames, axis=0), geometry)
    all_frames = find_displacement(forward_at_backward_lines(forward, len(backward), geometry), backward)
    registrar = Registrar("correspondence", device="cpu")
    found = [registrar.register(frame) for frame in frames]
    for first in range(0, len(frames), 10):
        some = [one for one in found[first : first + 10] if one.accepted]
        profiles = [one.displacement_px.mean(0) for one in some]
        apart = [float(np.abs(profile - all_frames.displacement_px.mean(0)).mean()) for profile in profiles]
        lag = np.mean([profile.mean() for profile in profiles]) if some else float("nan")
        print(
            f"frames {first:3d} on: {len(some):2d} accepted, displacement {lag:5.2f} px, "
            f"{np.mean(apart) if apart else float('nan'):.2f} px from the mean of all"
        )


def impostors(options: argparse.Namespace) -> None:
    """Recordings of each kind of impostor: frames accepted."""
    height, width = 128, 192
    for sort, kinds in IMPOSTOR_KINDS.items():
        frames, accepted = 0, []
        for number, kind in enumerate(kinds):
            rng = np.random.default_rng([options.seed, number, len(sort)])
            registrar = Registrar("correspondence", device="cpu")
            shown = impostor(rng, kind, height, width).astype(np.float32)
            for _ in range(options.frames):
                if sort == "noise":
                    raw = impostor(rng, kind, height, width)
                else:
                    raw = shown + shown.std() * rng.standard_normal(shown.shape, np.float32)
                found = registrar.register(raw)
                frames += 1
                accepted += [kind] if found.accepted else []
        named = f": {', '.join(sorted(set(accepted)))}" if accepted else ""
        print(f"{sort}: {len(kinds)} recordings, {frames} frames, {len(accepted)} accepted{named}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photons", type=float, nargs="+", default=[0.3, 0.5, 1.0], help="a px, on average")
    parser.add_argument("--background", type=float, default=0.8, help="share of them that shows nothing")
    parser.add_argument("--recordings", type=int, default=6)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--begin", type=int, default=20, help="first frame that counts")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=9000)
    parser.add_argument("--real", metavar="FILE", help="a recording without truth")
    parser.add_argument("--impostors", action="store_true", help="recordings that nobody can register")
    options = parser.parse_args()
    if options.impostors:
        impostors(options)
    elif options.real:
        real(options.real)
    else:
        simulated(options)


if __name__ == "__main__":
    main()
