"""A benchmark's figures as rows: CSV of every frame, and text for people."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

from sasnet_live.errors import InputError

from .benchmark import FIGURES, Benchmark, Score, Summary

TITLES = {
    "ncc": "NCC",
    "ssim": "SSIM",
    "psnr_db": "PSNR, dB",
    "displacement_error_px": "displacement error, px",
    "point_error_px": "control points, px",
    "temporal_ncc": "temporal NCC",
    "ms": "ms a frame",
}
_DIGITS = {
    "ncc": 4,
    "ssim": 4,
    "psnr_db": 2,
    "displacement_error_px": 3,
    "point_error_px": 2,
    "temporal_ncc": 4,
    "ms": 1,
}


def write_scores(benchmark: Benchmark, path: Path) -> None:
    """CSV with one row a frame and method; the columns are the fields of `Score`.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [column.name for column in fields(Score)])
            writer.writeheader()
            writer.writerows(asdict(score) for score in benchmark.scores)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def shown_figures(summaries: list[Summary]) -> list[str]:
    """The figures that at least one method has."""
    return [figure for figure in FIGURES if any(math.isfinite(summary.mean[figure]) for summary in summaries)]


def number(figure: str, value: float, *, signed: bool = False) -> str:
    """A figure with the digits that it deserves; a dash for NaN."""
    if math.isnan(value):
        return "–"
    return f"{value:{'+' if signed else ''}.{_DIGITS[figure]}f}"


def mean_and_spread(figure: str, summary: Summary) -> str:
    """``0.9612 ± 0.0380``."""
    mean, std = summary.mean[figure], summary.std[figure]
    spread = "" if math.isnan(std) else f" ± {number(figure, std)}"
    return number(figure, mean) + spread


def remarks(summary: Summary) -> str:
    """Failures and frames passed through, if any."""
    parts = []
    if summary.failed:
        parts.append(f"failed on {summary.failed}")
    if summary.passed_through:
        parts.append(f"passed {summary.passed_through} through")
    return ", ".join(parts)


def text_rows(summaries: list[Summary]) -> Iterator[list[str]]:
    """Header, then one row a level and method, for a terminal or a Markdown table."""
    figures = shown_figures(summaries)
    yield ["level", "method", "frames", *(TITLES[figure] for figure in figures), "remarks"]
    for summary in summaries:
        cells = [mean_and_spread(figure, summary) for figure in figures]
        yield [summary.level, summary.method, str(summary.frames), *cells, remarks(summary)]


def markdown(summaries: list[Summary]) -> str:
    """The table as Markdown."""
    rows = list(text_rows(summaries))
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
