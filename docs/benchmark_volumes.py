"""Volumes of A-lines: displacement found on projections against the truth; memory and speed against the volume's size.

Run from the repository:

    python docs/benchmark_volumes.py
    python docs/benchmark_volumes.py --levels easy --seeds 1 --size 128 --samples 64 --mib 16 64

Each size is reprocessed in a process of its own, so that its peak is its own; time is that of the processor. Volumes of
the second table are simulated A-lines of 64 samples, followed by zeros: what is in a sample makes no difference to
memory or time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from sasnet_live.layout import Layout
from sasnet_live.recordings import VolumeSettings
from sasnet_live.recordings.volume import frame_of
from sasnet_live.registrar import Registrar
from sasnet_live.reprocess import ReprocessSettings, reprocess
from sasnet_live.settings import RegistrarSettings
from sasnet_live.simulation import AlineSettings, SimulatedVolume, layered_tissue, random_scanner, scan_volume
from sasnet_live.simulation.levels import Level
from sasnet_live.sinks.ome_tiff import OmeTiffWriter

BAND = {"band_mhz": (25.0, 75.0), "sampling_mhz": 250.0}
SHOWN = {
    "max of RF": VolumeSettings("last"),
    "max of envelope": VolumeSettings("last", envelope=True),
    "max of envelope in the band": VolumeSettings("last", envelope=True, **cast(Any, BAND)),
    "mean of envelope in the band": VolumeSettings("last", envelope=True, projection="mean", **cast(Any, BAND)),
}
LINES_AT_ONCE = 16


def simulated(level: Level, seed: int, size: int, samples: int) -> SimulatedVolume:
    rng = np.random.default_rng([20260209, seed])
    alines = AlineSettings(samples=samples)
    scanner = random_scanner(rng, level, size)
    return scan_volume(layered_tissue(rng, size, size, alines), scanner, alines, rng, height=size, width=size)


def projections(volume: SimulatedVolume, size: int) -> dict[str, np.ndarray[Any, Any]]:
    """(H, W) of each kind."""
    parts: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in SHOWN}
    for start in range(0, size, LINES_AT_ONCE):
        lines = volume.lines(start, min(start + LINES_AT_ONCE, size))
        for name, settings in SHOWN.items():
            parts[name].append(frame_of(lines, settings))
    return {name: np.concatenate(part) for name, part in parts.items()}


def accuracy(levels: list[Level], seeds: int, size: int, samples: int) -> None:
    """Mean error of the displacement, px, where there is texture, and frames that were accepted."""
    print(f"volumes of {size} x {size} px, {samples} samples; {seeds} a level; frames by themselves")
    print("| level | displacement, px |" + "".join(f" {name} |" for name in SHOWN))
    print("|---|---|" + "---|" * len(SHOWN))
    registrar = Registrar("correspondence", temporal=False)
    for level in levels:
        raw: list[float] = []
        errors: dict[str, list[float]] = {name: [] for name in SHOWN}
        for seed in range(seeds):
            volume = simulated(level, seed, size, samples)
            true, textured = volume.displacement_px, volume.textured
            raw.append(float(np.abs(true)[textured].mean()))
            for name, frame in projections(volume, size).items():
                found = registrar.register(frame)
                if found.accepted:
                    errors[name].append(float(np.abs(found.displacement_px - true)[textured].mean()))
        told = "".join(
            f" {np.mean(one):.3f} ({len(one)}/{seeds}) |" if one else f" none (0/{seeds}) |" for one in errors.values()
        )
        print(f"| {level} | {np.mean(raw):.2f} |{told}", flush=True)


def planes(volume: SimulatedVolume, size: int, samples: int, order: str) -> Iterator[np.ndarray[Any, Any]]:
    """Pages of a volume, (lines, px) of each depth or (px, samples) of each line; 0 beyond what was simulated."""
    there = volume.lines(0, size)
    if order == "DYX":
        nothing = np.zeros((size, size), np.int16)
        for depth in range(samples):
            yield np.ascontiguousarray(there[..., depth]) if depth < there.shape[2] else nothing
        return
    for line in there:
        yield np.pad(line, ((0, 0), (0, samples - line.shape[1])))


def work(source: Path, order: str) -> None:
    """What the measured process does."""
    began = time.process_time()
    axis = "first" if order == "DYX" else "last"
    volume = VolumeSettings(axis, envelope=True, **cast(Any, BAND))
    report = reprocess(
        [source],
        source.with_name("out.ome.tiff"),
        ReprocessSettings(RegistrarSettings("correspondence"), volume=volume),
    )
    if report.failed:
        sys.exit(report.failed[0].error)
    print(peak_mib(), time.process_time() - began, report.files[0].accepted)


def peak_mib() -> float:
    """Peak resident memory of this process, MiB; see `docs/benchmark_memory.py`."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def memory(mib: list[int], size: int, orders: list[str]) -> None:
    """Peak memory of whole runs, the program's start included, and processor time without it."""
    print(f"\none volume of {size} x {size} px, int16; envelope in the band; registered volume, projection, depth map")
    print("| volume, MiB | samples | axes | peak RSS, MiB | processor s | lines/s |\n|---|---|---|---|---|---|")
    base = simulated("medium", 0, size, 64)
    for amount in mib:
        samples = max(64, amount * 2**20 // (2 * size * size))
        for order in orders:
            with tempfile.TemporaryDirectory() as folder:
                source = Path(folder) / "in.ome.tiff"
                shape, count = ((size, size), samples) if order == "DYX" else ((size, samples), size)
                layout = Layout.stack(shape, np.dtype(np.int16), "t", (count,))
                with OmeTiffWriter(source, layout) as writer:
                    for page in planes(base, size, samples, order):
                        writer.write(page)
                command = [sys.executable, __file__, "--work", str(source), "--order", order]
                done = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            peak, seconds = float(done[0]), float(done[1])
            if done[2] != "1":
                sys.exit(f"the volume of {amount} MiB was not registered")
            print(f"| {amount} | {samples} | {order} | {peak:.0f} | {seconds:.1f} | {size / seconds:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--levels", nargs="+", default=["easy", "medium", "hard"])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--mib", type=int, nargs="*", default=[64, 256, 1024, 4096], help="sizes of volumes")
    parser.add_argument("--orders", nargs="+", choices=["YXD", "DYX"], default=["YXD", "DYX"])
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--order", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work is not None:
        work(chosen.work, chosen.order)
        return
    if chosen.seeds:
        accuracy(chosen.levels, chosen.seeds, chosen.size, chosen.samples)
    if chosen.mib:
        memory(chosen.mib, chosen.size, chosen.orders)


if __name__ == "__main__":
    main()
