"""A recording on one page of HTML that needs nothing beside it, and loads nothing."""

from __future__ import annotations

import base64
import html
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sasnet_live.frame import Pixels
from sasnet_live.sinks.scans.log import FIGURES, ScanLog, measured_of, reason_of
from sasnet_live.sinks.scans.protocol import library
from sasnet_live.sinks.scans.series import ScanSeries

from . import report_figures as charts

WORST = 3
"""Accepted scans that are shown because they came out least alike."""

MOST_NAMED = 200
"""Refused scans that are listed one by one; reasons are counted of all."""

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 2em auto; padding: 0 1.2em; color: #222;
  background: #fff; }
h1 { font-size: 1.5em; overflow-wrap: anywhere; margin-bottom: .2em; } h2 { font-size: 1.15em; margin-top: 1.8em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2em 1em .2em 0; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top;
  overflow-wrap: anywhere; }
th { font-weight: 600; white-space: nowrap; }
img { width: 100%; height: auto; display: block; }
.tiles { display: flex; flex-wrap: wrap; gap: .8em; margin: 1em 0; padding: 0; list-style: none; }
.tiles li { border: 1px solid #ddd; border-radius: 6px; padding: .5em .9em; }
.tiles b { display: block; font-size: 1.25em; font-variant-numeric: tabular-nums; white-space: nowrap; }
.small { color: #555; font-size: 13px; }
.warning { border-left: 4px solid #b3541e; background: #fbf1ea; padding: .5em 1em; }
figure { margin: 1em 0 1.4em; } figcaption { color: #444; font-size: 13px; margin-bottom: .3em; }
"""

# Nothing but what is in the page is ever loaded, whatever a file's text may say.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_COUNT = re.compile(rb'<meta name="sasnet-live-scans" content="(\d+)">')


@dataclass(frozen=True)
class _Summary:
    """All scans: one number each of every figure, in the order of the axes."""

    figures: dict[str, Pixels]
    accepted: Pixels
    reasons: tuple[tuple[int, str], ...]
    profile_mean: Pixels
    profile_spread: Pixels
    profile_deviation: Pixels

    @property
    def typical(self) -> int | None:
        """The accepted scan whose NCC is in the middle; None where there is none."""
        ranked = self._ranked()
        return ranked[len(ranked) // 2] if ranked else None

    @property
    def worst(self) -> list[int]:
        """Accepted scans of the lowest NCC, the lowest first."""
        return [scan for scan in self._ranked()[:WORST] if scan != self.typical]

    def _ranked(self) -> list[int]:
        ncc = np.where(np.isnan(self.figures["ncc_after"]), -np.inf, self.figures["ncc_after"])
        return [int(scan) for scan in np.argsort(ncc, kind="stable") if self.accepted[scan]]


class ReportPage:
    """Figures over time, displacement, worst and typical frames before and after, refused scans, settings.

    Parameters
    ----------
    raw, registered
        Read the frame of a scan, by its position.
    """

    def __init__(self, raw: Callable[[dict[str, int]], Pixels], registered: Callable[[dict[str, int]], Pixels]) -> None:
        self._raw, self._registered = raw, registered

    def check(self, path: Path) -> None:
        """Raise InputError if matplotlib is missing."""
        library("matplotlib.figure", "evaluate", path)

    def write(self, log: ScanLog, path: Path) -> None:
        """The whole page."""
        summary = _summed(log)
        source = log.series.record.get("source", "recording")
        body = "".join(
            (
                _head(source, log.series, summary),
                _over_time(log.series, summary),
                _displacement(log, summary),
                self._pictures(log.series, summary),
                _refused(log.series, summary),
                _settings(log.series),
            )
        )
        title = f"<title>{_text(source)}: registration</title>"
        policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        count = f'<meta name="sasnet-live-scans" content="{log.rows}">'
        head = f'<head><meta charset="utf-8">{policy}{count}{title}<style>{_STYLE}</style></head>'
        page = f'<!doctype html>\n<html lang="en">{head}<body>{body}</body></html>\n'
        with path.open("x", encoding="utf-8") as file:
            file.write(page)

    def count(self, path: Path) -> int:
        """Scans that it says it is of; 0 where its end is missing."""
        content = path.read_bytes()
        found = _COUNT.search(content)
        return int(found[1]) if found and content.endswith(b"</html>\n") else 0

    def _pictures(self, series: ScanSeries, summary: _Summary) -> str:
        reasons = dict(summary.reasons[:1])
        shown = [(scan, "Least alike after registration") for scan in summary.worst]
        if summary.typical is not None:
            shown.insert(0, (summary.typical, "Typical: the middle one by NCC"))
        shown += [(scan, f"Passed through unchanged: {reason}") for scan, reason in reasons.items()]
        if not shown:
            return ""
        parts = ["<h2>Frames before and after</h2>"]
        for scan, why in shown:
            where = series.index(scan)
            title = "as written" if scan in reasons else "registered"
            image = charts.frame_pictures(self._raw(where), self._registered(where), title)
            ncc = f"NCC {_number(summary.figures['ncc_before'][scan])} → {_number(summary.figures['ncc_after'][scan])}"
            caption = f"{why}. {_place(series, scan)}, {ncc}, confidence {summary.figures['confidence'][scan]:.2f}"
            parts.append(_image(image, "png", caption))
        return "".join(parts)


def _summed(log: ScanLog) -> _Summary:
    """One pass over the log; of profiles only sums are kept."""
    figures = {name: np.full(log.rows, np.nan) for name in FIGURES}
    accepted, reasons = np.zeros(log.rows, bool), []
    width = log.series.lines_shape[1]
    count, mean, squares, variance = 0, *(np.zeros(width) for _ in range(3))
    for scan, row in enumerate(log):
        for name in FIGURES:
            figures[name][scan] = row[name]
        accepted[scan] = row["accepted"]
        if not accepted[scan]:
            reasons.append((scan, reason_of(row)))
            continue
        count += 1
        change = row["profile_px"] - mean
        mean = mean + change / count
        squares = squares + change * (row["profile_px"] - mean)
        variance = variance + np.square(row["profile_deviation_px"], dtype=np.float64)
    many = max(count, 1)
    return _Summary(figures, accepted, tuple(reasons), mean, np.sqrt(squares / many), np.sqrt(variance / many))


def _head(source: str, series: ScanSeries, summary: _Summary) -> str:
    figures, accepted = summary.figures, summary.accepted
    share = accepted.mean() if len(accepted) else 0.0
    mean_px = figures["displacement_px_mean"][accepted]
    tiles = [
        ("scans accepted", f"{int(accepted.sum())} of {len(accepted)}"),
        ("NCC, mean of all", _change(figures["ncc_before"], figures["ncc_after"])),
        ("SSIM, mean of all", _change(figures["ssim_before"], figures["ssim_after"])),
    ]
    if len(mean_px):
        ranges = f"{mean_px.min():+.2f} to {mean_px.max():+.2f}" if len(mean_px) > 1 else ""
        tiles.append((f"px displacement, mean; {ranges}" if ranges else "px displacement", f"{mean_px.mean():+.2f}"))
        deviation = float(np.sqrt(np.mean(np.square(summary.profile_deviation))))
        tiles.append(("px standard deviation of p(x)", f"{deviation:.2f}"))
    shown = "".join(f"<li><b>{_text(value)}</b>{_text(name)}</li>" for name, value in tiles)
    warning = ""
    if share < 1:
        warning = f'<p class="warning">{len(summary.reasons)} of {len(accepted)} scans were passed through unchanged: '
        warning += f"{_text(_most_common(summary))}.</p>"
    height, width = series.frame_shape
    sizes = " x ".join([*(f"{axis.upper()} {n}" for axis, n in zip(series.axes, series.sizes, strict=True)), ""])
    about = f"{sizes}{height} x {width} px; {_text(series.described()['software'])}"
    note = "NCC and SSIM compare the passes of a frame; noise bounds them below 1."
    title = f'<h1>{_text(source)}</h1><p class="small">{about}</p>'
    return f'{title}<ul class="tiles">{shown}</ul>{warning}<p class="small">{note}</p>'


def _most_common(summary: _Summary) -> str:
    (reason, _), *others = Counter(_kind(reason) for _, reason in summary.reasons).most_common()
    return f"{reason}, and {len(others)} other reason{'s' * (len(others) > 1)}" if others else reason


def _kind(reason: str) -> str:
    """A reason without its figures, so that those of one kind are counted together."""
    return re.sub(r"\s*-?\d+(\.\d+)?%?", "", reason, count=1) if reason.startswith("low confidence") else reason


def _over_time(series: ScanSeries, summary: _Summary) -> str:
    along_time = series.interval_s is not None and [axis for axis in series.axes if axis != "t"] == []
    numbers = np.arange(len(summary.accepted), dtype=np.float64)
    of_scan, label = (numbers * series.interval_s, "s") if along_time and series.interval_s else (numbers, "scan")
    chart = charts.metrics_chart(summary.figures, summary.accepted, of_scan, label)
    caption = "Each scan. Marks on the lower edge: passed through unchanged." if summary.reasons else "Each scan."
    return f"<h2>Over the recording</h2>{_image(chart, 'svg+xml', caption)}"


def _displacement(log: ScanLog, summary: _Summary) -> str:
    if summary.typical is None:
        return "<h2>Displacement</h2><p>None: no scan was accepted.</p>"
    row = log[summary.typical]
    measured = measured_of(row, unpaired=log.series.unpaired)
    profile = charts.profile_chart(summary.profile_mean, summary.profile_spread, summary.profile_deviation, measured)
    lines = charts.lines_chart(measured, row["line_confidence"])
    caption = (
        "d(x, y) = p(x) + q(y) + y r(x), in px; registered(x) = backward(x - d): positive moves backward lines to the "
        "right. Bands: one standard deviation."
    )
    images = _image(profile, "svg+xml", caption) + _image(
        lines, "svg+xml", f"The typical scan is {_place(log.series, summary.typical)}."
    )
    return f"<h2>Displacement</h2>{images}"


def _refused(series: ScanSeries, summary: _Summary) -> str:
    if not summary.reasons:
        return ""
    kinds = Counter(_kind(reason) for _, reason in summary.reasons).most_common()
    counted = _table(("scans", "reason"), ((str(count), kind) for kind, count in kinds))
    rows = ((_place(series, scan), reason) for scan, reason in summary.reasons[:MOST_NAMED])
    more = len(summary.reasons) - MOST_NAMED
    untold = f'<p class="small">and {more} more, in the table of metrics.</p>' if more > 0 else ""
    named = f"<details><summary>one by one</summary>{_table(('scan', 'reason'), rows)}{untold}</details>"
    return f"<h2>Passed through unchanged</h2>{counted}{named}"


def _settings(series: ScanSeries) -> str:
    said = {name: text for name, text in series.record.items() if text}
    if series.pixel_size_um is not None:
        said["pixel size (y, x), um"] = "{:.6g}, {:.6g}".format(*series.pixel_size_um)
    if series.interval_s is not None:
        said["interval, s"] = f"{series.interval_s:.6g}"
    return f"<h2>How it was made</h2>{_table(('', ''), said.items())}"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = f"<tr>{''.join(f'<th>{_text(title)}</th>' for title in titles)}</tr>" if any(titles) else ""
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"


def _image(content: bytes, kind: str, caption: str) -> str:
    data = base64.b64encode(content).decode("ascii")
    image = f'<img alt="{_text(caption)}" src="data:image/{kind};base64,{data}">'
    return f"<figure><figcaption>{_text(caption)}</figcaption>{image}</figure>"


def _place(series: ScanSeries, scan: int) -> str:
    index = series.index(scan)
    return ", ".join(f"{axis} {at}" for axis, at in index.items()) or "the only scan"


def _change(before: Pixels, after: Pixels) -> str:
    return f"{_number(_mean(before))} → {_number(_mean(after))}"


def _mean(values: Pixels) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _text(text: object) -> str:
    """Text from files, so that a page cannot obey it."""
    return html.escape(str(text))
