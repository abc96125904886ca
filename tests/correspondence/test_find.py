"""The displacement is found with its sign, on simulated scans of every kind, and in real ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from sasnet_live.correspondence import confidence, find, find_displacement
from sasnet_live.correspondence.coarse import CoarseDisplacement, coarse_search
from sasnet_live.correspondence.find import Correspondence
from sasnet_live.metrics import ncc
from sasnet_live.scan import ScanGeometry, forward_at_backward_lines, move_lines, split
from sasnet_live.simulation.levels import random_scanner
from sasnet_live.simulation.scanner import SimulatedFrame, scan
from sasnet_live.simulation.vessels import vascular_scene


def simulated(seed: int, level: str = "easy", size: int = 192, **geometry: object) -> SimulatedFrame:
    rng = np.random.default_rng(seed)
    kind = ScanGeometry(**geometry)  # type: ignore[arg-type]
    scene = vascular_scene(rng, size, size, samples_per_px=2)
    return scan(scene, random_scanner(rng, level, size), rng, height=size, width=size, geometry=kind)  # type: ignore[arg-type]


def found_in(frame: SimulatedFrame, **options: object) -> Correspondence:
    forward, backward = (torch.from_numpy(a.astype(np.float32))[None] for a in split(frame.raw, frame.geometry))
    target = forward_at_backward_lines(forward, backward.shape[1], frame.geometry)
    return find_displacement(target, backward, **options)  # type: ignore[arg-type]


def error_px(frame: SimulatedFrame, found: Correspondence) -> float:
    return float(np.abs(found.displacement_px[0].numpy() - frame.displacement_px)[frame.textured].mean())


@pytest.mark.parametrize(("level", "bar_px"), [("easy", 0.08), ("medium", 0.12), ("hard", 0.25)])
def test_displacement_error_on_simulated_scanners(level: str, bar_px: float) -> None:
    frames = [simulated(seed, level, 256) for seed in range(3)]
    assert np.mean([error_px(frame, found_in(frame)) for frame in frames]) < bar_px


@pytest.mark.parametrize("slow_axis", ["continuous", "stepped", "interleaved"])
@pytest.mark.parametrize("first", ["forward", "backward"])
def test_every_slow_axis_and_order_of_passes(slow_axis: str, first: str) -> None:
    frame = simulated(3, "easy", 192, slow_axis=slow_axis, first=first)
    assert error_px(frame, found_in(frame)) < 0.15


@pytest.mark.parametrize("shift_px", [-11.4, -3.0, 0.0, 0.5, 7.25])
def test_a_known_shift_comes_back_with_its_sign(shift_px: float) -> None:
    scene = vascular_scene(np.random.default_rng(0), 96, 224)
    y, x = np.mgrid[0:96, 0:224].astype(float)
    rng = torch.Generator().manual_seed(1)
    target, backward = (torch.from_numpy(scene.sample(y, x + d))[None].float() for d in (0.0, shift_px))
    target, backward = (a + 0.01 * torch.randn(a.shape, generator=rng) for a in (target, backward))
    # backward(x) = scene(x + s), so the content of target at x lies in backward at x - s: d = s.
    displacement = find_displacement(target, backward, reach_px=20).displacement_px
    assert float((displacement - shift_px)[..., 20:-20].abs().mean()) < 0.1


def test_a_batch_gives_what_its_frames_give_alone() -> None:
    frames = [simulated(seed, "medium", 128) for seed in (1, 2)]
    targets, backwards = [], []
    for frame in frames:
        forward, backward = (torch.from_numpy(a.astype(np.float32))[None] for a in split(frame.raw, frame.geometry))
        targets.append(forward_at_backward_lines(forward, backward.shape[1], frame.geometry))
        backwards.append(backward)
    together = find_displacement(torch.cat(targets), torch.cat(backwards)).displacement_px
    for k in range(2):
        alone = find_displacement(targets[k], backwards[k]).displacement_px
        torch.testing.assert_close(together[k : k + 1], alone, atol=2e-3, rtol=0)


def test_brightness_gain_and_units_do_not_matter() -> None:
    frame = simulated(4, "easy")
    forward, backward = (torch.from_numpy(a.astype(np.float32))[None] for a in split(frame.raw, frame.geometry))
    target = forward_at_backward_lines(forward, backward.shape[1], frame.geometry)
    plain = find_displacement(target, backward).displacement_px
    scaled = find_displacement(1e-3 * target + 5, 40 * backward - 100).displacement_px
    torch.testing.assert_close(plain, scaled, atol=0.02, rtol=0)


def test_inputs_are_not_modified() -> None:
    target, backward = torch.rand(1, 64, 96), torch.rand(1, 64, 96)
    copies = target.clone(), backward.clone()
    find_displacement(target, backward)
    assert torch.equal(target, copies[0])
    assert torch.equal(backward, copies[1])


def test_is_differentiable_in_both_passes() -> None:
    frame = simulated(5, "easy", 96)
    forward, backward = (torch.from_numpy(a.astype(np.float32))[None] for a in split(frame.raw, frame.geometry))
    target = forward_at_backward_lines(forward, backward.shape[1], frame.geometry)
    target, backward = target.clone().requires_grad_(), backward.clone().requires_grad_()
    find_displacement(target, backward).displacement_px.mean().backward()
    for images in (target, backward):
        assert images.grad is not None
        assert images.grad.isfinite().all()
        assert images.grad.abs().max() > 0


def test_line_offset_moves_the_search() -> None:
    frame = simulated(6, "easy", 256)
    forward, backward = (torch.from_numpy(a.astype(np.float32))[None] for a in split(frame.raw, frame.geometry))
    target = forward_at_backward_lines(forward, backward.shape[1], frame.geometry)
    far = move_lines(backward, torch.tensor(-60.0))
    near = find_displacement(target, backward).displacement_px
    with_offset = find_displacement(target, far, centre_px=60).displacement_px
    inner = slice(80, -80)
    assert float((with_offset - 60 - near)[..., inner].abs().mean()) < 0.15


@pytest.mark.parametrize("seed", range(6))
def test_noise_and_unrelated_passes_are_never_trusted(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    noise = [torch.randn(1, 96, 192, generator=rng) for _ in range(2)]
    assert float(confidence(find_displacement(*noise).evidence)) < 0.5
    one, other = simulated(seed), simulated(seed + 100)
    mixed = [torch.from_numpy(split(f.raw, f.geometry)[k].astype(np.float32))[None] for k, f in enumerate((one, other))]
    assert float(confidence(find_displacement(*mixed).evidence)) < 0.5


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_simulated_scans_are_trusted(level: str) -> None:
    assert float(found_in(simulated(7, level, 256)).confidence) > 0.8


def test_periodic_content_is_doubted() -> None:
    x = torch.arange(256.0)
    lattice = torch.sin(2 * torch.pi * x / 12).expand(1, 96, 256)
    rng = torch.Generator().manual_seed(0)
    passes = [a + 0.05 * torch.randn(a.shape, generator=rng) for a in (lattice, torch.roll(lattice, 4, -1))]
    found = find_displacement(*passes, reach_px=30)
    assert float(found.confidence) < 0.5
    assert "period" in found.doubt


def test_opposite_tails_are_part_of_the_displacement() -> None:
    """Tails delay forward content to the right and backward content to the left; fine structure hides it."""
    rng = np.random.default_rng(1)
    scanner = replace(random_scanner(rng, "easy", 256), tail_forward=(0.3, 2.5), tail_backward=(0.3, 2.5))
    frame = scan(vascular_scene(rng, 256, 256), scanner, rng, height=256, width=256)
    found = found_in(frame)
    assert float(found.tail_px) > 0.3
    without = replace(found, displacement_px=found.displacement_px - found.tail_px)
    assert error_px(frame, found) < 0.2
    assert error_px(frame, found) < 0.5 * error_px(frame, without)


def test_real_scans_are_never_worse_than_raw(real_pairs: list[Path]) -> None:
    """Displacement from even lines and their neighbours alone; scored on the hidden forward lines."""
    for path in real_pairs:
        forward, backward = tifffile.imread(path).astype(np.float32)
        geometry = ScanGeometry(slow_axis="interleaved")
        lines, truth = torch.from_numpy(backward[1::2].copy())[None], forward[1::2]
        target = forward_at_backward_lines(torch.from_numpy(forward[0::2].copy())[None], lines.shape[1], geometry)
        moved = move_lines(lines, find_displacement(target, lines).displacement_px)[0].numpy()
        assert ncc(truth, moved) >= ncc(truth, lines[0].numpy()) - 1e-4, path.name


@pytest.mark.parametrize("shift_px", [-40.0, 60.0])
def test_a_displacement_beyond_the_search_range_is_found_within_three_times_of_it(shift_px: float) -> None:
    frame = simulated(11, "easy", 256)
    forward, backward = (torch.from_numpy(a.astype(np.float32))[None] for a in split(frame.raw, frame.geometry))
    target = forward_at_backward_lines(forward, backward.shape[1], frame.geometry)
    near = find_displacement(target, backward).displacement_px
    found = find_displacement(target, move_lines(backward, torch.tensor(shift_px)))
    assert float(found.confidence) > 0.8
    assert float((found.displacement_px + shift_px - near)[..., 70:-70].abs().mean()) < 0.15


def test_a_displacement_beyond_three_times_the_search_range_is_doubted() -> None:
    frame = simulated(11, "easy", 256)
    forward, backward = (torch.from_numpy(a.astype(np.float32))[None] for a in split(frame.raw, frame.geometry))
    target = forward_at_backward_lines(forward, backward.shape[1], frame.geometry)
    far = move_lines(backward, torch.tensor(80.0))
    assert float(find_displacement(target, far, reach_px=8).confidence) < 0.5
    assert float(find_displacement(target, far, reach_px=100).confidence) > 0.8


def test_of_a_batch_only_the_frame_that_needs_it_is_searched_further() -> None:
    frame = simulated(11, "easy", 256)
    forward, backward = (torch.from_numpy(a.astype(np.float32))[None] for a in split(frame.raw, frame.geometry))
    target = forward_at_backward_lines(forward, backward.shape[1], frame.geometry)
    far = move_lines(backward, torch.tensor(-40.0))
    together = find_displacement(torch.cat([target, target]), torch.cat([backward, far]))
    for k, lines in enumerate((backward, far)):
        alone = find_displacement(target, lines)
        torch.testing.assert_close(together.displacement_px[k : k + 1], alone.displacement_px, atol=2e-3, rtol=0)


def test_noise_is_not_searched_again_further_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a shutter is closed, most displacements that fit best lie further away; each search takes as long."""
    reaches: list[int] = []

    def noted(target: torch.Tensor, backward: torch.Tensor, reach: int, centre_px: int) -> CoarseDisplacement:
        reaches.append(reach)
        return coarse_search(target, backward, reach, centre_px)

    monkeypatch.setattr(find, "coarse_search", noted)
    for seed in range(20):
        noise = torch.randn(2, 1, 64, 128, generator=torch.Generator().manual_seed(seed))
        find_displacement(*noise)
    assert set(reaches) == {find.default_reach_px(128)}


