"""Whether the confidence can be trusted. Run from the repository:

    python docs/benchmark_confidence.py
    python docs/benchmark_confidence.py --only impostors --impostors 200

Three parts. `frames`: of frames with a known displacement, how many are accepted, and of those how many have a mean
error below 0.5 px where there is texture; then by bins of confidence. `lines`: predicted against actual error of single
lines. `impostors`: frames that nobody can register; none may be accepted.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np

from sasnet_live.correspondence import ACCEPTED_CONFIDENCE, find_displacement
from sasnet_live.evaluation.parts import line_errors
from sasnet_live.registrar import Registrar
from sasnet_live.scan import forward_at_backward_lines, split
from sasnet_live.simulation import (
    CONTENT_KINDS,
    SceneBank,
    SimulatedFrame,
    SimulatedPairs,
    content_scene,
    random_scanner,
    scan,
    training_frame,
    vascular_scene,
)
from sasnet_live.simulation.impostors import IMPOSTOR_KINDS, impostor

RIGHT_PX = 0.5
EDGES = (0, 0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0001)
NOISES = ("pulse_noise", "shot_noise", "electronic_noise", "line_gain_noise", "line_offset_noise")


def test_split(limit: int, size: int) -> Iterator[tuple[str, SimulatedFrame]]:
    """Frames of or-pam-sim-4k by level, spread evenly."""
    pairs = SimulatedPairs(height=size, width=size)
    scenes = pairs.size("test") // 3
    for k in range(min(limit, scenes)):
        for level in range(3):
            index = 3 * (k * scenes // min(limit, scenes)) + level
            yield pairs.level(index), pairs.load_pair("test", index)


def noisier(limit: int, size: int) -> Iterator[tuple[str, SimulatedFrame]]:
    """Vessels through a hard scanner whose noise is many times what it should be."""
    rng = np.random.default_rng(4242)
    for _ in range(limit):
        scene = vascular_scene(rng, size, size, samples_per_px=2.0)
        scanner = random_scanner(rng, "hard", size)
        for factor in (2, 4, 8):
            noisy = replace(scanner, **{name: factor * getattr(scanner, name) for name in NOISES})
            yield f"hard, noise x {factor}", scan(scene, noisy, rng, height=size, width=size)


def anything(limit: int, size: int, seed: int = 777) -> Iterator[tuple[str, SimulatedFrame]]:
    """Any content through any scanner."""
    rng, bank = np.random.default_rng(seed), SceneBank(size, size, uses=4)
    for _ in range(2 * limit):
        yield "any content, any scanner", training_frame(rng, size, size, bank)


def beyond_reach(limit: int, size: int, seed: int = 99) -> Iterator[tuple[str, SimulatedFrame]]:
    """Any content displaced by 12 to 25 % of the line; a registrar looks for a tenth either side at first."""
    rng = np.random.default_rng(seed)
    for k in range(limit):
        kind = CONTENT_KINDS[k % len(CONTENT_KINDS)]
        scene = content_scene(rng, kind, size, size, margin_px=(24.0, 0.15 * size + 8))
        lag_px = float(rng.choice([-1, 1]) * rng.uniform(0.12, 0.25)) * size
        scanner = replace(random_scanner(rng, "medium", size), lag_px=lag_px, fast_axis="triangular")
        yield "displaced out of reach", scan(scene, scanner, rng, height=size, width=size)


class Found:
    """What was found in one frame, and what is true."""

    def __init__(self, frame: SimulatedFrame) -> None:
        forward, backward = (lines.astype(np.float32) for lines in split(frame.raw, frame.geometry))
        target = forward_at_backward_lines(forward, len(backward), frame.geometry)
        found = find_displacement(target, backward)
        self.confidence = found.confidence
        error = (found.displacement_px - frame.displacement_px)[frame.textured]
        self.error_px = float(np.abs(error).mean()) if error.size else np.nan
        self.deviation_px = found.evidence.deviation_px
        self.rms_px = float(np.sqrt(np.square(error).mean())) if error.size else np.nan
        self.line_deviation_px = found.evidence.line_deviation_px
        self.line_confidence = found.evidence.line_confidence
        self.line_error_px = line_errors(found.displacement_px, frame.displacement_px, frame.textured)


def collect(options: argparse.Namespace) -> dict[str, list[Found]]:
    groups: dict[str, list[Found]] = {}
    any_content = partial(anything, seed=options.content_seed)
    far = partial(beyond_reach, seed=options.far_seed)
    for source in (test_split, noisier, any_content, far):
        for group, frame in source(options.limit, options.size):
            found = Found(frame)
            if np.isfinite(found.error_px):
                groups.setdefault(group, []).append(found)
    return groups


def print_frames(groups: dict[str, list[Found]]) -> None:
    print(f"\nAccepted: confidence of {ACCEPTED_CONFIDENCE} or more. Right: mean error below {RIGHT_PX} px.\n")
    print("| frames | accepted | of those right | worst accepted, px | right, but not accepted |")
    print("|---|---|---|---|---|")
    everything = [found for group in groups.values() for found in group]
    for name, group in {**groups, "all": everything}.items():
        accepted = [found for found in group if found.confidence >= ACCEPTED_CONFIDENCE]
        right = [found for found in accepted if found.error_px < RIGHT_PX]
        missed = [f for f in group if f.confidence < ACCEPTED_CONFIDENCE and f.error_px < RIGHT_PX]
        share = f"{len(right)} ({len(right) / len(accepted):.1%})" if accepted else "–"
        worst = f"{max(found.error_px for found in accepted):.2f}" if accepted else "–"
        print(f"| {name}: {len(group)} | {len(accepted)} | {share} | {worst} | {len(missed)} |")
    print("\n| confidence | frames | mean confidence | share right | mean error, px | predicted rms / rms error, px |")
    print("|---|---|---|---|---|---|")
    for low, high in pairwise(EDGES):
        inside = [found for found in everything if low <= found.confidence < high]
        if inside:
            share = np.mean([found.error_px < RIGHT_PX for found in inside])
            means = [np.mean([getattr(f, name) for f in inside]) for name in ("confidence", "error_px")]
            rms = [np.sqrt(np.mean([getattr(f, name) ** 2 for f in inside])) for name in ("deviation_px", "rms_px")]
            print(
                f"| {low:g} to {min(high, 1):g} | {len(inside)} | {means[0]:.3f} | {share:.1%} | {means[1]:.2f} | "
                f"{rms[0]:.2f} / {rms[1]:.2f} |"
            )


def print_lines(groups: dict[str, list[Found]]) -> None:
    print("\nSingle lines of accepted frames, root mean square, px:\n")
    print("| frames | lines | predicted | actual | actual / predicted | by sixths of the predicted deviation |")
    print("|---|---|---|---|---|---|")
    for name, group in groups.items():
        accepted = [found for found in group if found.confidence >= ACCEPTED_CONFIDENCE]
        if not accepted:
            continue
        predicted, error = (
            np.concatenate([getattr(found, part) for found in accepted])
            for part in ("line_deviation_px", "line_error_px")
        )
        known = np.isfinite(error) & np.isfinite(predicted)
        predicted, error = predicted[known], error[known]
        order = np.array_split(np.argsort(predicted), 6)
        ratios = ", ".join(f"{rms(error[part]) / rms(predicted[part]):.2f}" for part in order)
        print(
            f"| {name} | {len(error)} | {rms(predicted):.3f} | {rms(error):.3f} | {rms(error) / rms(predicted):.2f} | "
            f"{ratios} |"
        )


def print_line_confidence(groups: dict[str, list[Found]]) -> None:
    found = [found for group in groups.values() for found in group if found.confidence >= ACCEPTED_CONFIDENCE]
    sure, error = (np.concatenate([getattr(f, name) for f in found]) for name in ("line_confidence", "line_error_px"))
    print("\nLines of all accepted frames, by the confidence of the line; right: within 0.5 px:\n")
    print("| confidence | lines | mean confidence | share right |")
    print("|---|---|---|---|")
    bins = (0, 0.2, 0.5, 0.65, 0.8, 0.95, 1.01)
    for low, high in pairwise(bins):
        inside = (sure >= low) & (sure < high) & np.isfinite(error)
        if inside.any():
            share = (np.abs(error[inside]) < 0.5).mean()
            print(f"| {low:g} to {min(high, 1):g} | {inside.sum()} | {sure[inside].mean():.3f} | {share:.1%} |")


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


def print_impostors(options: argparse.Namespace) -> None:
    print(f"\nImpostors, {options.impostors} a size and kind of noise:\n")
    print("| sort | size | frames | accepted | highest confidence | accepted, or nearest to it, by kind |")
    print("|---|---|---|---|---|---|")
    for sort, kinds in IMPOSTOR_KINDS.items():
        # As many pairs of unrelated contents as there are frames of two kinds of noise, at the least one a pair.
        each = max(1, 2 * options.impostors // len(kinds)) if sort == "unrelated passes" else options.impostors
        for height, width in options.shapes:
            registrar = Registrar("correspondence", temporal=False)
            rng = np.random.default_rng([height, width, options.seed])
            accepted: Counter[str] = Counter()
            highest: dict[str, float] = {}
            for kind in kinds:
                for _ in range(each):
                    found = registrar.register(impostor(rng, kind, height, width))
                    accepted[kind] += found.accepted
                    highest[kind] = max(highest.get(kind, 0.0), found.metrics.confidence)
            worst = sorted(highest, key=highest.__getitem__)[-3:][::-1]
            named = [kind for kind in kinds if accepted[kind]] or worst
            listed = ", ".join(f"{kind}: {accepted[kind]} ({highest[kind]:.2f})" for kind in named)
            print(
                f"| {sort} | {height} x {width} | {each * len(kinds)} | {sum(accepted.values())} | "
                f"{max(highest.values()):.2f} | {listed} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=48, help="frames of each group")
    parser.add_argument("--size", type=int, default=512, help="lines and px of frames with a known displacement")
    parser.add_argument("--content-seed", type=int, default=777, help="of frames of any content")
    parser.add_argument("--far-seed", type=int, default=99, help="of frames displaced out of reach")
    parser.add_argument("--seed", type=int, default=13, help="of the impostors")
    parser.add_argument("--impostors", type=int, default=40, help="of each kind of noise and size")
    parser.add_argument("--only", choices=["frames", "impostors"])
    options = parser.parse_args()
    options.shapes = [(128, 192), (256, 256), (512, 512)]
    if options.only != "impostors":
        groups = collect(options)
        print_frames(groups)
        print_lines(groups)
        print_line_confidence(groups)
    if options.only != "frames":
        print_impostors(options)


if __name__ == "__main__":
    main()
