"""Metrics against scikit-image, by table and by property."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from sasnet_live.errors import InputError
from sasnet_live.metrics import compare, concordance, ncc, psnr, ssim, temporal_ncc

Image = np.ndarray[Any, np.dtype[Any]]


def _frames(seed: int, shape: tuple[int, ...], scale: float = 1.0, pedestal: float = 0.0) -> tuple[Image, Image]:
    """A smooth-and-rough random image and a noisy, dimmer copy."""
    rng = np.random.default_rng(seed)
    rough = rng.standard_normal(shape)
    smooth = np.cumsum(np.cumsum(rough, -1), -2) / math.sqrt(shape[-1] * shape[-2])
    first = smooth + 0.3 * rough
    second = 0.8 * first + 0.2 * rng.standard_normal(shape) + 0.1
    return first * scale + pedestal, second * scale + pedestal


def _skimage_ssim(reference: Image, image: Image) -> float:
    return float(
        structural_similarity(
            np.asarray(reference, np.float64),
            np.asarray(image, np.float64),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=float(reference.max()) - float(reference.min()),
        )
    )


def _corrcoef(a: Image, b: Image) -> float:
    return float(np.corrcoef(np.ravel(a).astype(float), np.ravel(b).astype(float))[0, 1])


@pytest.mark.parametrize("shape", [(11, 11), (12, 31), (64, 64), (37, 130), (256, 512)])
@pytest.mark.parametrize(
    ("scale", "pedestal"), [(1, 0), (1e-4, 0), (1e-20, 0), (3000, 20000), (1, 500), (1e9, 0), (1, -7)]
)
def test_agrees_with_scikit_image(shape: tuple[int, int], scale: float, pedestal: float) -> None:
    first, second = (a.astype(np.float32) for a in _frames(1, shape, scale, pedestal))
    data_range = float(first.max()) - float(first.min())
    assert ssim(first, second) == pytest.approx(_skimage_ssim(first, second), abs=1e-4)
    assert ncc(first, second) == pytest.approx(_corrcoef(first, second), abs=1e-4)
    wide, other = first.astype(np.float64), second.astype(np.float64)
    assert psnr(first, second) == pytest.approx(peak_signal_noise_ratio(wide, other, data_range=data_range), abs=1e-3)


@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(11, 40),
    width=st.integers(11, 40),
    kind=st.sampled_from(["noise", "smooth", "sparse", "uint16", "inverted"]),
)
@settings(max_examples=60, deadline=None)
def test_agrees_with_scikit_image_on_anything(seed: int, height: int, width: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    first, second = _frames(seed, (height, width))
    if kind == "noise":
        first, second = rng.random((2, height, width))
    elif kind == "sparse":
        first = np.where(rng.random((height, width)) > 0.9, first, 0)
        first[0, 0] = 3.0
    elif kind == "uint16":
        first, second = rng.integers(0, 65536, (2, height, width)).astype(np.uint16)
    elif kind == "inverted":
        second = -first
    single = first.astype(np.float32), second.astype(np.float32)
    assert ssim(first, second) == pytest.approx(_skimage_ssim(*single), abs=1e-4)
    assert ncc(first, second) == pytest.approx(_corrcoef(*single), abs=1e-4)


@given(
    seed=st.integers(0, 1000),
    gain=st.floats(0.01, 1000),
    offset=st.floats(-50, 50),
)
@settings(max_examples=40, deadline=None)
def test_ncc_ignores_gain_and_offset(seed: int, gain: float, offset: float) -> None:
    first, second = _frames(seed, (20, 30))
    assert ncc(first, second * gain + offset * gain) == pytest.approx(ncc(first, second), abs=2e-5)
    assert ncc(first, -second) == pytest.approx(-ncc(first, second), abs=1e-6)
    assert ncc(first, second) == pytest.approx(ncc(second, first), abs=1e-6)


def test_perfect_match() -> None:
    first, _ = _frames(2, (30, 40))
    assert ncc(first, first) == pytest.approx(1, abs=1e-6)
    assert ssim(first, first) == pytest.approx(1, abs=1e-6)
    assert psnr(first, first) == math.inf


@pytest.mark.parametrize("function", [ncc, ssim, psnr])
def test_batches_broadcast(function: Any) -> None:
    first, second = (a.astype(np.float32) for a in _frames(3, (2, 3, 24, 33)))
    batch = function(first, second)
    assert isinstance(batch, np.ndarray)
    assert batch.shape == (2, 3)
    assert batch.dtype == np.float64
    one = function(first[1, 2], second[1, 2])
    assert isinstance(one, float)
    assert one == pytest.approx(batch[1, 2], abs=1e-5)
    np.testing.assert_allclose(function(first[1, 2], second), function(first[1, 2] + 0 * second, second), atol=1e-5)


@pytest.mark.parametrize("function", [ssim, psnr])
def test_data_range_given(function: Any) -> None:
    first, second = _frames(4, (20, 20))
    span = float(np.ptp(first.astype(np.float32)))
    assert function(first, second, data_range=span) == pytest.approx(function(first, second), abs=1e-6)
    assert function(first, second, data_range=3 * span) > function(first, second)
    with pytest.raises(InputError, match="data_range is 0"):
        function(first, second, data_range=0)


@pytest.mark.parametrize(
    "dtype", [np.bool_, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.float16, np.float64, ">u2", ">f4"]
)
def test_any_real_dtype_and_memory_layout(dtype: Any) -> None:
    values = np.random.default_rng(5).integers(0, 2 if dtype is np.bool_ else 100, (2, 30, 40))
    first, second = values.astype(dtype)
    first.flags.writeable = False
    expected = ncc(values[0].astype(np.float32), values[1].astype(np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ncc(first, second) == pytest.approx(expected, abs=1e-6)
        assert ncc(first[::-1, ::-1], second[::-1, ::-1]) == pytest.approx(expected, abs=1e-6)
        assert ncc(first.T, second.T) == pytest.approx(expected, abs=1e-6)


def test_constant_frames_have_no_figures() -> None:
    first, _ = _frames(6, (20, 20))
    # 0.1 is not a float32: the mean of the frame is off by a rounding, which must not pass for a signal.
    for constant in (np.zeros((20, 20)), np.full((20, 20), 0.1), np.full((20, 20), 12345.678)):
        assert math.isnan(ncc(first, constant))
        assert math.isnan(ncc(constant, first))
        assert math.isnan(ncc(constant, constant))
        assert math.isnan(ssim(constant, first))
        assert math.isnan(psnr(constant, first))
        assert math.isfinite(ssim(first, constant))
        assert math.isfinite(psnr(first, constant))


def test_nan_stays_in_its_own_frame() -> None:
    first, second = _frames(7, (3, 20, 20))
    second[1, 4, 5] = math.nan
    for function in (ncc, ssim, psnr):
        np.testing.assert_array_equal(np.isnan(function(first, second)), [False, True, False])


@pytest.mark.parametrize("shape", [(1, 40), (10, 40), (40, 3)])
def test_frames_smaller_than_the_window_have_no_ssim(shape: tuple[int, int]) -> None:
    first, second = _frames(8, shape)
    assert math.isnan(ssim(first, second))
    assert math.isfinite(ncc(first, second))
    assert np.isnan(compare(first, [second, first]).ssim).all()


def test_temporal_ncc_pairs_neighbours() -> None:
    frames = np.random.default_rng(9).random((2, 5, 12, 13))
    found = temporal_ncc(frames)
    assert found.shape == (2, 4)
    for b in range(2):
        for t in range(4):
            assert found[b, t] == pytest.approx(_corrcoef(frames[b, t], frames[b, t + 1]), abs=1e-5)


def test_compare_equals_the_single_functions() -> None:
    reference, before = _frames(10, (2, 25, 31))
    images: list[Any] = [before, reference * 2, -before]
    similarity = compare(reference, images)
    assert similarity.ncc.shape == similarity.ssim.shape == (3, 2)
    for k, image in enumerate(images):
        np.testing.assert_allclose(similarity.ncc[k], ncc(reference, image), atol=1e-6)
        np.testing.assert_allclose(similarity.ssim[k], ssim(reference, image), atol=1e-6)


def test_concordance_is_what_lin_defined() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(5, 2, (6, 9))
    b = 0.5 * a + rng.normal(1, 1, a.shape)
    expected = 2 * np.cov(a.ravel(), b.ravel(), bias=True)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
    assert concordance(a, b) == pytest.approx(expected)
    assert concordance(a, a) == pytest.approx(1)
    assert concordance(a, 10 - a) < 0
    assert math.isnan(concordance(np.ones((6, 9)), np.ones((6, 9))))


@pytest.mark.parametrize("function", [ncc, ssim, psnr])
def test_input_is_not_modified(function: Any) -> None:
    first, second = (a.astype(np.float32) for a in _frames(12, (20, 22)))
    kept = first.copy(), second.copy()
    function(first, second)
    compare(first, [second])
    np.testing.assert_array_equal((first, second), kept)


_IMAGE = np.zeros((20, 20))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ncc(_IMAGE, np.zeros((20, 21))), r"\(20, 20\) and \(20, 21\) came; expected"),
        (lambda: ssim(np.zeros(5), np.zeros(5)), r"\(5,\) and \(5,\) came"),
        (lambda: psnr(_IMAGE, torch.zeros(20, 20)), "dtype torch.float32 came; expected NumPy arrays"),
        (lambda: ncc(_IMAGE, _IMAGE.tolist()), "list came; expected NumPy arrays"),
        (lambda: ncc(_IMAGE, _IMAGE * 1j), "dtype complex128 came; expected NumPy arrays of real"),
        (lambda: ncc(_IMAGE[:0], _IMAGE[:0]), "at least one px"),
        (lambda: temporal_ncc(_IMAGE), r"\(20, 20\) came; expected \(..., T, H, W\)"),
        (lambda: temporal_ncc(_IMAGE[None]), "T of 2 or more"),
        (lambda: compare(_IMAGE, []), "no image"),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_importing_loads_no_torch() -> None:
    code = "import sys, sasnet_live.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
