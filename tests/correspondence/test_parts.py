"""The parts of the displacement search, each by its own property."""

from __future__ import annotations

import math

import pytest
import torch

from sasnet_live.correspondence.bending import profile_prior
from sasnet_live.correspondence.coarse import coarse_search
from sasnet_live.correspondence.displacement import fit_profile, spline_basis
from sasnet_live.correspondence.filters import blur, coherence_filter, filtered, locally_normalized
from sasnet_live.correspondence.interpolate import Lines
from sasnet_live.correspondence.landscape import Comparison
from sasnet_live.correspondence.lines import cosine_basis, line_prior, smoothness
from sasnet_live.correspondence.tails import tail_displacement
from sasnet_live.scan import move_lines

CPU = torch.device("cpu")


def texture(lines: int = 96, width: int = 256, seed: int = 0) -> torch.Tensor:
    return locally_normalized(blur(torch.randn(1, lines, width, generator=torch.Generator().manual_seed(seed)), 2, 2))


def test_blur_keeps_a_constant_and_the_mean() -> None:
    assert torch.allclose(blur(torch.full((1, 20, 30), 3.0), 2, 1.5), torch.tensor(3.0))
    impulse = torch.zeros(1, 41, 41)
    impulse[0, 20, 20] = 1
    blurred = blur(impulse, 2.0, 3.0)
    assert float(blurred.sum()) == pytest.approx(1, abs=1e-4)
    x = torch.arange(41.0) - 20
    assert float((blurred[0].sum(0) * x**2).sum()) == pytest.approx(4, rel=0.1)
    assert float((blurred[0].sum(1) * x**2).sum()) == pytest.approx(9, rel=0.1)


@pytest.mark.parametrize("shape", [(1, 96, 256), (2, 8, 32), (1, 17, 33)])
def test_local_normalization_forgets_gain_and_offset(shape: tuple[int, ...]) -> None:
    images = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(locally_normalized(images), locally_normalized(7 * images + 30), atol=2e-3, rtol=0)


@pytest.mark.parametrize("shift", [1, 5, 13])
def test_local_normalization_moves_with_the_content(shift: int) -> None:
    """Else the passes of a displaced scan would be normalized differently, and drawn together where they differ."""
    content = torch.zeros(1, 64, 256)
    content[..., 120:124] = torch.rand(1, 64, 4, generator=torch.Generator().manual_seed(1))
    moved = torch.roll(locally_normalized(content), shift, -1)
    torch.testing.assert_close(locally_normalized(torch.roll(content, shift, -1)), moved, atol=1e-4, rtol=0)


def test_coherence_filter_keeps_what_is_shared_and_drops_noise() -> None:
    rng = torch.Generator().manual_seed(2)
    shared = texture()
    passes = [shared + 1.0 * torch.randn(shared.shape, generator=rng) for _ in range(2)]
    transfer = coherence_filter(*passes)

    def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a * b).sum() / (a.norm() * b.norm()))

    assert correlation(*(filtered(p, transfer) for p in passes)) > correlation(*passes) + 0.2


def test_one_end_of_the_lines_is_filtered_without_the_other() -> None:
    images = texture(width=256)
    transfer = coherence_filter(images, images + 0.5 * torch.randn(images.shape, generator=torch.Generator()))
    changed = images.clone()
    changed[..., -20:] += 3
    difference = (filtered(changed, transfer) - filtered(images, transfer)).abs().amax((0, 1))
    assert float(difference[-20:].max()) > 20 * float(difference[:20].max())


@pytest.mark.parametrize("shift", [-14, -3, 0, 8])
def test_coarse_search_finds_whole_px(shift: int) -> None:
    target = texture()
    backward = torch.roll(target, -shift, -1)
    found = coarse_search(target, backward, 20)
    assert found.profile_px.shape == (1, 256)
    assert found.lines_px.shape == (1, 96)
    assert float((found.profile_px - shift)[:, 30:-30].abs().max()) <= 2


def test_coarse_search_follows_drift_down_the_frame() -> None:
    target = texture(160)
    drift = torch.linspace(-5, 5, 160)[None, :, None]
    found = coarse_search(target, move_lines(target, -drift), 20)
    total = found.profile_px[:, None] + found.lines_px[..., None]
    assert float((total - drift)[..., 30:-30].abs().mean()) < 1.2


