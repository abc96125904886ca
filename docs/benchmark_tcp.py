"""Measure frames over TCP on this machine: frames lost, latency added, how long the sender is held, hostile messages.

    python docs/benchmark_tcp.py                     # 30 frames of 512x512 uint16 a second for 60 s, a second process
    chrt -f 50 python docs/benchmark_tcp.py          # where other work would drown the figures (root)
    python docs/benchmark_tcp.py --model lite        # with a registrar at work beside, instead of one that sleeps 10 ms
    python docs/benchmark_tcp.py --hostile 10000     # malformed messages over real connections; needs the test extra

Latency added: from just before the sender hands a frame to its socket until the pipeline has it. The exit status is 1
if a figure misses its bar.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from sasnet_live.frame import EndReason, Frame, Registration, RegistrationMetrics
from sasnet_live.layout import Layout
from sasnet_live.live.pipeline import LivePipeline
from sasnet_live.session.serving import answer_from
from sasnet_live.sources.tcp import TcpSource
from sasnet_live.sources.tcp_wire import encode, encode_parts

SHAPE = (512, 512)
LATENCY_P99_MS = 5.0
HOSTILE_MIB = 16.0
"""What memory may grow by. A frame of 1 MiB at most is read at a time here, and no reply waits."""
failures: list[str] = []


def check(name: str, holds: bool, figure: str) -> None:
    print(f"{'ok  ' if holds else 'MISS'}  {name}: {figure}", flush=True)
    if not holds:
        failures.append(name)


def sleeping(frame: Frame) -> Registration:
    """A registrar that takes 10 ms and changes nothing."""
    time.sleep(0.01)
    lines = frame.data[1::2].astype(np.float32)
    return Registration(frame.data, None, lines, np.zeros_like(lines), RegistrationMetrics(), True)


class Timed:
    """Hands frames on to a pipeline, and keeps how old each was then."""

    def __init__(self, pipeline: LivePipeline) -> None:
        self.added_ms: list[float] = []
        self._pipeline = pipeline
        self.attach, self.detach = pipeline.attach, pipeline.detach
        self.begin_stream, self.end_stream = pipeline.begin_stream, pipeline.end_stream

    def put(self, frame: Frame, *, wait: bool = True) -> bool:
        taken = self._pipeline.put(frame, wait=wait)
        self.added_ms.append(1e3 * (time.monotonic() - frame.metadata["timestamp_s"]))
        return taken


def send(port: int, frames: int, rate: float) -> None:
    """The second process: frames at a steady rate, then how long it was held over each, ms."""
    scenes = np.random.default_rng(0).integers(0, 4000, (8, *SHAPE)).astype(np.uint16)
    held_ms = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            encode({"type": "start", "shape": SHAPE, "dtype": "uint16", "frames": frames, "replies": "metrics"})
        )
        due = time.monotonic()
        for number in range(frames):
            time.sleep(max(0.0, due - time.monotonic()))
            due += 1 / rate
            since = time.monotonic()
            for part in encode_parts({"type": "frame", "timestamp_s": since}, scenes[number % len(scenes)]):
                connection.sendall(part)
            held_ms.append(1e3 * (time.monotonic() - since))
        connection.sendall(encode({"type": "end"}))
        connection.shutdown(socket.SHUT_WR)
        replies = connection.makefile("rb").read()
    answered = replies.count(b'"type":"metrics"')
    print(answered, *np.percentile(held_ms, (50, 99, 100)))


def steady(seconds: float, rate: float, model: str) -> None:
    """Every frame accounted for, and how late."""
    frames = round(seconds * rate)
    prepare: Callable[[Layout], None] | None = None
    process: Callable[[Frame], Registration] = sleeping
    if model:
        from sasnet_live.live.channels import ChannelRegistrar
        from sasnet_live.registrar import Registrar

        channels = ChannelRegistrar(lambda: Registrar(model, device="cpu"))
        process, prepare = channels, channels.prepare
    pipeline = LivePipeline(process, policy="all", prepare=prepare).start(Layout(SHAPE, np.dtype("uint16")))
    pipeline.wait_until_ready()
    source = TcpSource(port=0, answers=True)
    answer_from(pipeline, source)
    consumer = Timed(pipeline)
    source.start(consumer)
    command = [sys.executable, __file__, "--send", str(source.port), str(frames), str(rate)]
    sent = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    source.stop()
    [report] = pipeline.close()
    status = pipeline.status()
    answered, held = int(sent[0]), [float(one) for one in sent[1:]]
    check(
        f"{frames} frames of {SHAPE[0]}x{SHAPE[1]} uint16 at {rate:g} FPS, all accounted for",
        frames == report.received == report.processed == answered and not (report.missing or status.counts.dropped),
        f"sent {frames}, received {report.received}, processed {report.processed}, answered {answered}, missing "
        f"{report.missing}, dropped {status.counts.dropped}",
    )
    p50, p99, worst = np.percentile(consumer.added_ms, (50, 99, 100))
    check(
        f"latency added, p99 <= {LATENCY_P99_MS:g} ms",
        p99 <= LATENCY_P99_MS,
        f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {worst:.2f} ms",
    )
    check(
        "the sender is not held over a frame, p99 <= 5 ms",
        held[1] <= LATENCY_P99_MS,
        "p50 {:.2f} ms, p99 {:.2f} ms, max {:.2f} ms".format(*held),
    )


class Counting:
    """A consumer that keeps nothing."""

    def __init__(self) -> None:
        self.frames = self.begun = self.ended = 0

    def attach(self, source: object) -> None: ...

    def detach(self, source: object) -> None: ...

    def begin_stream(self, stream: Layout) -> None:
        self.begun += 1

    def put(self, frame: Frame, *, wait: bool = True) -> bool:
        self.frames += 1
        return True

    def end_stream(self, reason: EndReason = "completed", *, missing: int | None = None) -> None:
        self.ended += 1


def listen() -> None:
    """A process of its own that takes what comes until its input is closed; then says how it went."""
    consumer = Counting()
    source = TcpSource(port=0, largest_mib=1)
    source.start(consumer)
    print(source.port, flush=True)
    sys.stdin.read()
    alive = source.running and source.error is None
    source.stop()
    print(int(alive), consumer.begun, consumer.ended, consumer.frames)


def hostile(count: int) -> None:
    """Malformed messages, each over a connection of its own and to the parser alone; then a good one."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st

    from hostile_messages import hostile_bytes, try_on, variants

    command = [sys.executable, __file__, "--listen"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdin is not None
        assert listener.stdout is not None
        port = int(listener.stdout.readline())
        process = psutil.Process(listener.pid)
        sizes = [process.memory_info().rss / 2**20]
        tried = refused = 0

        def send_one(data: bytes) -> None:
            connection = socket.create_connection(("127.0.0.1", port), timeout=20)
            with connection, contextlib.suppress(ConnectionError):
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):
                    pass

        @seed(0)
        @settings(
            max_examples=-(-count // 4),
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(data=hostile_bytes, chosen=st.integers(0, 2**32 - 1))
        def run(data: bytes, chosen: int) -> None:
            nonlocal tried, refused
            for variant in variants(data, chosen, 4):
                tried += 1
                refused += bool(try_on(variant, 100_000)[1])
                send_one(variant)
                if tried % 50 == 0:
                    sizes.append(process.memory_info().rss / 2**20)

        since = time.monotonic()
        run()
        elapsed_s = time.monotonic() - since
        good = encode({"type": "start", "shape": [16, 32], "dtype": "uint8"})
        good += encode({"type": "frame"}, np.zeros((16, 32), np.uint8)) + encode({"type": "end"})
        send_one(good)
        said, _ = listener.communicate("")
    alive, begun, ended, frames = map(int, said.split())
    check(
        f"{count} hostile messages, no crash",
        bool(alive) and tried >= count and begun == ended > 0,
        f"{tried} tried in {elapsed_s:.0f} s, {refused} refused with one line, the others cut off or harmless; "
        f"{begun} streams began, {ended} ended, {frames} frames; a good sender was served last",
    )
    grown = max(sizes) - sizes[0]
    check(
        f"memory of the process that listens grown by {HOSTILE_MIB:g} MiB at most",
        grown <= HOSTILE_MIB,
        f"{sizes[0]:.0f} MiB before the first, {grown:.1f} MiB more at most, looked at {len(sizes)} times",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=30)
    parser.add_argument("--model", default="", help="registrar beside; by default one that sleeps 10 ms")
    parser.add_argument("--hostile", type=int, metavar="COUNT")
    parser.add_argument("--listen", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--send", nargs=3, help=argparse.SUPPRESS)
    arguments: Any = parser.parse_args()
    if arguments.send:
        port, frames, rate = arguments.send
        send(int(port), int(frames), float(rate))
        return
    if arguments.listen:
        listen()
        return
    if arguments.hostile:
        hostile(arguments.hostile)
    else:
        steady(arguments.seconds, arguments.rate, arguments.model)
    print(f"{len(failures)} figures missed their bar" if failures else "every figure met its bar")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
