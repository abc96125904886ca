"""The network of a model in several runtimes, in turns, alone and beside a busy thread of Python. From the repository:

    python docs/benchmark_runtimes.py
    python docs/benchmark_runtimes.py --model full --threads 2 --repeats 40

torch one operation after the other, torch recorded (what `Registrar` uses on a CPU), and OpenVINO where it is installed
(`pip install openvino`), in float32 and, where the CPU has instructions for it, in bfloat16. Fastest and median ms of
the network alone; `beside` is the median while another thread counts in Python, which keeps its lock as long as it may.
"""

from __future__ import annotations

import argparse
import copy
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sasnet_live.memory import keep_freed_memory
from sasnet_live.network.checkpoint import load_model
from sasnet_live.network.names import find_weights
from sasnet_live.network.precision import DTYPES, computes_bfloat16, with_convolutions_in
from sasnet_live.network.recorded import RecordedNetwork
from sasnet_live.network.sasnet import SASNet

BESIDE = 6  # frames beside a busy thread: one may take seconds

Run = Callable[[], np.ndarray[Any, np.dtype[Any]]]


def openvino_run(network: SASNet, images: list[torch.Tensor], precision: str, threads: int) -> Run | None:
    """A frame in OpenVINO; None where it is not installed."""
    try:
        import openvino
    except ImportError:
        return None
    began = time.perf_counter()
    plain = RecordedNetwork(copy.deepcopy(network)).plain
    model = openvino.convert_model(plain, example_input=tuple(images), input=[list(image.shape) for image in images])
    converted = time.perf_counter()
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(precision, precision),
    }
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    compiled = time.perf_counter()
    print(
        f"openvino {openvino.__version__}, {precision}: converted in {converted - began:.1f} s, "
        f"compiled in {compiled - converted:.1f} s"
    )

    def run() -> np.ndarray[Any, np.dtype[Any]]:
        for index, image in enumerate(images):
            request.set_input_tensor(index, openvino.Tensor(image.numpy(), shared_memory=True))
        request.infer()
        return np.array(request.get_output_tensor(0).data)

    return run


def timed_in_turns(runs: dict[str, Run], repeats: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            times[name].append(1e3 * (time.perf_counter() - began))
    return times


def beside_busy_thread(runs: dict[str, Run]) -> dict[str, list[float]]:
    busy = True

    def count() -> None:
        number = 0
        while busy:
            number += 1

    other = threading.Thread(target=count)
    other.start()
    try:
        return timed_in_turns(runs, BESIDE)
    finally:
        busy = False
        other.join()


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--size", default="512x512", help="height x width of the raw frame")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=40)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    height, width = map(int, options.size.split("x"))
    generator = torch.Generator().manual_seed(0)
    scene = torch.rand((1, height // 2, width), generator=generator)
    images = [scene + 0.1 * torch.rand(scene.shape, generator=generator) for _ in range(4)]
    loaded, _ = load_model(find_weights(options.model))
    assert isinstance(loaded, SASNet)

    runs: dict[str, Run] = {}
    for precision in ["fp32", "bf16"] if computes_bfloat16(torch.device("cpu")) else ["fp32"]:
        recorded = RecordedNetwork(with_convolutions_in(copy.deepcopy(loaded), DTYPES[precision]))
        runs[f"torch, {precision}"] = lambda network=recorded: network.plain(*images).numpy()  # type: ignore[misc]
        runs[f"torch recorded, {precision}"] = lambda network=recorded: network(*images).numpy()  # type: ignore[misc]
        other = openvino_run(loaded, images, precision, options.threads)
        if other is not None:
            runs[f"OpenVINO, {precision}"] = other
    exact = loaded(*images).rendered.numpy()
    changed = float((exact - images[0].numpy()).std())
    apart = {name: float(np.abs(run() - exact).max()) / changed for name, run in runs.items()}
    timed_in_turns(runs, 3)
    alone, beside = timed_in_turns(runs, options.repeats), beside_busy_thread(runs)
    print(f"{options.model}, {options.size}, {options.threads} threads, load {os.getloadavg()[0]:.1f}\n")
    print("| runtime | fastest, ms | median, ms | beside, ms | largest difference / what the network changes |")
    print("|---|---|---|---|---|")
    for name, times in alone.items():
        cells = (min(times), np.median(times), np.median(beside[name]))
        print(f"| {name} | {' | '.join(f'{cell:.1f}' for cell in cells)} | {apart[name]:.1e} |")


if __name__ == "__main__":
    main()