@pytest.mark.parametrize("lead_px", [0.6, 1.5])
def test_a_slope_that_is_added_to_the_signal_is_part_of_the_displacement(lead_px: float) -> None:
    """Feedback loops show content early, in opposite directions: what fine structure does not tell, wide does."""
    rng = np.random.default_rng(2)
    scanner = replace(random_scanner(rng, "easy", 256), lead_forward_px=lead_px, lead_backward_px=lead_px)
    frame = scan(vascular_scene(rng, 256, 256), scanner, rng, height=256, width=256)
    assert error_px(frame, found_in(frame)) < 0.3


def best_fourier_shift(target: torch.Tensor, lines: torch.Tensor, reach_px: int = 24) -> float:
    """The highest NCC that one shift of all lines reaches, in steps of 0.05 px, ends of lines mirrored."""
    margin = 64
    padded = torch.nn.functional.pad(lines, (margin, margin), mode="reflect")
    spectrum, width = torch.fft.rfft(padded), padded.shape[-1]
    frequency = torch.fft.rfftfreq(width)

    def score(shift_px: float) -> float:
        turned = spectrum * torch.exp(-2j * torch.pi * frequency * shift_px)
        return float(ncc(target, torch.fft.irfft(turned, width)[..., margin:-margin]))

    whole = max(range(-reach_px, reach_px + 1), key=score)
    return max(score(whole + step / 20) for step in range(-20, 21))


