"""The command line as a whole: help, version, errors in one line, start-up time."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

import pytest

from sasnet_live import __version__, cli
from sasnet_live.errors import CannotRegister, InputError


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return ended.value.code, out, err  # type: ignore[return-value]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"sasnet-live {__version__}\n", "")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "--help")
    assert (status, err) == (0, "")
    for command in ("demo", "run", "watch", "serve", "reprocess", "simulate", "train", "evaluate", "bench", "info"):
        assert f"\n  {command} " in out
        assert run(capsys, command, "--help")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "No such command 'nothing'; see sasnet-live --help"),
        (["reprocess", "--modle", "lite"], "No such option: --modle"),
        (["reprocess", "a.tif"], "Missing option '--out' / '-o'"),
        (
            ["reprocess", "a.tif", "-o", "b.tif", "--first", "sideways"],
            "'sideways' is not one of 'forward', 'backward'",
        ),
        (["reprocess", "a.tif", "-o", "b.tif", "--crop", "3"], "requires 2 arguments"),
        (["simulate", "-o", "a.tif", "--frames", "0"], "Invalid value for '--frames'"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.startswith("sasnet-live: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("a.tif: is a poem; give a TIFF"), 2, "sasnet-live: a.tif: is a poem; give a TIFF\n"),
        (CannotRegister("no model 'x'"), 1, "sasnet-live: no model 'x'\n"),
        (RuntimeError("two\nlines"), 1, "sasnet-live: RuntimeError: two lines; --debug shows where\n"),
        (KeyboardInterrupt(), 130, "sasnet-live: interrupted\n"),
    ],
)
def test_errors_of_commands(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: int,
    line: str,
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert run(capsys, "info") == (status, "", line)
    if isinstance(error, Exception):
        with pytest.raises(type(error)):
            cli.main(["info", "--debug"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_knows_commands_options_and_values(shell: str) -> None:
    """As the shells ask, by the environment: in a process of its own, which ends with the answer."""

    def ask(*words: str) -> str:
        line = " ".join(("sasnet-live", *words))
        asked = {
            "_SASNET_LIVE_COMPLETE": f"complete_{shell}", "COMP_WORDS": line, "COMP_CWORD": str(len(words)),
            "_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_WORD_TO_COMPLETE": words[-1],
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "sasnet_live"],
            capture_output=True, text=True, env={**os.environ, **asked}, timeout=60, check=False,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout

    assert "reprocess" in ask("repr")
    assert "--search-px" in ask("run", "--sea")
    assert "interleaved" in ask("run", "--slow-axis", "inter")


def test_help_loads_nothing_heavy_and_is_quick() -> None:
    """The bar is 300 ms on an idle machine (`docs/`); here a generous one, because test machines are shared."""
    code = (
        "import sys\nfrom sasnet_live import cli\ntry:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'numpy', 'scipy', 'tifffile', 'napari', 'qtpy', 'pymmcore', 'pymmcore_plus'} "
        "& set(sys.modules)), file=sys.stderr)"
    )
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - started)
        assert done.stderr.strip() == "[]"
    assert statistics.median(seconds) < 2.0
