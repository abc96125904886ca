"""The networks: sizes, shapes, units, and what an untrained one does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sasnet_live.network.checkpoint import build_model
from sasnet_live.network.config import PRESETS, SASNetConfig
from sasnet_live.network.sasnet import SASNet, intensity_scale

EXPLICIT = SASNetConfig(channels=(6, 8), blocks=(1, 1), appearance_channels=5)
FRAME_CODE = SASNetConfig(channels=(6, 8, 8), blocks=(1, 0, 1), appearance_channels=5, pooling="frame", fold_px=2)
IMPLICIT = SASNetConfig(
    correspondence="implicit", pooling="frame", fold_px=1, channels=(4, 6, 8), blocks=(0, 0, 1), appearance_channels=5
)
CONFIGS = {"explicit": EXPLICIT, "explicit, one code": FRAME_CODE, "implicit": IMPLICIT}


@pytest.fixture(params=CONFIGS, name="config")
def _config(request: pytest.FixtureRequest) -> SASNetConfig:
    return CONFIGS[request.param]


def lines(*shape: int, seed: int = 0) -> list[Tensor]:
    """The four inputs of a network: alike, as neighbouring lines are."""
    generator = torch.Generator().manual_seed(seed)
    scene = torch.rand(shape, generator=generator)
    return [scene + 0.2 * torch.rand(shape, generator=generator) for _ in range(4)]


def trained(config: SASNetConfig) -> nn.Module:
    """A network whose residual is no longer zero, as after training."""
    torch.manual_seed(1)
    network = build_model(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().max() == 0:
                parameter.normal_(0, 0.1)
    return network.eval()


@pytest.mark.parametrize(
    ("preset", "fewest", "most"),
    [("paper", 3.35e6 * 0.98, 3.35e6 * 1.02), ("full", 0.5e6, 1.5e6), ("lite", 0, 0.2e6)],
)
def test_sizes_of_the_presets(preset: str, fewest: float, most: float) -> None:
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in build_model(PRESETS[preset]).parameters())
    assert fewest <= count <= most


def test_an_untrained_network_changes_nothing() -> None:
    for config in (EXPLICIT, FRAME_CODE):
        source, *others = lines(2, 9, 37)
        torch.testing.assert_close(SASNet(config)(source, *others).rendered, source, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(1, 8, 32), (1, 9, 33), (2, 13, 71), (1, 31, 62)])
def test_any_size_of_frame(config: SASNetConfig, shape: tuple[int, ...]) -> None:
    rendering = trained(config)(*lines(*shape))
    assert rendering.rendered.shape == shape
    assert rendering.rendered.isfinite().all()
    assert rendering.scene_source.shape == rendering.scene_reference.shape
    assert rendering.code_source.shape == rendering.code_reference.shape


def test_frames_of_a_batch_do_not_mix(config: SASNetConfig) -> None:
    network, batch = trained(config), lines(3, 12, 40)
    together = network(*batch).rendered
    for k in range(3):
        alone = network(*(images[k : k + 1] for images in batch)).rendered
        torch.testing.assert_close(together[k : k + 1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("gain", "offset"), [(250.0, 0.0), (1.0, 1000.0), (1e-6, 3e-6), (4000.0, -700.0)])
def test_the_output_is_in_the_units_of_the_input(config: SASNetConfig, gain: float, offset: float) -> None:
    network, inputs = trained(config), lines(1, 12, 40)
    expected = gain * network(*inputs).rendered + offset
    rendered = network(*(gain * images + offset for images in inputs)).rendered
    torch.testing.assert_close(rendered, expected, rtol=1e-3, atol=2e-3 * gain)


def test_a_trained_network_changes_something(config: SASNetConfig) -> None:
    source, *others = lines(1, 12, 40)
    assert (trained(config)(source, *others).rendered - source).abs().mean() > 1e-3


def test_the_code_is_a_profile_along_the_line() -> None:
    """What happens at one end of the lines is in the code of that end alone."""
    network = trained(EXPLICIT)
    source, *others = lines(1, 16, 256)
    brighter = source.clone()
    brighter[..., 224:] *= 1.5
    before, after = (network(images, *others).code_source for images in (source, brighter))
    assert before.shape == (1, 5, 256 // EXPLICIT.fold_px)
    change = (after - before).abs().amax((0, 1))
    assert change[-6:].min() > 1e-3
    # The first codes are left out: the fine detail of a line's very ends is taken round from one to the other.
    assert change[12:40].max() == 0


def test_the_code_is_one_value_a_frame() -> None:
    for config in (FRAME_CODE, IMPLICIT):
        rendering = trained(config)(*lines(2, 16, 64))
        assert rendering.code_source.shape == rendering.code_reference.shape == (2, 5, 1)


def test_rendering_depends_on_the_appearance_of_the_other_pass(config: SASNetConfig) -> None:
    network = trained(config)
    source, reference, earlier, later = lines(1, 16, 64)
    one = network(source, reference, earlier, later).rendered
    other = network(source, reference**2, earlier, later).rendered
    assert (one - other).abs().max() > 1e-3


def test_gradient_reaches_every_parameter(config: SASNetConfig) -> None:
    network = trained(config).train()
    network(*lines(2, 16, 64)).rendered.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A bias right before a normalization is taken off again: no gradient but rounding.
        assert parameter.ndim == 1 or parameter.grad.abs().max() > 0, name


def test_gradient_reaches_the_inputs() -> None:
    inputs = [images.requires_grad_() for images in lines(1, 12, 40)]
    trained(EXPLICIT)(*inputs).rendered.sum().backward()
    assert all(images.grad is not None and images.grad.abs().max() > 0 for images in inputs)


def test_constant_and_dark_frames_stay_finite() -> None:
    for level in (0.0, 500.0):
        rendering = trained(EXPLICIT)(*(torch.full((1, 12, 40), level) for _ in range(4)))
        assert rendering.rendered.isfinite().all()


def test_the_units_of_a_network_are_mean_and_deviation() -> None:
    images = 400 + 30 * torch.randn(2, 9, 37, generator=torch.Generator().manual_seed(0))
    level, scale = intensity_scale(images)
    torch.testing.assert_close(level[:, 0, 0], images.mean((1, 2)))
    torch.testing.assert_close(scale[:, 0, 0], images.std((1, 2)))
    assert intensity_scale(torch.full((1, 4, 4), 7.0))[1] > 0


def test_a_computation_by_plain_formulas_comes_to_the_same() -> None:
    """The moments of the appearance encoder, which take short cuts, as their description says."""
    encoder = SASNet(EXPLICIT).appearance_encoder
    image, other = lines(2, 11, 32)[:2]
    fine = image - 0.5 * (image.roll(1, -1) + image.roll(-1, -1))
    deviations = [(values.var(1, correction=0) + 1e-4).sqrt().log() for values in (image, fine, image - other)]
    expected = torch.stack([image.mean(1), *deviations], 1).unflatten(2, (-1, EXPLICIT.fold_px)).mean(-1)
    torch.testing.assert_close(encoder._moments(image, other), expected, rtol=1e-4, atol=1e-4)
