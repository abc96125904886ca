"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

REAL_PAIRS = Path(__file__).resolve().parents[2] / "shared" / "data" / "raster-pairs"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Torch's threads wait for each other by spinning, which is slow where other tests or programs share the cores."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_pairs() -> list[Path]:
    """Real forward and backward scans; the test is skipped where they are not at hand."""
    files = sorted(REAL_PAIRS.glob("*.tif"))
    if not files:
        pytest.skip(f"no real scans in {REAL_PAIRS.name}/ beside the project: they are not part of it")
    return files
