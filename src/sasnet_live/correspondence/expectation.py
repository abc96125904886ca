"""What is expected of the next frame of a scanner that changes little: known better with every frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.fft import dct, idct

from .arrays import Floats
from .displacement import UNKNOWNS, WHOLE, DisplacementParts
from .refine import Prior

SHIFT_PX, SHAPE_PX = 0.15, 0.01  # change from one frame to the next: of the profile as a whole, and of each coefficient
MEMORY = 0.9  # the part of a mean over frames that is kept from one frame to the next
LEAST_JUMP_PX = 0.5
JUMP_DEVIATIONS = 4.0
FEWEST_FRAMES = 4  # of which fewer tell too little of how the lines of frames differ
CAUTION = 4.0  # times the variance of a mean that is taken off its square before it is believed
CORRELATION_MEMORY = 0.8


@dataclass(frozen=True)
class Expectation:
    """Of the next frame.

    Attributes
    ----------
    start
        Where to begin.
    prior
        What is told of its displacement.
    tail_px, tail_weight
        The share that electronics have in it, and the weight in [0, 1] of earlier frames against the next.
    correlation
        Of its aligned, filtered passes.
    """

    start: DisplacementParts
    prior: Prior
    tail_px: float
    tail_weight: float
    correlation: float

    def surprise(self, estimate: DisplacementParts) -> float:
        """How far a frame's own profile is from what was expected, relative to what noise and drift explain.

        Parameters
        ----------
        estimate
            Of which only what this frame tells alone is used.

        Returns
        -------
        1 or more: the scanner has changed.
        """
        identity = 1e-6 * np.eye(UNKNOWNS)
        own, covariance = (np.linalg.inv(of + identity) for of in (estimate.information, self.prior.information))
        change = own @ estimate.information_vector - covariance @ self.prior.information_vector
        deviation = np.sqrt(np.diagonal(own + covariance))
        # Of coefficients that this frame sees at all; where it does not, anything is possible and nothing is news.
        seen = np.diagonal(own) < 1.0
        return float((seen * np.abs(change) / (JUMP_DEVIATIONS * deviation + LEAST_JUMP_PX)).max())


@dataclass
class LinesMean:
    """Mean of q over frames, each cosine down the frame drawn to 0 as far as frames differ in it.

    Creep is the same in each frame, a random walk is not, and both are strongest in slow cosines: how frames scatter
    tells them apart. A cosine of mean m and variance v over n frames is expected at ``m max(0, 1 - 4 v / (n m^2))`` in
    the next one, after the positive-part estimator of James & Stein 1961.
    """

    mean: Floats | None = None
    square: Floats | None = None
    frames: float = 0.0

    def update(self, lines_px: Floats) -> None:
        """Take in the lines of a frame, (n,) px."""
        found = dct(lines_px, norm="ortho")
        self.frames = min(self.frames, 1 / (1 - MEMORY)) + 1
        if self.mean is None or self.square is None:
            self.mean, self.square = found, found**2
        else:
            self.mean = self.mean + (found - self.mean) / self.frames
            self.square = self.square + (found**2 - self.square) / self.frames

    def expected_px(self, lines: int) -> Floats:
        """(n,) px, 0 in the first frames."""
        if self.mean is None or self.square is None or self.frames < FEWEST_FRAMES:
            return np.zeros(lines)
        of_mean = (self.square - self.mean**2).clip(0) / (self.frames - 1)
        believed = (1 - CAUTION * of_mean / (self.mean**2).clip(1e-20)).clip(0)
        expected: Floats = idct(believed * self.mean, norm="ortho")
        return expected


@dataclass
class RunningEstimate:
    """Information-weighted average of p and r over the frames of a session, and what their lines have in common.

    A Kalman filter: from frame to frame the profile may move as a whole and change its shape a little, so that a slow
    drift of the lag is followed at once while the shape, which hysteresis and ripple keep steady, is averaged. It
    carries what the frames tell and no more: how smooth a profile is counts once, with all that is told, and the less
    the more is told. Were the smooth coefficients carried, each frame would smooth them again.

    Lines jitter and wander anew in each frame, and q is solved for in each; but what creeps down the frame creeps alike
    in the next: the next frame's lines are taken to scatter about that (see `LinesMean`).
    """

    coefficients: Floats | None = None
    information: Floats = field(default_factory=lambda: np.zeros((UNKNOWNS, UNKNOWNS)))
    information_vector: Floats = field(default_factory=lambda: np.zeros(UNKNOWNS))
    lines: LinesMean = field(default_factory=LinesMean)
    line_count: int = 0
    correlation: float = 0.0
    tail_px: float = 0.0
    frames: int = 0

    @property
    def expected(self) -> Expectation | None:
        """Of the next frame; None before the first."""
        if self.coefficients is None:
            return None
        lines = self.lines.expected_px(self.line_count)
        vector, information = self._faded()
        return Expectation(
            start=DisplacementParts.initial(self.coefficients, lines),
            prior=Prior(vector, information, lines),
            tail_px=self.tail_px,
            tail_weight=1 - 1 / (1 + min(self.frames, 1 / (1 - MEMORY))),
            correlation=self.correlation,
        )

    def update(self, estimate: DisplacementParts, correlation: float, tail_px: float) -> None:
        """Take in a trusted frame's estimate."""
        vector, information = self._faded()
        self.information_vector = vector + estimate.information_vector
        self.information = information + estimate.information
        self.coefficients, self.line_count = estimate.coefficients, len(estimate.lines_px)
        self.lines.update(estimate.lines_px)
        self.tail_px = tail_px
        kept = CORRELATION_MEMORY if self.frames else 0.0
        self.correlation = kept * self.correlation + (1 - kept) * correlation
        self.frames += 1

    def _faded(self) -> tuple[Floats, Floats]:
        """What is told of the next frame: information vector (U,) and information (U, U)."""
        identity = np.eye(UNKNOWNS)
        change = SHIFT_PX**2 * np.outer(WHOLE, WHOLE) + SHAPE_PX**2 * identity
        # (Y^-1 + Q)^-1 = (1 + Y Q)^-1 Y, also where some coefficients were never seen.
        told = np.concatenate([self.information, self.information_vector[:, None]], 1)
        fades = np.linalg.solve(identity + self.information @ change, told)
        return fades[:, -1], 0.5 * (fades[:, :-1] + fades[:, :-1].T)
