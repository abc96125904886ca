"""How many threads torch is given: one core is left to the window, all are used where nobody waits for it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import pytest

from sasnet_live.session import cores


class FakeTorch:
    """Counts threads as torch does."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def get_num_threads(self) -> int:
        return self.threads

    def set_num_threads(self, threads: int) -> None:
        self.threads = threads


@pytest.fixture
def torch_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], FakeTorch]:
    def make(threads: int) -> FakeTorch:
        fake = FakeTorch(threads)
        monkeypatch.setitem(sys.modules, "torch", fake)
        monkeypatch.setattr(cores, "_all_threads", 0)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        return fake

    return make


@pytest.mark.parametrize(("before", "live"), [(1, 1), (2, 1), (8, 7)])
def test_one_core_is_left_and_taken_again(torch_with: Callable[[int], FakeTorch], before: int, live: int) -> None:
    torch = torch_with(before)
    for _ in range(2):
        cores.leave_one_core()
        assert torch.threads == live
        cores.use_all_cores()
        assert torch.threads == before


def test_what_the_user_set_is_kept(torch_with: Callable[[int], FakeTorch], monkeypatch: pytest.MonkeyPatch) -> None:
    torch = torch_with(4)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    cores.leave_one_core()
    assert torch.threads == 4


def test_threads_that_begin_later_have_as_many() -> None:
    """What torch does, on which this relies: the number of the thread that sets it holds for those begun later."""
    import torch

    before = torch.get_num_threads()
    seen: list[int] = []
    try:
        torch.set_num_threads(1)
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()
    finally:
        torch.set_num_threads(before)
    assert seen == [1]
