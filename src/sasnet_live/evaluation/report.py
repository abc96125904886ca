"""A benchmark as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import html
import platform
import time
from pathlib import Path

from sasnet_live import __version__
from sasnet_live.errors import InputError

from . import figures
from .benchmark import HIGHER_IS_BETTER, Benchmark, Summary, summarize
from .tables import TITLES, mean_and_spread, number, remarks, shown_figures

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .8em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child, td:last-child { text-align: left; }
td.best { font-weight: 600; background: #eef6ee; }
img { max-width: 100%; }
.scroll { overflow-x: auto; }
.small { color: #666; font-size: 13px; }
"""


def write_report(benchmark: Benchmark, path: Path, against: str | None = None) -> None:
    """Tables by level, paired differences, curves, and one example a level.

    Parameters
    ----------
    against
        As for `summarize`.

    Raises
    ------
    InputError
        If the file cannot be written or matplotlib is missing.
    """
    against = benchmark.methods[-1] if against is None else against
    page = _page(benchmark, against)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def _page(benchmark: Benchmark, against: str) -> str:
    summaries = summarize(benchmark, against)
    levels = list(dict.fromkeys(summary.level for summary in summaries))
    parts = [
        f"<h1>{_text(benchmark.dataset)}</h1>",
        f"<p class=small>SASNet Live {__version__}, {time.strftime('%Y-%m-%d %H:%M')}, {_text(platform.machine())}, "
        f"{len({(score.level, score.case) for score in benchmark.scores})} frames. All methods saw the same frames "
        "in one run. Mean ± standard deviation over frames; a frame on which a method failed counts as left "
        "unregistered. The best of each column is shaded.</p>",
    ]
    for level in levels:
        of_level = [summary for summary in summaries if summary.level == level]
        parts += [f"<h2>{_text(level)}</h2>", _table(of_level)]
        if len(of_level) > 1:
            parts += [f"<h3>Frame by frame against {_text(against)}</h3>", _differences(of_level)]
    parts.append("<h2>Curves</h2>")
    for name in ("ncc", "ssim", "displacement_error_px", "point_error_px"):
        parts.append(_image(figures.score_curves(benchmark, name), TITLES[name]))
    parts.append(_image(figures.accuracy_against_time(benchmark), "NCC over time a frame"))
    parts.append("<h2>Examples</h2><p class=small>The first frame of each level.</p>")
    for example in benchmark.examples:
        parts.append(_image(figures.example_images(example), f"{example.case.level}: images"))
        parts.append(_image(figures.displacement_curves(example), f"{example.case.level}: displacement"))
    parts.append(_notes(benchmark))
    title = f"<title>{_text(benchmark.dataset)}: registration benchmark</title>"
    head = f"<!doctype html><html lang=en><head><meta charset=utf-8>{title}<style>{_STYLE}</style></head>"
    return f"{head}<body>{''.join(parts)}</body></html>\n"


def _table(summaries: list[Summary]) -> str:
    shown = shown_figures(summaries)
    rows = ["<tr><th>method</th>" + "".join(f"<th>{TITLES[figure]}</th>" for figure in shown) + "<th></th></tr>"]
    best = {}
    for figure in shown:
        candidates = [s.mean[figure] for s in summaries if s.mean[figure] == s.mean[figure] and s.method != "none"]
        if candidates:
            best[figure] = max(candidates) if HIGHER_IS_BETTER.get(figure, False) else min(candidates)
    for summary in summaries:
        cells = "".join(
            f"<td{' class=best' if summary.mean[figure] == best.get(figure) else ''}>"
            f"{mean_and_spread(figure, summary)}</td>"
            for figure in shown
        )
        rows.append(f"<tr><td>{_text(summary.method)}</td>{cells}<td>{remarks(summary)}</td></tr>")
    return f"<div class=scroll><table>{''.join(rows)}</table></div>"


def _differences(summaries: list[Summary]) -> str:
    shown = [figure for figure in shown_figures(summaries) if any(figure in s.difference for s in summaries)]
    rows = ["<tr><th>method</th>" + "".join(f"<th>{TITLES[figure]}</th>" for figure in shown) + "<th></th></tr>"]
    for summary in summaries:
        if not summary.difference:
            continue
        cells = ""
        for figure in shown:
            if figure not in summary.difference:
                cells += "<td>–</td>"
                continue
            mean, half, wins, pairs = summary.difference[figure]
            interval = "" if half != half else f" ± {number(figure, half)}"
            cells += f"<td>{number(figure, mean, signed=True)}{interval} <span class=small>{wins}/{pairs}</span></td>"
        rows.append(f"<tr><td>{_text(summary.method)}</td>{cells}<td></td></tr>")
    legend = "<p class=small>Mean difference ± half the 95 % interval, and on how many frames the method is better.</p>"
    return f"<div class=scroll><table>{''.join(rows)}</table></div>{legend}"


def _notes(benchmark: Benchmark) -> str:
    noted = [score for score in benchmark.scores if score.note]
    if not noted:
        return ""
    rows = "".join(
        f"<tr><td>{_text(score.level)} {_text(score.case)}</td><td>{_text(score.method)}</td>"
        f"<td>{'failed: ' if score.failed else ''}{_text(score.note)}</td></tr>"
        for score in noted
    )
    heading = f"<h2>Frames that were not registered</h2><details><summary>{len(noted)} notes</summary>"
    return f"{heading}<table>{rows}</table></details>"


def _image(png: bytes | None, description: str) -> str:
    if png is None:
        return ""
    data = base64.b64encode(png).decode("ascii")
    return f'<p class=scroll><img alt="{_text(description)}" src="data:image/png;base64,{data}"></p>'


def _text(text: str) -> str:
    return html.escape(text)
