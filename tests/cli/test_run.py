"""``sasnet-live run`` and ``sasnet-live watch`` as a user sees them: files, lines, exit status."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

pytest.importorskip("pymmcore_plus")

_HERE = Path(__file__).parent
_EXAMPLES = _HERE.parents[1] / "examples"
_SCRIPT = f"""
import sys
sys.path.insert(0, {str(_HERE)!r})
import slow_registrar
sys.modules["sasnet_live.registrar"] = slow_registrar
from sasnet_live.cli import main
main()
"""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process with a registrar that needs no model; its status, output and errors."""
    monkeypatch.syspath_prepend(str(_HERE))
    import slow_registrar

    monkeypatch.setitem(sys.modules, "sasnet_live.registrar", slow_registrar)
    from sasnet_live.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return int(exit_.value.code or 0), output.out, output.err

    return run


def small_scanner(folder: Path) -> Path:
    """A configuration with the simulated scanner, small and fast."""
    from sasnet_live.simulation.camera import config_path

    path = folder / "small.cfg"
    text = config_path().read_text().replace("Exposure,33.0", "Exposure,2.0")
    path.write_text(text + "#py Property,ORPAM,Lines,64\n#py Property,ORPAM,PixelsPerLine,96\n")
    return path


def sequence(folder: Path, **axes: Any) -> Path:
    path = folder / "sequence.json"
    path.write_text(json.dumps({"time_plan": {"interval": 0, "loops": 6}, **axes}))
    return path


