"""What speaks for a displacement, and what is only chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from sasnet_live.correspondence import confidence, find_displacement
from sasnet_live.correspondence.chance import significance
from sasnet_live.correspondence.confidence import strongest_doubt
from sasnet_live.scan import ScanGeometry, forward_at_backward_lines, split
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


def passes_of(raw: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    forward, backward = (torch.from_numpy(a.astype(np.float32))[None] for a in split(raw, ScanGeometry()))
    return forward_at_backward_lines(forward, backward.shape[1], ScanGeometry()), backward


def noise(rng: np.random.Generator, lines: int, width: int, blur: tuple[float, float]) -> torch.Tensor:
    image = ndimage.gaussian_filter(rng.standard_normal((lines, width)).astype(np.float32), blur, mode="wrap")
    return torch.from_numpy(image)[None]


@pytest.mark.parametrize("blur", [(0, 0), (0, 4), (3, 0), (2, 4)], ids=str)
def test_chance_is_of_unit_deviation_whatever_the_noise(blur: tuple[float, float]) -> None:
    """Correlation itself is not: of noise blurred over 2 lines and 4 px it varies ten times as much as of white."""
    rng = np.random.default_rng(3)
    pairs = [[noise(rng, 64, 96, blur) for _ in range(2)] for _ in range(150)]
    figures = np.array([float(significance(*pair)) for pair in pairs])
    # The larger of two that hang together: a mean between 0 and 0.6, a deviation a little below 1.
    assert -0.2 < figures.mean() < 0.8
    assert 0.6 < figures.std() < 1.3
    assert figures.max() < 4.6


def test_what_is_shared_is_the_more_significant_the_more_there_is_of_it() -> None:
    rng = np.random.default_rng(4)

    def figure(lines: int) -> float:
        content = noise(rng, lines, 128, (1, 1))
        content = content / content.std()
        return float(significance(*(content + 2 * noise(rng, lines, 128, (0, 0)) for _ in range(2))))

    few, many = (np.mean([figure(lines) for _ in range(6)]) for lines in (32, 128))
    assert few > 4.6
    assert many / few == pytest.approx(2, rel=0.25)


def test_a_wave_that_fits_at_some_phase_is_no_evidence() -> None:
    x = torch.arange(128.0)
    waves = [torch.sin(2 * torch.pi * x / 31 + phase).expand(1, 64, 128) for phase in (0.0, 0.1)]
    assert float((waves[0] * waves[1]).mean()) > 0.45
    assert float(significance(*waves)) < 4.6


def test_agreement_is_judged_frame_by_frame_and_in_any_unit() -> None:
    rng = np.random.default_rng(5)
    first, second = (noise(rng, 40, 70, (1, 1)) for _ in range(2))
    batch = significance(torch.cat([first, first]), torch.cat([second, first]))
    torch.testing.assert_close(batch[:1], significance(1e-3 * first, 50 * second), rtol=1e-3, atol=1e-3)
    assert batch[1] > 10 > batch[0]


@pytest.mark.parametrize(("kind", "height", "width", "draw"), ONCE_ACCEPTED)
def test_impostors_that_once_were_accepted_are_not(kind: str, height: int, width: int, draw: int) -> None:
    rng = np.random.default_rng([880000, KINDS.index(kind), height, width, draw])
    found = find_displacement(*passes_of(impostor(rng, kind, height, width)))
    assert float(found.confidence) < 0.4


@pytest.mark.parametrize("index", range(6))
def test_real_agreement_is_far_above_chance(index: int) -> None:
    frame = SimulatedPairs(height=192, width=192).load_pair("validation", index)
    found = find_displacement(*passes_of(frame.raw))
    assert float(found.evidence.significance) > 9
    assert float(found.confidence) > 0.55


def test_the_doubt_named_is_the_one_that_makes_others_fail() -> None:
    frame = SimulatedPairs(height=192, width=192).load_pair("validation", 0)
    sure = find_displacement(*passes_of(frame.raw)).evidence
    number = torch.ones(1)
    for changed, words in (
        ({"shared": 0.1, "significance": 0.0, "deviation_px": 3.0}, "share no structure"),
        ({"rival": 0.99, "significance": 1.0}, "period"),
        ({"beyond": 1.0, "strain": 0.2}, "beyond the search range"),
        ({"significance": 2.0}, "chance"),
        ({"deviation_px": 0.9, "strain": 0.2}, "too little texture"),
        ({"strain": 0.2}, "more along the line"),
    ):
        doubtful = replace(sure, **{name: value * number for name, value in changed.items()})
        assert words in strongest_doubt(doubtful)
        assert float(confidence(doubtful)) < 0.5 < float(confidence(sure))
