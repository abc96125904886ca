"""Measure the live pipeline on this machine: frames lost, acquisition slowed, latency, leaks, aborts.

    python docs/benchmark_live.py            # all, a few minutes
    python docs/benchmark_live.py mda live   # some of: mda live leaks exit

Micro-Manager's demo camera acquires; a stand-in that sleeps as long as asked takes the place of the registrar, so that
the figures are those of the pipeline and not of a model. The exit status is 1 if a figure misses its bar.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import useq
from pymmcore_plus import CMMCorePlus

from sasnet_live.frame import Frame, Registration, RegistrationMetrics
from sasnet_live.live.pipeline import LivePipeline
from sasnet_live.live.status import PipelineStatus
from sasnet_live.sources.micromanager import MicroManagerSource

failures: list[str] = []


def check(name: str, holds: bool, figure: str) -> None:
    print(f"{'ok  ' if holds else 'MISS'}  {name}: {figure}", flush=True)
    if not holds:
        failures.append(name)


def sleeping(seconds: float) -> Callable[[Frame], Registration]:
    """A registrar that takes its time and changes nothing."""

    def process(frame: Frame) -> Registration:
        time.sleep(seconds)
        lines = frame.data[1::2].astype(np.float32)
        return Registration(frame.data, None, lines, np.zeros_like(lines), RegistrationMetrics(), True)

    return process


def demo_core(exposure_ms: float) -> CMMCorePlus:
    core = CMMCorePlus()
    core.loadSystemConfiguration()
    core.setProperty("Camera", "PixelType", "16bit")
    core.setExposure(exposure_ms)
    return core


def acquire(core: CMMCorePlus, sequence: useq.MDASequence) -> float:
    """Run an acquisition; the time it took, s."""
    start = time.perf_counter()
    core.mda.run(sequence)
    return time.perf_counter() - start


def mda(slow_s: float, repeats: int) -> None:
    """Every frame out, in order; the acquisition takes as long as without us (alternating, medians)."""
    # Time within channel lets the engine hand each channel's 200 frames to the camera as one hardware sequence.
    for kind, sequenced, axis_order in (("unsequenced", False, "tc"), ("sequenced", True, "ct")):
        core = demo_core(10)
        core.mda.engine.use_hardware_sequencing = sequenced
        events = useq.MDASequence(
            channels=["DAPI", "FITC", "Cy5"], time_plan={"interval": 0, "loops": 200}, axis_order=axis_order
        )
        order = [(event.index["t"], event.index["c"]) for event in events]
        alone, with_us = [], []
        for _ in range(repeats):
            alone.append(acquire(core, events))
            pipeline = LivePipeline(sleeping(slow_s), policy="all").start()
            seen: list[tuple[int, int]] = []
            pipeline.registered.connect(
                lambda frame, registration, seen=seen: seen.append((frame.index["t"], frame.index["c"]))
            )
            source = MicroManagerSource(core)
            source.start(pipeline)
            with_us.append(acquire(core, events))
            behind: PipelineStatus = pipeline.status()
            source.stop()
            pipeline.close()
            status = pipeline.status()
            check(
                f"{kind} MDA, registrar {1e3 * slow_s:.0f} ms, frames out in order",
                seen == order and status.counts.dropped == status.missing == 0,
                f"{len(seen)} of {len(order)}; {behind.counts.waiting} waited at the end of the acquisition, "
                f"{behind.counts.spilled} of them on disk; producer held back {status.counts.held_back_s:.3f} s",
            )
        slower = 100 * (float(np.median(with_us)) / float(np.median(alone)) - 1)
        check(
            f"{kind} MDA not slowed by more than 5 %",
            slower <= 5,
            f"{slower:+.1f} % (median {np.median(alone):.2f} s alone, {np.median(with_us):.2f} s with us, "
            f"{repeats} runs each)",
        )


def live(process_s: float, seconds: float) -> None:
    """Latency from the camera's buffer to the result, policy latest, 30 frames a second."""
    core = demo_core(1000 / 30)
    pipeline = LivePipeline(sleeping(process_s), policy="latest").start()
    latencies: list[float] = []
    pipeline.registered.connect(
        lambda frame, registration: latencies.append(1e3 * (time.perf_counter() - frame.received_s))
    )
    source = MicroManagerSource(core)
    source.start(pipeline)
    core.startContinuousSequenceAcquisition(0)
    balanced = True
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        status = pipeline.status()
        total = status.counts.processed + status.counts.dropped + status.counts.waiting + status.counts.in_process
        balanced = balanced and status.counts.received == total
        time.sleep(0.002)
    core.stopSequenceAcquisition()
    source.stop()
    pipeline.close()
    status = pipeline.status()
    bound = 2 * 1000 / 30 + 1e3 * process_s
    p50, p99 = np.percentile(latencies, (50, 99))
    check(
        f"live 30 FPS, latest, registrar {1e3 * process_s:.0f} ms, latency p99 below {bound:.0f} ms",
        p99 < bound,
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {max(latencies):.1f} ms; {status.counts.received} received = "
        f"{status.counts.processed} processed + {status.counts.dropped} dropped; {status.missing} missed by the poll",
    )
    check("received = processed + dropped + waiting + in process at all times", balanced, str(balanced))


