"""Configurations, weights files and the models that ship."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sasnet_live.errors import InputError
from sasnet_live.metrics import ncc
from sasnet_live.network.backend import GainRenderer, NetworkRenderer, open_renderer
from sasnet_live.network.checkpoint import (
    FORMAT,
    ModelCard,
    build_model,
    load_model,
    read_card,
    save_model,
)
from sasnet_live.network.config import PRESETS, SASNetConfig
from sasnet_live.network.inputs import RenderInputs, render_inputs
from sasnet_live.network.names import shipped_weights
from sasnet_live.network.precision import resolved_precision
from sasnet_live.scan import split

TINY = SASNetConfig(channels=(4, 6), blocks=(1, 1), appearance_channels=3)
IMPLICIT = SASNetConfig(
    correspondence="implicit", pooling="frame", fold_px=1, channels=(2, 3), blocks=(0, 1), appearance_channels=3
)
CPU = torch.device("cpu")


def saved(path: Path, config: SASNetConfig = TINY) -> Path:
    torch.manual_seed(0)
    card = ModelCard("tiny", config, "frames", "9.9", {"easy": {"ncc": 0.5}}, {"steps": 7, "seed": 3})
    save_model(path, build_model(config), card)
    return path


def inputs() -> RenderInputs:
    images = np.random.default_rng(0).random((5, 16, 64), np.float32)
    return RenderInputs(*images)


# Configurations


@pytest.mark.parametrize("config", [*PRESETS.values(), TINY, IMPLICIT])
def test_a_configuration_survives_json(config: SASNetConfig) -> None:
    assert SASNetConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_keys_of_a_configuration_are_refused() -> None:
    with pytest.raises(InputError, match=r"unknown keys \['attention'\]; update"):
        SASNetConfig.from_dict({**TINY.to_dict(), "attention": 8})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"correspondence": "guess"}, "correspondence is 'guess'; expected one of explicit, implicit"),
        ({"pooling": "rows"}, "pooling is 'rows'; expected one of lines, frame"),
        ({"channels": (4,)}, "must name the same"),
        ({"channels": (), "blocks": ()}, "at least one, scale"),
        ({"channels": (4, 0)}, "has a size below 1"),
        ({"fold_px": 0}, "has a size below 1"),
        ({"blocks": (1, -1)}, "has a size below 1"),
    ],
)
def test_impossible_configurations_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SASNetConfig.from_dict({**TINY.to_dict(), **change})


# Weights on disk


@pytest.mark.parametrize("config", [TINY, IMPLICIT])
def test_weights_and_their_card_come_back(tmp_path: Path, config: SASNetConfig) -> None:
    path = saved(tmp_path / "a.safetensors", config)
    network, card = load_model(path)
    torch.manual_seed(0)
    for name, tensor in build_model(config).state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)  # kept in half precision
    assert not network.training
    assert card == ModelCard(
        "tiny",
        config,
        "frames",
        "9.9",
        {"easy": {"ncc": 0.5}},
        {"steps": 7, "seed": 3},
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    assert read_card(path) == card
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_weights_can_be_read_by_whoever_may_read_the_users_files(tmp_path: Path) -> None:
    (tmp_path / "any").touch()
    path = saved(tmp_path / "a.safetensors")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "any").stat().st_mode)


def test_a_failed_write_leaves_the_old_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.safetensors")
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        saved(path, IMPLICIT)
    assert path.read_bytes() == before


class _Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.trace,))


def test_pickles_are_refused_without_being_run(tmp_path: Path) -> None:
    bomb = _Bomb(tmp_path / "trace")
    zipped, plain = tmp_path / "zip.pt", tmp_path / "plain.safetensors"
    torch.save(bomb, zipped)
    plain.write_bytes(pickle.dumps(bomb))
    for path in (zipped, plain):
        for read in (read_card, load_model):
            with pytest.raises(InputError, match="looks like a pickle") as caught:
                read(path)
            assert str(caught.value).startswith(f"{path}: not a safetensors file")
            assert "\n" not in str(caught.value)
    assert not bomb.trace.exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensor = {"x": torch.ones(2)}
    config = json.dumps(TINY.to_dict())
    cases = {
        "header is not readable": np.random.default_rng(0).bytes(5000),
        "not a safetensors file": b"",
        "format 'unknown', expected 'sasnet-live/1'": None,
        "format 'sasnet-live/99'": {"format": "sasnet-live/99"},
        "what it says of itself is damaged": {"format": FORMAT, "config": config},
        "what it says of itself is damaged (JSON": {"format": FORMAT, "name": "a", "config": "{"},
        "unknown keys": {"format": FORMAT, "name": "a", "config": '{"attention": 1}'},
        "do not fit its own configuration": {"format": FORMAT, "name": "a", "config": config},
    }
    for message, content in cases.items():
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            save_file(tensor, path, metadata=content)
        with pytest.raises(InputError) as caught:
            load_model(path)
        assert str(caught.value).startswith(f"{path}: "), message
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a safetensors file"):
        load_model(path)


def header_of(metadata: dict[str, str], shapes: dict[str, list[int]], dtype: str = "F16") -> bytes:
    """A safetensors header of these tensors, one after the other."""
    entries: dict[str, object] = {"__metadata__": metadata}
    at = 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


def sparse(path: Path, head: bytes, size: int) -> Path:
    """A file of this size that takes no room on most disks."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
    return path