@pytest.mark.parametrize("slow_axis", ["stepped", "interleaved"])
def test_real_scans_are_registered_as_well_as_by_the_best_shift_or_better(
    real_pairs: list[Path], slow_axis: str
) -> None:
    """The bar: no more than 0.002 of NCC below on any, above on seven of the eight that are not mostly noise."""
    noisy = {"createc_qplus_10ch_afm_ch1", "createc_molecular_30nm_pos_ch0"}
    gains, confidences = {}, {}
    for path in real_pairs:
        forward, backward = (torch.from_numpy(a.astype(np.float32))[None] for a in tifffile.imread(path))
        if slow_axis == "stepped":
            target = truth = forward
        else:
            backward, truth = backward[:, 1::2], forward[:, 1::2]
            geometry = ScanGeometry(slow_axis="interleaved")
            target = forward_at_backward_lines(forward[:, 0::2], backward.shape[1], geometry)
        found = find_displacement(target, backward)
        moved = move_lines(backward, found.displacement_px, "cubic")
        confidences[path.stem] = float(found.confidence)
        gains[path.stem] = float(ncc(truth, moved)) - best_fourier_shift(truth, backward)
    assert {name for name, sure in confidences.items() if sure < 0.7} == noisy
    assert all(confidences[name] >= 0.5 for name in set(confidences) - noisy)
    clean = [gain for name, gain in gains.items() if name not in noisy]
    assert min(clean) >= -0.002
    assert sum(gain > 0 for gain in clean) >= 7


