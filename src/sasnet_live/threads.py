"""How torch's threads wait: measured to matter more than anything else where cores are shared."""

from __future__ import annotations

import os


def share_cores() -> None:
    """Let torch's CPU threads sleep while they wait for each other, instead of spinning.

    A camera, a window or another program on the same cores makes spinning threads wait for one that is not running:
    with two threads on two busy cores a frame took 11 s instead of 0.3 s. Takes effect only if torch is not loaded
    yet; a setting that the user made is kept. Programs call this at their start, importing does not.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
