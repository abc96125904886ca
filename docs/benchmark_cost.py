"""Time and peak memory of a frame against its size: both are to grow as the number of px does.

Each size is a process of its own, so that its peak is its own; sizes are lines x px along the line, and both orders of
unequal ones are taken, for cost in lines may be another than cost in px. Run from the repository:

    python docs/benchmark_cost.py
    python docs/benchmark_cost.py --models lite --sizes 256x256 512x512 --frames 20

Times are of frames that follow others, as in a live session, fastest and median. The exponent is that of
``time ~ px ** exponent``, fitted by least squares in logarithms to the fastest; memory is that of the process less what
it has before the first frame, MiB, and its fit is a straight line through the sizes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sasnet_live.memory import keep_freed_memory
from sasnet_live.registrar import Registrar
from sasnet_live.simulation.levels import random_scanner
from sasnet_live.simulation.recording import record

SIZES = ("256x256", "256x512", "512x256", "512x512", "512x1024", "1024x512", "1024x1024", "1024x2048", "2048x1024",
         "2048x2048", "4096x2048", "2048x4096")  # fmt: skip
DIFFERENT_FRAMES = 3
FOLLOWED = 3  # frames before the clock is on: the first is searched


def memory_mib(which: str) -> float:
    """ "VmRSS" or "VmHWM" of this process, MiB; where there is no /proc, the peak for both."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split(which + ":")[1].split()[0]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def simulate(path: Path, lines: int, px: int) -> None:
    """Not in the process that is measured: what it frees would hide what a frame takes."""
    rng = np.random.default_rng(0)
    made = record(0, random_scanner(rng, "medium", px), rng, DIFFERENT_FRAMES, height=lines, width=px)
    np.save(path, np.stack([frame.raw for frame in made]))


def work(model: str, path: Path, frames: int) -> None:
    """What the measured process does: prints fastest and median ms, MiB of the frames, and how many were accepted."""
    keep_freed_memory()
    raws = np.load(path)
    Registrar(model).warm_up((64, 96))  # what is loaded and compiled at first, whatever the size
    registrar = Registrar(model)
    before = memory_mib("VmRSS")
    times, accepted = [], 0
    for index in range(FOLLOWED + frames):
        raw = raws[index % len(raws)]
        began = time.perf_counter()
        registration = registrar.register(raw)
        if index >= FOLLOWED:
            times.append(1e3 * (time.perf_counter() - began))
            accepted += registration.accepted
    mib = memory_mib("VmHWM") - before
    print(json.dumps([min(times), float(np.median(times)), mib, accepted]))


def exponent(px: list[float], costs: list[float]) -> float:
    """Of the power law that fits best."""
    return float(np.polyfit(np.log(px), np.log(costs), 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["correspondence", "lite"])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help="lines x px of raw frames")
    parser.add_argument("--frames", type=int, default=9)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work:
        work(chosen.models[0], chosen.work, chosen.frames)
        return
    shapes = [tuple(map(int, size.split("x"))) for size in chosen.sizes]
    print("| model | lines x px | fastest, ms | median, ms | ns a px | peak, MiB | bytes a px | accepted | load |")
    print("|---|---|---|---|---|---|---|---|---|")
    fits = []
    for model in chosen.models:
        rows = []
        for lines, px in shapes:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "frames.npy"
                simulate(path, lines, px)
                command = [sys.executable, __file__, "--work", str(path), "--models", model]
                command += ["--frames", str(chosen.frames)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            fastest, median, mib, accepted = json.loads(done.stdout)
            rows.append((lines * px, fastest, mib))
            cells = [f"{fastest:.1f}", f"{median:.1f}", f"{1e6 * fastest / (lines * px):.0f}", f"{mib:.0f}"]
            cells += [f"{2**20 * mib / (lines * px):.0f}", f"{accepted} of {chosen.frames}"]
            print(f"| {model} | {lines} x {px} | {' | '.join(cells)} | {os.getloadavg()[0]:.1f} |", flush=True)
        of_px, times, peaks = map(list, zip(*rows, strict=True))
        if len(set(of_px)) > 1:
            slope, offset = np.polyfit(of_px, peaks, 1)
            fits.append(
                f"{model}: time ~ px ** {exponent(of_px, times):.2f}; "
                f"memory {offset:.0f} MiB and {2**20 * slope:.0f} bytes a px"
            )
    print("\n" + "\n".join(fits))


if __name__ == "__main__":
    main()
