"""Metrics of a session over time: bounded, saved, thinned for a chart."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np

from sasnet_live.frame import RegistrationMetrics
from sasnet_live.session.history import COLUMNS, History, thinned
from sasnet_live.session.results import Sample


def sample(at_s: float, ncc: float = 0.9) -> Sample:
    return Sample(at_s, 12.0, True, RegistrationMetrics(0.5, ncc, 0.4, 0.8, 1.5, 0.9, 10.0))


def test_history_keeps_the_newest_in_fixed_memory() -> None:
    history = History(capacity=10)
    memory = history._ring.nbytes
    for start in range(0, 35, 5):
        history.add([sample(100.0 + n) for n in range(start, start + 5)])
    table = history.table()
    assert len(history) == 10
    assert table[:, 0].tolist() == list(range(25, 35))
    assert history.table(last=3)[:, 0].tolist() == [32, 33, 34]
    assert history._ring.nbytes == memory
    history.clear()
    assert len(history.table()) == 0
    history.add([sample(500.0)])
    assert history.table()[0, 0] == 0


def test_history_is_saved_with_gaps_for_what_is_not_defined(tmp_path: Path) -> None:
    history = History()
    history.add([sample(1.0), sample(2.5, math.nan)])
    assert history.save_csv(tmp_path / "figures.csv") == 2
    with (tmp_path / "figures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [float(row["time_s"]) for row in rows] == [0.0, 1.5]
    assert [row["ncc_after"] for row in rows] == ["0.9", ""]


def test_thinned_keeps_both_ends() -> None:
    table = np.arange(1000.0)[:, None]
    few = thinned(table, 50)
    assert (len(few), few[0, 0], few[-1, 0]) == (50, 0, 999)
    assert len(thinned(table[:7], 50)) == 7
