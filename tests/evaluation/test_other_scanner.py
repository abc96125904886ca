"""The second scan model: its truth is one, and it does what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sasnet_live.evaluation.case import Case
from sasnet_live.evaluation.datasets import open_dataset
from sasnet_live.geometry import ScanGeometry, SlowAxis
from sasnet_live.metrics import ncc
from sasnet_live.scan import move_lines

KINDS: tuple[SlowAxis, ...] = ("continuous", "stepped", "interleaved")


def cases(level: str, kind: SlowAxis = "continuous", size: int = 256, limit: int = 8) -> list[Case]:
    dataset = open_dataset("other-scanner", geometry=ScanGeometry(slow_axis=kind), shape=(size, size))
    return list(dataset.select([level], limit))


def test_eight_images_at_three_levels_always_the_same() -> None:
    dataset = open_dataset("other-scanner", shape=(64, 96))
    assert dataset.levels == ("easy", "medium", "hard")
    assert len(dataset) == 72
    few = [entry.name.rsplit("-", 1)[0] for entry in dataset.select(["easy"], 8).entries]
    assert len(set(few)) == 8
    first, again = (next(iter(open_dataset("other-scanner", shape=(64, 96)))) for _ in range(2))
    np.testing.assert_array_equal(first.backward, again.backward)
    assert first.forward.shape == first.backward.shape == (32, 96)
    assert first.forward.dtype == first.backward.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_the_true_displacement_aligns_better_than_any_near_it(kind: SlowAxis) -> None:
    """Averaged over images, each line brought to mean 0 and deviation 1 so that gain does not count."""

    def alike(case: Case, off_px: float) -> float:
        assert case.truth is not None
        assert case.displacement_px is not None
        moved = move_lines(case.backward, case.displacement_px + off_px)
        lines = [np.gradient(image, axis=1)[:, 40:-40] for image in (case.truth, moved)]
        return float(ncc(*lines))

    read = cases("easy", kind)
    course = {off: np.mean([alike(case, off) for case in read]) for off in (-0.5, -0.25, 0.0, 0.25, 0.5)}
    assert max(course, key=course.__getitem__) == 0.0, course
    assert course[0.0] > np.mean([alike(case, 3.0) for case in read]) + 0.1


def test_levels_differ_by_lag_and_noise() -> None:
    sizes = []
    for level in ("easy", "medium", "hard"):
        read = cases(level, limit=4)
        sizes.append(
            np.mean([np.abs(case.displacement_px).mean() for case in read if case.displacement_px is not None])
        )
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize("scanned", KINDS)
def test_slow_axis_says_where_backward_lines_lie(scanned: SlowAxis) -> None:
    """The forward pass interpolated to the backward lines is most like the truth under the kind it was scanned with."""
    read = cases("easy", scanned, limit=4)
    assert {case.geometry.slow_axis for case in read} == {scanned}
    likeness = {
        kind: np.mean([float(ncc(c.target, replace(c, geometry=ScanGeometry(slow_axis=kind)).reference)) for c in read])
        for kind in KINDS
    }
    assert max(likeness, key=likeness.__getitem__) == scanned, likeness


def test_texture_leaves_out_what_was_not_recorded() -> None:
    for case in cases("hard", limit=4):
        assert case.textured is not None
        assert case.displacement_px is not None
        source = np.arange(256) - case.displacement_px
        assert not case.textured[(source < 0) | (source > 255)].any()
        assert 0.1 < case.textured.mean() < 1
