"""What all tests share."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Loops are compiled when they are first called, and no test is about time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

REAL_PAIRS = Path(__file__).resolve().parents[2] / "shared" / "data" / "raster-pairs"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Torch's threads wait for each other by spinning, which is slow where other tests or programs share the cores."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    """Every thread of ours that a test began must be gone when it ends."""
    before = set(threading.enumerate())

    def left() -> list[str]:
        ours = (thread for thread in threading.enumerate() if thread.name.startswith("sasnet-live"))
        return [thread.name for thread in ours if thread not in before]

    yield
    deadline = time.monotonic() + 10
    while left() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left(), f"threads left behind: {left()}"


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """What a shell runs in its background ignores Ctrl-C, and programs that tests start would inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_pairs() -> list[Path]:
    """Real forward and backward scans; the test is skipped where they are not at hand."""
    files = sorted(REAL_PAIRS.glob("*.tif"))
    if not files:
        pytest.skip(f"no real scans in {REAL_PAIRS.name}/ beside the project: they are not part of it")
    return files


@pytest.fixture(scope="session", autouse=True)
def _signals_without_qt() -> Iterator[None]:
    """Cores made by tests without a window signal in their own threads, also after a test that left a QApplication.

    pymmcore-plus chooses by whether there is one; with it, callbacks wait for an event loop that does not run.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYMM_SIGNALS_BACKEND", "psygnal")
        yield


@pytest.fixture(autouse=True)
def _signals_with_qt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of windows have the signals that users of a window have."""
    if request.node.get_closest_marker("gui") is not None:
        monkeypatch.setenv("PYMM_SIGNALS_BACKEND", "auto")
