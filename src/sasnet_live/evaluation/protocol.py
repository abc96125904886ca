"""What a benchmark asks of a method, and what it gets back."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from sasnet_live.geometry import ScanGeometry

Image = np.ndarray[Any, np.dtype[Any]]


class RegistrationFailed(Exception):
    """A method found nothing it could register this frame with; the message says why."""


class Registered(NamedTuple):
    """What a method makes of one frame.

    Attributes
    ----------
    image
        (n_b, W) registered backward lines.
    displacement_px
        (n_b, W) along the fast axis, ``registered(x, y) = backward(x - displacement, y - slow_displacement)``; None
        where the method knows none.
    slow_displacement_px
        (n_b, W) along the slow axis; None: no movement.
    note
        What the method says of its result, for instance why it passed the frame through; empty if all is well.
    """

    image: Image
    displacement_px: Image | None = None
    slow_displacement_px: Image | None = None
    note: str = ""


class Method(Protocol):
    """Anything that registers one frame by itself.

    `register` may raise `RegistrationFailed`; the benchmark also takes any other exception for a failure on this
    frame and goes on. It must not modify its input or remember earlier frames. What cannot work on any frame, such as
    a missing library, is an `InputError` when the method is made.
    """

    def register(self, forward: Image, backward: Image, geometry: ScanGeometry) -> Registered:
        """Register (n_b, W) backward lines to (n_f, W) forward lines, float32, rows, left to right."""
        ...
