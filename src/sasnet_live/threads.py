"""How threads of libraries wait: measured to matter more than anything else where cores are shared."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController

SPIN_COUNT = 20_000

_inside = threading.Lock()
_users = 0
_limit: Any = None


def share_cores() -> None:
    """Let torch's CPU threads spin only briefly while they wait for each other, then sleep.

    GNU OpenMP spins for milliseconds by default. Where a camera, a window or another program is on the same cores,
    a thread then spins for one that cannot run: two threads on two busy cores took 11 s for a frame. Not to spin at all
    is slow on idle cores. See ``docs/benchmarks.md`` for the figures. Takes effect only if torch is not loaded yet; a
    setting that the user made is kept. Programs call this at their start, importing does not.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPIN_COUNT))


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """NumPy's linear algebra in the calling thread alone, meanwhile.

    The displacement's matrices are small. OpenBLAS gives parts of them to other threads all the same, and these spin
    for tens of ms after each: a second core was busy for as long as the first, doing nothing. The setting is the
    process's: it is taken back when the last of those who are inside at the same time has left.
    """
    global _users, _limit
    with _inside:
        if _users == 0:
            _limit = _controller().limit(limits=1, user_api="blas")
        _users += 1
    try:
        yield
    finally:
        with _inside:
            _users -= 1
            if _users == 0:
                _limit.restore_original_limits()


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    """What is loaded when it is first asked for: NumPy and SciPy at least."""
    return ThreadpoolController()
