"""Each loss by itself."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from torch import nn

from sasnet_live.errors import InputError
from sasnet_live.network.checkpoint import build_model
from sasnet_live.training.data import Batch
from sasnet_live.training.losses import losses
from sasnet_live.training.weights import LossWeights
from tiny_training import EXPLICIT, IMPLICIT

NAMES = [field.name for field in fields(LossWeights)]
NONE = dict.fromkeys(NAMES, 0.0)


def only(name: str) -> LossWeights:
    return LossWeights(**{**NONE, name: 1.0})


def begun(seed: int = 0) -> nn.Module:
    """A network whose residual is not zero: from zero, reproducing oneself has nothing to learn."""
    torch.manual_seed(seed)
    network = build_model(EXPLICIT)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().max() == 0:
                parameter.normal_(0, 0.05)
    return network


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("config", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_losses_are_finite_and_not_negative(name: str, config: object, batch: Batch) -> None:
    total, terms = losses(build_model(config), batch, only(name))  # type: ignore[arg-type]
    assert list(terms) == [name.rstrip("_")]
    assert total.isfinite()
    assert total >= 0


@pytest.mark.parametrize("name", NAMES)
def test_each_loss_can_be_switched_off(name: str, batch: Batch) -> None:
    everything = LossWeights(**dict.fromkeys(NAMES, 1.0))
    network = begun()
    total, terms = losses(network, batch, everything)
    without, rest = losses(network, batch, replace(everything, **{name: 0.0}))
    assert set(terms) - set(rest) == {name.rstrip("_")}
    torch.testing.assert_close(without, total - terms[name.rstrip("_")], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_each_loss_alone_can_be_learned(name: str, batch: Batch) -> None:
    network = begun()
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    course = []
    for _ in range(15):
        total, _ = losses(network, batch, only(name))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        course.append(float(total.detach()))
    assert min(course[-3:]) < 0.95 * course[0], course


def test_the_total_is_the_weighted_sum(batch: Batch) -> None:
    weights = LossWeights(cross=2.0, similarity=0.5, alignment=3.0, scene=0.1, self_=0.7, cycle=0.3)
    total, terms = losses(begun(), batch, weights)
    expected = sum(weight * float(terms[name]) for name, weight in weights.to_dict().items())
    assert float(total.detach()) == pytest.approx(expected, rel=1e-5)
    assert not any(term.requires_grad for term in terms.values())


def test_an_untrained_network_reproduces_itself(batch: Batch) -> None:
    torch.manual_seed(0)
    assert losses(build_model(EXPLICIT), batch, only("self_"))[1]["self"] == 0


def test_the_truth_is_what_is_aimed_at(batch: Batch) -> None:
    perfect = replace(batch, source=batch.truth)
    for name in ("cross", "similarity"):
        assert float(losses(build_model(EXPLICIT), perfect, only(name))[1][name]) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_frame_in_a_batch_does_no_harm(name: str, batch: Batch) -> None:
    """A part of a recording may be all background: no NaN, and the other frames are still learned from."""
    images = {field.name: getattr(batch, field.name).clone() for field in fields(Batch)}
    for image in images.values():
        image[0] = 0
    network = begun()
    total, _ = losses(network, Batch(**images), only(name))
    total.backward()
    assert total.isfinite()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.abs().max() > 0 for gradient in gradients)


def test_a_batch_of_nothing_but_empty_frames_has_no_gradient(batch: Batch) -> None:
    empty = Batch(*(torch.zeros_like(batch.truth) for _ in fields(Batch)))
    network = begun()
    losses(network, empty, LossWeights())[0].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("name", ["source", "target"])
def test_self_reconstruction_is_of_both_passes(name: str, batch: Batch) -> None:
    """A network whose residual is zero paints each pass as it is; a change of either pass alone is not painted."""

    class Constant(nn.Module):
        def forward(self, source: torch.Tensor, *_: torch.Tensor) -> object:
            from types import SimpleNamespace

            changed = source + 1.0 if source is getattr(batch, name) else source
            return SimpleNamespace(rendered=changed)

    _, terms = losses(Constant(), batch, only("self_"))
    scale = batch.target.std((1, 2)).clamp_min(0.1)
    assert float(terms["self"]) == pytest.approx(0.5 * float((1 / scale).mean()), rel=1e-4)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_impossible_weights_are_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"loss weight self is .*; expected 0 or more"):
        LossWeights(self_=value)


def test_no_loss_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="all loss weights are 0; give at least one a weight"):
        LossWeights(**NONE)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_gradient(name: str, batch: Batch) -> None:
    """Processes that train in step wait for it."""
    network = begun()
    losses(network, batch, only(name))[0].backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    drawn = any(parameter.grad.abs().max() > 0 for parameter in network.renderer.parameters())  # type: ignore[union-attr, operator]
    assert drawn == only(name).reach_the_renderer == (name != "scene")
