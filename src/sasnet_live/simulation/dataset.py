"""Named data sets of simulated scans, and the endless stream of frames that networks are trained on."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import cast

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.geometry import Pass, ScanGeometry, SlowAxis

from .content import CONTENT_KINDS, content_scene
from .levels import DIFFICULTY, LEVELS, Level, random_scanner
from .one_scanner import one_scanner
from .scanner import SimulatedFrame, scan
from .settings import ScannerSettings
from .vessels import Scene, vascular_scene

_LEVELS: dict[str, tuple[str, ...]] = {"or-pam-sim-4k": LEVELS, "or-pam-sim-one": ("one-scanner",)}
DATASET_NAMES = tuple(_LEVELS)
DATA_VERSION = 1  # raise it with every change that changes a pair: scores on different versions do not compare

_SIZES: dict[str, int] = {"train": 3456, "validation": 432, "test": 432}
_SEED = 2602_09050
_STREAMS = {"train": 1, "validation": 2, "test": 3}  # part of the seed: no vessel of one split is in another
_SAMPLES_PER_PX = 2.0


class SimulatedPairs:
    """4,320 frames of vessels, made on demand: a pair depends on the data set, its split and its index alone.

    Parameters
    ----------
    name
        "or-pam-sim-4k": as many scanners as frames, a third of them at each level; each scene is scanned at the three
        levels, by scanners of their own, so that levels are compared on the same vessels. "or-pam-sim-one": one scanner
        and as many scenes as frames, as in the published protocol.
    height, width
        Of the raw frames. Vessels keep their size in px, so a smaller frame shows fewer of them; displacements
        shrink with the width.
    geometry
        Of all frames; None: rows, forward first, zig-zagging.
    cached_scenes
        How many scenes are kept for the pairs that come next.
    """

    def __init__(
        self,
        name: str = "or-pam-sim-4k",
        *,
        height: int = 512,
        width: int = 512,
        geometry: ScanGeometry | None = None,
        cached_scenes: int = 2,
    ) -> None:
        if name not in DATASET_NAMES:
            raise InputError(f"data set {name!r} came; expected one of {', '.join(DATASET_NAMES)}")
        self.name = name
        self.levels = _LEVELS[name]
        self.height = height
        self.width = width
        self.geometry = ScanGeometry() if geometry is None else geometry
        self._cached_scenes = max(1, cached_scenes)
        self._scenes: OrderedDict[tuple[str, int], Scene] = OrderedDict()

    def size(self, split: str) -> int:
        """How many pairs a split has."""
        if split not in _SIZES:
            raise InputError(f"split is {split!r}; expected one of {', '.join(_SIZES)}")
        return _SIZES[split]

    def level(self, index: int) -> str:
        """Level of the scanner of pair `index`, the same in all splits."""
        return self.levels[index % len(self.levels)]

    def load_pair(self, split: str, index: int, *, noise: bool = True) -> SimulatedFrame:
        """Pair `index` of a split; about 40 ms at 512 x 512, and 150 ms more where its scene is not yet grown.

        Parameters
        ----------
        noise
            False: the same pair as a detector without noise would have recorded it.

        Raises
        ------
        InputError
            If there is no such split, or the index is not in [0, size).
        """
        if not 0 <= index < self.size(split):
            raise InputError(f"pair {index} of {split!r} was asked for; expected 0 to {self.size(split) - 1}")
        rng = np.random.default_rng([_SEED, _STREAMS[split], 1, index])
        settings = self._scanner(rng, index)
        return scan(
            self._scene(split, index // len(self.levels)),
            settings if noise else settings.without_noise(),
            rng,
            height=self.height,
            width=self.width,
            geometry=self.geometry,
            time_s=float(rng.uniform(0, 600)),
        )

    def _scanner(self, rng: np.random.Generator, index: int) -> ScannerSettings:
        line_px = self.width if self.geometry.line_axis == "rows" else self.height
        if self.name == "or-pam-sim-one":
            return one_scanner(line_px)
        return random_scanner(rng, cast("Level", self.level(index)), line_px)

    def pairs(self, split: str) -> Iterator[tuple[str, SimulatedFrame]]:
        """All pairs of a split in order, each with its level."""
        for index in range(self.size(split)):
            yield self.level(index), self.load_pair(split, index)

    def fingerprint(self) -> str:
        """What weights and scores say of the data they come from: two data sets agree where their prints do."""
        scanners = {level: asdict(difficulty) for level, difficulty in DIFFICULTY.items()}
        definition = (
            self.name,
            DATA_VERSION,
            (self.height, self.width),
            asdict(self.geometry),
            (_SEED, sorted(_STREAMS.items()), sorted(_SIZES.items()), _SAMPLES_PER_PX),
            asdict(one_scanner()) if self.name == "or-pam-sim-one" else scanners,
        )
        digest = hashlib.sha256(repr(definition).encode()).hexdigest()[:16]
        return f"{self.name}/v{DATA_VERSION}/{self.height}x{self.width}/{digest}"

    def _scene(self, split: str, index: int) -> Scene:
        key = (split, index)
        if key in self._scenes:
            self._scenes.move_to_end(key)
            return self._scenes[key]
        rng = np.random.default_rng([_SEED, _STREAMS[split], 0, index])
        lines, line_px = (self.height, self.width) if self.geometry.line_axis == "rows" else (self.width, self.height)
        scene = vascular_scene(rng, lines, line_px, samples_per_px=_SAMPLES_PER_PX)
        self._scenes[key] = scene
        while len(self._scenes) > self._cached_scenes:
            self._scenes.popitem(last=False)
        return scene


class SceneBank:
    """A few scenes at a time, each used for several frames at other places, sizes and orientations.

    Growing a scene costs several times as much as scanning it; turned, mirrored, magnified and moved, one scene
    looks different to a network every time. A scene is replaced by a fresh one after `uses` frames.

    Parameters
    ----------
    height_px, width_px
        Of the frames that will be scanned.
    size
        Scenes held.
    uses
        Frames a scene serves for.
    """

    def __init__(self, height_px: int, width_px: int, *, size: int = 12, uses: int = 12) -> None:
        if size < 1 or uses < 1:
            raise InputError(f"a bank of {size} scenes for {uses} frames each came; expected at least one of both")
        self.shape_px = (height_px, width_px)
        self._size = size
        self._uses = uses
        self._scenes: list[tuple[Scene, int]] = []

    def draw(self, rng: np.random.Generator) -> Scene:
        """A scene whose frame (0, 0) to (height_px, width_px) shows some part of some content."""
        if len(self._scenes) < self._size:
            slot = len(self._scenes)
            # The first scenes are replaced after unequal times, so that later ones are not replaced all at once.
            self._scenes.append((self._grow(rng), slot * self._uses // self._size))
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
        return content_scene(rng, kind, side, side, samples_per_px=_SAMPLES_PER_PX, margin_px=(8.0, 8.0))

    def _view(self, scene: Scene, rng: np.random.Generator) -> Scene:
        image = scene.image
        if rng.random() < 0.5:
            image = image.T
        image = image[:: int(rng.choice([-1, 1])), :: int(rng.choice([-1, 1]))]
        magnification = float(np.exp(rng.uniform(np.log(0.8), np.log(1.8))))
        samples_per_px = scene.samples_per_px / magnification
        origin = []
        for samples, frame_px in zip(image.shape, self.shape_px, strict=True):
            slack_px = (samples - 1) / samples_per_px - frame_px  # below 0: the scene is mirrored on both sides
            origin.append(-float(rng.uniform(min(0.0, slack_px), max(0.0, slack_px))))
        return replace(scene, image=image, samples_per_px=samples_per_px, origin_px=(origin[0], origin[1]))


def training_frame(rng: np.random.Generator, height: int, width: int, bank: SceneBank | None = None) -> SimulatedFrame:
    """A random scene through a random scanner, mostly "wide", with the lines as rows and not mirrored.

    Parameters
    ----------
    height, width
        Of the raw frame.
    bank
        Where scenes come from, made for the same height and width; keep one for each worker. Without one a scene is
        grown for this frame alone.
    """
    if bank is None:
        bank = SceneBank(height, width, size=1, uses=1)
    elif bank.shape_px != (height, width):
        raise InputError(f"a bank for frames of {bank.shape_px} came; expected one for {(height, width)}")
    kinds: tuple[SlowAxis, ...] = ("continuous", "stepped", "interleaved")
    first: Pass = "forward" if rng.random() < 0.75 else "backward"
    geometry = ScanGeometry(first=first, slow_axis=kinds[int(rng.choice(3, p=[0.55, 0.25, 0.2]))])
    settings = random_scanner(rng, "wide" if rng.random() < 0.8 else LEVELS[int(rng.integers(3))], width)
    return scan(
        bank.draw(rng), settings, rng, height=height, width=width, geometry=geometry, time_s=float(rng.uniform(0, 60))
    )
