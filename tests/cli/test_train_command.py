"""``sasnet-live train``, with small frames; the loop itself is tested in ``tests/training``."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
import torch

from sasnet_live import __version__, cli
from sasnet_live.network.checkpoint import read_card
from sasnet_live.network.config import PRESETS
from sasnet_live.simulation.dataset import SimulatedPairs
from sasnet_live.training import loop
from sasnet_live.training.data import simulated_samples
from sasnet_live.training.settings import TrainingSettings
from tiny_training import EXPLICIT, InlinePool

SMALL = ("--height", 32, "--width", 64, "--batch-size", 2)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in ("train", *arguments)])
    out, err = capsys.readouterr()
    return ended.value.code, out, err  # type: ignore[return-value]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker processes, and a tiny network for "lite"."""
    samples = tuple(islice(simulated_samples(0, 0, 32, 64), 4))
    monkeypatch.setattr(InlinePool, "samples", samples)
    monkeypatch.setattr(loop, "SamplePool", InlinePool)
    monkeypatch.setattr(loop, "simulated_validation", lambda frames, kind: {"easy": list(samples[:frames])})
    monkeypatch.setitem(PRESETS, "lite", EXPLICIT)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A raw recording of twelve small frames."""
    pairs = SimulatedPairs(height=48, width=80)
    frames = np.stack([pairs.load_pair("train", index).raw for index in range(3)])
    tifffile.imwrite(tmp_path / "recording.tif", np.tile(frames, (4, 1, 1)), photometric="minisblack")
    return tmp_path / "recording.tif"


@pytest.mark.usefixtures("quick")
def test_the_table_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    status, text, err = run(capsys, "-o", out, "--steps", 4, "--validate-every", 2, "--validation-frames", 2)
    assert (status, err) == (0, "")
    lines = text.splitlines()
    assert [line.split()[:3] for line in lines[:-1]] == [["2", "of", "4"], ["4", "of", "4"]]  # one line a validation
    assert all(
        re.search(r" min left  easy NCC \S+ -> \S+ SSIM \S+ -> \S+  cross \S+  similarity ", line)
        for line in lines[:-1]
    )
    assert lines[0].endswith("  best so far")
    assert lines[-1] == f"Best weights: {out / 'best.safetensors'}"


@pytest.mark.usefixtures("quick")
def test_the_table_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    status, text, _ = run(capsys, "-o", tmp_path / "run", "--steps", 2, "--validate-every", 1, "--validation-frames", 2)
    assert status == 0
    rows = [line for line in text.splitlines() if " easy " in line and " -> " in line]
    assert len(rows) == 2
    assert text.count("NCC before -> rendered") == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("at", "words"),
    [
        (1, "no step is kept, for the first validation was not reached; go on with"),
        (3, "2 of 6 steps are kept; go on with"),
        (5, "4 of 6 steps are kept; go on with"),
    ],
)
def test_an_interrupted_run_says_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], at: int, words: str
) -> None:
    out = tmp_path / "my run"
    batch, drawn = InlinePool.next_batch, []

    def interrupted(self: InlinePool) -> object:
        drawn.append(0)
        if len(drawn) > at:
            raise KeyboardInterrupt
        return batch(self)

    monkeypatch.setattr(InlinePool, "next_batch", interrupted)
    status, _, err = run(capsys, "-o", out, "--steps", 6, "--validate-every", 2, "--validation-frames", 2)
    assert status == 130
    assert err.count("\n") == 1
    assert f"sasnet-live: interrupted: {words}: sasnet-live train -o '{out}' --resume" in err
    monkeypatch.setattr(InlinePool, "next_batch", batch)
    status, text, err = run(capsys, "-o", out, "--resume")
    assert (status, err) == (0, "")
    assert text.splitlines()[-2].split()[:3] == ["6", "of", "6"]


@pytest.mark.usefixtures("quick")
def test_a_run_interrupted_before_it_began_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "simulated_validation", interrupted)
    status, _, err = run(capsys, "-o", tmp_path / "run", "--steps", 4)
    assert (status, err) == (
        130,
        f"sasnet-live: interrupted before the run began: nothing is kept in {tmp_path / 'run'}\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("spoil", ["truncated", "NaN"])
def test_a_spoilt_state_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: str) -> None:
    out = tmp_path / "run"
    run(capsys, "-o", out, "--steps", 2, "--validate-every", 1, "--validation-frames", 2)
    state = out / "state.safetensors"
    content = state.read_bytes()
    state.write_bytes(content[:-10] if spoil == "truncated" else content[:-4] + b"\xff\xff\xff\x7f")
    status, text, err = run(capsys, "-o", out, "--resume")
    assert (status, text, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"sasnet-live: {state}: ")
    assert "delete" in err


@pytest.mark.usefixtures("quick")
def test_options_reach_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--steps", 1, "--batch-size", 3, "--learning-rate", 1e-3, "--seed", 4, "--workers", 2, "--height", 64]
    options += ["--width", 128, "--precision", "fp32", "--averaging", 0.5, "--simulated-share", 0.25]
    options += ["--validate-every", 7, "--validation-frames", 2, "--loss", "cycle=0.5", "--loss", "cross=0"]
    options += ["--line-axis", "columns", "--first", "backward", "--mirrored", "--line-offset", 3, "--crop", 1, 2]
    options += ["--slow-axis", "stepped", "--preset", "lite", "--channels", "2,4", "--scanner", "one"]
    assert run(capsys, "-o", tmp_path / "run", *options)[0] == 0
    settings = TrainingSettings.load(tmp_path / "run")
    assert (settings.steps, settings.batch_size, settings.learning_rate, settings.seed) == (1, 3, 1e-3, 4)
    assert (settings.workers, settings.height, settings.width, settings.precision) == (2, 64, 128, "fp32")
    assert (settings.channels, settings.scanner) == ((2, 4), "one")
    assert (settings.averaging, settings.simulated_share, settings.validate_every) == (0.5, 0.25, 7)
    assert (settings.losses.cycle, settings.losses.cross, settings.losses.similarity) == (0.5, 0.0, 0.5)
    geometry = settings.geometry
    assert (geometry.line_axis, geometry.first, geometry.backward_mirrored) == ("columns", "backward", True)
    assert (geometry.line_offset, geometry.crop, geometry.slow_axis) == (3, (1, 2), "stepped")


@pytest.mark.usefixtures("quick")
def test_one_loss_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = [part for name in ("cross", "similarity", "alignment", "scene") for part in ("--loss", f"{name}=0")]
    assert run(capsys, "-o", tmp_path / "run", "--steps", 1, *others, "--loss", "self=1")[0] == 0
    assert TrainingSettings.load(tmp_path / "run").losses.to_dict() == {
        **dict.fromkeys(("cross", "similarity", "alignment", "scene", "cycle"), 0.0),
        "self": 1.0,
    }


@pytest.mark.usefixtures("quick")
def test_resuming_with_other_settings_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert run(capsys, "-o", out, "--steps", 2, "--seed", 3)[0] == 0
    for option, message in (
        (("--steps", 5), "begun with another steps (2); leave that out"),
        (("--seed", 0), "begun with another seed (3)"),
        (("--loss", "cycle=1"), "begun with another loss"),
        (("--crop", 1, 1), "begun with another crop"),
        (("--scanner", "one"), "begun with another scanner"),
        (("--channels", "4,8"), "begun with another channels"),
    ):
        status, _, err = run(capsys, "-o", out, "--resume", *option)
        assert status == 2
        assert f"sasnet-live: {out}: was {message}" in err
        assert err.count("\n") == 1
    # The same command again, or none of its settings, goes on.
    assert run(capsys, "-o", out, "--resume", "--steps", 2, "--seed", 3)[0] == 0
    assert run(capsys, "-o", out, "--resume", "--device", "cpu")[0] == 0


def test_what_is_refused(tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held, out = tmp_path / "held", tmp_path / "run"
    held.mkdir()
    TrainingSettings().save(held)
    poem, pickle = tmp_path / "poem.tif", tmp_path / "weights.pt"
    poem.write_text("a poem")
    torch.save({"a": torch.ones(3)}, pickle)
    cases = [
        (("-o", held), "holds a training run; go on with --resume, or choose another folder"),
        (("-o", out, "--resume"), "no settings.json, so no run to resume; start one without --resume"),
        (("-o", out, "--preset", "litle"), "preset is 'litle'; expected one of lite, full, paper"),
        (("-o", out, "--channels", "8;16"), "--channels 8;16 came; expected whole numbers with commas between"),
        (("-o", out, "--channels", "8"), "must name the same, at least one, scale"),
        (("-o", out, "--height", 33), "an even height"),
        (("-o", out, "--learning-rate", -1), "learning_rate is -1.0; expected a number above 0"),
        (("-o", out, "--precision", "fp16", "--device", "cpu"), "fp16 was asked for on cpu; it needs CUDA"),
        (("-o", out, "--device", "banana"), "device is 'banana'; expected auto, cpu, cuda or cuda:N"),
        (("-o", out, "--loss", "beauty=1"), "--loss beauty=1 came; expected NAME=VALUE with a name of cross,"),
        (("-o", out, "--loss", "cross"), "--loss cross came; expected NAME=VALUE"),
        (("-o", out, "--loss", "cross=-1"), "loss weight cross is -1.0; expected 0 or more"),
        (("-o", out, "--initial-weights", "lit"), "no model 'lit'; did you mean 'lite'?"),
        (("-o", out, "--initial-weights", pickle), "it looks like a pickle"),
        (("-o", out, "--initial-weights", "lite", "--preset", "full"), "preset 'full'; give --preset lite"),
        (("-o", out, tmp_path / "none.tif"), "none.tif"),
        (("-o", out, poem), "is not a TIFF file"),
        (("-o", out, recording, "--crop", 60, 0), "has 48 lines of 20 px; expected at least 22 lines of 32 px"),
        (("-o", poem, "--validation-frames", 1, *SMALL, recording), "cannot be written to"),
        (("-o", out, "--steps", 0), "Invalid value for '--steps'"),
        (("-o", out, "--slow-axis", "up"), "'up' is not one of"),
        ((), "Missing option '--out'"),
    ]  # fmt: skip
    for arguments, message in cases:
        status, text, err = run(capsys, *arguments)
        assert (status, text) == (2, ""), arguments
        assert err.startswith("sasnet-live: ")
        assert err.count("\n") == 1, err
        assert message in err
    assert not out.exists()


def test_a_killed_run_goes_on(tmp_path: Path, recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real processes, on a recording without truth and simulated frames, killed without warning."""
    out = tmp_path / "run"
    command = [recording, "-o", out, "--steps", 12, "--validate-every", 1, *SMALL, "--device", "cpu"]
    arguments = [sys.executable, "-m", "sasnet_live", "train", *(str(part) for part in command)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (out / "state.safetensors").exists() and process.poll() is None:
            time.sleep(0.02)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        _, err = process.communicate()
    assert process.returncode == -9, err
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert gone
    assert not alive
    status, text, err = run(capsys, *command, "--resume")
    assert (status, err) == (0, "")
    steps = [int(line.split()[0]) for line in text.splitlines() if " recordings " in line]
    assert 1 < steps[0] < 12  # what was done before is not done again
    assert steps == list(range(steps[0], 13))
    card = read_card(out / "best.safetensors")
    assert card.training["recordings"] == ["recording.tif"]
    assert card.training_data == "sasnet-live simulator v1, frames of 32 x 64, seed 0 + 1 recordings"


def test_the_package_is_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sasnet_live", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == f"sasnet-live {__version__}\n"
