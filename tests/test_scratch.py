"""The array on disk between two orders."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from sasnet_live.scratch import Scratch


def test_what_is_written_is_read(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(-9, 9, (4, 7, 5)).astype(np.int16)
    with Scratch(tmp_path, whole.shape, whole.dtype) as scratch:
        for start in range(0, 7, 2):
            scratch.write(whole[:, start : start + 2], 0, start)
        np.testing.assert_array_equal(scratch.read(0, 4, 0, 7), whole)
        np.testing.assert_array_equal(scratch.read(2, 3, 1, 6), whole[2:3, 1:6])
        scratch.write(whole[1:3].transpose(0, 1, 2)[::-1], 1, 0)
        np.testing.assert_array_equal(scratch.read(1, 3, 0, 7), whole[1:3][::-1])


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, (2, 2, 2), np.dtype(np.float32))
    np.testing.assert_array_equal(scratch.read(0, 2, 0, 2), np.zeros((2, 2, 2), np.float32))
    scratch.close()
    scratch.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Scratch(tmp_path, (1, 1, 4), np.dtype(np.int16)) as scratch, open("/dev/full", "r+b", buffering=0) as full:
        monkeypatch.setattr(scratch, "_file", full)
        with pytest.raises(OSError) as error:
            scratch.write(np.ones((1, 1, 4), np.int16), 0, 0)
        assert error.value.errno == errno.ENOSPC
