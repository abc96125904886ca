"""The ring on disk: what goes in comes out, in order, in bounded space."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline_parts import numbered
from sasnet_live.live.spill import SpillRing


def test_a_ring_that_is_closed_while_a_camera_writes_discards_the_frame(tmp_path: Path) -> None:
    """A pipeline is closed in one thread while another puts; `put` never raises."""
    ring = SpillRing(1 << 20, tmp_path)
    slot = ring.reserve(numbered(0))
    assert slot is not None
    ring.close()
    ring.write(slot, numbered(0))
    assert len(ring) == 0


def test_the_ring_wraps_and_refuses_when_it_is_full(tmp_path: Path) -> None:
    frame_bytes = numbered(0).data.nbytes
    ring = SpillRing(3 * frame_bytes, tmp_path)
    generator = np.random.default_rng(3)
    inside: list[int] = []
    refused = 0
    for number in range(200):
        slot = ring.reserve(numbered(number))
        if slot is None:
            refused += 1
        else:
            ring.write(slot, numbered(number))
            slot.ready = True
            inside.append(number)
        assert len(inside) <= 3
        if inside and generator.random() < 0.5:
            head = ring.head()
            assert head is not None
            frame = ring.read(head)
            ring.release()
            expected = inside.pop(0)
            assert frame.sequence_number == expected
            np.testing.assert_array_equal(frame.data, numbered(expected).data)
    assert refused > 0
    ring.close()
    assert list(tmp_path.iterdir()) == [], "the file vanishes"


def test_a_frame_that_is_larger_than_the_ring_is_refused(tmp_path: Path) -> None:
    assert SpillRing(10, tmp_path).reserve(numbered(0)) is None
