"""The charts and pictures of a report, as images that a page holds within itself."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sasnet_live.frame import MeasuredDisplacement, Pixels
from sasnet_live.sinks.scans.protocol import library

MOST_POINTS = 1000
"""Of a curve, beyond which a chart would be megabytes and show no more: ranges of several scans are drawn then."""

BEFORE, AFTER, OF_DISPLACEMENT = "#b3541e", "#1f6f8b", "#5b4b8a"
"""Colours that are told apart in grey, and by eyes that do not tell red from green."""

DETAIL = 0.25
"""Part of a frame's height and width that its detail shows."""

_STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "svg.hashsalt": "sasnet-live",  # names within an image are then the same each time
}


def metrics_chart(figures: Mapping[str, Pixels], accepted: Pixels, of_scan: Pixels, x_label: str) -> bytes:
    """NCC before and after, mean displacement with its deviation, and confidence, over the scans; SVG."""
    wanted = ("NCC", "displacement, px", "confidence")
    with _figure((9.5, 5.2)) as (figure, save):
        plots = figure.subplots(3, 1, sharex=True, height_ratios=(1.3, 1.3, 1))
        # What was passed through has no after: its curve would hide the one before.
        after, displacement = (
            np.where(accepted, figures[name], np.nan) for name in ("ncc_after", "displacement_px_mean")
        )
        _curve(plots[0], of_scan, figures["ncc_before"], BEFORE, "before")
        _curve(plots[0], of_scan, after, AFTER, "after")
        _curve(plots[1], of_scan, displacement, OF_DISPLACEMENT)
        if not accepted.any():
            plots[1].set_yticks([])
        _curve(plots[2], of_scan, figures["confidence"], "#444444")
        plots[2].axhline(0.5, color="#999999", linewidth=0.8, linestyle=":")
        plots[2].set_ylim(-0.03, 1.03)
        for plot, label in zip(plots, wanted, strict=True):
            plot.set_ylabel(label)
            refused = of_scan[~accepted]
            if len(refused):
                some = refused[:: -(-len(refused) // MOST_POINTS)]
                _ticks(plot, some)
        plots[0].legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0)
        plots[2].set_xlabel(x_label)
        figure.align_ylabels(plots)
        return save("svg")


def profile_chart(mean: Pixels, spread: Pixels, deviation: Pixels, typical: MeasuredDisplacement) -> bytes:
    """p(x): mean of the accepted scans, how they scatter and how far each may be off; r(x) beside it; SVG."""
    x = np.arange(len(mean))
    with _figure((9.5, 2.8)) as (figure, save):
        left, right = figure.subplots(1, 2, width_ratios=(2, 1))
        left.fill_between(
            x, mean - spread, mean + spread, color=AFTER, alpha=0.3, linewidth=0, label="± from scan to scan"
        )
        lower, upper = mean - deviation, mean + deviation
        left.plot(x, lower, color="#777777", linewidth=0.8, linestyle="--", label="± one standard deviation of a scan")
        left.plot(x, upper, color="#777777", linewidth=0.8, linestyle="--")
        left.plot(x, mean, color=AFTER, label="mean")
        left.legend(frameon=False, fontsize=8)
        left.set(xlabel="px along the line", ylabel="p(x), px", title="Along the line, all accepted scans")
        _band(right, x, typical.creep_px, typical.creep_deviation_px, OF_DISPLACEMENT)
        right.axhline(0, color="#999999", linewidth=0.8, linestyle=":")
        right.set(xlabel="px along the line", ylabel="r(x), px", title="Creep down the frame, the typical scan")
        return save("svg")


def lines_chart(typical: MeasuredDisplacement, line_confidence: Pixels) -> bytes:
    """q(y) of a scan with its deviation; doubtful lines are marked; SVG."""
    y = np.arange(len(typical.lines_px))
    with _figure((9.5, 2.4)) as (figure, save):
        plot = figure.subplots()
        _band(plot, y, typical.lines_px, typical.line_deviation_px, OF_DISPLACEMENT)
        doubtful = y[line_confidence < 0.5]
        if len(doubtful):
            plot.plot(doubtful, typical.lines_px[doubtful], "x", color=BEFORE, markersize=4, label="doubtful lines")
            plot.legend(frameon=False, fontsize=8)
        plot.axhline(0, color="#999999", linewidth=0.8, linestyle=":")
        plot.set(xlabel="backward line", ylabel="q(y), px", title="Line by line, the typical scan")
        return save("svg")


def frame_pictures(raw: Pixels, registered: Pixels, title: str) -> bytes:
    """Raw and registered, whole and a detail of each where the picture holds most; PNG."""
    low, high = np.percentile(raw[np.isfinite(raw)] if np.isfinite(raw).any() else [0.0, 1.0], (0.5, 99.7))
    rows, columns = _detail(registered)
    with _figure((11, 3.0)) as (figure, save):
        plots = figure.subplots(1, 4)
        shown = ((raw, "raw"), (registered, title))
        for plot, (image, name) in zip(plots[:2], shown, strict=True):
            plot.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-12), interpolation="antialiased")
            plot.set_title(name)
            if image is registered:
                _frame(plot, rows, columns)
        for plot, (image, name) in zip(plots[2:], shown, strict=True):
            offset = (image.shape[0] - registered.shape[0], image.shape[1] - registered.shape[1])
            part = image[_moved(rows, offset[0]), _moved(columns, offset[1])]
            plot.imshow(part, cmap="gray", vmin=low, vmax=max(high, low + 1e-12), interpolation="nearest")
            plot.set_title(f"{name}, detail")
        for plot in plots:
            plot.set_axis_off()
        return save("png")


