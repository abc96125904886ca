"""How torch's threads wait: measured to matter more than anything else where cores are shared."""

from __future__ import annotations

import os

SPIN_COUNT = 20_000


def share_cores() -> None:
    """Let torch's CPU threads spin only briefly while they wait for each other, then sleep.

    GNU OpenMP spins for milliseconds by default. Where a camera, a window or another program is on the same cores,
    a thread then spins for one that cannot run: two threads on two busy cores took 11 s for a frame. Not to spin at all
    is slow on idle cores. See ``docs/benchmarks.md`` for the figures. Takes effect only if torch is not loaded yet; a
    setting that the user made is kept. Programs call this at their start, importing does not.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPIN_COUNT))
