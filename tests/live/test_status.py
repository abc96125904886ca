"""How streams went, in words."""

from __future__ import annotations

import numpy as np

from pipeline_parts import SHAPE
from sasnet_live.layout import Layout
from sasnet_live.live.status import StreamReport


def test_reports_count_frames_that_never_came() -> None:
    info = Layout(SHAPE, np.dtype(np.uint16), frames=4)
    report = StreamReport(info, "completed", received=3, processed=3, registered=3, missing=1)
    assert not report.complete
    assert report.problems() == ["1 of 4 frames never came from the source"]
