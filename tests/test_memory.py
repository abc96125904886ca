"""Freed memory is kept for the next frame, up to a bound."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sasnet_live.memory import keep_freed_memory

FAULTS = """
import resource, sys
import numpy as np
from sasnet_live.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def frame():
    arrays = [np.ones(400_000) for _ in range(4)]  # 3 MB each
def faults(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        frame()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(5)
print(faults(20))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only the GNU C library is told to keep memory")
def test_frames_take_no_new_pages_once_the_first_ones_have() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC", "GLIBC"))}
    counts = [
        int(
            subprocess.run([sys.executable, "-c", FAULTS, how], env=environment, check=True, capture_output=True).stdout
        )
        for how in ("default", "kept")
    ]
    assert counts[0] > 20 * 1000  # each frame takes its 12 MB anew
    assert counts[1] < 20 * 10


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_a_setting_of_the_user_is_kept(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    assert not keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert not keep_freed_memory()
