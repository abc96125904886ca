"""Lines that are only moved, against the best rigid Fourier shift, on real pairs. Run from the repository:

    python docs/benchmark_real.py ../shared/data/raster-pairs

The shift is the one whose NCC with the forward lines is highest; lines go on beyond their ends as their mirror image
("reflect"), or periodically ("wrap", as Fourier shifts are mostly written). "stepped": the whole pair. "interleaved": a
frame of even forward and odd backward lines, scored against the odd forward lines, which the registrar never saw.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tifffile
from scipy.optimize import minimize_scalar

from sasnet_live import Registrar, ScanGeometry
from sasnet_live.metrics import ncc
from sasnet_live.scan import merge, split

REACH_PX = 24
MARGIN_PX = 64  # px that lines are continued by


def best_shift(truth: np.ndarray, lines: np.ndarray, ends: str) -> float:
    """The highest NCC of lines (n, W) that are all shifted alike."""
    padded = np.pad(lines, ((0, 0), (MARGIN_PX, MARGIN_PX)), mode="reflect") if ends == "reflect" else lines
    width = padded.shape[1]
    spectrum, frequency = np.fft.rfft(padded), np.fft.rfftfreq(width)

    def score(shift_px: float) -> float:
        shifted = np.fft.irfft(spectrum * np.exp(-2j * np.pi * frequency * shift_px), width)
        return float(ncc(truth, shifted[:, MARGIN_PX:-MARGIN_PX] if ends == "reflect" else shifted))

    grid = np.arange(-REACH_PX, REACH_PX + 0.1, 0.5)
    near = grid[np.argmax([score(shift_px) for shift_px in grid])]
    return -minimize_scalar(lambda x: -score(x), bounds=(near - 0.5, near + 0.5), method="bounded").fun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of two-page TIFF files: forward, backward")
    files = sorted(parser.parse_args().folder.glob("*.tif"))
    print(
        "| scan | as | nothing | best shift, wrap | best shift, reflect | moved | moved less best shift | confidence |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for path in files:
        pair = tifffile.imread(path).astype(np.float64)
        forward, backward = ((pair - pair[0].mean()) / pair[0].std()).astype(np.float32)
        for kind in ("stepped", "interleaved"):
            geometry = ScanGeometry(slow_axis=kind)  # type: ignore[arg-type]
            raw = merge(forward, backward, geometry) if kind == "stepped" else forward.copy()
            if kind == "interleaved":
                raw[1::2] = backward[1::2]
            truth = forward if kind == "stepped" else forward[1::2]
            _, lines = split(raw, geometry)
            found = Registrar("correspondence", geometry=geometry, output="warped").register(raw)
            wrap, reflect = (best_shift(truth, lines, ends) for ends in ("wrap", "reflect"))
            moved = float(ncc(truth, found.warped))
            passed = "" if found.accepted else ", passed through"
            figures = [f"{value:.4f}" for value in (float(ncc(truth, lines)), wrap, reflect, moved)]
            gain = moved - max(wrap, reflect)
            print("| " + " | ".join([path.stem, kind, *figures, f"{gain:+.4f}"]), end=" | ")
            print(f"{found.metrics.confidence:.2f}{passed} |", flush=True)


if __name__ == "__main__":
    main()
