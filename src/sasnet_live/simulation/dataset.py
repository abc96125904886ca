"""Named data sets of simulated scans, and the endless stream of frames that networks are trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sasnet_live.scan import Pass, ScanGeometry, SlowAxis

from .content import CONTENT_KINDS, content_scene
from .scanner import LEVELS, SimulatedFrame, random_scanner, scan
from .vessels import Scene


class SceneBank:
    """A few scenes at a time, each used for several frames at other places, sizes and orientations.

    Growing a scene costs ten times as much as scanning it; turned, mirrored, magnified and moved, one scene looks
    different to a network every time. A scene is replaced by a fresh one after `uses` frames.

    Parameters
    ----------
    height_px, width_px
        Of the frames that will be scanned.
    size
        Scenes held.
    uses
        Frames a scene serves for.
    """

    def __init__(self, height_px: int, width_px: int, *, size: int = 12, uses: int = 16) -> None:
        self.shape_px = (height_px, width_px)
        self._size = size
        self._uses = uses
        self._scenes: list[tuple[Scene, int]] = []

    def draw(self, rng: np.random.Generator) -> Scene:
        """A scene whose frame (0, 0) to (height_px, width_px) shows some part of some content."""
        if len(self._scenes) < self._size:
            slot = len(self._scenes)
            self._scenes.append((self._grow(rng), 0))
        else:
            slot = int(rng.integers(self._size))
        scene, used = self._scenes[slot]
        if used >= self._uses:
            scene, used = self._grow(rng), 0
        self._scenes[slot] = (scene, used + 1)
        return self._view(scene, rng)

    def _grow(self, rng: np.random.Generator) -> Scene:
        kind = "vessels" if rng.random() < 0.35 else str(rng.choice(CONTENT_KINDS))
        side = max(256, round(1.2 * max(self.shape_px)))  # square, so that it can be turned
        return content_scene(rng, kind, side, side, samples_per_px=2.0, margin_px=(8.0, 8.0))

    def _view(self, scene: Scene, rng: np.random.Generator) -> Scene:
        image = scene.image
        if rng.random() < 0.5:
            image = image.T
        image = image[:: int(rng.choice([-1, 1])), :: int(rng.choice([-1, 1]))]
        magnification = float(np.exp(rng.uniform(np.log(0.8), np.log(1.8))))
        samples_per_px = scene.samples_per_px / magnification
        origin = [
            -rng.uniform(min(0.0, slack), max(0.0, slack))
            for slack in (
                (samples - 1) / samples_per_px - size for samples, size in zip(image.shape, self.shape_px, strict=True)
            )
        ]
        return replace(scene, image=image, samples_per_px=samples_per_px, origin_px=(origin[0], origin[1]))


def training_frame(rng: np.random.Generator, height: int, width: int, bank: SceneBank | None = None) -> SimulatedFrame:
    """A random scene through a random "wide" scanner.

    Parameters
    ----------
    height, width
        Of the raw frame.
    bank
        Where scenes come from; without one a scene is grown for this frame alone, which is ten times slower. Keep
        one bank for each shape and worker.
    """
    bank = SceneBank(height, width, size=1, uses=1) if bank is None else bank
    kinds: tuple[SlowAxis, ...] = ("continuous", "stepped", "interleaved")
    first: Pass = "forward" if rng.random() < 0.75 else "backward"
    geometry = ScanGeometry(first=first, slow_axis=kinds[int(rng.choice(3, p=[0.55, 0.25, 0.2]))])
    settings = random_scanner(rng, "wide" if rng.random() < 0.8 else LEVELS[int(rng.integers(3))], width)
    return scan(
        bank.draw(rng), settings, rng, height=height, width=width, geometry=geometry, time_s=float(rng.uniform(0, 60))
    )
