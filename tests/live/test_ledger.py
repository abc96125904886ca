"""The books of a live pipeline."""

from __future__ import annotations

import numpy as np
import pytest

from sasnet_live.live.ledger import Throughput


@pytest.mark.parametrize(
    ("finished", "now", "expected"),
    [
        ([], 10.0, 0),
        ([9.0, 9.5, 10.0], 10.0, 2),
        ([0.0, 9.0, 9.5, 10.0], 10.0, 2),
        ([1.0, 5.0], 9.0, 0.25),
        ([1.0, 5.0], 60.0, 0),
    ],
)
def test_the_rate_is_of_the_last_seconds(finished: list[float], now: float, expected: float) -> None:
    throughput = Throughput()
    for at in finished:
        throughput.add(at - 0.01, at)
    assert throughput.fps(now) == pytest.approx(expected)
    assert throughput.latency_ms() == pytest.approx((10, 10) if finished else (np.nan, np.nan), nan_ok=True)