@pytest.mark.parametrize(
    ("centres_px", "sigma_px", "lag_px"),
    [((44.0, 176.0, 231.0), 6.0, 2.1), ((29.0, 98.0), 6.0, -3.5), ((68.0, 148.0, 231.0), 1.5, 0.36)],
)
def test_single_vessels_keep_their_integral(centres_px: tuple[float, ...], sigma_px: float, lag_px: float) -> None:
    """Wide ones near an end of the line, narrow ones displaced by parts of a px: an integral changes by d'(x)."""
    rng = np.random.default_rng(1)
    x, centres = np.arange(256.0), np.array(centres_px)[:, None]

    def lines(at_px: np.ndarray) -> torch.Tensor:
        scene = 1000 * np.exp(-((at_px - centres) ** 2) / (2 * sigma_px**2)).sum(0)
        return torch.from_numpy(brightness * scene + rng.normal(200, 5, (128, 256)))[None].float()

    brightness = np.repeat(rng.uniform(0.5, 1.5, (32, 1)), 4, 0)
    displacement = find_displacement(lines(x), lines(x + lag_px)).displacement_px[0].numpy().mean(0)
    for centre in centres[:, 0]:
        of_vessel = np.exp(-((x - centre) ** 2) / (2 * sigma_px**2))
        slope = np.average(np.gradient(displacement), weights=of_vessel)
        assert abs(slope) < 0.01
