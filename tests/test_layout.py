"""What is known of a run of frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sasnet_live.frame import Frame
from sasnet_live.layout import Layout

SHAPE = (4, 6)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        ((2.0, 0.5), (2.0, 0.5)),
        ([2.0, 0.5], (2.0, 0.5)),
        (1.25, (1.25, 1.25)),
        ("1.25", (1.25, 1.25)),
        (0, None),
        (0.0, None),
        (-1.0, None),
        ((2.0, 0.0), None),
        ((2.0, float("nan")), None),
        (float("inf"), None),
        ((1.0, 2.0, 3.0), None),
        ("many", None),
    ],
)
def test_the_size_of_a_px_has_two_axes_or_is_not_known(given: Any, kept: object) -> None:
    assert Layout(SHAPE, np.dtype(np.uint16), pixel_size_um=given).pixel_size_um == kept
    frame = Frame(np.zeros(SHAPE, np.uint16), metadata={} if given is None else {"pixel_size_um": given})
    assert Layout.of(frame).pixel_size_um == kept
