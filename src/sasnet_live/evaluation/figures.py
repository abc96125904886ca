"""Pictures of a benchmark, each as PNG bytes. Drawn without pyplot, so that no window system is touched."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from .benchmark import Benchmark, Example
from .case import Image
from .optional import library
from .tables import TITLES

_PX_PER_INCH = 110
_COLUMN_INCHES = 2.3
_SHOWN_PX = 320  # of each image; more does not show at the width of a page


def example_images(example: Example) -> bytes:
    """Reference, then what each method made of the frame, its error against the target, and its displacement."""
    target = example.case.target
    low, high = (float(value) for value in np.nanpercentile(target, (0.5, 99.5)))
    span = max(high - low, 1e-30)
    names = list(example.results)
    figure = _figure(_COLUMN_INCHES * (len(names) + 1), 6.3)
    axes = figure.subplots(3, len(names) + 1, squeeze=False)
    _show(axes[0, 0], target, "what it should be", "gray", low, high)
    _show(axes[1, 0], example.case.reference, "forward pass", "gray", low, high)
    known = example.case.displacement_px
    shown = [known] if known is not None else []
    shown += [found for result in example.results.values() if (found := result.displacement_px) is not None]
    limit = max(0.5, *(float(np.percentile(np.abs(found), 99)) for found in shown)) if shown else 1.0
    _show_displacement(axes[2, 0], known, "true displacement", limit)
    for column, name in enumerate(names, 1):
        result = example.results[name]
        _show(axes[0, column], result.image, name, "gray", low, high)
        _show(axes[1, column], (result.image - target) / span, "error", "RdBu_r", -0.5, 0.5)
        _show_displacement(axes[2, column], result.displacement_px, f"displacement, ±{limit:.1f} px", limit)
    figure.suptitle(f"{example.case.level}: {example.case.name}", fontsize=10)
    return _png(figure)


def displacement_curves(example: Example) -> bytes | None:
    """Displacement along the line, median over lines, of each method beside the truth; None where none has any."""
    figure = _figure(8, 3.2)
    axes = figure.subplots()
    if example.case.displacement_px is not None:
        axes.plot(np.median(example.case.displacement_px, 0), color="black", linewidth=3, alpha=0.35, label="truth")
    for name, result in example.results.items():
        if result.displacement_px is not None and name != "none":
            axes.plot(np.median(result.displacement_px, 0), linewidth=1.2, label=name)
    if not axes.lines:
        return None
    axes.set_xlabel("place along the line, px")
    axes.set_ylabel("displacement, px")
    axes.set_title(f"{example.case.level}: {example.case.name}, median over lines", fontsize=9)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return _png(figure)


def score_curves(benchmark: Benchmark, figure_name: str) -> bytes | None:
    """For each level, the figure of every method over the frames, each sorted on its own; None where not known."""
    panels = []
    for level in benchmark.levels:
        curves = {}
        for method in benchmark.methods:
            values = [
                getattr(score, figure_name)
                for score in benchmark.scores
                if score.level == level and score.method == method
            ]
            finite = np.sort([value for value in values if np.isfinite(value)])
            if finite.size:
                curves[method] = finite
        if curves:
            panels.append((level, curves))
    if not panels:
        return None
    figure = _figure(3.2 * len(panels) + 1.2, 3.0)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for panel, (level, curves) in zip(axes, panels, strict=True):
        for method in benchmark.methods:
            curve = curves.get(method, np.empty(0))
            share = np.linspace(0, 100, curve.size) if curve.size > 1 else np.full(curve.size, 50)
            panel.plot(share, curve, label=method, marker="." if curve.size < 12 else None, linewidth=1.2)
        panel.set_title(level, fontsize=9)
        panel.set_xlabel("frames, sorted, %")
        panel.set_xlim(-3, 103)
    axes[0].set_ylabel(TITLES[figure_name])
    if figure_name.endswith("_px"):
        axes[0].set_yscale("log")
    axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return _png(figure)


def accuracy_against_time(benchmark: Benchmark) -> bytes:
    """Mean NCC over mean time a frame, one point a method."""
    figure = _figure(6, 3.4)
    axes = figure.subplots()
    for method in benchmark.methods:
        scores = [score for score in benchmark.scores if score.method == method]
        ms, ncc = (np.array([getattr(score, name) for score in scores]) for name in ("ms", "ncc"))
        if method != "none" and np.isfinite(ncc).any():
            x, y = float(ms.mean()), float(np.nanmean(ncc))
            axes.plot(x, y, "o")
            axes.annotate(method, (x, y), textcoords="offset points", xytext=(5, 4), fontsize=7)
    axes.set_xscale("log")
    axes.margins(x=0.2, y=0.15)
    axes.set_xlabel("ms a frame")
    axes.set_ylabel("mean NCC")
    return _png(figure)


def _show(axes: Any, image: Image, title: str, colours: str, low: float, high: float) -> None:
    rows, columns = (max(1, size // _SHOWN_PX) for size in image.shape)
    axes.imshow(image[::rows, ::columns], cmap=colours, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
    axes.set_title(title, fontsize=8)
    axes.set_axis_off()


def _show_displacement(axes: Any, displacement_px: Image | None, title: str, limit: float) -> None:
    if displacement_px is None:
        axes.set_axis_off()
        return
    _show(axes, displacement_px, title, "PuOr", -limit, limit)


def _figure(width_inches: float, height_inches: float) -> Any:
    return library("matplotlib.figure").Figure((width_inches, height_inches), dpi=_PX_PER_INCH, layout="constrained")


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
