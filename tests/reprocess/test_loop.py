"""The loop that reprocesses: one frame a scan, and a running estimate along time only."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest

from fake_registrar import FakeRegistrar
from sasnet_live.layout import Layout
from sasnet_live.reprocess.loop import register_scans


class Noting(FakeRegistrar):
    """Notes resets and frames, by their number."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def reset(self) -> None:
        self.seen.append("reset")
        super().reset()

    def register(self, raw: Any) -> Any:
        self.seen.append(int(raw[0, 0]))
        return super().register(raw)


@pytest.mark.parametrize(
    ("axes", "sizes", "order", "first", "seen"),
    [
        ("", (), None, 0, [0]),
        ("t", (3,), None, 0, [0, 1, 2]),
        ("t", (3,), None, 2, [2]),
        ("zt", (2, 2), None, 0, [0, 1, "reset", 2, 3]),
        ("zt", (2, 2), None, 2, ["reset", 2, 3]),
        ("tz", (2, 2), "zt", 0, [0, 2, "reset", 1, 3]),
        ("tc", (2, 2), None, 0, [0, 2]),
        ("ct", (2, 2), "tc", 0, [0, 1]),
        ("z", (2,), None, 0, [0, "reset", 1]),
    ],
)
def test_scans_come_in_order_and_time_begins_anew(
    axes: str, sizes: tuple[int, ...], order: str | None, first: int, seen: list[Any]
) -> None:
    layout, registrar = Layout.stack((8, 10), np.dtype(np.uint16), axes, sizes), Noting()

    def read(where: dict[str, int]) -> Any:
        return np.full((8, 10), layout.place(where) or 0, np.uint16)

    found = list(register_scans(registrar, layout, read, order, first))
    assert registrar.seen == seen
    assert [layout.place(where) or 0 for where, _ in found] == [one for one in seen if one != "reset"]


def test_nothing_is_registered_ahead() -> None:
    layout, registrar = Layout.stack((8, 10), np.dtype(np.uint16), "t", (5,)), Noting()
    list(islice(register_scans(registrar, layout, lambda where: np.full((8, 10), where["t"], np.uint16)), 2))
    assert registrar.seen == [0, 1]
