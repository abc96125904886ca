"""Envelope, gate, projection and depth of A-lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import signal

from sasnet_live.errors import InputError
from sasnet_live.recordings import volume
from sasnet_live.recordings.volume import depth, depth_of, envelope, frame_of, gated, project, projected_dtype
from sasnet_live.recordings.volume_settings import VolumeSettings

RATE_MHZ = 250.0


def burst(at: float, centre_mhz: float = 50.0, width: float = 4.0, count: int = 200) -> np.ndarray[Any, Any]:
    """A Gaussian burst of RF, of amplitude 1 at sample `at`."""
    t = np.arange(count) - at
    return np.exp(-0.5 * (t / width) ** 2) * np.sin(2 * np.pi * centre_mhz / RATE_MHZ * t + 0.7)


def test_the_envelope_of_a_burst_is_its_gaussian() -> None:
    at = 83.3
    expected = np.exp(-0.5 * ((np.arange(200) - at) / 4.0) ** 2)
    np.testing.assert_allclose(envelope(burst(at)), expected, atol=0.005)


@pytest.mark.parametrize("count", [64, 65])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64])
def test_the_envelope_is_that_of_the_analytic_signal(count: int, dtype: Any) -> None:
    samples = np.random.default_rng(0).integers(1000, 3000, (3, 4, count)).astype(dtype)
    kept = samples.copy()
    found = envelope(samples)
    wanted = np.abs(signal.hilbert(samples - samples.mean(-1, keepdims=True), axis=-1))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=0.05)
    np.testing.assert_array_equal(samples, kept)


def test_the_envelope_does_not_depend_on_the_order_in_memory() -> None:
    samples = np.random.default_rng(0).normal(size=(30, 3, 4)).astype(np.float32)
    turned = samples.transpose(1, 2, 0)
    np.testing.assert_array_equal(envelope(turned), envelope(np.ascontiguousarray(turned)))


def test_a_band_keeps_what_is_in_it_and_removes_what_is_not() -> None:
    """A burst within the band beside one far outside of it, of the same amplitude."""
    settings = VolumeSettings("last", envelope=True, band_mhz=(30.0, 70.0), sampling_mhz=RATE_MHZ)
    inside, outside = burst(60.0, 50.0, width=8.0), burst(140.0, 110.0, width=8.0)
    found = gated(inside + outside, settings)
    assert found[60] == pytest.approx(1.0, abs=0.03)
    assert found[120:160].max() < 0.02


@pytest.mark.parametrize("band", [(0.0, 0.2), (0.1, 0.3), (0.25, 0.5)])
def test_half_of_the_amplitude_passes_at_the_edges_of_a_band(band: tuple[float, float]) -> None:
    count = 400
    for edge in band:
        if edge in (0.0, 0.5):
            continue
        wave = np.cos(2 * np.pi * edge * np.arange(count))
        np.testing.assert_allclose(envelope(wave, band), 0.5, atol=1e-3)


@pytest.mark.parametrize("projection", ["max", "mean"])
def test_projections_are_those_of_numpy(projection: Any) -> None:
    samples = np.random.default_rng(1).integers(-3000, 3000, (5, 6, 40)).astype(np.int16)
    settings = VolumeSettings("last", gate=(7, 31), projection=projection)
    found = project(gated(samples, settings), projection)
    wanted = getattr(samples[..., 7:31], projection)(-1)
    assert found.dtype == projected_dtype(samples.dtype, settings)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    if projection == "max":
        assert found.dtype == np.int16


def test_part_by_part_is_as_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(1).integers(-3000, 3000, (40, 5, 6)).astype(np.int16).transpose(1, 2, 0)
    settings = VolumeSettings("last", envelope=True, gate=(2, 38))
    monkeypatch.setattr(volume, "PART_SAMPLES", 7 * 40)
    np.testing.assert_array_equal(frame_of(samples, settings), project(gated(samples, settings), "max"))
    np.testing.assert_array_equal(depth_of(samples, settings), depth(gated(samples, settings), settings))
    monkeypatch.setattr(volume, "PART_SAMPLES", 1)
    np.testing.assert_array_equal(frame_of(samples, settings), project(gated(samples, settings), "max"))


def test_depth_lies_between_samples() -> None:
    """Of the envelope of bursts at known places: within 0.02 samples, and in um with speed and rate."""
    places = np.array([40.0, 61.25, 77.5, 100.75])
    samples = np.stack([burst(place) for place in places])
    settings = VolumeSettings("last", envelope=True, gate=(20, 150), sampling_mhz=RATE_MHZ)
    np.testing.assert_allclose(depth(gated(samples, settings), settings), places, atol=0.05)
    in_um = VolumeSettings("last", envelope=True, gate=(20, 150), sampling_mhz=RATE_MHZ, sound_speed=1500.0)
    assert in_um.um_per_sample == pytest.approx(6.0)
    np.testing.assert_allclose(depth(gated(samples, in_um), in_um), 6.0 * places, atol=0.3)


def test_depth_where_there_is_no_peak() -> None:
    """The largest sample at an end of the gate stays there; A-lines that are constant have no depth."""
    samples = np.array([[9, 5, 1, 0], [0, 1, 5, 9], [0, 4, 4, 0], [3, 3, 3, 3]], np.int16)
    found = depth(samples, VolumeSettings("last"))
    np.testing.assert_array_equal(found, np.float32([0, 3, 1.5, np.nan]))
    assert np.isnan(depth(np.array([1.0, np.nan, 2.0, 1.0]), VolumeSettings("last")))
    assert depth(np.array([1, 2], np.uint8), VolumeSettings("last")) == 1


def test_depth_of_unsigned_samples_does_not_wrap() -> None:
    assert depth(np.array([250, 255, 254, 0], np.uint8), VolumeSettings("last")) == pytest.approx(1.333, abs=0.01)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"depth_axis": "middle"}, "expected first, last or the number"),
    ({"gate": (5, 5)}, "the second after the first"),
    ({"gate": (-1, 5)}, "0 or more"),
    ({"projection": "median"}, "expected one of max, mean"),
    ({"band_mhz": (1.0, 2.0)}, "add --envelope"),
    ({"band_mhz": (1.0, 2.0), "envelope": True}, "add --sampling-mhz"),
    ({"band_mhz": (1.0, 200.0), "envelope": True, "sampling_mhz": 250.0}, "from 0 to 125"),
    ({"band_mhz": (2.0, 1.0), "envelope": True, "sampling_mhz": 250.0}, "expected \\(low, high\\)"),
    ({"sampling_mhz": 0.0}, "sampling_mhz is 0.0"),
    ({"sound_speed": 1500.0}, "add --sampling-mhz"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_settings_that_cannot_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        VolumeSettings(**{"depth_axis": "last"} | given)
    assert "\n" not in str(error.value)


def test_what_is_said_of_a_lines_needs_a_depth_axis() -> None:
    assert not VolumeSettings().given("TYX")
    assert VolumeSettings(envelope=True).given("YXD")
    assert VolumeSettings("0").given(None)
    with pytest.raises(InputError, match="--depth-axis"):
        VolumeSettings(envelope=True).given("TYX")
