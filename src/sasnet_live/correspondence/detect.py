"""The geometry of a scan, read off one raw frame.

Three things are found, each from what it does to the frame:

- the line axis: from one line to the next the passes alternate, so neighbouring lines differ more than next but one;
- mirroring and the line offset: only where backward lines are read the right way round, from about the right place, do
  the passes share structure that stands out of the noise (`Evidence`);
- the first pass: a beam that zig-zags is nearer to the line before at one end of a backward line and to the line after
  at the other, which way round depends on the pass. A slow axis that moves in steps leaves no trace of it. Nor is there
  any where lines are stored in the order of time: with the passes exchanged the same frame shows the mirrored scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.geometry import LineAxis, Pass, ScanGeometry
from sasnet_live.intensity import IntensityScale
from sasnet_live.scan import forward_neighbours, move_lines, split

from .arrays import Floats
from .filters import locally_normalized
from .find import Correspondence, default_reach_px, find_displacement

Trait = Literal["line_axis", "backward_mirrored", "first", "line_offset"]

NAMES: dict[Trait, str] = {
    "line_axis": "lines",
    "backward_mirrored": "mirroring",
    "first": "first line",
    "line_offset": "offset",
}
"""The traits, for people."""

FAR_REACH = 4
"""Displacements are looked for up to a line's length divided by this."""
SURE = 0.75
"""Sureness from which a trait is taken for granted."""
FEWEST_LINES, SHORTEST_LINE_PX = 16, 32
_MOST_LINES = 256  # of each pass; more would only take longer


@dataclass(frozen=True)
class DetectedGeometry:
    """What a frame says of how it was scanned.

    Attributes
    ----------
    geometry
        The one given, with what was found in place of what it said.
    sureness
        In [0, 1] for each trait; 0: nothing in the frame tells, and the one given was kept.
    displacement_px
        Mean displacement of the backward lines in this geometry, px, positive to the right.
    confidence
        Of that displacement, as for any frame.
    doubt
        What speaks most against it, in words.
    """

    geometry: ScanGeometry
    sureness: dict[Trait, float]
    displacement_px: float
    confidence: float
    doubt: str = ""

    @property
    def unsure(self) -> tuple[Trait, ...]:
        """The traits that the frame leaves open."""
        return tuple(trait for trait in get_args(Trait) if self.sureness[trait] < SURE)

    @property
    def values(self) -> dict[Trait, str]:
        """What was found of each trait, in words."""
        geometry = self.geometry
        return {
            "line_axis": geometry.line_axis,
            "backward_mirrored": "mirrored" if geometry.backward_mirrored else "not mirrored",
            "first": f"{geometry.first} first",
            "line_offset": f"shift {self.displacement_px:.1f} px",
        }

    @property
    def in_words(self) -> str:
        """What was found, how sure each trait is, and what was left as it was."""
        sure = [f"{text} {self.sureness[trait]:.0%}" for trait, text in self.values.items() if trait not in self.unsure]
        text = f"Found: {', '.join(sure)}." if sure else "Nothing found for sure."
        if self.unsure:
            text += f" Unsure, please check: {', '.join(NAMES[trait] for trait in self.unsure)}."
        return f"{text} ({self.doubt})" if self.doubt else text


def detect_geometry(raw: np.ndarray[Any, Any], known: ScanGeometry | None = None) -> DetectedGeometry:
    """Find line axis, mirroring, first pass and line offset.

    Parameters
    ----------
    raw
        (H, W) as acquired, with content: vessels, not the background.
    known
        What is known: `crop` and `slow_axis` are used, the other traits are the answer where the frame tells nothing.

    Raises
    ------
    InputError
        If the frame is too small or has no content.
    """
    known = known or ScanGeometry()
    raw = _checked(raw)
    axis, axis_sureness = _line_axis(raw, known.line_axis)
    known = replace(known, line_axis=axis)
    readings = {mirrored: _read(raw, replace(known, backward_mirrored=mirrored)) for mirrored in (False, True)}
    mirrored, mirrored_sureness = _more_alike(readings, known.backward_mirrored)
    chosen = readings[mirrored]
    known = replace(known, backward_mirrored=mirrored)
    first, first_sureness = _first_pass(raw, known, chosen)
    # Exchanging the passes turns the displacement round.
    displacement = chosen.displacement_px if first == known.first else -chosen.displacement_px
    offset = _offset_worth_setting(displacement, chosen.width)
    confidence = chosen.found.confidence
    return DetectedGeometry(
        geometry=replace(known, first=first, line_offset=offset),
        sureness={
            "line_axis": axis_sureness,
            "backward_mirrored": mirrored_sureness,
            "first": first_sureness,
            "line_offset": confidence,
        },
        displacement_px=displacement,
        confidence=confidence,
        doubt="" if confidence >= 0.5 else chosen.found.evidence.doubt,
    )


@dataclass(frozen=True)
class _Reading:
    """A frame read in one geometry."""

    found: Correspondence
    backward: Floats
    width: int

    @property
    def displacement_px(self) -> float:
        """Mean over the frame."""
        return float(self.found.displacement_px.mean())