CARD = {"format": FORMAT, "name": "a", "config": json.dumps(TINY.to_dict())}
LARGE = 3 * 2**30
LARGE_FILES = {
    "zeros": (b"", "header is not readable"),
    "a pickle": (b"\x80\x04", "looks like a pickle"),
    "an archive": (b"PK\x03\x04", "looks like a pickle"),
    "a header as long as the file": ((LARGE - 8).to_bytes(8, "little") + b"{", "header is not readable"),
    "a header longer than the file": ((2**60).to_bytes(8, "little") + b"{", "header is not readable"),
    "a header of 90 MB": ((90 * 2**20).to_bytes(8, "little") + b"{", "header is not readable"),
    "another format": ({"format": "pt"}, "format 'pt', expected"),
    "weights of another shape": (CARD, "do not fit its own configuration"),
    "a configuration beyond all memory": (
        {**CARD, "config": json.dumps({**TINY.to_dict(), "channels": [10**6, 10**7]})},
        "do not fit its own configuration",
    ),
    "a configuration of endless blocks": (
        {**CARD, "config": json.dumps({**TINY.to_dict(), "blocks": [10**9, 1]})},
        "do not fit its own configuration",
    ),
}


@pytest.mark.skipif(os.name != "posix", reason="files with holes")
@pytest.mark.parametrize("name", LARGE_FILES)
def test_no_more_than_a_header_is_read_of_files_that_are_not_weights(name: str, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    head, words = LARGE_FILES[name]
    if isinstance(head, dict):
        head = header_of(head, {"x": [LARGE // 4, 2]})
        path = sparse(tmp_path / "w.safetensors", head, len(head) + LARGE)
    else:
        path = sparse(tmp_path / "w.safetensors", head, LARGE)
    read_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError) as caught:
        read_card(path)
    assert words in str(caught.value)
    assert str(caught.value).count("\n") == 0
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - read_before) / 1024
    assert grown_mb < 200


def test_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such weights file; give"):
        read_card(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match=r"is a folder; give .*best\.safetensors"):
        read_card(tmp_path)


def test_the_weights_that_ship() -> None:
    files = shipped_weights()
    assert "lite" in files
    assert sum(path.stat().st_size for path in files.values()) <= 12e6
    for name, path in files.items():
        network, card = load_model(path)
        assert (card.name, card.config) == (name, PRESETS[name])
        assert card.version
        assert card.training_data
        assert card.training["step"] > 0
        assert {"easy", "medium", "hard"} <= set(card.scores)
        assert all(parameter.isfinite().all() for parameter in network.parameters())


def test_the_weights_that_ship_improve_a_frame_they_have_never_seen() -> None:
    from sasnet_live.simulation.dataset import SimulatedPairs

    frame = SimulatedPairs(height=192, width=256).load_pair("test", 2)  # hard
    passes = (lines.astype(np.float32) for lines in (*split(frame.raw, frame.geometry), frame.displacement_px))
    given, truth = render_inputs(*passes, frame.geometry), frame.truth
    for name, path in shipped_weights().items():
        network, card = load_model(path)
        if card.config.correspondence == "explicit":
            renderer = NetworkRenderer(network, card, CPU, "auto")  # type: ignore[arg-type]
            assert ncc(truth, renderer.render(given)) > ncc(truth, given.matched) + 0.01, name


# Renderers


def test_renderers_by_name(tmp_path: Path) -> None:
    plain = open_renderer("correspondence", CPU, "auto")
    assert isinstance(plain, GainRenderer)
    np.testing.assert_array_equal(plain.render(inputs()), inputs().matched)
    assert (plain.name, plain.card) == ("correspondence", None)
    default = open_renderer("default", CPU, "auto")
    assert (default.name, default.precision) == ("lite", resolved_precision("auto", CPU))
    own = open_renderer(saved(tmp_path / "mine.safetensors"), CPU, "auto")
    assert own.name == "tiny"
    np.testing.assert_allclose(own.render(inputs()), inputs().matched, atol=1e-6)  # not trained: nothing is changed


def test_implicit_networks_are_not_used_for_registration(tmp_path: Path) -> None:
    path = saved(tmp_path / "paper.safetensors", IMPLICIT)
    with pytest.raises(InputError, match="Use lite, full or correspondence"):
        open_renderer(path, CPU, "auto")
