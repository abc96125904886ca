"""Pictures of a benchmark, each as PNG bytes. Drawn without pyplot, so that no window system is touched."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from .benchmark import Benchmark, Example
from .case import Image
from .methods import CLASSICAL
from .optional import library
from .tables import TITLES

_PX_PER_INCH = 110
_COLUMN_INCHES = 2.2
_METHODS_A_ROW = 6  # more would be too small to see on a page
_SHOWN_PX = 320  # of each image; more does not show at the width of a page
_ERROR_PX = 1.0  # range of the maps of displacement errors
_NCC_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
_PEER_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#b8a500", "#a6761d", "#cc79a7", "#7570b3", "#66a61e", "#999999")
_OWN_COLOURS = ("#0033aa", "#d00000", "#7b1fa2", "#00695c", "#ad1457", "#4e342e")


def example_images(example: Example) -> bytes:
    """Reference, then what each method made of the frame, its error against the target, and its displacement."""
    case = example.case
    low, high = (float(value) for value in np.nanpercentile(case.target, (0.5, 99.5)))
    span = max(high - low, 1e-30)
    names = list(example.results)
    blocks = math.ceil(len(names) / _METHODS_A_ROW)
    columns = math.ceil(len(names) / blocks) + 1
    # Two passes share a frame, so that each has half of its lines; a pair of whole images is shown square at the most.
    shape = min(max(2 * case.target.shape[0] / case.target.shape[1], 0.5), 1.0)
    figure = _figure(_COLUMN_INCHES * columns, blocks * 3 * (_COLUMN_INCHES * shape + 0.3) + 0.3)
    axes = figure.subplots(3 * blocks, columns, squeeze=False)
    for panel in axes.flat:
        panel.set_axis_off()
        panel.set_box_aspect(shape)
    for block in range(blocks):
        top, middle, bottom = axes[3 * block : 3 * block + 3]
        _show(top[0], case.target, "what it should be", "gray", low, high)
        _show(middle[0], case.reference, "forward pass", "gray", low, high)
        if case.displacement_px is not None:
            _show_displacement(bottom[0], case.displacement_px, "true displacement")
        for column, name in enumerate(names[block * (columns - 1) : (block + 1) * (columns - 1)], 1):
            result = example.results[name]
            _show(top[column], result.image, name, "gray", low, high)
            _show(middle[column], (result.image - case.target) / span, "error", "RdBu_r", -0.5, 0.5)
            if result.displacement_px is None:
                continue
            if case.displacement_px is None:
                _show_displacement(bottom[column], result.displacement_px, "displacement")
            else:
                error = result.displacement_px - case.displacement_px
                title = f"displacement error, ±{_ERROR_PX:g} px"
                _show(bottom[column], error, title, "PuOr", -_ERROR_PX, _ERROR_PX)
    figure.suptitle(f"{case.level}: {case.name}", fontsize=10)
    return _png(figure)


def displacement_curves(example: Example) -> bytes | None:
    """Displacement along the line, median over lines, of each method beside the truth; None where none has any."""
    figure = _figure(8, 3.2)
    axes = figure.subplots()
    if example.case.displacement_px is not None:
        axes.plot(np.median(example.case.displacement_px, 0), color="black", linewidth=3, alpha=0.35, label="truth")
    for name, result in example.results.items():
        if result.displacement_px is not None and name != "none":
            axes.plot(np.median(result.displacement_px, 0), label=name, **_style(name, list(example.results)))
    if not axes.lines:
        return None
    if example.case.displacement_px is not None:  # a method that went astray must not flatten the others
        course = np.median(example.case.displacement_px, 0)
        margin = 1.0 + 0.5 * float(np.ptp(course))
        axes.set_ylim(float(course.min()) - margin, float(course.max()) + margin)
    axes.set_xlabel("place along the line, px")
    axes.set_ylabel("displacement, px")
    axes.set_title(f"{example.case.level}: {example.case.name}, median over lines", fontsize=9)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=3.5)
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
    names = list(benchmark.methods)
    figure = _figure(3.4 * len(panels) + 1.4, 3.6)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for panel, (level, curves) in zip(axes, panels, strict=True):
        for method in benchmark.methods:
            curve = curves.get(method, np.empty(0))
            share = np.linspace(0, 100, curve.size) if curve.size > 1 else np.full(curve.size, 50)
            panel.plot(share, curve, label=method, marker="." if curve.size < 12 else None, **_style(method, names))
        panel.set_title(level, fontsize=9)
        panel.set_xlabel("frames, sorted, %")
        panel.set_xlim(-3, 103)
    axes[0].set_ylabel(TITLES[figure_name])
    if figure_name.endswith("_px"):
        axes[0].set_yscale("log")
    else:
        ends = [float(curve[end]) for _, curves in panels for curve in curves.values() for end in (0, -1)]
        _spread_towards_1(axes[0], min(ends), max(ends))
    axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=3.5)
    return _png(figure)


def accuracy_against_time(benchmark: Benchmark) -> bytes:
    """Mean NCC over mean time a frame, one point a method."""
    figure = _figure(8, 4.2)
    axes = figure.subplots()
    places: list[float] = []
    for method in benchmark.methods:
        scores = [score for score in benchmark.scores if score.method == method]
        ms, ncc = (np.array([getattr(score, name) for score in scores]) for name in ("ms", "ncc"))
        if method != "none" and np.isfinite(ncc).any():
            x, y = float(ms.mean()), float(np.nanmean(ncc))
            places.append(y)
            axes.plot(x, y, "o", color=_style(method, list(benchmark.methods))["color"])
            axes.annotate(method, (x, y), textcoords="offset points", xytext=(5, 4), fontsize=7)
    axes.set_xscale("log")
    axes.margins(x=0.2)
    if places:
        _spread_towards_1(axes, min(places), max(places))
    axes.set_xlabel("ms a frame")
    axes.set_ylabel("mean NCC")
    return _png(figure)


def _style(method: str, methods: list[str]) -> dict[str, Any]:
    """The same in all pictures. Our own are wide; where they cover one another, the upper ones let the lower show."""
    if method == "none":
        return {"color": "black", "linewidth": 1.0, "linestyle": ":"}
    peers = [name for name in methods if name in CLASSICAL]
    if method in peers:
        return {"color": _PEER_COLOURS[peers.index(method) % len(_PEER_COLOURS)], "linewidth": 1.1}
    place = [name for name in methods if name not in CLASSICAL].index(method)
    dashes: Any = "-" if place == 0 else (0, (3, 2 + 2 * place))
    return {"color": _OWN_COLOURS[place % len(_OWN_COLOURS)], "linewidth": 2.0, "linestyle": dashes}


def _spread_towards_1(axes: Any, lowest: float, highest: float) -> None:
    """For figures in this range, a scale on which 0.99 is as far from 0.9 as 0.9 is from 0."""
    axes.set_yscale("function", functions=(lambda v: -np.log10(1.0001 - np.minimum(v, 1)), lambda t: 1.0001 - 10.0**-t))
    low, high = 1 - 1.5 * (1 - lowest), 1 - (1 - highest) / 1.5
    axes.set_ylim(low, high)
    ticks = [tick for tick in _NCC_TICKS if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])


def _show(axes: Any, image: Image, title: str, colours: str, low: float, high: float) -> None:
    rows, columns = (max(1, size // _SHOWN_PX) for size in image.shape)
    axes.imshow(image[::rows, ::columns], cmap=colours, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
    axes.set_title(title, fontsize=8)


def _show_displacement(axes: Any, displacement_px: Image, title: str) -> None:
    """Around its median, which may be many times what varies."""
    middle = float(np.median(displacement_px))
    reach = max(_ERROR_PX, float(np.percentile(np.abs(displacement_px - middle), 99)))
    _show(axes, displacement_px - middle, f"{title}, {middle:.1f} ± {reach:.1f} px", "PuOr", -reach, reach)


def _figure(width_inches: float, height_inches: float) -> Any:
    return library("matplotlib.figure").Figure((width_inches, height_inches), dpi=_PX_PER_INCH, layout="constrained")


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
