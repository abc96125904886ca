"""Passes averaged over recent frames, for recordings of which single frames say too little.

With few photons the passes of one frame hardly agree: a correlation of 0.03 is nothing that a displacement could be
found by. The average of k frames has k times the signal-to-noise ratio, and with it the displacement. Passes are
averaged, and not what each frame's passes say of each other: for that the ratio would grow by the root of k only.

The scene may move from frame to frame, both passes alike: the average follows it by whole px and lines, which leaves the
displacement as it is. What does not go on is noticed where the frame shows it: a scene that shares nothing with the
average, or passes that moved apart, as after a jump of the scanner, begin a new average.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import fft

from .arrays import Floats
from .filters import locally_normalized

MOST_FRAMES = 48  # averaged, older ones fading: a scanner drifts by some hundredths of a px a frame
REACH_LINES, REACH_PX = 12, 24  # that a scene may move between frames
BLUR_LINES, BLUR_PX = 1.0, 1.5  # of what motion is read from: noise is in the fine detail
STEADY_PX = 1.0  # deviation of a scene's motion from how it moved before, about; more is not ruled out (Cauchy)
MOTION_MEMORY = 0.8  # part of the mean motion that is kept from frame to frame
# Deviations of chance: the highest of the 1,200 places within reach is at 3.3 on average in noise, at 4.5 once in 250.
SEEN = 5.0
MISSED = 8.0  # of an agreement that is missed when it is gone, as after a cut
APART_PX = 2  # that passes have to move apart to have jumped: less may be rounding


class _Motion(NamedTuple):
    """How the scene moved since the average, and how surely (deviations of chance) each pass agrees there."""

    lines: int
    px: int
    agreement: tuple[float, float]
    jumped: bool


@dataclass
class Pool:
    """An average of the passes of recent frames.

    Attributes
    ----------
    target, backward
        (n, W) float32, in the place of the newest frame.
    frames
        That the average is worth.
    newest
        Index of the newest frame since the average began anew, from 0.
    """

    target: Floats | None = None
    backward: Floats | None = None
    frames: int = 0
    agreement: tuple[float, float] = (0.0, 0.0)
    velocity: tuple[float, float] = (0.0, 0.0)

    def add(self, target: Floats, backward: Floats) -> bool:
        """Take in the passes of a frame, (n, W) each.

        Returns
        -------
        bool
            Whether the average goes on; False: it begins anew with this frame.
        """
        if self.target is None or self.backward is None or self.target.shape != target.shape:
            return self._begin(target, backward)
        motion = self._motion(target, backward)
        gone = any(now < SEEN and was >= MISSED for now, was in zip(motion.agreement, self.agreement, strict=True))
        if gone or motion.jumped:
            return self._begin(target, backward)
        self.frames = min(self.frames + 1, MOST_FRAMES)
        self.target, self.backward = (
            _shifted(mean, new, motion.lines, motion.px, 1 / self.frames)
            for mean, new in ((self.target, target), (self.backward, backward))
        )
        self.velocity, self.agreement = (
            (_mean(before[0], now[0]), _mean(before[1], now[1]))
            for before, now in ((self.velocity, (motion.lines, motion.px)), (self.agreement, motion.agreement))
        )
        return True

    def _begin(self, target: Floats, backward: Floats) -> bool:
        self.target, self.backward, self.frames = target.copy(), backward.copy(), 1
        self.agreement, self.velocity = (0.0, 0.0), (0.0, 0.0)
        return False

    def _motion(self, target: Floats, backward: Floats) -> _Motion:
        """The most probable motion, by the correlation of both passes with their averages in two dimensions.

        Of an agreement that is m deviations of chance high on average, one that is z high speaks for a motion with a
        logarithmic likelihood of ``m z``.
        """
        assert self.target is not None and self.backward is not None
        of_target, of_backward = _agreement(target, self.target), _agreement(backward, self.backward)
        lines, px = (size // 2 for size in of_target.shape)
        down, along = (np.arange(-reach, reach + 1) - v for reach, v in zip((lines, px), self.velocity, strict=True))
        unsteady = np.log1p((down[:, None] ** 2 + along**2) / STEADY_PX**2)
        usual = np.maximum(self.agreement, 1.0)
        y, x = np.unravel_index((usual[0] * of_target + usual[1] * of_backward - unsteady).argmax(), of_target.shape)
        apart = int(of_backward[y].argmax())
        clearly = of_backward[y, apart] >= max(SEEN, of_backward[y, x] + SEEN / 2)
        jumped = bool(clearly and abs(apart - x) >= APART_PX)
        return _Motion(int(y) - lines, int(x) - px, (float(of_target[y, x]), float(of_backward[y, x])), jumped)


def _mean(before: float, now: float) -> float:
    return MOTION_MEMORY * before + (1 - MOTION_MEMORY) * now


def _agreement(new: Floats, mean: Floats) -> Floats:
    """Correlation at each motion within reach, (2 lines + 1, 2 px + 1), in deviations of what chance brings about."""
    lines, width = new.shape
    down, along = np.fft.fftfreq(lines)[:, None], np.fft.rfftfreq(width)
    smooth = np.exp(-2 * np.pi**2 * ((BLUR_LINES * down) ** 2 + (BLUR_PX * along) ** 2)).astype(np.float32)
    a, b = (fft.rfft2(locally_normalized(images)) for images in (new, mean))
    correlation = fft.irfft2(a * b.conj() * smooth**2, s=new.shape)
    reach_lines, reach_px = min(REACH_LINES, (lines - 1) // 2), min(REACH_PX, (width - 1) // 2)
    y, x = np.arange(-reach_lines, reach_lines + 1), np.arange(-reach_px, reach_px + 1)
    near = correlation[np.ix_(y % lines, x % width)]
    far = np.delete(np.delete(correlation, y % lines, 0), x % width, 1)
    return near / (float(np.sqrt(np.square(far).mean())) + 1e-20) if far.size else near * 0


def _shifted(mean: Floats, new: Floats, lines: int, px: int, weight: float) -> Floats:
    """The average moved down and along the line to where the newest frame has it, and that frame averaged in."""
    moved = new.copy()
    height, width = mean.shape
    to, since = (
        (slice(max(y, 0), height + min(y, 0)), slice(max(x, 0), width + min(x, 0)))
        for y, x in ((lines, px), (-lines, -px))
    )
    moved[to] = mean[since]
    moved += np.float32(weight) * (new - moved)
    return moved
