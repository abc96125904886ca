"""Passes averaged over the last frames, for recordings of so few photons that no frame shows its displacement alone.

Both passes of a frame show the same scene, so that a mean of either over frames keeps what they share while noise
falls: the mean of K frames of one photon a px is registered like one frame of K photons. The scene may move meanwhile.
The mean is carried along, by whole px, so that it lies where the newest frame shows the scene; both passes are carried
alike, and what is between them stays.

A mean lags behind a scanner that drifts, so that it is over no more frames than are needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import fft, ndimage

from .arrays import Floats
from .displacement import DisplacementParts
from .filters import blurred

MOST_FRAMES = 40  # that a mean is over: a scanner's lag drifts by a px in about as many
FEWEST_FRAMES = 8  # and the fewest; drift does little in so many
ENOUGH = 18.0  # significance of what is found on a mean that need not be over more: 9 of 10 such are within half a px
LEAST = 12.0  # and below which it is not believed: half of them are not. Both set on recordings of their own seeds
MOTION_PX = 6  # largest motion of the scene between frames that is followed, along both axes
MOTION_DEVIATION_PX = 1.5  # by which the motion differs from one frame to the next
VELOCITY_MEMORY = 0.8
FINE_PX, COARSE_PX = 2.0, 16.0  # blurs between which scenes are compared along the line: noise has more power in finer
FINE_LINES, COARSE_LINES = 1.0, 8.0  # structure, and the detector in wider. The same in lines, of two raw lines each
AGREEMENT_MEMORY = 0.9
OTHER = 4.0  # deviations by which a frame agrees less than those before: it is of another scene, or the scanner jumped
FEWEST_AGREEING = 4  # frames, of which fewer do not tell how well frames agree


@dataclass
class Agreement:
    """How well each frame agreed with those before, in deviations of chance; running mean."""

    mean: float = 0.0
    frames: int = 0

    def is_lost(self, now: float) -> bool:
        """Whether a frame agrees so much less that it is of something else; it counts among the others if not."""
        if self.frames >= FEWEST_AGREEING and now < min(self.mean - OTHER, 0.5 * self.mean):
            return True
        kept = min(AGREEMENT_MEMORY, self.frames / (self.frames + 1))
        self.mean = kept * self.mean + (1 - kept) * now
        self.frames += 1
        return False


@dataclass
class FramePool:
    """The mean of both passes over the last frames, where the newest one shows the scene.

    Attributes
    ----------
    target, backward
        (n, W) float32 each, None before the first frame: the mean, in units of a pass's deviation.
    frames, most
        That it is over, and the most that it may be over: of more, older ones count less and less.
    velocity
        (2,) motion of the scene from frame to frame, (lines, px).
    behind
        (2,) what the mean still has to move by, less than a px.
    scene, scanner
        How well frames agree with the mean in what they show, and their own two passes at the displacement found.
    """

    target: Floats | None = None
    backward: Floats | None = None
    frames: int = 0
    most: int = MOST_FRAMES
    velocity: Floats = field(default_factory=lambda: np.zeros(2))
    behind: Floats = field(default_factory=lambda: np.zeros(2))
    scene: Agreement = field(default_factory=Agreement)
    scanner: Agreement = field(default_factory=Agreement)

    @classmethod
    def of(cls, target: Floats, backward: Floats) -> FramePool:
        """A mean that begins with a frame, (n, W) each."""
        return cls(_unit(target), _unit(backward), frames=1)

    def add(self, target: Floats, backward: Floats) -> bool:
        """Take in a frame, (n, W) each; False, and nothing is changed, if it is of another scene."""
        if self.target is None or self.backward is None:
            raise ValueError("nothing to add to; begin with FramePool.of")
        target, backward = _unit(target), _unit(backward)
        scenes = _scene(self.target + self.backward), _scene(target + backward)
        motion, deviations = _best_shift(*scenes, self.velocity, MOTION_PX)
        if self.scene.is_lost(deviations):
            return False
        memory = VELOCITY_MEMORY if self.frames > 1 else 0.0
        self.velocity = memory * self.velocity + (1 - memory) * motion
        whole = np.round(self.behind + motion)
        self.behind = self.behind + motion - whole
        kept = np.float32(1 - 1 / min(self.frames + 1, self.most))
        self.target, self.backward = (
            kept * _carried(mean, whole) + (1 - kept) * new
            for mean, new in ((self.target, target), (self.backward, backward))
        )
        self.frames = min(self.frames + 1, self.most)
        return True

    def is_enough(self, significance: float) -> bool:
        """Whether what was found on it may be believed; the mean is over no more frames than make that sure."""
        if significance >= ENOUGH:
            self.most = max(FEWEST_FRAMES, min(self.most, self.frames))
        return significance >= LEAST

    def contradicts(self, target: Floats, backward: Floats, found: DisplacementParts) -> bool:
        """Whether the passes of the newest frame no longer agree at a displacement found on the mean."""
        _, deviations = _best_shift(_scene(_unit(target)), _scene(found.moved(_unit(backward))), np.zeros(2), 0)
        return self.scanner.is_lost(deviations)


def _carried(mean: Floats, whole: Floats) -> Floats:
    """(n, W) moved by whole lines and px; what comes in from outside is as the edge."""
    if not whole.any():
        return mean
    carried: Floats = ndimage.shift(mean, whole, order=0, mode="nearest")
    return carried


def _unit(lines: Floats) -> Floats:
    """Of mean 0 and deviation 1, float32."""
    centred = lines - lines.mean(dtype=np.float64)
    unit: Floats = (centred / max(float(centred.std()), 1e-12)).astype(np.float32)
    return unit


def _scene(images: Floats) -> Floats:
    """What a scene shows best: neither the finest structure nor the widest."""
    fine = blurred(images, FINE_LINES, FINE_PX)
    return fine - blurred(fine, COARSE_LINES, COARSE_PX)


def _best_shift(first: Floats, second: Floats, expected: Floats, reach: int) -> tuple[Floats, float]:
    """The motion from one image to another: mean of its posterior within reach, (2,), and the peak's height.

    The correlation at a wrong motion has a variance that follows from both power spectra; in its deviations, the height
    is what chance brings about.
    """
    shape = first.shape
    a, b = fft.rfft2(first), fft.rfft2(second)
    products = fft.irfft2(b * a.conj(), s=shape)
    power = (a.real**2 + a.imag**2) * (b.real**2 + b.imag**2)
    deviation = np.sqrt(float(power.mean()) / first.size) + 1e-20
    steps = np.arange(-reach, reach + 1)
    height = products[np.ix_(steps % shape[0], steps % shape[1])] / deviation
    place = np.stack(np.meshgrid(steps, steps, indexing="ij"))
    away = np.square(place - expected[:, None, None]).sum(0) / MOTION_DEVIATION_PX**2
    likelihood = 0.5 * (np.square(height.clip(0)) / 2 - away)
    posterior = np.exp(likelihood - likelihood.max())
    motion: Floats = (place * posterior).sum((1, 2)) / posterior.sum()
    return motion, float(height.max())
