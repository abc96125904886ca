"""``sasnet-live serve`` as a user and a program that sends see it: files, lines, exit status."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sasnet_live.sources.tcp_wire import encode

_HERE = Path(__file__).parent
_EXAMPLES = _HERE.parents[1] / "examples"
_SCRIPT = f"""
import sys
sys.path.insert(0, {str(_HERE)!r})
import slow_registrar
sys.modules["sasnet_live.registrar"] = slow_registrar
from sasnet_live.cli import main
main()
"""
START = {"type": "start", "shape": [16, 32], "dtype": "uint16"}


@contextmanager
def serving(*arguments: object, **environment: str) -> Iterator[tuple[Any, int]]:
    """The command in a process of its own, listening; and its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, "serve", "--port", "0", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        said = (process.stderr if "--json" in arguments else process.stdout).readline()
        found = re.fullmatch(r"waiting for programs that connect to .*:(\d+); Ctrl-C ends this\n", said)
        assert found is not None, said + process.stderr.read()
        yield process, int(found[1])
    finally:
        process.kill()
        process.communicate()


def send(port: int, *messages: tuple[dict[str, Any], Any]) -> str:
    """Send these and listen until the connection is closed; what came, as text."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for header, px in messages:
            connection.sendall(encode(header, px))
        connection.shutdown(socket.SHUT_WR)
        data = b""
        while piece := connection.recv(1 << 16):
            data += piece
        return data.decode(errors="replace")


def frames(count: int) -> list[tuple[dict[str, Any], Any]]:
    return [({"type": "frame"}, np.full((16, 32), number, np.uint16)) for number in range(count)]


def test_the_example_sender_is_written_and_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.ome.tiff"
    with serving("--out", out, "--once") as (process, port):
        runpy.run_path(str(_EXAMPLES / "tcp_sender.py"))["main"](12, port)
        printed, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert f"wrote {out} (12 frames)" in printed
    with tifffile.TiffFile(out) as tiff:
        assert tiff.series[0].shape == (12, 64, 128)
    replies = capsys.readouterr().out.splitlines()
    assert len(replies) == 13
    assert replies[0].startswith("type metrics  frame 0  index {'t': 0}  ncc_before 0.5  ncc_after 0.9")
    assert replies[-1].startswith("type ended  reason completed  received 12  processed 12  registered 12  missing 0")


def test_streams_go_to_files_of_their_own_and_a_bad_message_does_not_end_it(tmp_path: Path) -> None:
    out = tmp_path / "out.ome.tiff"
    with serving("--out", out, "--raw", tmp_path / "raw.ome.tiff") as (process, port):
        send(
            port, (START, None), *frames(3), ({"type": "end"}, None), (START, None), *frames(2), ({"type": "end"}, None)
        )
        assert "expected one of uint8" in send(port, ({**START, "dtype": "complex"}, None))
        assert "at least 16 lines of 32 px" in send(port, ({**START, "shape": [16, 8]}, None))
        send(port, ({**START, "frames": 5}, None), *frames(4))
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "'complex'" in lines[0]
    assert "too little to register" in lines[1]
    assert "its stream ended early; 1 frame is missing" in lines[2]
    assert "Traceback" not in errors
    shapes = [tifffile.imread(tmp_path / name).shape for name in ("out.ome.tiff", "out_002.ome.tiff")]
    assert shapes == [(3, 16, 32), (2, 16, 32)]
    assert tifffile.imread(tmp_path / "raw_002.ome.tiff")[:, 0, 0].tolist() == [0, 1]


def test_so_many_frames_with_one_object_a_frame() -> None:
    with serving("--frames", 3, "--json", "--policy", "all") as (process, port):
        send(port, (START, None), *frames(5))
        printed, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert [json.loads(line)["frame"] for line in printed.splitlines()] == [0, 1, 2]


def test_frames_that_are_missing_fail_the_command(tmp_path: Path) -> None:
    with serving("--once", "--out", tmp_path / "out.ome.tiff") as (process, port):
        send(port, ({**START, "frames": 5}, None), *frames(3), ({"type": "end"}, None))
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "2 frames are missing at the end of its stream" in errors
    assert tifffile.imread(tmp_path / "out.ome.tiff").shape == (3, 16, 32)


def test_a_port_that_is_taken_and_an_address_that_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-c", _SCRIPT, "serve", "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == (
        f"sasnet-live: 127.0.0.1:{port}: another program has this port; close it, perhaps another SASNet Live, or "
        "choose another port\n"
    )


def test_others_are_let_in_only_when_asked_and_with_a_warning() -> None:
    with serving("--host", "0.0.0.0", "--once") as (process, port):
        send(port, (START, None), *frames(1), ({"type": "end"}, None))
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "nobody is asked for a password" in errors


def octave_lacks() -> str:
    """Why the MATLAB sender cannot be run here; empty if it can."""
    if shutil.which("octave") is None:
        return "Octave is not installed: the MATLAB sender was not run"
    command = ["octave", "--no-gui", "--quiet", "--eval", "pkg load instrument-control"]
    if subprocess.run(command, capture_output=True, timeout=120).returncode:
        return "Octave lacks instrument-control: the MATLAB sender was not run"
    return ""


def test_the_matlab_sender_under_octave(tmp_path: Path) -> None:
    if reason := octave_lacks():
        pytest.skip(reason)
    raw = tmp_path / "raw.ome.tiff"
    with serving("--raw", raw, "--once") as (process, port):
        program = f"addpath('{_EXAMPLES}'); tcp_sender(5, {port})"
        command = ["octave", "--no-gui", "--quiet", "--eval", program]
        # Its Qt complains of a session that a plain shell has not.
        quiet = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(tmp_path)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=quiet)
        _, errors = process.communicate(timeout=60)
    assert (done.returncode, done.stderr, process.returncode, errors) == (0, "", 0, "")
    replies = done.stdout.splitlines()
    assert len(replies) == 11
    assert '"type":"profile","frame":4' in replies[9]
    assert replies[9].endswith("(512 bytes of px)")
    assert '"received":5,"processed":5,"registered":5,"missing":0,"unanswered":0' in replies[10]
    scans = tifffile.imread(raw)
    assert scans.shape == (5, 64, 128)
    assert scans.std() > 1000
    # Lines are lines: columns sent in their place would not move along as a whole.
    np.testing.assert_array_equal(scans, [np.roll(scans[0], number, axis=0) for number in range(5)])
