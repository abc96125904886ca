"""Every method on the same frames in the same run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.metrics import ncc, psnr, ssim

from .case import Case, ControlPoints, Image
from .datasets import Dataset
from .protocol import Method, Registered, RegistrationFailed

FIGURES = ("ncc", "ssim", "psnr_db", "displacement_error_px", "point_error_px", "temporal_ncc", "ms")
HIGHER_IS_BETTER = {"ncc": True, "ssim": True, "psnr_db": True, "temporal_ncc": True}


@dataclass(frozen=True)
class Score:
    """How one method did on one case; NaN where a figure is not defined or its truth not known.

    Attributes
    ----------
    dataset, level, case, method
        What was measured.
    ncc, ssim, psnr_db
        Of the registered lines against `Case.target`.
    displacement_error_px
        Mean absolute error of the displacement along the fast axis, on textured pixels.
    point_error_px
        Mean distance of control points after registration, px of the original images.
    temporal_ncc
        Of the registered lines with those of the frame before, in recordings.
    reference_ncc
        Of the registered lines with the forward pass: all that can be known without truth, and bounded by its noise.
    ms
        Wall time of the one call.
    note
        Why the frame was passed through or why the method failed; empty if all is well.
    failed
        The method gave no result: figures are those of the frame left as it was, which is what its user is left with.
    """

    dataset: str
    level: str
    case: str
    method: str
    ncc: float
    ssim: float
    psnr_db: float
    displacement_error_px: float
    point_error_px: float
    temporal_ncc: float
    reference_ncc: float
    ms: float
    note: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Example:
    """A case kept with what every method made of it, for the report's pictures."""

    case: Case
    results: Mapping[str, Registered]


@dataclass(frozen=True)
class Benchmark:
    """All scores, and one example for each level."""

    dataset: str
    methods: tuple[str, ...]
    levels: tuple[str, ...]
    scores: tuple[Score, ...]
    examples: tuple[Example, ...] = field(repr=False, default=())


def run_benchmark(
    dataset: Dataset,
    methods: Mapping[str, Method],
    progress: Callable[[int, int, str], None] | None = None,
) -> Benchmark:
    """Let every method register every case.

    Parameters
    ----------
    progress
        Called before each registration with (done, total, what).

    Raises
    ------
    InputError
        If a case cannot be read. Whatever a method raises counts as its failure on that frame.
    """
    scores: list[Score] = []
    examples: dict[str, Example] = {}
    total = len(dataset) * len(methods)
    before: Case | None = None
    results: dict[str, Registered] = {}
    for case in dataset:
        earlier = results if case.follows(before) else {}
        before, results = case, {}
        for name, method in methods.items():
            if progress is not None:
                progress(len(scores), total, f"{case.level} {case.name}: {name}")
            score, results[name] = score_method(dataset.name, case, name, method, earlier.get(name))
            scores.append(score)
        examples.setdefault(case.level, Example(case, results))
    return Benchmark(dataset.name, tuple(methods), dataset.levels, tuple(scores), tuple(examples.values()))


def score_method(
    dataset: str, case: Case, name: str, method: Method, earlier: Registered | None = None
) -> tuple[Score, Registered]:
    """Run and score one method on one case; `earlier` is what it made of the frame before in the same recording."""
    failure = ""
    start = time.perf_counter()
    try:
        prepare: Any = getattr(method, "prepare", None)
        if prepare is not None:
            prepare(case.raw.shape, case.geometry)
        start = time.perf_counter()
        registered = method.register(case.forward, case.backward, case.geometry)
        if registered.image.shape != case.backward.shape:
            raise RegistrationFailed(f"gave an image of {registered.image.shape}, expected {case.backward.shape}")
    except Exception as error:  # a method's crash is a finding, not the end of the benchmark
        failure = str(error).strip() or type(error).__name__
        if not isinstance(error, RegistrationFailed):
            failure = f"{type(error).__name__}: {failure}"
        registered = Registered(case.backward, np.zeros_like(case.backward), note=failure)
    ms = (time.perf_counter() - start) * 1e3
    target = case.target
    score = Score(
        dataset=dataset,
        level=case.level,
        case=case.name,
        method=name,
        ncc=float(ncc(target, registered.image)),
        ssim=float(ssim(target, registered.image)),
        psnr_db=float(psnr(target, registered.image)),
        displacement_error_px=_displacement_error_px(case, registered),
        point_error_px=_point_error_px(case.points, registered),
        temporal_ncc=math.nan if earlier is None else float(ncc(earlier.image, registered.image)),
        reference_ncc=float(ncc(case.reference, registered.image)),
        ms=ms,
        note=registered.note,
        failed=bool(failure),
    )
    return score, registered