def leaks(count: int) -> None:
    """Acquisitions back to back in one process."""
    core = demo_core(1)
    pipeline = LivePipeline(sleeping(0), policy="all").start()
    source = MicroManagerSource(core)
    source.start(pipeline)
    sequence = useq.MDASequence(time_plan={"interval": 0, "loops": 20})
    process = psutil.Process()

    def usage() -> tuple[int, int, float]:
        gc.collect()
        return threading.active_count(), process.num_fds(), process.memory_info().rss / 1e6

    for _ in range(20):
        acquire(core, sequence)
    before = usage()
    for _ in range(count):
        acquire(core, sequence)
    after = usage()
    source.stop()
    reports = pipeline.close()
    complete = sum(report.complete for report in reports)
    grown = after[2] - before[2]
    check(
        f"{count} acquisitions back to back leave nothing behind",
        after[:2] == before[:2] and grown < 10 and complete == len(reports),
        f"threads {before[0]} -> {after[0]}, file handles {before[1]} -> {after[1]}, memory {before[2]:.0f} -> "
        f"{after[2]:.0f} MB; {complete} of {len(reports)} complete",
    )


_EXIT = """
from pymmcore_plus import CMMCorePlus
from sasnet_live.live.pipeline import LivePipeline
from sasnet_live.sources.micromanager import MicroManagerSource
core = CMMCorePlus.instance()
core.loadSystemConfiguration()
pipeline = LivePipeline(lambda frame: None).start()
source = MicroManagerSource(core)
source.start(pipeline)
core.startContinuousSequenceAcquisition(0)
while pipeline.status().counts.received < 3:
    pass
core.stopSequenceAcquisition()
"""


def aborts(count: int) -> None:
    """Processes that end while a core is alive."""
    codes: list[int] = []
    for _ in range(count):
        codes.append(subprocess.run([sys.executable, "-c", _EXIT], capture_output=True, timeout=120).returncode)
    check("no abort at exit", not any(codes), f"{sum(code != 0 for code in codes)} of {count} aborted")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["mda", "live", "leaks", "exit", []], default=[])
    parser.add_argument("--slow-ms", type=float, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    parts: dict[str, Callable[[], Any]] = {
        "mda": lambda: mda(arguments.slow_ms / 1e3, arguments.repeats),
        "live": lambda: [live(process_s, 10) for process_s in (0.01, 0.06)],
        "leaks": lambda: leaks(100),
        "exit": lambda: aborts(16),
    }
    for name, part in parts.items():
        if not arguments.what or name in arguments.what:
            part()
    print(f"{len(failures)} figures missed their bar" if failures else "every figure met its bar")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
