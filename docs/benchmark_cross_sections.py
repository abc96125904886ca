"""How well `warped` keeps the integral across single vessels, through the whole registrar. Run from the repository:

    python docs/benchmark_cross_sections.py
    python docs/benchmark_cross_sections.py --frames 40 --widths 3

Frames with two to six straight vessels and nothing between them that would tell the profile, the hardest there are in
this respect. The backward pass is displaced by a constant, or by a lag that grows along the line, which stretches
vessels; so the integral of each vessel is compared with that under the true displacement. Prints the share by which it
is too large or too small, and how far the vessel is from its place.
"""

from __future__ import annotations

import argparse

import numpy as np

from sasnet_live import Registrar, move_lines

SIZE = 256
BACKGROUND, HEIGHT, NOISE = 200.0, 1000.0, 5.0


def excesses(rng: np.random.Generator, width_px: float, stretch: float) -> tuple[list[float], list[float]]:
    """Relative excess of each vessel's integral, and its distance in px from where it belongs; empty where refused."""
    centres = vessels(rng, width_px)
    strengths = rng.uniform(0.5, 1, len(centres))
    of_lines = np.repeat(rng.uniform(0.5, 1.5, (SIZE // 8, 1)), 8, 0)[1::2]
    x = np.arange(SIZE, dtype=float)
    lag, slope = rng.uniform(-4, 4), rng.uniform(-stretch, stretch)

    def scene(at_px: np.ndarray) -> np.ndarray:
        return HEIGHT * (strengths[:, None] * np.exp(-((at_px - centres[:, None]) ** 2) / (2 * width_px**2))).sum(0)

    displacement = lag + slope * (x - SIZE / 2)
    # backward(x - d(x)) = forward(x), with d linear in x.
    seen_at = (x + lag - slope * SIZE / 2) / (1 - slope)
    forward, backward = of_lines * scene(x), of_lines * scene(seen_at)
    raw = np.empty((SIZE, SIZE))
    raw[0::2], raw[1::2] = forward, backward
    registration = Registrar("correspondence", output="warped").register(
        (raw + BACKGROUND + rng.normal(0, NOISE, raw.shape)).astype(np.float32)
    )
    if not registration.accepted:
        return [], []
    found = registration.displacement_px.astype(float)
    moved = move_lines(backward, found, "cubic")
    right = move_lines(backward, np.broadcast_to(displacement, backward.shape), "cubic")
    excess, distance = [], []
    for centre in centres:
        across = np.abs(x - centre) < 3.5 * width_px + 5
        excess.append(abs(moved[:, across].sum() / right[:, across].sum() - 1))
        distance.append(abs(float((found - displacement).mean(0)[round(centre)])))
    return excess, distance


def vessels(rng: np.random.Generator, width_px: float) -> np.ndarray:
    """(k,) centres, px, far enough from each other and from the ends."""
    apart = max(30.0, 6 * width_px)
    while True:
        centres = np.sort(rng.uniform(24, SIZE - 24, rng.integers(2, 4 if width_px > 4 else 7)))
        if np.diff(centres).min() > apart:
            return centres


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20, help="of each width and kind")
    parser.add_argument("--widths", type=float, nargs="+", default=[1.5, 3.0, 6.0], help="sigma of the vessels, px")
    options = parser.parse_args()
    print(
        "| displacement | sigma, px | accepted | vessels | excess: median, 95 %, largest | above 1 % | mean error, px |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind, stretch in (("constant", 0.0), ("stretched by up to 1.5 %", 0.015)):
        for width in options.widths:
            rng = np.random.default_rng([int(10 * width), int(1e4 * stretch)])
            frames = [excesses(rng, width, stretch) for _ in range(options.frames)]
            excess, distance = (np.array([value for frame in frames for value in frame[k]]) for k in (0, 1))
            accepted = sum(bool(frame[0]) for frame in frames)
            figures = ", ".join(f"{100 * np.quantile(excess, q):.2f} %" for q in (0.5, 0.95, 1)) if len(excess) else "–"
            print(
                f"| {kind} | {width:g} | {accepted} of {options.frames} | {len(excess)} | {figures} | "
                f"{(excess > 0.01).sum()} | {distance.mean() if len(distance) else float('nan'):.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
