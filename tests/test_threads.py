"""What `import sasnet_live` loads, and how torch's threads are told to wait."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from sasnet_live.correspondence import find
from sasnet_live.threads import SPIN_COUNT, one_blas_thread, share_cores


def test_threads_spin_briefly_unless_the_user_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    share_cores()
    assert os.environ == {"GOMP_SPINCOUNT": str(SPIN_COUNT)}
    for kept in ({"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}):
        monkeypatch.setattr(os, "environ", dict(kept))
        share_cores()
        assert os.environ == kept


def _blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.skipif(not _blas_threads() - {1}, reason="linear algebra has one thread here anyway")
def test_linear_algebra_has_one_thread_until_the_last_user_has_left() -> None:
    before = _blas_threads()
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert _blas_threads() == {1}
    second.__exit__(None, None, None)
    assert _blas_threads() == before
    with suppress(ZeroDivisionError), one_blas_thread():
        1 / 0  # noqa: B018
    assert _blas_threads() == before


def test_a_displacement_is_found_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[int]] = []
    monkeypatch.setattr(find, "coarse_search", lambda *_: seen.append(_blas_threads()) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        find.find_displacement(*np.random.default_rng(0).random((2, 32, 64), np.float32))
    assert seen == [{1}]


@pytest.mark.parametrize("module", ["sasnet_live", "sasnet_live.cli", "sasnet_live.threads"])
def test_importing_loads_nothing_heavy_and_changes_nothing(module: str) -> None:
    code = (
        "import os, sys, threading; before = dict(os.environ)\n"
        f"import {module}\n"
        "heavy = {'torch', 'napari', 'qtpy', 'PyQt6', 'pymmcore_plus', 'pymmcore', 'scipy', 'tifffile', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert dict(os.environ) == before and threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_public_name_loads() -> None:
    import sasnet_live

    for name in sasnet_live.__all__:
        assert getattr(sasnet_live, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = sasnet_live.nothing_like_it
