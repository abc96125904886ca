"""The profile of a scanner that changes little from frame to frame, known better with every frame."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .refine import SeparableDisplacement


@dataclass
class RunningEstimate:
    """Information-weighted average of the profile p over the frames of a session; q is solved anew for each frame.

    A Kalman filter with exponential forgetting: information of earlier frames fades by `memory` a frame, so that a slow
    drift of the lag is followed.

    Parameters
    ----------
    memory
        In [0, 1): the part of the information that is kept from one frame to the next. 0.9 averages about ten frames.
    """

    memory: float = 0.9
    coefficients: Tensor | None = None
    information: Tensor | None = None
    correlation: float = 0.0
    tail: float = 0.0
    frames: int = 0

    def reset(self) -> None:
        """Forget everything."""
        self.coefficients = self.information = None
        self.correlation, self.tail, self.frames = 0.0, 0.0, 0

    @property
    def prior(self) -> tuple[Tensor, Tensor] | None:
        """Coefficients (1, K) and information (1, K, K) expected for the next frame; None before the first."""
        if self.coefficients is None or self.information is None:
            return None
        return self.coefficients, self.memory * self.information

    @property
    def start(self) -> SeparableDisplacement | None:
        """Where to begin in the next frame."""
        if self.coefficients is None:
            return None
        return SeparableDisplacement.initial(self.coefficients, self.coefficients.new_zeros(1, 1))

    @property
    def tail_px(self) -> tuple[float, float] | None:
        """The tails' share of the displacement, px, and the weight that earlier frames have in it."""
        if self.frames == 0:
            return None
        return self.tail, 1 - 1 / (1 + min(self.frames, 1 / (1 - self.memory)))

    def update(self, estimate: SeparableDisplacement, correlation: float, tail_px: float) -> None:
        """Take in a trusted frame's estimate, which was found with `prior` (so its coefficients already hold it)."""
        own = estimate.information.detach()
        self.information = own if self.information is None else self.memory * self.information + own
        self.coefficients = estimate.coefficients.detach()
        self.tail = tail_px
        self.correlation = correlation if self.frames == 0 else 0.8 * self.correlation + 0.2 * correlation
        self.frames += 1