def _checked(raw: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The frame in units of its own range, float32."""
    if raw.ndim != 2 or raw.dtype.kind not in "uif":
        raise InputError(
            f"a frame of shape {raw.shape} and type {raw.dtype} came; expected one frame (H, W) of numbers"
        )
    if min(raw.shape) < max(FEWEST_LINES, SHORTEST_LINE_PX):
        raise InputError(f"a frame of {raw.shape[0]} x {raw.shape[1]} came; too small to tell its geometry")
    if not np.isfinite(raw).all() or raw.min() == raw.max():
        raise InputError("the frame is empty or holds NaN; take one of a place with content")
    scale = IntensityScale.of(raw)
    if isinstance(scale, str):
        raise InputError(f"{scale}; take one of a place with content")
    return scale.to_values(raw)


def _line_axis(raw: np.ndarray[Any, Any], known: LineAxis) -> tuple[LineAxis, float]:
    """The axis along which neighbours differ more than next neighbours do.

    On the slow axis the ratio of the two differences is above 1 by what separates the passes, along a line it is below
    1 by the smoothness of the image. Noise brings both towards 1.
    """
    ratio = {"rows": _alternation(raw), "columns": _alternation(raw.T)}
    margin = math.log(ratio["rows"] / ratio["columns"])
    if margin == 0:
        return known, 0.0
    axis: LineAxis = "rows" if margin > 0 else "columns"
    # Frames whose passes agree, or that have no second pass, differ by this much from their grain alone.
    return axis, _squashed(max(0.0, abs(margin) - 0.25) / 0.25)


def _alternation(lines: np.ndarray[Any, Any]) -> float:
    """Difference of neighbouring lines over that of next but one, each a robust mean square along the line."""
    smooth = lines[:, :-2] + 2 * lines[:, 1:-1] + lines[:, 2:]
    near = np.square(smooth[1:-1] - smooth[:-2]) + np.square(smooth[2:] - smooth[1:-1])
    far = 2 * np.square(smooth[2:] - smooth[:-2])
    return float((near.mean() + 1e-12) / (far.mean() + 1e-12))


def _read(raw: np.ndarray[Any, Any], geometry: ScanGeometry) -> _Reading:
    forward, backward = _lines(raw, geometry)
    width = backward.shape[-1]
    earlier, later = forward_neighbours(forward, len(backward), geometry)
    # Half of each neighbour: which is nearer where depends on the first pass, which is not known yet.
    target = earlier if geometry.slow_axis == "stepped" else (earlier + later) / 2
    found = find_displacement(target, backward, reach_px=_reach_px(width))
    return _Reading(found, backward, width)


def _lines(raw: np.ndarray[Any, Any], geometry: ScanGeometry) -> tuple[Floats, Floats]:
    forward, backward = split(raw, geometry)
    start = max(0, (len(backward) - _MOST_LINES) // 2)
    taken = slice(start, start + _MOST_LINES)
    return forward[taken], backward[taken]


def _more_alike(readings: dict[bool, _Reading], known: bool) -> tuple[bool, float]:
    """Whether backward lines are mirrored: the reading in which the passes are more alike, and how surely."""
    correlation = {mirrored: reading.found.evidence.correlation for mirrored, reading in readings.items()}
    trusted = {mirrored: reading.found.confidence for mirrored, reading in readings.items()}
    margin = correlation[True] - correlation[False]
    if margin == 0:
        return known, 0.0
    mirrored = margin > 0
    return mirrored, _squashed(abs(margin) / 0.1) * max(trusted[mirrored], 0.0)


def _first_pass(raw: np.ndarray[Any, Any], geometry: ScanGeometry, reading: _Reading) -> tuple[Pass, float]:
    """The pass of line 0, from where along the line backward lines resemble which neighbour more.

    A backward line runs from one forward neighbour to the other. The weight of the earlier one, fitted separately in
    the left and in the right part of the line, rises or falls along it. Which of the two passes is called backward does
    not matter for that: with the roles exchanged the same beam is described.
    """
    if geometry.slow_axis != "continuous" or geometry.backward_mirrored:
        return geometry.first, 0.0
    forward, backward = _lines(raw, geometry)
    moved = move_lines(backward, reading.found.displacement_px, "cubic")
    earlier, later = forward_neighbours(forward, len(backward), geometry)
    earlier, later, moved = (locally_normalized(lines) for lines in (earlier, later, moved))
    # With w the weight of the earlier: moved - (earlier + later) / 2 = (w - 1/2) (earlier - later).
    slope = earlier - later
    rest = moved - (earlier + later) / 2
    width = moved.shape[-1]
    ramp = np.linspace(-0.5, 0.5, width)
    per_line = (rest * slope * ramp).sum(1)[1:-1]
    energy = (slope**2 * ramp**2).sum(1)[1:-1]
    rise = float(per_line.sum() / (energy.sum() + 1e-9))  # +1 as this geometry says, -1 the other way round
    # Blocks of lines are about independent; lines next to each other share a neighbour.
    blocks = np.array([part.sum() for part in np.array_split(per_line, 16)])
    significance = float(blocks.sum() / (blocks.std(ddof=1) * math.sqrt(len(blocks)) + 1e-9))
    other: Pass = "backward" if geometry.first == "forward" else "forward"
    sureness = _squashed(abs(significance) / 3) * _squashed(abs(rise) / 0.15)
    return (geometry.first if rise > 0 else other), sureness


def _offset_worth_setting(displacement_px: float, width: int) -> int:
    """An offset where the displacement is near or beyond the end of the usual search, else 0."""
    return round(displacement_px) if abs(displacement_px) > 0.6 * default_reach_px(width) else 0


def _reach_px(width: int) -> int:
    return max(default_reach_px(width), width // FAR_REACH)


def _squashed(value: float) -> float:
    """From [0, inf) to [0, 1), 0.76 at 1."""
    return math.tanh(value)
