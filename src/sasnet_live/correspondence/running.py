"""The profile of a scanner that changes little from frame to frame, known better with every frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from .displacement import DisplacementParts, whole
from .lines_mean import LinesMean

LEAST_JUMP_PX = 0.5


@dataclass
class RunningEstimate:
    """Information-weighted average of p and r over the frames of a session, and what their lines have in common.

    A Kalman filter: from frame to frame the profile may move as a whole and change its shape a little, so that a slow
    drift of the lag is followed at once while the shape, which hysteresis and ripple keep steady, is averaged. It
    carries what the frames tell and no more: how smooth a profile is counts once, with all that is told, and the less
    the more is told. Were the smooth coefficients carried, each frame would smooth them again.

    Lines jitter and wander anew in each frame, and q is solved for in each; but what creeps down the frame creeps alike
    in the next: the next frame's lines are taken to scatter about that (see `LinesMean`).

    Parameters
    ----------
    shift_px, shape_px
        Deviation of the change from one frame to the next: of the profile as a whole, and of each spline coefficient.
    memory
        In [0, 1): the part of a figure's running mean that is kept from one frame to the next.
    """

    shift_px: float = 0.15
    shape_px: float = 0.01
    memory: float = 0.9
    coefficients: Tensor | None = None
    lines: LinesMean = field(default_factory=LinesMean)
    told: Tensor | None = None
    information: Tensor | None = None
    correlation: float = 0.0
    tail: float = 0.0
    frames: int = 0

    def reset(self) -> None:
        """Forget everything."""
        self.coefficients = self.told = self.information = None
        self.lines = LinesMean(self.memory)
        self.correlation, self.tail, self.frames = 0.0, 0.0, 0

    @property
    def prior(self) -> tuple[Tensor, Tensor] | None:
        """What is told of the next frame: (1, U) px^-1, information times coefficients, and that information (1, U, U).

        None before the first frame.
        """
        if self.coefficients is None or self.told is None or self.information is None:
            return None
        unknowns = self.information.shape[-1]
        identity = torch.eye(unknowns, dtype=self.information.dtype, device=self.information.device)
        shift = whole(self.coefficients)
        change = self.shift_px**2 * torch.outer(shift, shift) + self.shape_px**2 * identity
        # (Y^-1 + Q)^-1 = (1 + Y Q)^-1 Y, also where some coefficients were never seen.
        fades = torch.linalg.solve(
            identity + self.information @ change, torch.cat([self.information, self.told[..., None]], 2)
        )
        information = fades[..., :-1]
        return fades[..., -1], 0.5 * (information + information.mT)

    @property
    def start(self) -> DisplacementParts | None:
        """Where to begin in the next frame."""
        if self.coefficients is None:
            return None
        return DisplacementParts.initial(self.coefficients, self.lines.expected_px)

    @property
    def tail_px(self) -> tuple[float, float] | None:
        """The tails' share of the displacement, px, and the weight that earlier frames have in it."""
        if self.frames == 0:
            return None
        return self.tail, 1 - 1 / (1 + min(self.frames, 1 / (1 - self.memory)))

    def update(self, estimate: DisplacementParts, correlation: float, tail_px: float) -> None:
        """Take in a trusted frame's estimate."""
        told, information = self.prior or (0.0, 0.0)
        self.told, self.information = told + estimate.told.detach(), information + estimate.information.detach()
        self.coefficients = estimate.coefficients.detach()
        self.lines.update(estimate.lines_px.detach())
        self.tail = tail_px
        self.correlation = correlation if self.frames == 0 else 0.8 * self.correlation + 0.2 * correlation
        self.frames += 1

    def surprise(self, estimate: DisplacementParts) -> float:
        """How far a frame's own profile is from what was expected, relative to what noise and drift explain.

        Parameters
        ----------
        estimate
            Of which only what this frame tells alone is used.

        Returns
        -------
        1 or more: the scanner has changed. 0 before the first frame.
        """
        prior = self.prior
        if prior is None:
            return 0.0
        told, information = prior
        own = estimate.information
        identity = 1e-6 * torch.eye(own.shape[-1], dtype=own.dtype, device=own.device)
        own_covariance, covariance = (torch.linalg.inv(of + identity) for of in (own, information))
        change = (own_covariance @ estimate.told[..., None] - covariance @ told[..., None])[..., 0]
        variance = (own_covariance + covariance).diagonal(dim1=1, dim2=2)
        # Of coefficients that this frame sees at all; where it does not, anything is possible and nothing is news.
        seen = own_covariance.diagonal(dim1=1, dim2=2) < 1.0
        return float((seen * change.abs() / (4 * variance.sqrt() + LEAST_JUMP_PX)).max())
