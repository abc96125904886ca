"""How fast this machine registers, and how that compares with what it can do at all.

Wall times differ from machine to machine and with what else runs, so ratios are stated too, of figures taken in one
run: a model's time to the time that its arithmetic takes at the measured rate of convolution, and the metrics' time
to the model's.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry


@dataclass(frozen=True)
class Timing:
    """Wall times of one thing done many times, in ms."""

    median_ms: float
    p99_ms: float
    fastest_ms: float
    repeats: int


@dataclass(frozen=True)
class ModelSpeed:
    """One model, from raw frame to `Registration`.

    Attributes
    ----------
    frame
        The whole path, frames one after the other with the running estimate, as in a live session.
    frames_per_s
        At the median.
    gflop
        Floating-point operations of convolutions and matrix products in one frame, in 1e9; 0 if there are none.
    over_arithmetic
        Median time over the time that `gflop` takes at the machine's rate of convolution in the model's precision; NaN
        without any.
    operations, kernels, synchronizations
        Of torch, in one frame that follows others, see `frame_cost.Operations`; the network alone is torch's.
    stages_ms
        Median time of each stage, see `frame_cost.timed_stages`; "packing" is all else.
    described
        What the registrar says of itself: model, version, device, precision.
    """

    model: str
    frame: Timing
    frames_per_s: float
    gflop: float
    over_arithmetic: float
    operations: int
    kernels: int
    synchronizations: int
    stages_ms: dict[str, float]
    described: dict[str, str]


@dataclass(frozen=True)
class Speed:
    """All that `measure` found; `as_dict` is what goes into JSON.

    Attributes
    ----------
    convolution_gflop_per_s
        By precision: float32, and those of the models.
    """

    machine: dict[str, str]
    shape: tuple[int, int]
    convolution_gflop_per_s: dict[str, float]
    metrics: Timing
    models: list[ModelSpeed] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, texts, lists and dictionaries."""
        return asdict(self)


