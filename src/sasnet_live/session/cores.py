"""How many cores the network takes: all for recordings on disk, all but one beside a window that is painted."""

from __future__ import annotations

import os

_all_threads = 0


def leave_one_core() -> None:
    """Have torch use one thread less than it would, in the calling thread and in those that begin later.

    Two threads that wait for each other at every step of the network, on two cores of which the window takes one,
    register fewer frames than one thread does, and take more from a preview beside them: see ``docs/plugin.md``. A
    number that the user set by ``OMP_NUM_THREADS`` is kept.
    """
    _use(max(1, _default() - 1))


def use_all_cores() -> None:
    """Have torch use as many threads as it does by itself; where nobody waits for the window."""
    _use(_default())


def _default() -> int:
    import torch

    global _all_threads
    _all_threads = _all_threads or torch.get_num_threads()
    return _all_threads


def _use(threads: int) -> None:
    import torch

    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
