"""What speaks for a displacement, and in which words against it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from passes import passes_of
from sasnet_live.correspondence import ACCEPTED_CONFIDENCE, Evidence, find_displacement
from sasnet_live.correspondence.phase_delay import WideDelay
from sasnet_live.simulation import SimulatedPairs
from sasnet_live.simulation.impostors import IMPOSTOR_KINDS, impostor

KINDS = [kind for kinds in IMPOSTOR_KINDS.values() for kind in kinds]
# Frames that an earlier confidence accepted: kind, lines, px, number of the draw.
ONCE_ACCEPTED = (
    ("blurred", 128, 192, 30),
    ("blurred", 128, 192, 101),
    ("blurred", 128, 192, 138),
    ("blurred along lines", 128, 192, 47),
    ("blurred along lines", 128, 192, 123),
    ("blurred along lines", 128, 192, 182),
    ("hum", 128, 192, 141),
    ("hum", 128, 192, 254),
    ("hum", 128, 192, 312),
    ("blurred", 256, 256, 69),
    ("hum", 256, 256, 84),
    ("coarse lattice", 256, 256, 176),
)


@pytest.mark.parametrize(("kind", "height", "width", "draw"), ONCE_ACCEPTED)
def test_impostors_that_once_were_accepted_are_not(kind: str, height: int, width: int, draw: int) -> None:
    rng = np.random.default_rng([880000, KINDS.index(kind), height, width, draw])
    assert find_displacement(*passes_of(impostor(rng, kind, height, width))).confidence < 0.4


@pytest.mark.parametrize("index", range(6))
def test_real_agreement_is_far_above_chance(index: int) -> None:
    frame = SimulatedPairs(height=192, width=192).load_pair("validation", index)
    found = find_displacement(*passes_of(frame.raw))
    assert found.evidence.significance > 9
    assert found.confidence > 0.55


@pytest.fixture(scope="module")
def sure() -> Evidence:
    """Of a frame that nothing speaks against."""
    frame = SimulatedPairs(height=192, width=192).load_pair("validation", 0)
    found = find_displacement(*passes_of(frame.raw))
    assert found.confidence == found.evidence.confidence > 0.9
    return found.evidence


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"shared": 0.1, "significance": 0.0, "deviation_px": 3.0}, "share no structure"),
        ({"ambiguity": 0.99, "significance": 1.0}, "period"),
        ({"beyond": 1.0, "strain": 0.2}, "beyond the search range"),
        ({"significance": 2.0}, "chance"),
        ({"deviation_px": 0.9, "strain": 0.2}, "too little texture"),
        ({"strain": 0.2}, "more along the line"),
        ({"wide": WideDelay(-6.0, 0.1)}, "too far from wide structure"),
        ({"wide": WideDelay(4.0, 0.9)}, "too far from wide structure"),
    ],
    ids=str,
)
def test_the_doubt_named_is_the_one_that_makes_others_fail(
    sure: Evidence, changed: dict[str, object], words: str
) -> None:
    doubtful = replace(sure, **changed)  # type: ignore[arg-type]
    assert words in doubtful.doubt
    assert doubtful.confidence < ACCEPTED_CONFIDENCE


def test_noise_that_hides_fine_structure_leaves_little_confidence(sure: Evidence) -> None:
    hidden = replace(sure, detail=0.0)
    assert hidden.confidence == pytest.approx(0.6, abs=0.02)
    assert replace(hidden, wide=WideDelay(0.0, 1.0)).confidence < 0.1
    assert replace(sure, wide=WideDelay(0.0, 1.0)).confidence > 0.9


def test_a_line_is_as_sure_as_the_frame_and_its_own_noise(sure: Evidence) -> None:
    deviations = np.array([1e-3, 0.1, 0.5, 2.0])
    of_lines = replace(sure, line_deviation_px=deviations).line_confidence
    rng = np.random.default_rng(0)
    within = (np.abs(deviations[:, None] * rng.standard_normal((4, 20_000))) < 0.5).mean(1)
    np.testing.assert_allclose(of_lines, sure.confidence * within, atol=0.01)
    assert (sure.line_confidence <= sure.confidence).all()