def test_cosine_basis_is_orthonormal() -> None:
    basis, eigenvalues = cosine_basis(37, CPU)
    torch.testing.assert_close(basis @ basis.T, torch.eye(37, dtype=torch.float64))
    laplacian = torch.diag(torch.full((37,), 2.0)) - torch.diag(torch.ones(36), 1) - torch.diag(torch.ones(36), -1)
    laplacian[0, 0] = laplacian[-1, -1] = 1
    torch.testing.assert_close(basis @ laplacian.double() @ basis.T, torch.diag(eigenvalues), atol=1e-8, rtol=0)


@pytest.mark.parametrize(("jitter", "walk"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.2)])
def test_line_prior_tells_a_steady_scanner_from_a_shaky_one(jitter: float, walk: float) -> None:
    rng = torch.Generator().manual_seed(3)
    steps = [torch.randn(1, 200, generator=rng, dtype=torch.float64) for _ in range(3)]
    q = jitter * steps[0] + (walk * steps[1]).cumsum(1)
    q = q - q.mean()
    seen = q + 0.1 * steps[2]
    prior = line_prior(seen, torch.full_like(seen, 0.01), torch.ones_like(seen))
    basis, _ = cosine_basis(200, CPU)
    estimate = (seen @ basis.T * prior / (prior + 0.01)) @ basis
    assert float((estimate - q).square().mean()) <= float((seen - q).square().mean()) * 1.02
    if not jitter and not walk:
        assert float((estimate - q).abs().max()) < 0.03


def test_splines_sum_to_one_and_fit_a_smooth_profile() -> None:
    basis = spline_basis(300, 10, CPU)
    torch.testing.assert_close(basis.sum(1), torch.ones(300, dtype=torch.float64))
    profile = 3 * torch.sin(torch.linspace(0, 3, 300, dtype=torch.float64))[None]
    coefficients = fit_profile(profile, 10)
    assert float((coefficients[:, :10] @ basis.T - profile).abs().max()) < 0.02
    assert not coefficients[:, 10:].any()


@pytest.mark.parametrize(("weight", "length_px"), [(0.0, 1.0), (0.3, 1.5), (0.5, 2.0)])
def test_tails_hidden_from_fine_structure_are_measured(weight: float, length_px: float) -> None:
    """Passes with opposite tails around the same structure: what is missing is both centroids."""
    width = 512
    content = torch.randn(1, 96, width, generator=torch.Generator().manual_seed(4))
    frequency = 2 * math.pi * torch.fft.rfftfreq(width)
    tail = 1 - weight + weight / (1 + 1j * frequency * length_px)
    spectrum = torch.fft.rfft(content)
    forward, backward = (torch.fft.irfft(spectrum * t, width) for t in (tail, tail.conj()))
    missing, _ = tail_displacement(forward, backward)
    assert float(missing) == pytest.approx(2 * weight * length_px, abs=0.12 + 0.1 * weight * length_px)


@pytest.mark.parametrize("lines", [8, 33, 96])
def test_a_stiffness_among_cosines_is_a_matrix_among_lines(lines: int) -> None:
    powers = torch.rand(2, lines, dtype=torch.float64, generator=torch.Generator().manual_seed(lines))
    basis, _ = cosine_basis(lines, CPU)
    torch.testing.assert_close(smoothness(powers), basis.T @ torch.diag_embed(powers) @ basis)


def test_lines_are_read_where_move_lines_reads_them() -> None:
    lines = texture(6, 64).double()
    displacement = 30 * (torch.rand(1, 6, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) - 0.5)
    read = Lines.of(lines).at(torch.arange(64) - displacement)
    torch.testing.assert_close(read, move_lines(lines, displacement, "cubic"), atol=0.06, rtol=0)


