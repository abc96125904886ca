"""What `import sasnet_live` loads, and how torch's threads are told to wait."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sasnet_live.threads import SPIN_COUNT, share_cores


def test_threads_spin_briefly_unless_the_user_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    share_cores()
    assert os.environ == {"GOMP_SPINCOUNT": str(SPIN_COUNT)}
    for kept in ({"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}):
        monkeypatch.setattr(os, "environ", dict(kept))
        share_cores()
        assert os.environ == kept


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
