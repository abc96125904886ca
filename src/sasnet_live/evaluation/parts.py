"""Which part of a displacement is wrong: the profile along the line, the single lines, or neither."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Image = np.ndarray[Any, np.dtype[Any]]

ROUNDS = 8  # of fitting profile and lines in turn; holes in the texture couple the two, weakly
FEWEST_PX = 16  # of texture, for the error of a single line to be known


class ErrorParts(NamedTuple):
    """Mean absolute error where there is texture, px: of the whole displacement and of its parts by themselves.

    Attributes
    ----------
    total
        Of the displacement.
    profile
        Of p(x): what the error has in common over lines.
    lines
        Of q(y): what it has in common along each line, the profile taken off.
    rest
        What neither explains: a displacement that is not separable.
    """

    total: float
    profile: float
    lines: float
    rest: float


def error_parts(found_px: Image, true_px: Image, textured: Image) -> ErrorParts:
    """Divide the error of a displacement by least squares into ``p(x) + q(y)`` and a rest.

    Parameters
    ----------
    found_px, true_px
        (n, W) displacement, px.
    textured
        (n, W) bool, where it is judged. All parts are NaN if that is nowhere.
    """
    error, weight = np.asarray(found_px, float) - true_px, np.asarray(textured, float)
    if not weight.any():
        return ErrorParts(*(4 * [float("nan")]))
    profile, lines = _separable(error, weight)
    parts = (error, profile[None], lines[:, None], error - profile - lines[:, None])
    return ErrorParts(*(float((np.abs(part) * weight).sum() / weight.sum()) for part in parts))


def line_errors(found_px: Image, true_px: Image, textured: Image) -> Image:
    """(n,) error of each line's q(y), px, as in `error_parts`; NaN for lines that show too little."""
    error, weight = np.asarray(found_px, float) - true_px, np.asarray(textured, float)
    _, lines = _separable(error, weight)
    return np.where(weight.sum(1) >= FEWEST_PX, lines, np.nan)


def _separable(error: Image, weight: Image) -> tuple[Image, Image]:
    """Least-squares p (W,) and q (n,) of an error (n, W); the weighted mean of q is 0."""
    of_px, of_lines = weight.sum(0).clip(1e-9), weight.sum(1).clip(1e-9)
    lines = np.zeros(len(error))
    for _ in range(ROUNDS):
        profile = ((error - lines[:, None]) * weight).sum(0) / of_px
        lines = ((error - profile) * weight).sum(1) / of_lines
        lines -= (lines * of_lines).sum() / of_lines.sum()
    return ((error - lines[:, None]) * weight).sum(0) / of_px, lines
