"""Peak memory of reprocessing against the number of frames: it must not grow.

Each run is a process of its own, so that its peak is its own. Run from the repository:

    python docs/benchmark_memory.py
    python docs/benchmark_memory.py --model none --frames 2000 20000 --size 128
    python docs/benchmark_memory.py --model none --raw-gib 4

``--model none`` passes frames through: what remains is reading, writing and keeping the books. ``--raw-gib``
reprocesses one raw binary volume of so many GiB, a sparse file with a simulated frame now and then; the bar is 1.5 GB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sasnet_live.frame import Pixels, Registration, RegistrationMetrics
from sasnet_live.geometry import ScanGeometry
from sasnet_live.layout import Layout
from sasnet_live.recordings import ReadSettings
from sasnet_live.reprocess import ReprocessSettings, reprocess
from sasnet_live.scan import split
from sasnet_live.settings import RegistrarSettings
from sasnet_live.simulation.levels import random_scanner
from sasnet_live.simulation.recording import record
from sasnet_live.sinks.ome_tiff import OmeTiffWriter

DIFFERENT_FRAMES = 8
"""Simulated frames, written over and over: simulating each would take longer than registering it."""

RAW_EVERY = 500
"""Frames between those of a raw volume that are not empty."""


class PassThrough:
    """A registrar that does nothing, fast."""

    def register(self, raw: Pixels) -> Registration:
        _, backward = split(raw, ScanGeometry())
        still = np.zeros(backward.shape, np.float32)
        return Registration(raw, None, backward.astype(np.float32), still, RegistrationMetrics(), False, "not tried")

    def apply(self, raw: Pixels, registration: Registration) -> Registration:
        return self.register(raw)

    def reset(self) -> None:
        """Nothing to forget."""

    def describe(self) -> dict[str, str]:
        return {"model": "none"}


def make_recording(path: Path, frames: int, size: int) -> None:
    rng = np.random.default_rng(0)
    simulated = record(0, random_scanner(rng, "medium", size), rng, DIFFERENT_FRAMES, height=size, width=size)
    images = [frame.raw for frame in simulated]
    with OmeTiffWriter(path, Layout.stack((size, size), images[0].dtype, "t", (frames,))) as writer:
        for number in range(frames):
            writer.write(images[number % DIFFERENT_FRAMES])


def make_raw(path: Path, gib: float, size: int) -> int:
    """A sparse raw binary volume; returns the number of frames in it."""
    rng = np.random.default_rng(0)
    image = next(iter(record(0, random_scanner(rng, "medium", size), rng, 1, height=size, width=size))).raw.astype(
        "<u2"
    )
    frames = int(gib * 2**30) // image.nbytes
    with path.open("wb") as file:
        for number in (0, *range(RAW_EVERY, frames, RAW_EVERY), frames - 1):
            file.seek(number * image.nbytes)
            file.write(image.tobytes())
    return frames


def work(source: Path, model: str, size: int) -> None:
    """What the measured process does."""
    reading = ReadSettings()
    if source.suffix == ".raw":
        frames = source.stat().st_size // (2 * size * size)
        reading = ReadSettings(raw_shape=(frames, size, size), raw_dtype="<u2")
    make = (lambda _: PassThrough()) if model == "none" else None
    report = reprocess(
        [source],
        source.with_name("out.ome.tiff"),
        ReprocessSettings(RegistrarSettings("default" if model == "none" else model), reading=reading),
        metrics=source.with_name("out.csv"),
        make_registrar=make,
    )
    if report.failed:
        sys.exit(report.failed[0].error)
    print(peak_mib())


def peak_mib() -> float:
    """Peak resident memory of this process, MiB.

    From /proc where there is one: what getrusage gives a process begins with the peak of the one that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def measure(frames: int, size: int, model: str, folder: Path) -> tuple[float, float]:
    """Peak resident memory in MiB and seconds of a process that reprocesses so many frames."""
    source = folder / "in.ome.tiff"
    make_recording(source, frames, size)
    return measure_file(source, size, model)


def measure_file(source: Path, size: int, model: str) -> tuple[float, float]:
    """As `measure`, of a file that is there."""
    started = time.perf_counter()
    command = [sys.executable, __file__, "--work", str(source), "--model", model, "--size", str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout), time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[50, 200, 800])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--model", default="correspondence")
    parser.add_argument("--raw-gib", type=float, help="one raw binary volume of so many GiB, in place of --frames")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work is not None:
        work(chosen.work, chosen.model, chosen.size)
        return
    if chosen.raw_gib is not None:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "volume.raw"
            frames = make_raw(source, chosen.raw_gib, chosen.size)
            peak, seconds = measure_file(source, chosen.size, chosen.model)
        print(
            f"raw binary, {frames} frames of {chosen.size} x {chosen.size} uint16, {chosen.raw_gib:g} GiB, model "
            f"{chosen.model}: peak RSS {peak:.0f} MiB, {frames / seconds:.1f} frames/s"
        )
        return
    print(f"model {chosen.model}, frames of {chosen.size} x {chosen.size} uint16")
    print("| frames | input MiB | peak RSS MiB | frames/s |\n|---|---|---|---|")
    peaks = []
    for frames in chosen.frames:
        with tempfile.TemporaryDirectory() as folder:
            peak, seconds = measure(frames, chosen.size, chosen.model, Path(folder))
        peaks.append(peak)
        print(
            f"| {frames} | {frames * chosen.size**2 * 2 / 2**20:.0f} | {peak:.0f} | {frames / seconds:.1f} |",
            flush=True,
        )
    per_frame = 1024 * (peaks[-1] - peaks[0]) / max(chosen.frames[-1] - chosen.frames[0], 1)
    print(f"growth: {per_frame:.2f} KiB a frame; {20_000 * per_frame / 1024 + peaks[0]:.0f} MiB at 20,000 frames")


if __name__ == "__main__":
    main()