def textured(case: Case) -> Image:
    """(n_b, W) bool: where the target changes along the line enough for a displacement to show.

    The simulator's own answer where there is one; else where the gradient along the line, root mean square over 7 px,
    is above a tenth of its 99th percentile.
    """
    if case.textured is not None:
        return case.textured
    from scipy.ndimage import uniform_filter1d

    slope = np.sqrt(uniform_filter1d(np.gradient(case.target.astype(float), axis=-1) ** 2, 7, axis=-1))
    found: Image = slope > 0.1 * np.percentile(slope, 99)
    return found


def _displacement_error_px(case: Case, registered: Registered) -> float:
    if case.displacement_px is None or registered.displacement_px is None:
        return math.nan
    error = np.abs(registered.displacement_px - case.displacement_px)[textured(case)]
    return float(error.mean()) if error.size else math.nan


def _point_error_px(points: ControlPoints | None, registered: Registered) -> float:
    """A point of the reference is looked up in the moving image where registration says it came from."""
    if points is None or registered.displacement_px is None:
        return math.nan
    from scipy.ndimage import map_coordinates

    x, y = points.reference_xy.T
    right, down = (
        0.0 if field is None else map_coordinates(np.asarray(field, float), [y, x], order=1, mode="nearest")
        for field in (registered.displacement_px, registered.slow_displacement_px)
    )
    distance = np.hypot(x - right - points.moving_xy[:, 0], y - down - points.moving_xy[:, 1])
    return float(distance.mean() * points.original_px)


@dataclass(frozen=True)
class Summary:
    """One method on one level.

    Attributes
    ----------
    mean, std
        By figure, over the frames where it is defined; std with n - 1.
    frames, failed, passed_through
        Counts; `passed_through` are those with a note that did not fail.
    difference
        By figure: (mean, half width of the 95 % interval, wins, pairs) of method minus baseline, frame by frame;
        empty for the baseline itself.
    """

    method: str
    level: str
    mean: dict[str, float]
    std: dict[str, float]
    frames: int
    failed: int
    passed_through: int
    difference: dict[str, tuple[float, float, int, int]]


def summarize(benchmark: Benchmark, against: str | None = None) -> list[Summary]:
    """Mean and spread by level and method, then over "all" levels if there are several, with paired differences.

    Parameters
    ----------
    against
        The method that the others are paired with; by default the last one of the run.

    Raises
    ------
    InputError
        If it was not in the run.
    """
    against = benchmark.methods[-1] if against is None else against
    if against not in benchmark.methods:
        raise InputError(f"cannot compare against {against!r}; expected one of {', '.join(benchmark.methods)}")
    levels = benchmark.levels if len(benchmark.levels) == 1 else (*benchmark.levels, "all")
    summaries = []
    for level in levels:
        of_level = [score for score in benchmark.scores if level in (score.level, "all")]
        baseline = [score for score in of_level if score.method == against]
        for method in benchmark.methods:
            of_method = [score for score in of_level if score.method == method]
            summaries.append(_summary(method, level, of_method, [] if method == against else baseline))
    return summaries


def _summary(method: str, level: str, scores: Sequence[Score], baseline: Sequence[Score]) -> Summary:
    mean, std, difference = {}, {}, {}
    for figure in FIGURES:
        values = np.array([getattr(score, figure) for score in scores], float)
        known = values[np.isfinite(values)]
        mean[figure] = float(known.mean()) if known.size else math.nan
        std[figure] = float(known.std(ddof=1)) if known.size > 1 else math.nan
        if baseline:
            gap = values - np.array([getattr(score, figure) for score in baseline], float)
            gap = gap[np.isfinite(gap)]
            if gap.size:
                half = 1.96 * gap.std(ddof=1) / math.sqrt(gap.size) if gap.size > 1 else math.nan
                better = gap > 0 if HIGHER_IS_BETTER.get(figure, False) else gap < 0
                difference[figure] = (float(gap.mean()), float(half), int(better.sum()), int(gap.size))
    failed = sum(score.failed for score in scores)
    noted = sum(bool(score.note) and not score.failed for score in scores)
    return Summary(method, level, mean, std, len(scores), failed, noted, difference)
