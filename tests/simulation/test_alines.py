"""Simulated RF A-lines: bursts where the truth says, and a truth that moved samples agree with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sasnet_live.errors import InputError
from sasnet_live.geometry import ScanGeometry
from sasnet_live.recordings.volume import envelope
from sasnet_live.registrar import Registrar
from sasnet_live.reprocess.volume import move_samples
from sasnet_live.scan import split
from sasnet_live.simulation import AlineSettings, SimulatedVolume, layered_tissue, random_scanner, scan_volume
from sasnet_live.simulation.alines import FULL_SCALE, response

SIZE = 96
ALINES = AlineSettings(samples=96)


def simulated(level: Any = "easy", noise: bool = True, seed: int = 0, **more: Any) -> SimulatedVolume:
    rng = np.random.default_rng(seed)
    scanner = random_scanner(rng, level, SIZE)
    options = {"height": SIZE, "width": SIZE} | more
    tissue = layered_tissue(np.random.default_rng(seed + 1), options["height"], options["width"], ALINES)
    return scan_volume(tissue, scanner if noise else scanner.without_noise(), ALINES, rng, **options)


def test_a_burst_is_bipolar_and_band_limited() -> None:
    time = np.arange(-64, 64, dtype=np.float32)
    burst = response(time, ALINES)
    assert burst.max() == pytest.approx(-burst.min(), rel=1e-3)
    assert burst.sum() == pytest.approx(0, abs=1e-3)
    power = np.abs(np.fft.rfft(burst))
    mhz = np.fft.rfftfreq(128, 1 / ALINES.sampling_mhz)
    assert mhz[power.argmax()] == pytest.approx(ALINES.centre_mhz, abs=2)
    band = mhz[power > 0.5 * power.max()]
    assert np.ptp(band) == pytest.approx(ALINES.bandwidth * ALINES.centre_mhz, abs=4)
    assert np.argmax(envelope(burst)) == 64
    assert envelope(burst).max() == pytest.approx(1, abs=0.02)


def test_samples_show_the_layers_where_they_are() -> None:
    """Without noise, of the strongest layer: depth within half a sample and height within a twentieth."""
    volume = simulated(noise=False)
    samples = volume.lines(0, SIZE)
    assert samples.shape == (SIZE, SIZE, 96)
    assert samples.dtype == np.int16
    assert samples.min() < -1000 < 1000 < samples.max()
    strongest = volume.amplitude.argmax(0)
    high = np.take_along_axis(volume.amplitude, strongest[None], 0)[0]
    place = np.take_along_axis(volume.depth, strongest[None], 0)[0]
    others = np.sort(volume.amplitude, axis=0)[-2]
    alone = (high > 0.2) & (others < 0.1 * high)
    assert alone.sum() > 200
    found = envelope(samples)[alone]
    assert np.abs(found.argmax(-1) - place[alone]).max() < 1.5
    np.testing.assert_allclose(found.max(-1) / FULL_SCALE, high[alone], rtol=0.15)


def test_a_line_is_the_same_whatever_the_others_are() -> None:
    volume = simulated()
    np.testing.assert_array_equal(volume.lines(4, 9), volume.lines(0, 12)[4:9])
    assert not np.array_equal(volume.lines(4, 5), volume.lines(5, 6))


GEOMETRIES = [
    ScanGeometry(),
    ScanGeometry(first="backward", backward_mirrored=True, crop=(3, 5)),
    ScanGeometry(line_axis="columns", slow_axis="stepped"),
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_samples_moved_by_the_true_displacement_are_the_true_samples(geometry: ScanGeometry) -> None:
    """But for gain, which differs between the passes: correlated, depth by depth, where there is something."""
    volume = simulated("hard", noise=False, geometry=geometry)
    lines = volume.amplitude.shape[1]
    samples = volume.lines(0, lines)
    moved = move_samples(samples, volume.displacement_px, 0, geometry)
    rows = replace(geometry, line_axis="rows", crop=(0, 0))
    _, registered = split(moved, rows)
    truth = volume.truth(0, lines // 2).transpose(2, 0, 1)
    assert registered.shape == truth.shape
    _, raw = split(np.ascontiguousarray(samples.transpose(2, 0, 1)), replace(geometry, line_axis="rows"))
    inner = np.s_[:, :, 8:-8]
    correlation = [np.corrcoef(one[inner].ravel(), truth[inner].ravel())[0, 1] for one in (raw, registered)]
    assert correlation[1] > 0.98
    assert correlation[0] < 0.9


@pytest.mark.parametrize("level", ["easy", "medium"])
def test_the_displacement_is_found_on_projections(level: Any) -> None:
    volume = simulated(level)
    frame = envelope(volume.lines(0, SIZE)).max(-1)
    found = Registrar("correspondence").register(frame)
    assert found.accepted
    error = np.abs(found.displacement_px - volume.displacement_px)[volume.textured]
    assert np.median(error) < 0.15
    assert np.abs(volume.displacement_px).mean() > 0.3


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="half of sampling_mhz, 40 MHz"):
        AlineSettings(samples=64, sampling_mhz=80)
    with pytest.raises(InputError, match="a burst is that long"):
        AlineSettings(samples=4)
    tissue = layered_tissue(np.random.default_rng(0), 16, 32, ALINES)
    scanner = random_scanner(np.random.default_rng(0), "easy", 32)
    with pytest.raises(InputError, match="samples is 0"):
        scan_volume(tissue, scanner, AlineSettings(), np.random.default_rng(0), height=16, width=32)
    with pytest.raises(InputError, match="at least 2 lines of 8 px"):
        scan_volume(tissue, scanner, ALINES, np.random.default_rng(0), height=1, width=32)