def test_lines_are_read_without_blur() -> None:
    """A vessel of 1.5 px half-way between two px: central differences would be off by 0.9 % of its height."""
    x = torch.arange(64, dtype=torch.float64)

    def vessel(at_px: torch.Tensor) -> torch.Tensor:
        return torch.exp(-((at_px - 31) ** 2) / (2 * 1.5**2))[None, None]

    read = Lines.of(vessel(x)).at((x - 0.5)[None, None])
    assert float((read - vessel(x - 0.5)).abs().max()) < 2.5e-3
    torch.testing.assert_close(Lines.of(vessel(x)).at(x[None, None]), vessel(x))


@pytest.mark.parametrize("shift", [-7, 0, 12])
def test_the_landscape_peaks_at_the_displacement_and_does_not_wrap(shift: int) -> None:
    target = texture(width=128)
    displaced = move_lines(target, torch.full((1, 1, 1), -float(shift)), "linear")
    shifts = torch.arange(-20, 21)
    comparison = Comparison.of(target, displaced, 20)
    landscape = comparison.landscape(shifts)
    assert int(shifts[landscape.argmax()]) == shift
    assert float(landscape.max()) == pytest.approx(1, abs=0.1)
    by_hand = float((target[..., 20:] * displaced[..., :-20]).sum())
    energy = float((target.square().sum() * displaced.square().sum()).sqrt())
    assert float(landscape[0, -1]) == pytest.approx(by_hand / energy * 128 / 108, abs=1e-4)
    noisy = target + 0.5 * torch.randn(target.shape, generator=torch.Generator().manual_seed(5))
    slopes = [images.diff(dim=-1) for images in (target, noisy)]
    by_hand = float((slopes[0] * slopes[1]).sum() / (slopes[0].square().sum() * slopes[1].square().sum()).sqrt())
    of_slopes = Comparison.of(target, noisy, 0).slopes.landscape(torch.tensor([0]))
    assert float(of_slopes) == pytest.approx(by_hand, abs=0.05)
    assert float(comparison.own(torch.tensor([0]))) == pytest.approx(1)


@pytest.mark.parametrize(
    ("wave_px", "noise_px", "expected"),
    [(0.0, 0.5, (0.0, 0.25)), (2.0, 0.1, (0.0, 0.12)), (2.0, 0.02, (0.0, 0.03))],
)
def test_the_prior_on_bending_is_learned(wave_px: float, noise_px: float, expected: tuple[float, float]) -> None:
    """A straight profile seen in noise comes out straight; a bent one seen clearly comes out bent."""
    rng = torch.Generator().manual_seed(3)
    truth = 5 + wave_px * torch.sin(torch.linspace(0, 9, 14, dtype=torch.float64))[None]
    seen = truth + noise_px * torch.randn(1, 14, dtype=torch.float64, generator=rng)
    curvature = torch.eye(14, dtype=torch.float64)[None] / noise_px**2
    pull = seen / noise_px**2
    estimate = torch.linalg.solve(curvature + profile_prior(curvature, pull), pull)
    low, high = expected
    assert low <= float((estimate - truth).square().mean().sqrt()) <= high


def test_what_a_frame_does_not_see_of_a_profile_goes_on_level() -> None:
    """No information at one end of the line: the profile keeps the value it has where it was last seen."""
    seen = torch.tensor([0.0] * 4 + [1.0] * 10, dtype=torch.float64)
    curvature = torch.diag(1e3 * seen)[None] + 1e-6 * torch.eye(14, dtype=torch.float64)
    # Seen values lean a little, as noise makes them.
    values = 6 + 0.02 * torch.arange(14, dtype=torch.float64)
    pull = (curvature[0] @ values)[None]
    estimate = torch.linalg.solve(curvature + profile_prior(curvature, pull), pull)[0]
    assert float((estimate[:4] - estimate[4]).abs().max()) < 0.15


def test_the_same_profile_gives_the_same_coefficients_whatever_is_in_freed_memory() -> None:
    profile = torch.randn(1, 512, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = set()
    for turn in range(64):
        # Arrays of the sizes that a least-squares solver works in, filled with other values each turn, and freed.
        junk = [torch.full((size,), turn >> bit & 1, dtype=torch.int32) for bit, size in enumerate((10, 12, 14, 16))]
        del junk
        found.add(fit_profile(profile, 14).numpy().tobytes())
    assert len(found) == 1