def measure(
    models: Sequence[str],
    shape: tuple[int, int] = (512, 512),
    frames: int = 40,
    device: str = "auto",
    geometry: ScanGeometry | None = None,
    progress: Callable[[str], None] | None = None,
) -> Speed:
    """Time the models on simulated frames.

    Parameters
    ----------
    models
        Names that `Registrar` knows.
    shape
        (H, W) of the raw frames.
    frames
        How many are timed for each model, after a warm-up.
    progress
        Called with what comes next.

    Raises
    ------
    InputError
        If a model is unknown, or fewer than two frames are asked for.
    """
    import torch

    if frames < 2:
        raise InputError(f"{frames} frames came; expected 2 or more")
    say = progress or (lambda _: None)
    geometry = ScanGeometry() if geometry is None else geometry
    _check(models, geometry, device)
    say("simulating frames")
    raws = _frames(shape, geometry)
    say("convolution")
    rates = {"fp32": convolution_gflop_per_s(device)}
    say("metrics")
    metrics = _metrics_timing(shape)
    found = []
    for model in models:
        say(model)
        found.append(_model_speed(model, raws, frames, device, geometry, rates))
    machine = {
        "processor": _processor(),
        "threads": str(torch.get_num_threads()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    return Speed(machine, shape, rates, metrics, found)


def timed(call: Callable[[], object], repeats: int, warm_up: int = 3) -> Timing:
    """Call it `warm_up` times, then `repeats` times with the clock on."""
    for _ in range(warm_up):
        call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return _timing(times)


def _check(models: Sequence[str], geometry: ScanGeometry, device: str) -> None:
    """Refuse what cannot be timed before anything is, which takes minutes."""
    from sasnet_live.registrar import Registrar

    for model in models:
        Registrar(model, geometry=geometry, device=device)


def convolution_gflop_per_s(device: str = "cpu", precision: str = "fp32") -> float:
    """Rate of 3 x 3 convolution, 32 to 32 channels at 256 x 512: the best of several, in 1e9 per second.

    In the memory layout that the networks use, channels last.
    """
    import torch

    from sasnet_live.network.device import device_of
    from sasnet_live.network.precision import DTYPES

    place = device_of(device)
    channels, height, width = 32, 256, 512
    images, weights = (
        torch.zeros(shape, device=place, dtype=DTYPES[precision]).to(memory_format=torch.channels_last)
        for shape in ((1, channels, height, width), (channels, channels, 3, 3))
    )

    def convolve() -> None:
        torch.nn.functional.conv2d(images, weights, padding=1)
        if place.type == "cuda":
            torch.cuda.synchronize()

    with torch.inference_mode():
        fastest_s = timed(convolve, 12).fastest_ms / 1e3
    return 2 * 9 * channels * channels * height * width / fastest_s / 1e9


def _model_speed(
    model: str, raws: list[Any], frames: int, device: str, geometry: ScanGeometry, rates: dict[str, float]
) -> ModelSpeed:
    from sasnet_live.registrar import Registrar

    from .frame_cost import Operations, flops_of

    registrar: Any = Registrar(model, geometry=geometry, device=device)
    registrar.warm_up(raws[0].shape, raws[0].dtype)
    times, stages = _frame_times(registrar, raws, frames)
    with flops_of(registrar) as counter:
        registrar.register(raws[0])
    with Operations() as counted:
        registrar.register(raws[1 % len(raws)])
    gflop = counter.get_total_flops() / 1e9
    described = {key: str(value) for key, value in registrar.describe().items()}
    precision = described.get("precision", "fp32")
    if precision not in rates:
        rates[precision] = convolution_gflop_per_s(device, precision)
    timing = _timing(times)
    return ModelSpeed(
        model=model,
        frame=timing,
        frames_per_s=1e3 / timing.median_ms,
        gflop=gflop,
        over_arithmetic=timing.median_ms / (gflop / rates[precision] * 1e3) if gflop else float("nan"),
        operations=counted.operations,
        kernels=counted.kernels,
        synchronizations=counted.synchronizations,
        stages_ms={stage: float(np.median(values)) for stage, values in stages.items()},
        described=described,
    )


def _frame_times(registrar: Any, raws: list[Any], frames: int) -> tuple[list[float], dict[str, list[float]]]:
    """Times of frames one after the other, ms, and of their stages; the first three frames are not counted."""
    from .frame_cost import ELSE, timed_stages

    times: list[float] = []
    stages: dict[str, list[float]] = {}
    for index in range(frames + 3):
        with timed_stages(registrar) as spent:
            start = time.perf_counter()
            registrar.register(raws[index % len(raws)])
            elapsed_ms = (time.perf_counter() - start) * 1e3
        if index < 3:
            continue
        times.append(elapsed_ms)
        if spent:
            for stage, ms in {**spent, ELSE: elapsed_ms - sum(spent.values())}.items():
                stages.setdefault(stage, []).append(ms)
    return times, stages


def _frames(shape: tuple[int, int], geometry: ScanGeometry) -> list[Any]:
    """A few frames of one scene and scanner, noise and jitter new in each."""
    from sasnet_live.simulation import random_scanner, scan, vascular_scene

    rng = np.random.default_rng(0)
    lines, width = shape if geometry.line_axis == "rows" else shape[::-1]
    scene = vascular_scene(rng, lines, width, samples_per_px=2.0)
    settings = random_scanner(rng, "medium", width)
    return [scan(scene, settings, rng, height=shape[0], width=shape[1], geometry=geometry).raw for _ in range(4)]


def _metrics_timing(shape: tuple[int, int]) -> Timing:
    """NCC and SSIM of one pass before and after registration, as every live frame gets them."""
    from sasnet_live.metrics import compare

    reference, before, after = np.random.default_rng(0).random((3, max(1, shape[0] // 2), shape[1]), np.float32)
    return timed(lambda: compare(reference, [before, after]), 40)


def _timing(times_ms: Sequence[float]) -> Timing:
    return Timing(
        median_ms=float(np.median(times_ms)),
        p99_ms=float(np.quantile(times_ms, 0.99)),
        fastest_ms=float(np.min(times_ms)),
        repeats=len(times_ms),
    )


def _processor() -> str:
    """Name of the processor, as far as the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
