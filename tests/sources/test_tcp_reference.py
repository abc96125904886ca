"""The reference of the TCP protocol says what is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sasnet_live.recordings.settings import LARGEST_MIB
from sasnet_live.sources import tcp_client, tcp_defaults, tcp_fields, tcp_messages, tcp_replies, tcp_wire
from sasnet_live.sources.tcp_messages import Conversation
from sasnet_live.sources.tcp_wire import ProtocolError, encode

TEXT = (Path(__file__).parents[2] / "docs" / "tcp.md").read_text(encoding="utf-8")


def test_the_example_in_bytes_is_what_is_written() -> None:
    lines = re.findall(r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} ?)+)", TEXT, re.MULTILINE)
    frame = np.array([[1, 2, 3], [256, 257, 65535]], np.uint16)
    assert bytes.fromhex("".join(lines)) == encode({"type": "frame", "index": {"t": 3}}, frame)


@pytest.mark.parametrize("kind", ["start", "frame", "end"])
def test_the_keys_are_those_that_are_read(kind: str) -> None:
    table = TEXT.split(f"**`{kind}`**")[1].split("\n\n")[1]
    keys = {key for row in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])}
    talk = Conversation(lambda layout: None, answers=True, largest_px=1 << 20)
    header: dict[str, Any] = {"type": "start", "shape": [16, 32], "dtype": "uint8"}
    if kind != "start":
        talk.read(header, 0)
        header = {"type": kind}
    with pytest.raises(ProtocolError) as raised:
        talk.read({**header, "0" * 50: 1}, 512 if kind == "frame" else 0)
    assert set(str(raised.value).partition("it has ")[2].split(", ")) == keys


def test_the_limits_are_those_in_force() -> None:
    limits = TEXT.split("## Limits")[1].split("##")[0]
    for number in (
        tcp_wire.LARGEST_JSON, f"{tcp_wire.DEEPEST_JSON} levels", f"{tcp_wire.LONGEST_NUMBER} characters",
        f"{LARGEST_MIB:g} MiB", tcp_messages.LONGEST_SIDE, f"{tcp_messages.MOST_CHANNELS} channels",
        f"{tcp_fields.LONGEST_TEXT} printable", f"{tcp_client.STALLED_S:g} s", tcp_replies.MOST_AWAITED,
        f"{1 / tcp_client.SHORTEST_STREAM_S:g} begin in a second",
    ):  # fmt: skip
        assert str(number) in limits, number
    assert f"{tcp_replies.MOST_BYTES >> 20} MiB or {tcp_replies.MOST_MESSAGES} of them" in TEXT
    assert f"port {tcp_defaults.PORT}" in TEXT
    assert all(f"`{dtype}`" in TEXT for dtype in tcp_messages.DTYPES)
    assert all(f"| `{kind}` |" in TEXT for kind in tcp_messages.REPLY_KINDS)
