"""Displacement error while a recording is followed, against each frame by itself. Run from the repository:

    python docs/benchmark_tracking.py
    python docs/benchmark_tracking.py --levels hard --seeds 10 --each-frame

Simulated recordings of moving tissue under a scanner that drifts, once as it is and once with a jump of its lag. Errors
are mean absolute px where there is texture, of the whole displacement and of its parts: the profile p(x), the single
lines q(y), and what is not separable. A recording has recovered from the jump in the first frame that is accepted and
whose error is below 1.25 times that of the same frame by itself, or less than 0.05 px above it.
"""

from __future__ import annotations

import argparse

import numpy as np

from sasnet_live.evaluation.parts import error_parts
from sasnet_live.registrar import Registrar
from sasnet_live.simulation import RecordingSettings, SimulatedFrame, random_scanner, record

PARTS = ("total", "profile", "lines", "rest")


def recording(level: str, seed: int, options: argparse.Namespace, jump_at: int | None) -> list[SimulatedFrame]:
    rng = np.random.default_rng([seed, 77])
    size = options.size
    scanner = random_scanner(rng, level, size)  # type: ignore[arg-type]
    changes = RecordingSettings(jump_at=jump_at, jump_px=options.jump_px)
    frames = record(seed, scanner, rng, options.frames, height=size, width=size, recording=changes)
    return list(frames)


def followed(frames: list[SimulatedFrame], model: str, *, temporal: bool) -> np.ndarray:
    """(frames, 4) errors of total, profile, lines, rest; NaN where a frame was not accepted."""
    registrar = Registrar(model, temporal=temporal, output="warped")
    rows = np.full((len(frames), len(PARTS)), np.nan)
    for row, frame in zip(rows, frames, strict=True):
        found = registrar.register(frame.raw)
        if found.accepted:
            row[:] = error_parts(found.displacement_px, frame.displacement_px, frame.textured)
    return rows


def frames_until_recovered(single: np.ndarray, tracked: np.ndarray, jump_at: int) -> float:
    """Frames from the jump on that come before the first one that is right again; infinite if none is."""
    alone, error = single[jump_at:, 0], tracked[jump_at:, 0]
    right = np.flatnonzero((error <= 1.25 * alone) | (error <= alone + 0.05))
    return float(right[0]) if right.size else np.inf


def measure(level: str, options: argparse.Namespace, jump_at: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Errors of all seeds, (seeds, frames, 4): each frame by itself, and tracked."""
    pairs = []
    for seed in range(options.seeds):
        frames = recording(level, seed, options, jump_at)
        pairs.append([followed(frames, options.model, temporal=temporal) for temporal in (False, True)])
    single, tracked = np.stack(pairs, 1)
    return single, tracked


def report(level: str, kind: str, single: np.ndarray, tracked: np.ndarray, options: argparse.Namespace) -> None:
    late = slice(options.after, None)
    a, b = single[:, late], tracked[:, late]
    both = np.isfinite(a).all(-1) & np.isfinite(b).all(-1)
    a, b = a[both].mean(0), b[both].mean(0)
    refused = " + ".join(str(int(np.isnan(errors[..., 0]).sum())) for errors in (single, tracked))
    cells = " | ".join(f"{x:.3f} -> {y:.3f} ({y / x:.2f})" for x, y in zip(a, b, strict=True))
    until = "–"
    if kind == "jump":
        waits = [frames_until_recovered(s, t, options.jump_at) for s, t in zip(single, tracked, strict=True)]
        until = f"{max(waits):g} at most, {np.mean(waits):.1f} on average"
    print(f"| {level} | {kind} | {cells} | {until} | {refused} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--levels", nargs="+", default=["easy", "medium", "hard"])
    parser.add_argument("--seeds", type=int, default=4, help="recordings a level")
    parser.add_argument("--frames", type=int, default=16, help="of each recording")
    parser.add_argument("--after", type=int, default=10, help="first frame that counts, from 0")
    parser.add_argument("--size", type=int, default=256, help="lines and px of a frame")
    parser.add_argument("--jump-at", type=int, default=8, help="frame at which the lag jumps")
    parser.add_argument("--jump-px", type=float, default=5.0, help="by how much")
    parser.add_argument("--kinds", nargs="+", choices=["drift", "jump"], default=["drift", "jump"])
    parser.add_argument("--model", default="correspondence")
    parser.add_argument("--each-frame", action="store_true", help="print the mean error of every frame, too")
    options = parser.parse_args()
    if not 0 <= options.after < options.frames or not 0 < options.jump_at < options.frames:
        parser.error(f"--after and --jump-at must lie within the {options.frames} frames")
    print(
        f"{options.seeds} recordings of {options.frames} frames of {options.size} x {options.size} px a level, model "
        f"{options.model}; frames {options.after} to {options.frames - 1}, each by itself -> tracked (ratio), px\n"
    )
    print(f"| level | scanner | {' | '.join(PARTS)} | frames until recovered | refused, single + tracked |")
    print("|---|---|---|---|---|---|---|---|")
    curves = []
    for level in options.levels:
        for kind in options.kinds:
            single, tracked = measure(level, options, options.jump_at if kind == "jump" else None)
            report(level, kind, single, tracked, options)
            curves += [
                (f"{level}, {kind}, {name}", errors) for name, errors in (("single", single), ("tracked", tracked))
            ]
    if options.each_frame:
        print("\nMean total error of each frame, px:")
        for name, errors in curves:
            print(f"{name}: {' '.join(f'{value:.3f}' for value in np.nanmean(errors[..., 0], 0))}")


if __name__ == "__main__":
    main()