def test_the_example_writes_every_frame_in_order_and_a_complete_table(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    out = tmp_path / "out.ome.tiff"
    status, printed, errors = command("run", "--simulate", "--mda", _EXAMPLES / "timelapse.yaml", "--out", out)
    assert (status, errors) == (0, "")
    with tifffile.TiffFile(out) as tiff:
        assert tiff.series[0].shape == (30, 512, 512)
    rows = list(csv.DictReader((tmp_path / "out_metrics.csv").open()))
    assert [int(row["t"]) for row in rows] == list(range(30))
    assert all(float(row["ncc_after"]) > float(row["ncc_before"]) for row in rows if row["accepted"] == "true")
    assert "30 frames, 30 registered, 0 dropped" in printed
    assert f"wrote {out} (30 frames)" in printed


def test_all_outputs_of_one_run(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    status, _, errors = command(
        "run", "--config", small_scanner(tmp_path), "--mda", sequence(tmp_path), "--output", "both",
        "--out", tmp_path / "a.ome.tiff", "--raw", tmp_path / "raw.ome.zarr", "--metrics", tmp_path / "m.csv",
        "--dtype", "float32",
    )  # fmt: skip
    assert (status, errors) == (0, "")
    assert tifffile.imread(tmp_path / "a_rendered.ome.tiff").shape == (6, 64, 96)
    assert tifffile.imread(tmp_path / "a_warped.ome.tiff").dtype == np.float32
    assert (tmp_path / "raw.ome.zarr" / "zarr.json").is_file()
    assert len((tmp_path / "m.csv").read_text().splitlines()) == 7


@pytest.mark.parametrize("microscope", ["--demo", "small"])
def test_live_mode_stops_after_so_many_frames_with_one_object_a_frame(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path, microscope: str
) -> None:
    which = ["--demo"] if microscope == "--demo" else ["--config", small_scanner(tmp_path)]
    status, printed, errors = command("run", *which, "--live", "--frames", 12, "--policy", "all", "--json")
    assert (status, errors) == (0, "")
    objects = [json.loads(line) for line in printed.splitlines()]
    assert len(objects) == 12
    assert [one["frame"] for one in objects] == sorted(one["frame"] for one in objects)
    assert objects[0]["ncc_before"] == 0.5
    assert objects[0]["accepted"] is True


def test_side_by_side(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    arguments = ["--config", small_scanner(tmp_path), "--mda", sequence(tmp_path), "--out", tmp_path / "a.tif"]
    status, _, _ = command("run", *arguments, "--side-by-side", "--exposure-ms", 1)
    assert status == 0
    assert tifffile.imread(tmp_path / "a.tif").shape == (6, 64, 192)


def test_channels_of_the_demo_devices(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    axes = sequence(tmp_path, channels=["DAPI", "FITC"], axis_order="tc", time_plan={"interval": 0, "loops": 3})
    status, _, errors = command("run", "--demo", "--mda", axes, "--align-on", "DAPI", "--out", tmp_path / "a.ome.tiff")
    assert (status, errors) == (0, "")
    with tifffile.TiffFile(tmp_path / "a.ome.tiff") as tiff:
        assert tiff.series[0].axes == "TCYX"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--live"], "none came as microscope; give exactly one of --config, --demo and --simulate"),
        (["--demo", "--simulate", "--live"], "--demo and --simulate came as microscope"),
        (["--demo"], "none came as acquisition"),
        (["--demo", "--mda", "none.yaml"], "none.yaml: no such file"),
        (["--demo", "--mda", "{broken}"], "is not a useq sequence"),
        (["--config", "none.cfg", "--live"], "none.cfg: no such file"),
        (["--config", "{broken}", "--live"], "has no camera"),
        (["--config", "{absent}", "--live"], "cannot be loaded"),
        (["--demo", "--mda", "{sequence}", "--frames", "3"], "--frames is for --live"),
        (["--demo", "--live", "--out", "a.png"], "written as .ome.tiff or .ome.zarr"),
        (["--demo", "--live", "--out", "none/a.tif"], "does not exist"),
        (["--demo", "--live", "--out", "{there}"], "is there already"),
        (["--demo", "--live", "--out", "a.tif", "--dtype", "int5"], "dtype is 'int5'"),
        (["--demo", "--live", "--dtype", "int5"], "dtype is 'int5'"),
        (["--demo", "--live", "--out", "a.ome.zarr", "--dtype", "S5"], "dtype is 'S5'"),
        (["--demo", "--live", "--out", "a.ome.zarr", "--dtype", "complex64"], "dtype is 'complex64'"),
        (["--demo", "--live", "--metrics", "a.xlsx"], "written as .csv or .parquet"),
        (["--demo", "--live", "--exposure-ms", "nan"], "Invalid value for '--exposure-ms'"),
        (["--demo", "--live", "--exposure-ms", "inf"], "Invalid value for '--exposure-ms'"),
        (["--demo", "--mda", "{no_frame}"], "describes no frame"),
        (["--demo", "--mda", "{no_channel}"], "has Cy5, DAPI, FITC, Rhodamine"),
        (["--simulate", "--mda", "{channels}"], "the configuration of the microscope has none"),
        (["--demo", "--mda", "{channels}", "--align-on", "GFP"], "the channels are DAPI, FITC: choose one of them"),
        (["--demo", "--live", "--align-on", "DAPI"], "--align-on is 'DAPI', but the frames come in one channel"),
        (["--demo", "--mda", "{sequence}", "--align-on", "0"], "--align-on is '0', but the frames come in one channel"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    command: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").write_text("{[nonsense")
    (tmp_path / "there.tif").write_text("")
    (tmp_path / "absent").write_text("Device,Camera,NoSuchLibrary,NoSuchCamera\n")
    files = {
        "absent": tmp_path / "absent",
        "broken": tmp_path / "broken",
        "there": tmp_path / "there.tif",
        "sequence": sequence(tmp_path),
    }
    for name, axes in (
        ("no_frame", {}),
        ("no_channel", {"channels": ["GFP"]}),
        ("channels", {"channels": ["DAPI", "FITC"]}),
    ):
        files[name] = tmp_path / f"{name}.json"
        files[name].write_text(json.dumps(axes))
    status, printed, errors = command("run", *(argument.format(**files) for argument in arguments))
    assert (status, printed) == (2, "")
    assert message in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nope"], "no model 'nope'"),
        (["--device", "banana"], "device is 'banana'"),
        (["--search-px", "9999"], "search_px is 9999, but the lines are 96 px long; expected at most half of that, 48"),
        (["--search-px", "49"], "search_px is 49, but the lines are 96 px long"),
        (["--search-px", "inf"], "search_px is inf"),
        (["--search-px", "nan"], "search_px is nan"),
        (["--search-px", "40", "--crop", "10", "10"], "search_px is 40, but the lines are 76 px long"),
        (["--crop", "300", "300"], "expected at least 16 lines of 32 px without the crop (300, 300)"),
        (["--crop", "33", "33"], "expected at least 16 lines of 32 px without the crop (33, 33)"),
        (["--line-offset", "5000"], "line_offset is 5000, but the lines are 96 px long"),
        (["--line-offset", "-49"], "line_offset is -49, but the lines are 96 px long"),
        (["--line-axis", "columns", "--search-px", "40"], "search_px is 40, but the lines are 64 px long"),
    ],
)
def test_a_setting_that_does_not_fit_the_frames_is_refused_before_the_acquisition(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """The real registrar: nothing but the one line may come, also by way of logs."""
    from sasnet_live.cli import main

    files = ["--config", small_scanner(tmp_path), "--mda", sequence(tmp_path), "--out", tmp_path / "a.ome.tiff"]
    with pytest.raises(SystemExit) as exit_:
        main(["run", *map(str, files), "--model", "correspondence", *arguments])
    printed = capfd.readouterr()
    no_number = arguments[-1] in ("inf", "nan")  # whatever the frames are
    assert (exit_.value.code, printed.out) == (2 if no_number else 1, "")
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not list(tmp_path.glob("a*"))


def test_watch_says_what_does_not_fit_when_the_first_file_comes(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", np.random.default_rng(0).integers(0, 99, (64, 96)).astype(np.uint16))
    command = [
        sys.executable,
        "-m",
        "sasnet_live",
        "watch",
        str(folder),
        "--until-idle",
        "1",
        "--model",
        "correspondence",
    ]
    done = subprocess.run([*command, "--search-px", "60"], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "sasnet-live: search_px is 60, but the lines are 96 px long; expected at most half of that, 48 px\n"
    )
    done = subprocess.run([*command[:-1], "nope"], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1


def test_watch_says_that_there_is_no_channel_to_align_on(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "ab":
        tifffile.imwrite(folder / f"{name}.tif", np.random.default_rng(0).integers(0, 99, (64, 96)).astype(np.uint16))
    status, printed, errors = command("watch", folder, "--until-idle", 1, "--align-on", "DAPI")
    assert status == 0
    assert "2 frames, 2 registered" in printed
    assert errors == (
        "sasnet-live: the channel to align on, 'DAPI', is not used: frames come in one channel and are registered by "
        "themselves\n"
    )


def test_a_registrar_that_fails_once_leaves_a_complete_file_of_flagged_frames(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAILS_AT", "3")
    out = tmp_path / "a.ome.tiff"
    status, printed, errors = command(
        "run", "--config", small_scanner(tmp_path), "--mda", sequence(tmp_path), "-o", out
    )
    assert status == 1
    assert errors == "sasnet-live: RuntimeError: out of memory\n"
    assert "6 frames, 2 registered" in printed
    assert tifffile.imread(out).shape == (6, 64, 96)
    rows = list(csv.DictReader((tmp_path / "a_metrics.csv").open()))
    assert [row["accepted"] for row in rows] == ["true"] * 2 + ["false"] * 4
    assert "out of memory" in rows[-1]["reason"]


def test_a_camera_that_fails_is_not_a_finished_run(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sasnet_live.simulation.camera import ORPAMCamera

    snap, left = ORPAMCamera.snap, [4]

    def failing(camera: ORPAMCamera, buffer: np.ndarray[Any, Any]) -> Any:
        if not left[0]:
            raise RuntimeError("the laser is off")
        left[0] -= 1
        return snap(camera, buffer)

    monkeypatch.setattr(ORPAMCamera, "snap", failing)
    out = tmp_path / "a.ome.tiff"
    status, _, errors = command("run", "--config", small_scanner(tmp_path), "--mda", sequence(tmp_path), "-o", out)
    assert status == 1
    assert '2 of 6 frames never came from camera "ORPAM"' in errors
    assert tifffile.imread(out).shape == (4, 64, 96)


def interrupted(arguments: list[object], ready: Callable[[], bool], times: int = 1, **environment: str) -> Any:
    """Run a command in a process of its own, and press Ctrl-C when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    until = time.perf_counter() + 60
    while not ready() and process.poll() is None and time.perf_counter() < until:
        time.sleep(0.02)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("mode", ["mda", "live"])
def test_ctrl_c_stops_the_acquisition_drains_and_closes_the_files(tmp_path: Path, mode: str) -> None:
    axes = sequence(tmp_path, time_plan={"interval": 0.005, "loops": 10000})
    which = ["--mda", axes] if mode == "mda" else ["--live"]
    out = tmp_path / "a.ome.tiff"
    table = tmp_path / "a_metrics.csv.partial"
    status, printed, errors = interrupted(
        ["run", "--config", small_scanner(tmp_path), *which, "--out", out],
        lambda: table.exists() and len(table.read_bytes().splitlines()) > 5,
        FAKE_SECONDS="0.01",
    )
    assert status == 130, errors
    assert "interrupted; finishing" in errors
    assert "never came" not in errors
    count = len(tifffile.imread(out))
    assert count > 5
    assert f"{count} frames, {count} registered, 0 dropped" in printed
    assert len((tmp_path / "a_metrics.csv").read_text().splitlines()) == count + 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_again_drops_what_waits_and_says_so(tmp_path: Path) -> None:
    axes = sequence(tmp_path, time_plan={"interval": 0.005, "loops": 10000})
    table = tmp_path / "a_metrics.csv.partial"
    status, _, errors = interrupted(
        ["run", "--config", small_scanner(tmp_path), "--mda", axes, "--out", tmp_path / "a.ome.tiff"],
        lambda: table.exists() and len(table.read_bytes().splitlines()) > 2,
        times=2,
        FAKE_SECONDS="0.4",
    )
    assert status == 130, errors
    assert "interrupted again" in errors
    assert "frames were dropped" in errors
    assert (tmp_path / "a.ome.tiff").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file-size limit")
def test_a_full_disk_is_reported_and_ends_the_run(tmp_path: Path) -> None:
    import resource

    axes = sequence(tmp_path, time_plan={"interval": 0, "loops": 500})
    result = subprocess.run(
        [sys.executable, "-c", "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + _SCRIPT]
        + [str(a) for a in ["run", "--config", small_scanner(tmp_path), "--mda", axes, "--out", tmp_path / "a.tif"]],
        capture_output=True,
        text=True,
        timeout=100,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
    )
    assert result.returncode == 1, result.stderr
    assert "File too large" in result.stderr
    with tifffile.TiffFile(tmp_path / "a.tif.partial") as tiff:
        assert 10 < len(tiff.pages) < 30
    assert len((tmp_path / "a_metrics.csv").read_text().splitlines()) > len(tiff.pages)


# ---------------------------------------------------------------- watch


def test_watch_registers_the_files_of_a_folder(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(5):
        tifffile.imwrite(folder / f"f{number}.tif", np.full((16, 32), number, np.uint16))
    out = tmp_path / "out.ome.tiff"
    status, printed, errors = command("watch", folder, "--out", out, "--until-idle", 1)
    assert (status, errors) == (0, "")
    assert tifffile.imread(out)[:, 0, 0].tolist() == list(range(5))
    assert "5 frames, 5 registered" in printed


def test_watch_takes_files_that_come_later_and_stops_after_so_many_frames(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    tifffile.imwrite(folder / "old.tif", np.zeros((16, 32), np.uint16))

    def acquire() -> None:
        time.sleep(0.5)
        for number in range(1, 4):
            tifffile.imwrite(folder / f"f{number}.tif", np.full((16, 32), number, np.uint16))

    writer = threading.Thread(target=acquire)
    writer.start()
    status, printed, _ = command("watch", folder, "--new-only", "--frames", 3, "--json")
    writer.join()
    assert status == 0
    assert [json.loads(line)["file"] for line in printed.splitlines()] == ["f1.tif", "f2.tif", "f3.tif"]


def test_watch_says_what_it_waits_for(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    status, printed, errors = command("watch", folder, "--until-idle", 0.2)
    assert (status, errors) == (0, "")
    assert printed.splitlines()[0] == f"waiting for TIFF files in {folder}; Ctrl-C ends the watch"
    status, printed, errors = command("watch", folder, "--until-idle", 0.2, "--new-only", "--json")
    assert (status, printed) == (0, "")
    assert errors == f"waiting for new TIFF files in {folder}; Ctrl-C ends the watch\n"


def test_watch_refuses_a_folder_that_is_not_there(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    status, printed, errors = command("watch", tmp_path / "nowhere")
    assert (status, printed) == (2, "")
    assert errors == f"sasnet-live: {tmp_path / 'nowhere'}: no such folder; make it first, or check the name\n"


@pytest.mark.parametrize(
    ("out", "message"),
    [("in/out.tif", "lies in the folder that is watched"), ("out.gif", "written as .ome.tiff or .ome.zarr")],
)
def test_watch_refuses_outputs_it_cannot_write(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path, out: str, message: str
) -> None:
    (tmp_path / "in").mkdir()
    status, _, errors = command("watch", tmp_path / "in", "--out", tmp_path / out)
    assert status == 2
    assert message in errors


def test_watch_takes_larger_frames_when_it_is_told(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    tifffile.imwrite(folder / "f.tif", np.zeros((1024, 1024), np.uint16))
    status, printed, errors = command("watch", folder, "--until-idle", 1, "--largest-frame", 1)
    assert status == 1
    assert "2 MiB" in errors
    assert "add --largest-frame 2" in errors
    status, printed, errors = command("watch", folder, "--until-idle", 1, "--largest-frame", 2)
    assert (status, errors) == (0, "")
    assert "1 frames, 1 registered" in printed


@pytest.mark.skipif(os.name == "nt", reason="links and pipes as POSIX has them")
def test_watch_names_what_it_passes_over_and_goes_on(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    (folder / "day1").mkdir(parents=True)
    (folder / "a.tif").symlink_to("nowhere.tif")
    os.mkfifo(folder / "b.tif")
    (folder / "c.tif").write_bytes(b"II*\0")
    for number in range(3):
        tifffile.imwrite(folder / f"f{number}.tif", np.full((16, 32), number, np.uint16))
    out = tmp_path / "out.ome.tiff"
    status, printed, errors = command("watch", folder, "--out", out, "--until-idle", 1)
    assert status == 1
    assert tifffile.imread(out)[:, 0, 0].tolist() == [0, 1, 2]
    lines = errors.splitlines()
    assert all(line.startswith(f"sasnet-live: {folder}") for line in lines), errors
    for name, what in (("a.tif", "a link to nothing"), ("b.tif", "a pipe"), ("c.tif", ""), ("day1", "a folder")):
        [line] = [line for line in lines if f"{folder / name}: " in line]
        assert what in line
    assert len(lines) == 4
    assert "Traceback" not in printed + errors


@pytest.mark.parametrize(("options", "taken"), [((), 2), (("--dtype", "float32"), 4)])
def test_watch_goes_on_after_frames_of_a_type_that_cannot_be_written(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path, options: tuple[str, ...], taken: int
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, dtype in enumerate((np.uint16, np.int64, np.float16, np.uint16)):
        tifffile.imwrite(folder / f"f{number}.tif", np.full((16, 32), number, dtype))
    status, printed, errors = command("watch", folder, "--out", tmp_path / "o.tif", "--until-idle", 1, *options)
    assert (status, len(errors.splitlines())) == (int(taken < 4), 4 - taken), errors
    assert f"{taken} frames, {taken} registered" in printed
    if taken < 4:
        assert f"{folder / 'f1.tif'}: int64 cannot be written to OME-TIFF" in errors


def test_watch_takes_a_growing_file_once_a_frame_and_its_own_outputs_not_at_all(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    frames = np.random.default_rng(0).integers(0, 99, (5, 16, 32)).astype(np.uint16)
    tifffile.imwrite(folder / "grows.tif", frames[0])

    def grow() -> None:
        for frame in frames[1:]:
            time.sleep(0.5)
            tifffile.imwrite(folder / "grows.tif", frame, append=True)

    writer = threading.Thread(target=grow)
    writer.start()
    status, _, errors = command("watch", folder, "--out", tmp_path / "out.ome.tiff", "--until-idle", 2, "--settle", 0.1)
    writer.join()
    assert (status, errors) == (0, "")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.ome.tiff"), frames)
    (tmp_path / "out.ome.tiff").rename(folder / "z.tif")
    status, printed, errors = command("watch", folder, "--until-idle", 1)
    assert status == 0
    assert errors == f"sasnet-live: {folder / 'z.tif'}: registered by this program already; left out\n"
    assert "5 frames, 5 registered" in printed


# ---------------------------------------------------------------- views


def test_a_terminal_gets_a_table() -> None:
    from io import StringIO

    from rich.console import Console

    from sasnet_live.cli.live_view import TableView
    from sasnet_live.frame import Frame, Registration, RegistrationMetrics
    from sasnet_live.live.status import PipelineStatus, QueueCounts

    console = Console(file=StringIO(), force_terminal=True, width=120)
    view = TableView(console)
    lines = np.zeros((2, 4), np.float32)
    metrics = RegistrationMetrics(0.5, 0.9, 0.4, 0.8, -2.5, 0.7, 10.0)
    for number in range(20):
        frame = Frame(np.zeros((4, 4)), {"t": number}, number)
        accepted = number != 19
        view.seen(frame, Registration(frame.data, None, lines, lines, metrics, accepted, "" if accepted else "noise"))
    view.update(PipelineStatus(counts=QueueCounts(processed=20, waiting=3, spilled=2, dropped=1), fps=29.9))
    view.end()
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    for expected in ("19 (t19)", "0.500 -> 0.900", "-2.50", "noise", "20 frames", "3 waiting (2 on disk)", "1 dropped"):
        assert expected in drawn
    assert "(t7)" not in drawn, "only the latest frames"


def _first_run(folder: Path, *names: str) -> dict[Path, bytes]:
    """What an unfinished run has written so far."""
    for name in names:
        for path in (folder / name, folder / f"{name}.partial"):
            path.write_text(f"{path.name} of the first run")
    return {path: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("shared", ["a.ome.tiff", "a_metrics.csv", "raw.ome.tiff"])
def test_a_second_run_on_any_of_the_outputs_is_refused_before_it_touches_one(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path, shared: str
) -> None:
    pytest.importorskip("fcntl", reason="locking is left to the system on Windows")
    from sasnet_live.files import OutputLock

    arguments = ["run", "--config", small_scanner(tmp_path), "--live", "--frames", 2, "--overwrite"]
    outputs = ["--out", tmp_path / "a.ome.tiff", "--raw", tmp_path / "raw.ome.tiff"]
    _first_run(tmp_path, "a.ome.tiff", "a_metrics.csv", "raw.ome.tiff")
    with OutputLock([tmp_path / shared]):
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        status, printed, errors = command(*arguments, *outputs)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert (status, printed, errors.count("\n")) == (2, "", 1)
    assert f"{tmp_path / shared}: another process is writing this file" in errors
    status, _, errors = command(*arguments, *outputs)
    assert status == 0, errors
    assert not list(tmp_path.glob(".*"))


def test_names_with_dots_do_not_collide(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    config = small_scanner(tmp_path)
    for mouse in (1, 2):
        out = tmp_path / f"mouse.{mouse}.ome.tiff"
        arguments = ["run", "--config", config, "--live", "--frames", 2, "--out", out, "--output", "both"]
        status, _, errors = command(*arguments)
        assert status == 0, errors
    kinds = ("_metrics.csv", "_rendered.ome.tiff", "_warped.ome.tiff")
    names = sorted(f"mouse.{mouse}{kind}" for mouse in (1, 2) for kind in kinds)
    assert sorted(path.name for path in tmp_path.glob("mouse*")) == names


def test_two_outputs_of_one_name_are_refused(command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    out = tmp_path / "a.ome.tiff"
    status, _, errors = command("run", "--simulate", "--live", "--frames", 1, "--out", out, "--raw", out)
    assert (status, errors.count("\n")) == (2, 1)
    assert "is the name of two outputs" in errors
    assert list(tmp_path.iterdir()) == []