class _figure:
    """A figure of matplotlib in our style, and what saves it as bytes."""

    def __init__(self, inches: tuple[float, float]) -> None:
        matplotlib = library("matplotlib", "evaluate", Path("report"))
        self._style = matplotlib.rc_context(_STYLE)
        self._inches = inches

    def __enter__(self) -> tuple[Any, Callable[[str], bytes]]:
        self._style.__enter__()
        figure = library("matplotlib.figure", "evaluate", Path("report")).Figure(self._inches, layout="constrained")

        def save(kind: str) -> bytes:
            content = io.BytesIO()
            # Without the time at which it was made, so that the same scans give the same page.
            without = ("Date", "Creator", "Format", "Type") if kind == "svg" else ("Software",)
            figure.savefig(content, format=kind, dpi=110, metadata=dict.fromkeys(without))
            image = content.getvalue()
            # Nor with the address of a document type, which nobody needs to load.
            return image[image.index(b"<svg") :] if kind == "svg" else image

        return figure, save

    def __exit__(self, *exception: Any) -> None:
        self._style.__exit__(*exception)


def _curve(plot: Any, x: Pixels, values: Pixels, colour: str, label: str | None = None) -> None:
    """A line; of more points than a chart shows, the range of each run of scans."""
    many = -(-len(x) // MOST_POINTS)
    if many == 1:
        plot.plot(x, values, color=colour, linewidth=1.2, label=label, marker="." if len(x) < 60 else "", markersize=4)
        return
    starts = np.arange(0, len(x), many)
    low, high = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    plot.fill_between(x[starts], low, high, color=colour, linewidth=0.5, alpha=0.8, label=label)


def _band(plot: Any, x: Pixels, values: Pixels, deviation: Pixels, colour: str) -> None:
    plot.fill_between(x, values - deviation, values + deviation, color=colour, alpha=0.25, linewidth=0)
    plot.plot(x, values, color=colour, linewidth=1.2)


def _ticks(plot: Any, at: Pixels) -> None:
    """Marks on the lower edge."""
    plot.plot(
        at, np.zeros(len(at)), "|", color=BEFORE, markersize=7, transform=plot.get_xaxis_transform(), clip_on=False
    )


def _detail(image: Pixels) -> tuple[slice, slice]:
    """The part of a frame that varies most."""
    height, width = image.shape
    rows, columns = max(8, round(height * DETAIL)), max(8, round(width * DETAIL))
    tops, lefts = (
        range(0, max(1, whole - part + 1), max(1, part // 2)) for whole, part in ((height, rows), (width, columns))
    )
    places = [(slice(top, top + rows), slice(left, left + columns)) for top in tops for left in lefts]
    return max(places, key=lambda place: float(np.nan_to_num(np.std(image[place].astype(np.float64)))))


def _moved(part: slice, by: int) -> slice:
    """The same px in a raw frame, which has the cropped ones as well: about where they are, half of these before."""
    return slice(part.start + by // 2, part.stop + by // 2)


def _frame(plot: Any, rows: slice, columns: slice) -> None:
    """The outline of the detail."""
    x = [columns.start, columns.stop, columns.stop, columns.start, columns.start]
    y = [rows.start, rows.start, rows.stop, rows.stop, rows.start]
    plot.plot(np.array(x) - 0.5, np.array(y) - 0.5, color="#ffd23f", linewidth=1)
