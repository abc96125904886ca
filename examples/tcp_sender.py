"""Send frames from your own program to `sasnet-live serve`, or to napari with the source "another program (TCP)".

Nothing of SASNet Live is needed here: copy these lines into the program that has the frames. docs/tcp.md describes the
messages.

    sasnet-live serve --out out.ome.tiff --once
    python examples/tcp_sender.py [FRAMES] [PORT]
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

import numpy as np


def send(connection, header, px=b""):
    text = json.dumps(header).encode()
    connection.sendall(b"SNLF" + struct.pack("<III", 1, len(text), len(px)) + text + px)


def main(count=30, port=27182):
    scene = np.random.default_rng(0).integers(0, 4000, (64, 128)).astype("<u2")  # your digitizer's frame, line by line
    with socket.create_connection(("127.0.0.1", port)) as connection:
        start = {"type": "start", "shape": scene.shape, "dtype": "uint16", "frames": count, "replies": ["metrics"]}
        send(connection, {**start, "source": "tcp_sender.py", "interval_s": 1 / 30, "may_wait": True})
        for number in range(count):
            send(connection, {"type": "frame", "timestamp_s": time.time()}, np.roll(scene, number, 0).tobytes())
        send(connection, {"type": "end"})
        connection.shutdown(socket.SHUT_WR)  # nothing more to say; what comes back is read until it is all there
        replies = connection.makefile("rb")
        while prefix := replies.read(16):
            text_bytes, px_bytes = struct.unpack("<8xII", prefix)
            reply = json.loads(replies.read(text_bytes))
            replies.read(px_bytes)  # the px of "profile", "displacement" and "registered"
            print(*(f"{name} {value}" for name, value in reply.items() if value is not None and value != ""), sep="  ")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
