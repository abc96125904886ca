"""What goes into and comes out of the live pipeline: frozen results, no behaviour."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

Pixels = np.ndarray[Any, np.dtype[Any]]

EndReason = Literal["completed", "canceled", "errored", "stopped"]
"""How a run of frames came to its end."""


@dataclass(frozen=True)
class Frame:
    """One raw frame on its way to the registrar.

    Attributes
    ----------
    data
        (H, W) as acquired, owned by this frame: whoever puts it does not write to it again.
    index
        Position along named axes, as useq gives it: ``{"t": 3, "c": 0}``. Empty in live mode.
    sequence_number
        Count of frames from this source since it started, from 0.
    received_s
        `time.perf_counter()` when the source had the frame.
    metadata
        What the source says of the frame: exposure_ms, pixel_size_um (one number, or (y, x) where a px is not square),
        runner_time_ms and so on.
    """

    data: Pixels
    index: Mapping[str, int] = field(default_factory=dict)
    sequence_number: int = 0
    received_s: float = field(default_factory=time.perf_counter)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RegistrationMetrics:
    """How well one frame was registered.

    The forward pass, resampled to the slow-axis positions of the backward lines, is compared with the backward pass
    before and after registration. Noise bounds these figures below 1. NaN where a figure is not defined.

    Attributes
    ----------
    ncc_before, ncc_after, ssim_before, ssim_after
        In [-1, 1].
    displacement_px_mean
        Mean of the displacement applied, px, signed.
    confidence
        In [0, 1]: how surely the displacement is right.
    elapsed_ms
        Time from raw frame to result.
    doubtful_lines
        Backward lines that are less likely than not within half a px, see `Registration.line_confidence`.
    """

    ncc_before: float = float("nan")
    ncc_after: float = float("nan")
    ssim_before: float = float("nan")
    ssim_after: float = float("nan")
    displacement_px_mean: float = 0.0
    confidence: float = 0.0
    elapsed_ms: float = 0.0
    doubtful_lines: int = 0

    def as_row(self) -> dict[str, float]:
        """The figures by name, in the order of the columns of a metrics table."""
        return asdict(self)


@dataclass(frozen=True)
class MeasuredDisplacement:
    """The displacement of a frame in its parts, ``d(x, y) = p(x) + q(y) + y r(x)``, with their standard deviations.

    y goes from -1 in the first backward line to 1 in the last. All are float32, px along the fast axis.

    Attributes
    ----------
    profile_px, lines_px, creep_px
        (W,) p, with what electronics add; (n_b,) q, of mean 0; (W,) r.
    profile_deviation_px, line_deviation_px, creep_deviation_px
        Of each; where no texture tells, that of the prior.
    unpaired
        Whether the last line has no forward partner, and is not moved.
    """

    profile_px: Pixels
    lines_px: Pixels
    creep_px: Pixels
    profile_deviation_px: Pixels
    line_deviation_px: Pixels
    creep_deviation_px: Pixels
    unpaired: bool = False

    def displacement_px(self) -> Pixels:
        """(n_b, W) float32, to the bit what the frame was moved by."""
        displacement: Pixels = np.add.outer(self.lines_px, self.profile_px)
        displacement += np.outer(self._down(), self.creep_px)
        return self._still(displacement)

    def deviation_px(self) -> Pixels:
        """(n_b, W) float32 standard deviation of it, as if its parts were off independently of each other."""
        variance: Pixels = np.add.outer(self.line_deviation_px**2, self.profile_deviation_px**2)
        variance += np.outer(self._down() ** 2, self.creep_deviation_px**2)
        return self._still(np.sqrt(variance))

    def _down(self) -> Pixels:
        return np.linspace(-1, 1, len(self.lines_px)).astype(np.float32)

    def _still(self, lines: Pixels) -> Pixels:
        if self.unpaired:
            lines[-1] = 0
        return lines


@dataclass(frozen=True)
class Registration:
    """One registered frame.

    Attributes
    ----------
    image
        (H, W) forward lines and registered backward lines merged; dtype and units of the input.
    rendered
        (n_b, W) float32, the backward lines re-rendered in the appearance of the forward pass, or `warped` where the
        rendering would have been worse; None if only `warped` was asked for.
    warped
        (n_b, W) float32, the backward lines moved only: measured intensities kept. A contrast of less than a
        millionth of its level is in `image` alone.
    displacement_px
        (n_b, W) float32, ``registered(x) = backward(x - displacement(x))``, px along the fast axis; all 0 where the
        frame was passed through.
    metrics
        See `RegistrationMetrics`: of the lines in `image`.
    accepted
        False: the frame was passed through unchanged.
    reason
        Why it was not accepted, or was moved but not rendered, one line; else empty.
    warped_image
        (H, W) as `image`, with `warped` lines; only where both outputs were asked for (`image` is then rendered).
    line_confidence
        (n_b,) float32 in [0, 1]: how surely each backward line lies within half a px. A line without texture may be
        doubtful in a frame that is not. None where the frame was passed through.
    evidence_frames
        How many frames the displacement rests on: 1 where this one sufficed; more where photons are few and the last
        frames were averaged, and then the displacement is theirs on average; 0 where the frame was passed through.
    measured
        The displacement in its parts, with their deviations; None where the frame was passed through.
    """

    image: Pixels
    rendered: Pixels | None
    warped: Pixels
    displacement_px: Pixels
    metrics: RegistrationMetrics
    accepted: bool
    reason: str = ""
    warped_image: Pixels | None = None
    line_confidence: Pixels | None = None
    evidence_frames: int = 0
    measured: MeasuredDisplacement | None = None

    @property
    def deviation_px(self) -> Pixels | None:
        """(n_b, W) float32 standard deviation of `displacement_px`; None where the frame was passed through."""
        return None if self.measured is None else self.measured.deviation_px()
