"""Ctrl-C, SIGTERM and SIGHUP: any number at any moment ends in order, with files that are closed or partial."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sasnet_live.cli.interrupts import Interrupts

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

HERE = Path(__file__).parent
PROGRAM = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
import slow_registrar
sys.modules["sasnet_live.registrar"] = slow_registrar
from sasnet_live.cli import main
print("ready", file=sys.stderr, flush=True)
main()
"""


def test_two_are_raised_and_no_more() -> None:
    interrupts = Interrupts()
    interrupts.install()
    try:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)  # of the same burst
            time.sleep(0.2)
        for _ in range(5):
            signal.raise_signal(signal.SIGINT)
    finally:
        interrupts.restore()
    assert (interrupts.count, interrupts.status) == (9, 128 + signal.SIGTERM)


def test_one_that_a_finalizer_swallows_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    interrupts = Interrupts()
    interrupts.install()
    try:
        Finalized()
        with pytest.raises(KeyboardInterrupt):
            time.sleep(20)
    finally:
        interrupts.restore()
    assert interrupts.count == 1
    assert sys.unraisablehook is sys.__unraisablehook__


def test_none_is_raised_where_they_are_looked_at() -> None:
    interrupts = Interrupts()
    interrupts.install()
    try:
        with interrupts.looked_at():
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                interrupts.raise_if_any()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        interrupts.restore()
    assert interrupts.status == 130


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    interrupts = Interrupts()
    interrupts.install()
    try:
        signal.raise_signal(signal.SIGHUP)
    finally:
        interrupts.restore()
        signal.signal(signal.SIGHUP, before)
    assert interrupts.count == 0


def _is_whole_or_partial(folder: Path) -> None:
    """Whatever has its final name can be read to the end."""
    for path in folder.glob("out*"):
        if path.suffix == ".tiff":
            with tifffile.TiffFile(path) as tiff:
                assert len(tiff.asarray()) > 0
        elif path.suffix == ".csv":
            assert path.read_bytes().endswith(b"\n")
        else:
            assert path.suffix in (".partial", ".lock"), path


@pytest.mark.parametrize("seed", range(6))
def test_a_burst_at_any_moment(tmp_path: Path, seed: int) -> None:
    """Watch a folder; several signals, together or one after another, at a moment that nobody chose."""
    rng = random.Random(seed)
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(200):
        tifffile.imwrite(folder / f"{number:03d}.tif", np.full((16, 32), number, np.uint16))
    number = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[seed % 3]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "watch", str(folder), "--out", str(tmp_path / "out.ome.tiff")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FAKE_SECONDS": "0.05"},
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    time.sleep(rng.uniform(0.05, 3.0))  # the moment is what is tested
    for pause_s in rng.choice([[0, 0, 0], [0.02] * 5, [0.001] * 30]):
        process.send_signal(number)
        time.sleep(pause_s)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert "terminate" not in err
    _is_whole_or_partial(tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_a_burst_while_a_recording_is_simulated(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    program = "import sys\nfrom sasnet_live.cli import main\nprint('ready', file=sys.stderr, flush=True)\nmain()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *f"simulate --frames 5000 --size 64 -o {tmp_path / 'out.ome.tiff'}".split()],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    time.sleep(rng.uniform(0.05, 2.0))
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        time.sleep(rng.choice([0, 0.01]))
    _, err = process.communicate(timeout=60)
    # A library that runs text as a program makes Python end by the signal itself, which shells show as 130, too.
    assert process.returncode in (130, -signal.SIGINT), err
    assert err == "sasnet-live: interrupted\n"
    assert not (tmp_path / "out.ome.tiff").exists()
