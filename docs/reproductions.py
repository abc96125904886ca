"""What a user sees today where files, weights and streams once brought the program down. Run from the repository:

    python docs/reproductions.py
    python docs/reproductions.py --samples ../shared/hostile

Each line runs the command line as a user does, in a folder of its own that is deleted afterwards, with limits of time
and memory. It prints the exit status (-1: it did not end), how long it took and the last line. `--samples` adds files
that were found by mutation.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tifffile

SHAPE = (64, 128)
LONGEST_S = 120.0  # a hang is seen, a busy machine is none
MOST_BYTES = 8 * 2**30  # of addresses: torch and its threads reserve 3 GiB; the files claim 10 to 16 of memory
AT_A_TIME = 2


def frames(count: int = 3, seed: int = 0) -> np.ndarray:
    """Raw frames (count, H, W) of a simulated recording."""
    from sasnet_live.simulation import random_scanner, record

    rng = np.random.default_rng(seed)
    scanner = random_scanner(rng, "easy", SHAPE[1])
    return np.stack([frame.raw for frame in record(seed, scanner, rng, count, height=SHAPE[0], width=SHAPE[1])])


def recording(folder: Path, name: str = "raw.tif", count: int = 3) -> Path:
    path = folder / name
    tifffile.imwrite(path, frames(count), photometric="minisblack", metadata={"axes": "TYX"})
    return path


def own_partial(folder: Path) -> list[str]:
    recording(folder, "raw.ome.tiff.partial")
    return ["reprocess", "raw.ome.tiff.partial", "-o", "raw.ome.tiff", "--overwrite"]


def spoilt_weights(folder: Path) -> list[str]:
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    from sasnet_live.network.names import find_weights

    with safe_open(find_weights("lite"), "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = file.metadata()
    first = next(iter(tensors.values()))
    first.view(-1)[0] = torch.nan
    save_file(tensors, folder / "nan.safetensors", about)
    recording(folder)
    return ["reprocess", "raw.tif", "-o", "out.tif", "--model", "nan.safetensors"]


def four_bytes(folder: Path) -> list[str]:
    recording(folder, "good.tif")
    (folder / "damaged.tif").write_bytes(b"II*\0")
    return ["reprocess", ".", "-o", "out", "--model", "correspondence"]


def loop(folder: Path) -> list[str]:
    path = recording(folder)
    content = bytearray(path.read_bytes())
    first = int.from_bytes(content[4:8], "little")
    end = first + 2 + 12 * int.from_bytes(content[first : first + 2], "little")
    content[end : end + 4] = first.to_bytes(4, "little")
    path.write_bytes(content)
    return ["reprocess", "raw.tif", "-o", "out.tif"]


def truncated(folder: Path) -> list[str]:
    path = recording(folder)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    return ["reprocess", "raw.tif", "-o", "out.tif"]


def huge_px(folder: Path) -> list[str]:
    raw = frames().astype(np.float32)
    raw[1, 20, 30] = 1e30
    tifffile.imwrite(folder / "raw.tif", raw, photometric="minisblack", metadata={"axes": "TYX"})
    return ["reprocess", "raw.tif", "-o", "out.tif", "--model", "correspondence", "--metrics", "m.csv"]


def watched(folder: Path) -> list[str]:
    (folder / "in").mkdir()
    (folder / "in" / "dangling.tif").symlink_to("nowhere.tif")
    os.mkfifo(folder / "in" / "pipe.tif")
    tifffile.imwrite(folder / "in" / "thumbnail.tif", np.zeros((8, 8), np.uint16))
    tifffile.imwrite(folder / "in" / "scan.tif", frames(1)[0])
    return ["watch", "in", "--model", "correspondence", "--out", "out.ome.tiff", "--until-idle", "2"]


def registered_already(folder: Path) -> list[str]:
    recording(folder)
    run(folder, ["reprocess", "raw.tif", "-o", "out.ome.tiff", "--model", "correspondence"])
    return ["reprocess", "out.ome.tiff", "-o", "again.ome.tiff"]


def simulated(*more: str) -> Callable[[Path], list[str]]:
    return lambda folder: ["run", "--simulate", "--live", "--frames", "3", *more]


CASES: dict[str, Callable[[Path], list[str]]] = {
    "input is the output's partial": own_partial,
    "weights hold a NaN": spoilt_weights,
    "directories in a circle": loop,
    "four bytes in a folder": four_bytes,
    "60 % of a file": truncated,
    "one px of 1e30": huge_px,
    "odd things in a watched folder": watched,
    "registered already": registered_already,
    "run --model nope": simulated("--model", "nope"),
    "run --search-px 9999": simulated("--search-px", "9999"),
    "run --crop 300 300": simulated("--crop", "300", "300"),
    "run --line-offset 5000": simulated("--line-offset", "5000"),
    "watch a folder that is not there": lambda folder: ["watch", "nowhere"],
}


def run(folder: Path, arguments: list[str]) -> tuple[int, float, list[str]]:
    """Exit status, seconds, and all lines of a command."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "sasnet_live", *arguments]
    if os.name != "nt":
        command = ["sh", "-c", f'ulimit -v {MOST_BYTES // 1024}; exec "$0" "$@"', *command]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    except subprocess.TimeoutExpired:
        return -1, time.perf_counter() - began, [f"did not end in {LONGEST_S:g} s"]
    lines = [line.rstrip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return done.returncode, time.perf_counter() - began, lines


def of_sample(path: Path) -> Callable[[Path], list[str]]:
    return lambda folder: ["reprocess", str(path), "-o", "out.ome.tiff", "--model", "correspondence"]


def tried(make: Callable[[Path], list[str]]) -> tuple[int, float, list[str]]:
    """What comes of one case, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), make(Path(folder)))


def told(lines: list[str]) -> str:
    """What was said, the complaints before the rest."""
    complaints = [line.removeprefix("sasnet-live: ") for line in lines if line.startswith("sasnet-live: ")]
    return "<br>".join((complaints or lines[-1:])[:4]).replace("|", "\\|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, help="folder of further damaged files")
    options = parser.parse_args()
    samples = sorted(options.samples.resolve().glob("*.tif")) if options.samples else []
    cases = CASES | {sample.name: of_sample(sample) for sample in samples}
    print("| what | exit | s | what the user sees |\n|---|---|---|---|")
    with ThreadPoolExecutor(AT_A_TIME) as several:
        for name, (status, seconds, lines) in zip(cases, several.map(tried, cases.values()), strict=True):
            said = told(lines)
            if options.samples:
                said = said.replace(f"{options.samples.resolve()}/", "")
            print(f"| {name} | {status} | {seconds:.1f} | {said} |", flush=True)


if __name__ == "__main__":
    main()
