"""The linear equations of one Gauss-Newton step, in units of information: what coefficients and lines are told."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .displacement import down_the_frame


@dataclass(frozen=True)
class NormalEquations:
    """For a step of the spline's coefficients and of all lines together.

    Attributes
    ----------
    of_profile
        (B, U, U) px^-2: what the passes tell of the U = K + M coefficients of profile and creep if lines stand still.
    of_lines
        (B, n) px^-2, of each line if the profile stands still.
    coupling
        (B, n, U) px^-2.
    profile_pull, line_pull
        (B, U) and (B, n) px^-1: where to.
    """

    of_profile: Tensor
    of_lines: Tensor
    coupling: Tensor
    profile_pull: Tensor
    line_pull: Tensor

    @classmethod
    def of(cls, curvature: Tensor, pull: Tensor, splines: Tensor, creep: Tensor, noise: Tensor) -> NormalEquations:
        """From each px's curvature and pull, (B, n, w), the bases (w, K) and (w, M), and the pull's variance (B,)."""
        knots, unit = splines.shape[1], noise[:, None, None]
        basis = torch.cat([splines, creep], 1)
        of_creep = torch.arange(basis.shape[1], device=basis.device) >= knots  # (U,): terms that grow down the frame
        down = down_the_frame(curvature.shape[1], curvature.device)
        growth = torch.where(of_creep, down[:, None], 1.0)  # (n, U)
        coupling, pulls = ((of_px @ basis.to(of_px)).double() * growth / unit for of_px in (curvature, pull))
        moments = torch.stack([torch.ones_like(down), down, down.square()]).to(curvature)
        columns = (moments @ curvature).double() / unit  # (B, 3, w)
        blocks = basis.T @ (columns[..., None] * basis)  # (B, 3, U, U), by the power of y that two terms share
        power = (of_creep[:, None].long() + of_creep).expand(len(blocks), 1, -1, -1)
        profile = blocks.gather(1, power)[:, 0]
        # B-splines sum to 1 at each px: what all of them together take of a line is the line's own sum.
        lines = coupling[..., :knots].sum(2)
        floor = 1e-3 * lines.mean(-1, keepdim=True) + 1e-12
        return cls(profile, lines + floor, coupling, pulls.sum(1), pulls[..., :knots].sum(2))

    def line_steps(self, profile_step: Tensor) -> Tensor:
        """(B, n) px that each line by itself asks for once the coefficients have taken (B, U) px."""
        return (self.line_pull - (self.coupling @ profile_step[..., None])[..., 0]) / self.of_lines

    def without_lines(self, precision: Tensor, lines_px: Tensor) -> ProfileEquations:
        """The lines eliminated, which stand at (B, n) px under a prior of precision (B, n, n) px^-2 about 0."""
        line_right = self.line_pull - (precision @ lines_px[..., None])[..., 0]
        right = torch.cat([self.coupling, line_right[..., None]], 2)
        factor = torch.linalg.cholesky(precision + torch.diag_embed(self.of_lines))
        eliminated = torch.cholesky_solve(right, factor)
        by_profile, by_lines = eliminated[..., :-1], eliminated[..., -1:]
        return ProfileEquations(
            information=self.of_profile - self.coupling.mT @ by_profile,
            pull=self.profile_pull - (self.coupling.mT @ by_lines)[..., 0],
            by_profile=by_profile,
            by_lines=by_lines,
        )


@dataclass(frozen=True)
class ProfileEquations:
    """For the coefficients alone, whatever the lines do.

    Attributes
    ----------
    information, pull
        (B, U, U) px^-2 and (B, U) px^-1.
    by_profile, by_lines
        (B, n, U) and (B, n, 1): how the lines follow.
    """

    information: Tensor
    pull: Tensor
    by_profile: Tensor
    by_lines: Tensor

    def line_steps(self, profile_step: Tensor) -> Tensor:
        """(B, n) px that the lines take where the coefficients take (B, U) px."""
        return (self.by_lines - self.by_profile @ profile_step[..., None])[..., 0]
