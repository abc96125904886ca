"""Accuracy on real images through a scan model that is not the simulator's. Run from the repository:

    python docs/benchmark_displacement.py
    python docs/benchmark_displacement.py --sizes 512 --kinds continuous --methods all --seeds 3

Eight images that come with scikit-image, at three levels (`sasnet-live evaluate other-scanner` is the same). Every
line length is measured with a beam that zig-zags, 512 px also with the other two kinds of slow axis. Prints NCC, SSIM
and mean displacement error in px where there is texture, frames passed through, and the frames that went worst.
"""

from __future__ import annotations

import argparse
import math

from sasnet_live.evaluation.benchmark import Score, run_benchmark, summarize
from sasnet_live.evaluation.datasets import open_dataset
from sasnet_live.evaluation.methods import make_methods
from sasnet_live.evaluation.other_scanner import LEVELS
from sasnet_live.geometry import ScanGeometry

KINDS = ("continuous", "stepped", "interleaved")


def cell(ncc: float, ssim: float, error_px: float, passed: int) -> str:
    error = "–" if math.isnan(error_px) else f"{error_px:.2f}"
    return f"{ncc:.3f} / {ssim:.3f} / {error}" + (f" ({passed} passed through)" if passed else "")


def measure(size: int, kind: str, options: argparse.Namespace) -> list[Score]:
    """Print one row a method; returns the scores."""
    dataset = open_dataset("other-scanner", geometry=ScanGeometry(slow_axis=kind), shape=(size, size))  # type: ignore[arg-type]
    found = run_benchmark(dataset.select(limit=8 * options.seeds), make_methods(options.methods))
    summaries = {(summary.method, summary.level): summary for summary in summarize(found)}
    for method in found.methods:
        cells = []
        for level in LEVELS:
            s = summaries[method, level]
            figures = [s.mean[name] for name in ("ncc", "ssim", "displacement_error_px")]
            cells.append(cell(*figures, s.passed_through + s.failed))
        print(f"| {size} | {kind} | {method} | {' | '.join(cells)} |", flush=True)
    return list(found.scores)


def print_worst(title: str, scores: list[Score], method: str, count: int) -> None:
    of_method = [score for score in scores if score.method == method and not math.isnan(score.displacement_error_px)]
    refused = [score for score in of_method if score.note]
    print(f"\n{title}, {method}: {len(refused)} of {len(of_method)} passed through; worst of those accepted, px:")
    accepted = sorted((s for s in of_method if not s.note), key=lambda s: -s.displacement_error_px)
    print(", ".join(f"{s.level} {s.case} {s.displacement_error_px:.2f}" for s in accepted[:count]))
    for score in refused[:count]:
        print(f"  {score.level} {score.case}: {score.note}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 256, 512, 1024], help="lines and px of a frame")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="of slow axis")
    parser.add_argument("--methods", nargs="+", default=["none", "rigid", "correspondence", "lite:warped", "lite"])
    parser.add_argument("--seeds", type=int, default=1, help="scans of each image at each level, up to 3")
    parser.add_argument("--worst", type=int, default=6, help="frames to name")
    options = parser.parse_args()
    print(f"{8 * options.seeds} frames a level; NCC / SSIM / displacement error, px\n")
    print(f"| px | slow axis | method | {' | '.join(LEVELS)} |")
    print("|---|---|---|---|---|---|")
    measured = {}
    for size in options.sizes:
        for kind in options.kinds if size == 512 else options.kinds[:1]:
            measured[f"{size} px, {kind}"] = measure(size, kind, options)
    for title, scores in measured.items():
        if "correspondence" in options.methods:
            print_worst(title, scores, "correspondence", options.worst)


if __name__ == "__main__":
    main()
