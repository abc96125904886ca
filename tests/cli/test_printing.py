"""What is printed: nothing that a terminal obeys, in as many columns as there are, and not the end of the work."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sasnet_live import cli
from sasnet_live.cli import printing
from sasnet_live.errors import InputError
from sasnet_live.frame import Frame, Registration, RegistrationMetrics
from sasnet_live.reprocess.report import FileReport, Progress, ReprocessReport

NASTY = {
    "markup": "[bold]a[/] [/] [red",
    "escape codes": "\x1b[31ma\x1b[0m\x9b2J\x1b]0;title\x07",
    "line breaks": "a\nb\rc\x0bd\u2028e",
    "direction": "a\u202egnp.exe",
    "not text": os.fsdecode(b"a\xff.tif"),
    "emoji code": ":boom:",
}
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.mark.parametrize("kind", NASTY)
def test_printable_text_is_one_line_of_characters_that_are_shown(kind: str) -> None:
    text = printing.printable(NASTY[kind])
    assert text.isprintable()
    assert printing.printable(text) == text
    text.encode()


def test_printable_leaves_what_can_be_shown() -> None:
    for text in ("C:\\scans\\a.tif", "Gefäß 37 µm", "血管.tif", "[0] a", ""):
        assert printing.printable(text) == text
    assert printing.printable("a\nb\x1b[0m") == "a\\nb\\x1b[0m"


@pytest.mark.parametrize("kind", NASTY)
def test_errors_show_the_name_as_it_is(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    printing.complain(InputError(f"{NASTY[kind]}: is a poem"))
    err = capsys.readouterr().err
    assert err == f"sasnet-live: {printing.printable(NASTY[kind])}: is a poem\n"


def _terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Consoles on the captured streams take them for a terminal of this width."""
    for name, value in (("COLUMNS", str(width)), ("LINES", "24"), ("FORCE_COLOR", "1"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)


def _without_styles(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize("kind", NASTY)
def test_tables_and_progress_show_the_name_as_it_is(
    kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sasnet_live.cli.reprocess import _print_table, _progress

    _terminal(monkeypatch, 200)
    path = Path("/recordings") / NASTY[kind]
    shown = printing.printable(path.name)
    _print_table(ReprocessReport((FileReport(path, (path,), 3, 3),), path), printing.console())
    table = capsys.readouterr().out
    assert not OBEYED.search(_without_styles(table).replace("\n", ""))
    assert _without_styles(table).count(shown) == 3
    with _progress(printing.console(err=True)) as show:
        show(Progress(path, 0, 2, 1, 3))
    progress = _without_styles(capsys.readouterr().err)
    assert shown in progress
    assert not OBEYED.search(progress.replace("\n", "").replace("\r", ""))


@pytest.mark.parametrize("width", [60, 80])
def test_the_bar_of_a_long_name_fits_the_window(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sasnet_live.cli.reprocess import _progress

    _terminal(monkeypatch, width)
    lines = np.zeros((2, 4), np.float32)
    metrics = RegistrationMetrics(0.5, 0.9, 0.4, 0.8, -2.5, 0.7, 10.0)
    accepted = Registration(lines, None, lines, lines, metrics, True, "")
    with _progress(printing.console(err=True)) as show:
        for file in range(3):
            show(Progress(Path(f"{file}_{'mouse_' * 20}.tif"), file, 3, 9_000, 10_000, accepted))
    drawn = [_without_styles(line) for line in re.split(r"[\r\n]+", capsys.readouterr().err)]
    assert max(map(len, drawn)) <= width
    assert any(
        "9000/10000" in line and "NCC 0.500 -> 0.900" in line and line.startswith("3/3 2_mouse") for line in drawn
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_of_a_run_fits_the_window_and_says_why_a_frame_was_passed_through(width: int) -> None:
    from sasnet_live.cli.live_view import TableView
    from sasnet_live.cli.printing_rich import PlainTextConsole
    from sasnet_live.live.status import PipelineStatus, QueueCounts

    console = PlainTextConsole(file=io.StringIO(), force_terminal=True, width=width, height=40, markup=False)
    view = TableView(console)
    lines = np.zeros((2, 4), np.float32)
    metrics = RegistrationMetrics(0.512, 0.934, 0.4, 0.8, -2.5, 0.7, 123.4)
    frame = Frame(np.zeros((4, 4)), {"t": 119}, 119)
    reason = "low confidence 0.02: the passes share no [structure] that stands out of the noise"
    view.seen(frame, Registration(frame.data, None, lines, lines, metrics, False, reason))
    view.update(PipelineStatus(counts=QueueCounts(processed=20, waiting=3, spilled=2, dropped=1), fps=29.9))
    view.end()
    drawn = _without_styles(console.file.getvalue())  # type: ignore[attr-defined]
    assert max(map(len, re.split(r"[\r\n]+", drawn))) <= width
    for expected in ("119 (t119)", "0.512 -> 0.934", "-2.50", "123.4"):
        assert expected in drawn
    assert reason in " ".join(drawn.split())


def test_a_name_with_escape_codes_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "[bold]\x1b[31m\n.tif"
    (tmp_path / name).write_text("a poem")
    for command in (["info", str(tmp_path / name)], ["reprocess", f"{tmp_path}/*.tif", "-o", str(tmp_path / "out")]):
        with pytest.raises(SystemExit):
            cli.main(command)
        err = capsys.readouterr().err
        assert "[bold]\\x1b[31m\\n.tif" in err
        assert err.count("\n") == 1
        assert not OBEYED.search(err.replace("\n", ""))
    tifffile.imwrite(tmp_path / "b.tif", np.ones((4, 6), np.uint8), description="ImageJ=1\nunit=\x1b[31m\n")
    with pytest.raises(SystemExit):
        cli.main(["info", str(tmp_path / "b.tif")])
    assert "\x1b" not in capsys.readouterr().out


# ---------------------------------------------------------------- streams that end


def test_a_stream_that_ends_is_told_once_and_takes_the_rest() -> None:
    read, write = os.pipe()
    os.close(read)
    told: list[OSError] = []
    stream = open(write, "w", encoding="utf-8")  # noqa: SIM115
    before, sys.stdout = sys.stdout, stream
    try:
        with printing.lasting_streams(told.append):
            for _ in range(3):
                printing.echo("a line")
    finally:
        sys.stdout = before
    stream.close()
    assert len(told) == 1
    assert printing.reader_gone(told[0])


def _watch(tmp_path: Path, *more: str, count: int = 40) -> list[str]:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(count):
        tifffile.imwrite(folder / f"{number:03d}.tif", np.full((16, 32), number, np.uint16))
    here = Path(__file__).parent
    script = (
        f"import sys; sys.path.insert(0, {str(here)!r}); import slow_registrar; "
        "sys.modules['sasnet_live.registrar'] = slow_registrar; from sasnet_live.cli import main; main()"
    )
    arguments = ["watch", str(folder), "--until-idle", "1", "--out", str(tmp_path / "out.ome.tiff"), *more]
    return [sys.executable, "-c", script, *arguments]


@pytest.mark.skipif(sys.platform == "win32", reason="a shell")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_closed_pipe_ends_printing_and_nothing_else(tmp_path: Path, more: tuple[str, ...]) -> None:
    process = subprocess.Popen(
        _watch(tmp_path, *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "FAKE_SECONDS": "0.05"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read().decode()
    assert process.wait(60) == 0, err
    assert tifffile.imread(tmp_path / "out.ome.tiff").shape == (40, 16, 32)
    assert (tmp_path / "out_metrics.csv").read_text().count("\n") == 41
    assert err.count("standard output was closed by its reader; nothing more is printed, the work goes on") == 1
    assert "Traceback" not in err
    assert "Error" not in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_printed_is_a_failure_of_printing_only(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            _watch(tmp_path, "--json", count=4), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1
    assert "standard output cannot be written (No space left on device)" in done.stderr
    assert tifffile.imread(tmp_path / "out.ome.tiff").shape == (4, 16, 32)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell")
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-"])
def test_output_that_was_never_open(tmp_path: Path, closed: str) -> None:
    command = _watch(tmp_path, count=3)
    done = subprocess.run(["bash", "-c", f'"$@" {closed}', "bash", *command], timeout=60, check=False)
    assert done.returncode == 0
    assert tifffile.imread(tmp_path / "out.ome.tiff").shape == (3, 16, 32)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell")
def test_commands_that_only_print_end_without_a_word(tmp_path: Path) -> None:
    program = f"'{sys.executable}' -m sasnet_live"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {program} --help | head -1; echo $? ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[0].startswith("Usage: sasnet-live")
