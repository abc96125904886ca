"""The training loop, with a tiny network and samples made beforehand."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sasnet_live import __version__
from sasnet_live.errors import InputError
from sasnet_live.network.checkpoint import ModelCard, build_model, load_model, read_card, save_model
from sasnet_live.network.config import PRESETS
from sasnet_live.training import loop
from sasnet_live.training.data import Batch, simulated_samples
from sasnet_live.training.devices import Process, autocast_dtype, pick_device
from sasnet_live.training.loop import BEST, Progress, train
from sasnet_live.training.losses import losses
from sasnet_live.training.settings import TrainingSettings
from sasnet_live.training.state import load_state, save_state, steps_kept
from sasnet_live.training.weights import LossWeights
from tiny_training import EXPLICIT, IMPLICIT, InlinePool, train_in_step

pytestmark = pytest.mark.usefixtures("quick")

SHORT = TrainingSettings(steps=10, batch_size=4, validate_every=4, averaging=0.9, precision="fp32")
ALONE = Process()


def record_of(folder: Path) -> dict[str, object]:
    with safe_open(str(folder / "state.safetensors"), framework="pt") as file:
        return json.loads(file.metadata()["record"])


def test_training_renders_better_than_matching_the_gain_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = list(islice(simulated_samples(5, 0, 48, 96), 72))
    monkeypatch.setattr(InlinePool, "samples", made[12:])
    monkeypatch.setattr(loop, "simulated_validation", lambda frames, kind: {"unseen": made[:12]})
    settings = TrainingSettings(
        steps=60, batch_size=8, learning_rate=1e-2, validate_every=60, averaging=0.9, precision="fp32"
    )
    told: list[Progress] = []
    train(settings, tmp_path, device="cpu", report=told.append)
    (score,) = told[-1].scores
    assert score.ncc_rendered > score.ncc_source + 0.02
    assert score.ssim_rendered > score.ssim_source + 0.05
    assert told[-1].losses["cross"] < 0.9 * told[0].losses["cross"]


def test_what_a_run_tells_and_writes(tmp_path: Path) -> None:
    told: list[Progress] = []
    best = train(SHORT, tmp_path / "run", device="cpu", report=told.append)
    assert [progress.step for progress in told] == list(range(1, 11))
    assert [progress.step for progress in told if progress.scores] == [4, 8, 10]
    assert all(a.elapsed_s < b.elapsed_s for a, b in pairwise(told))
    assert set(told[0].losses) == {"cross", "similarity", "alignment", "scene"}
    assert best == tmp_path / "run" / BEST
    assert sorted(path.name for path in best.parent.iterdir()) == [BEST, "settings.json", "state.safetensors"]
    assert [entry["step"] for entry in record_of(best.parent)["history"]] == [4, 8, 10]  # type: ignore[index, attr-defined]


def test_the_card_says_how_to_train_the_weights_again(tmp_path: Path) -> None:
    told: list[Progress] = []
    card = read_card(train(SHORT, tmp_path / "run", device="cpu", report=told.append))
    best = [progress for progress in told if progress.best][-1]
    assert (card.name, card.config, card.version) == ("lite", EXPLICIT, __version__)
    assert card.training_data == "sasnet-live simulator v1, frames of 192 x 320, seed 0"
    assert card.scores["easy"]["ncc_rendered"] == pytest.approx(best.scores[0].ncc_rendered, abs=1e-4)
    assert {f.name for f in fields(TrainingSettings)} <= set(card.training)
    again = {name: card.training[name] for name in (f.name for f in fields(TrainingSettings))}
    assert TrainingSettings.from_mapping(again) == SHORT
    for name, value in {"step": best.step, "device": "cpu", "processes": "1", "computed_in": "float32"}.items():
        assert card.training[name] == value
    assert card.training["torch"] == torch.__version__


def test_one_scanner_and_other_widths(tmp_path: Path) -> None:
    settings = replace(SHORT, scanner="one", channels=(2, 4), height=64, width=96, validation_frames=3)
    told: list[Progress] = []
    best = train(settings, tmp_path / "run", device="cpu", report=told.append)
    network, card = load_model(best)
    assert card.config == network.config == replace(EXPLICIT, channels=(2, 4))
    assert card.training_data.startswith("or-pam-sim-one/v1/64x96/")
    assert (card.training["scanner"], card.training["channels"]) == ("one", [2, 4])
    assert list(card.scores) == ["one-scanner"]
    assert TrainingSettings.load(best.parent) == settings
    more = train(replace(settings, steps=1), tmp_path / "run", resume=True, device="cpu")
    assert more == best  # goes on with what is in the folder, which is finished


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    states = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        settings = TrainingSettings.from_mapping({**json.loads(SHORT.to_json()), "seed": seed})
        states.append(load_model(train(settings, tmp_path / name, device="cpu"))[0].state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])


# Interrupted runs


def interrupted(folder: Path, at: int) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SHORT, folder, device="cpu", report=stop)


@pytest.mark.parametrize(("stopped_at", "goes_on_at"), [(2, 1), (4, 5), (7, 5), (9, 9)])
def test_an_interrupted_run_goes_on_from_its_checkpoint(tmp_path: Path, stopped_at: int, goes_on_at: int) -> None:
    interrupted(tmp_path, stopped_at)
    told: list[Progress] = []
    # Other settings are given, and those of the run are used.
    train(TrainingSettings(steps=3), tmp_path, resume=True, device="cpu", report=told.append)
    assert [progress.step for progress in told] == list(range(goes_on_at, 11))
    assert [entry["step"] for entry in record_of(tmp_path)["history"]] == [4, 8, 10]  # type: ignore[index, attr-defined]
    with pytest.raises(InputError, match="holds a training run; go on with --resume, or choose another folder"):
        train(SHORT, tmp_path, device="cpu")


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    best = train(SHORT, tmp_path, device="cpu").read_bytes()
    told: list[Progress] = []
    assert train(SHORT, tmp_path, resume=True, device="cpu", report=told.append).read_bytes() == best
    assert told == []


def test_the_whole_state_comes_back(tmp_path: Path, batch: Batch) -> None:
    """The step after a checkpoint is the same whether the run was interrupted or not."""

    def step(network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        losses(network, batch, LossWeights())[0].backward()
        optimizer.step()

    networks = [build_model(EXPLICIT) for _ in range(4)]
    optimizers = [torch.optim.AdamW(network.parameters(), 1e-2) for network in (networks[0], networks[2])]
    step(networks[0], optimizers[0])
    step(networks[0], optimizers[0])
    record = {"step": 2, "best": -math.inf}
    save_state(tmp_path, networks[0], networks[1], optimizers[0], record)
    assert load_state(tmp_path, networks[2], networks[3], optimizers[1]) == record
    for kept, restored in ((networks[0], networks[2]), (networks[1], networks[3])):
        assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), restored.parameters(), strict=True))
    step(networks[0], optimizers[0])
    step(networks[2], optimizers[1])
    assert all(torch.equal(a, b) for a, b in zip(networks[0].parameters(), networks[2].parameters(), strict=True))


@pytest.mark.parametrize("content", [b"", b"a poem", bytes(3000)])
def test_a_damaged_state_is_refused(tmp_path: Path, content: bytes) -> None:
    interrupted(tmp_path, 5)
    (tmp_path / "state.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="not the state of a training run; delete it to begin again"):
        train(SHORT, tmp_path, resume=True, device="cpu")


def test_a_state_of_another_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(tmp_path, 5)
    monkeypatch.setitem(PRESETS, "lite", IMPLICIT)
    with pytest.raises(InputError, match=r"is not of the network in settings\.json"):
        train(SHORT, tmp_path, resume=True, device="cpu")


def edited(folder: Path, change: Callable[[dict[str, torch.Tensor], dict[str, Any]], None]) -> bytes:
    """Change the tensors or the record of a state in place; its bytes."""
    path = folder / "state.safetensors"
    with safe_open(str(path), framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    record = record_of(folder)
    change(tensors, record)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"record": json.dumps(record)})
    return path.read_bytes()


def filled(name: str, value: float) -> Callable[[dict[str, torch.Tensor], dict[str, Any]], None]:
    return lambda tensors, record: tensors[name].view(-1)[:1].fill_(value) and None


def reshaped(name: str) -> Callable[[dict[str, torch.Tensor], dict[str, Any]], None]:
    return lambda tensors, record: tensors.update({name: torch.zeros(3, 5, 7)})


WEIGHT = "renderer.leave.weight"
SPOILT_STATES: dict[str, tuple[Callable[[dict[str, torch.Tensor], dict[str, Any]], Any], str]] = {
    "NaN in the network": (filled(f"network.{WEIGHT}", math.nan), f"network.{WEIGHT} holds NaN or infinite numbers"),
    "infinity in the average": (filled(f"average.{WEIGHT}", math.inf), f"average.{WEIGHT} holds NaN"),
    "NaN in a moment": (filled("optimizer.3.exp_avg_sq", math.nan), "optimizer.3.exp_avg_sq holds NaN"),
    "NaN in a count": (filled("optimizer.0.step", math.nan), "optimizer.0.step holds NaN"),
    "a weight of another shape": (reshaped(f"network.{WEIGHT}"), "is not of the network in settings.json"),
    "a moment of another shape": (reshaped("optimizer.2.exp_avg"), "is not of the network in settings.json"),
    "a count of another shape": (reshaped("optimizer.2.step"), "is not of the network in settings.json"),
    "a moment missing": (lambda t, r: t.pop("optimizer.0.exp_avg"), "is not of the network in settings.json"),
    "a weight missing": (lambda t, r: t.pop(f"average.{WEIGHT}"), "is not of the network in settings.json"),
    "a moment too many": (reshaped("optimizer.999.exp_avg"), "is not of the network in settings.json"),
    "an optimizer of words": (reshaped("optimizer.first.exp_avg"), "is not of the network in settings.json"),
    "a tensor without a dot": (reshaped("optimizer."), "is not of the network in settings.json"),
    "other settings": (
        lambda t, r: r["settings"].update(learning_rate=1.0),
        "was trained with learning_rate 1.0, and settings.json says 0.002; put that back",
    ),
    "another geometry": (lambda t, r: r["settings"]["geometry"].update(first="backward"), "was trained with geometry"),
    "no step": (lambda t, r: r.pop("step"), "its record is damaged"),
    "a step of words": (lambda t, r: r.update(step="four"), "its record is damaged"),
    "a step below 0": (lambda t, r: r.update(step=-4), "its record is damaged"),
    "a best that is NaN": (lambda t, r: r.update(best=math.nan), "its record is damaged"),
    "a time that is infinite": (lambda t, r: r.update(elapsed_s=math.inf), "its record is damaged"),
    "a history of words": (lambda t, r: r.update(history="long"), "its record is damaged"),
}


@pytest.mark.parametrize("name", SPOILT_STATES)
def test_a_spoilt_state_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    change, words = SPOILT_STATES[name]
    interrupted(tmp_path, 5)
    content = edited(tmp_path, change)
    with pytest.raises(InputError) as caught:
        train(SHORT, tmp_path, resume=True, device="cpu")
    assert str(caught.value).startswith(str(tmp_path / "state.safetensors"))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "state.safetensors").read_bytes() == content


@pytest.mark.parametrize("left", [0, 4, 8, 9, 500, 0.5, 0.99, -1])
def test_a_truncated_state_is_refused(tmp_path: Path, left: float) -> None:
    interrupted(tmp_path, 5)
    path = tmp_path / "state.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content)) if isinstance(left, float) else left])
    with pytest.raises(InputError, match="not the state of a training run"):
        train(SHORT, tmp_path, resume=True, device="cpu")


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, record: None,
        lambda tensors, record: record.pop("settings"),  # as earlier versions wrote it
        lambda tensors, record: record["settings"].update(workers=3, recordings=["moved.tif"]),
        lambda tensors, record: [tensors.pop(name) for name in list(tensors) if name.startswith("optimizer.")],
    ],
    ids=["unchanged", "of an earlier version", "files moved", "without a gradient so far"],
)
def test_a_sound_state_is_gone_on_from(tmp_path: Path, change: Callable[..., None]) -> None:
    interrupted(tmp_path, 5)
    edited(tmp_path, change)
    told: list[Progress] = []
    train(SHORT, tmp_path, resume=True, device="cpu", report=told.append)
    assert told[0].step == 5


def test_how_far_a_run_is_kept(tmp_path: Path) -> None:
    assert steps_kept(tmp_path) == 0
    interrupted(tmp_path, 9)
    assert steps_kept(tmp_path) == 8
    (tmp_path / "state.safetensors").write_bytes(b"a poem")
    assert steps_kept(tmp_path) == 0


# What cannot be trained


def test_nothing_is_written_where_a_run_cannot_begin(tmp_path: Path) -> None:
    cases = {
        "no such file": {"recordings": ("none.tif",)},
        "no such weights file": {"initial_weights": str(tmp_path / "none.safetensors")},
    }
    for message, change in cases.items():
        settings = TrainingSettings.from_mapping({**json.loads(SHORT.to_json()), **change})
        with pytest.raises(InputError, match=message):
            train(settings, tmp_path / "run", device="cpu")
    for device in ("banana", "cuda:99", "xla"):
        with pytest.raises(InputError, match="evice"):
            train(SHORT, tmp_path / "run", device=device)
    with pytest.raises(InputError, match="no run to resume"):
        train(SHORT, tmp_path / "run", resume=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written to"):
        train(SHORT, tmp_path / "file", device="cpu")


def test_a_run_without_a_score_has_no_best_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "merit", lambda scores: math.nan)
    with pytest.raises(RuntimeError, match="has no best weights: no validation gave a score"):
        train(SHORT, tmp_path, device="cpu")


def test_a_run_that_diverges_says_so(tmp_path: Path) -> None:
    settings = TrainingSettings(steps=200, batch_size=2, learning_rate=1e30, precision="fp32")
    with pytest.raises(RuntimeError, match=r"no finite gradient in steps .*; learn more slowly"):
        train(settings, tmp_path, device="cpu")


def test_one_step_without_a_gradient_spoils_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, calls = loop.losses, []

    def sometimes_nan(*arguments: object) -> object:
        total, terms = plain(*arguments)  # type: ignore[arg-type]
        calls.append(0)
        return (
            (total * math.nan, {name: term * math.nan for name, term in terms.items()})
            if len(calls) == 3
            else (total, terms)
        )

    monkeypatch.setattr(loop, "losses", sometimes_nan)
    told: list[Progress] = []
    network, _ = load_model(train(SHORT, tmp_path, device="cpu", report=told.append))
    assert all(parameter.isfinite().all() for parameter in network.parameters())
    assert all(math.isfinite(value) for value in told[-1].losses.values())


# Starting from weights


def test_training_starts_from_given_weights(tmp_path: Path) -> None:
    first = train(SHORT, tmp_path / "first", device="cpu")
    settings = TrainingSettings.from_mapping(
        {**json.loads(SHORT.to_json()), "initial_weights": str(first), "learning_rate": 1e-12}
    )
    best = train(settings, tmp_path / "second", device="cpu")
    (one, _), (other, card) = load_model(first), load_model(best)
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)
    assert card.training["initial_weights"] == BEST  # no folders of the user's
    assert card.training["initial_sha256"] == read_card(first).sha256


def test_weights_of_another_preset_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "paper.safetensors"
    for name, hint in (("paper", "give --preset paper"), ("other", "of another version of sasnet-live")):
        config = PRESETS["paper"] if name == "paper" else IMPLICIT
        save_model(path, build_model(config), ModelCard(name, config))
        with pytest.raises(InputError, match=f"are not weights of the preset 'lite'; .*{hint}"):
            train(TrainingSettings(steps=1, initial_weights=str(path)), tmp_path / "run", device="cpu")


# Devices, arithmetic, several processes


def test_half_precision_with_scaling_is_for_cuda_alone() -> None:
    cpu = torch.device("cpu")
    assert autocast_dtype("fp32", cpu) is None
    assert autocast_dtype("bf16", cpu) is torch.bfloat16
    assert autocast_dtype("fp16", torch.device("cuda", 0)) is torch.float16
    assert autocast_dtype("auto", cpu) in (None, torch.bfloat16)
    with pytest.raises(InputError, match="precision fp16 was asked for on cpu; it needs CUDA"):
        autocast_dtype("fp16", cpu)


def test_training_in_bfloat16(tmp_path: Path) -> None:
    settings = TrainingSettings(steps=4, batch_size=2, precision="bf16")
    card = read_card(train(settings, tmp_path, device="cpu"))
    assert card.training["computed_in"] == "bfloat16"
    assert math.isfinite(card.scores["easy"]["ncc_rendered"])


def test_each_process_takes_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    second = Process(rank=1, world=2, local_rank=1)
    for name, process, expected in (
        ("auto", ALONE, "cuda:0"),
        ("auto", second, "cuda:1"),
        ("cuda", second, "cuda:1"),
        ("cuda:0", second, "cuda:0"),
        ("cpu", second, "cpu"),
    ):
        assert pick_device(name, process) == torch.device(expected)
    with pytest.raises(InputError, match="CUDA device 2 was asked for, but torch finds 2; use --device cpu, or fewer"):
        pick_device("auto", Process(rank=2, world=3, local_rank=2))


def test_the_process_is_as_torchrun_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Process.from_environment() == ALONE
    assert ALONE.leads
    for name, value in {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert Process.from_environment() == Process(5, 8, 1)
    assert not Process.from_environment().leads


def test_the_learning_rate_rises_and_falls() -> None:
    settings = TrainingSettings(steps=1000, learning_rate=2e-3)
    rates = [loop._rate(settings, step) for step in range(1000)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(2e-3)
    peak = rates.index(max(rates))
    assert peak == pytest.approx(20, abs=1)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == pytest.approx(2e-5, rel=0.01)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def test_two_processes_stay_in_step(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(train_in_step, (tmp_path, tuple(_free_ports(2))), nprocs=2)
    for name, validations in (("everything", 2), ("scene", 4)):
        first, second = (torch.load(tmp_path / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1))
        assert all(torch.equal(first["weights"][key], second["weights"][key]) for key in first["weights"])
        assert (first["reported"], second["reported"]) == ([1, 2, 3, 4], [])
        assert (first["validated"], second["validated"]) == (validations, 0)
        assert read_card(tmp_path / name / BEST).training["processes"] == "2"
