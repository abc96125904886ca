"""A registrar without a network: fast, exact, and it remembers what it was asked."""

from __future__ import annotations

from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import MeasuredDisplacement, Pixels, Registration, RegistrationMetrics
from sasnet_live.geometry import ScanGeometry
from sasnet_live.scan import merge, split

SHIFT_PX = 2


class FakeRegistrar:
    """Moves backward lines by `SHIFT_PX`; `confidence` counts the frames since the last `reset`.

    `rendered` differs from `warped` by one grey value. A constant frame is passed through.
    """

    def __init__(self, model: str = "fake", output: str = "rendered", geometry: ScanGeometry | None = None) -> None:
        self.model, self.output, self.geometry = model, output, geometry or ScanGeometry()
        self.state = 0
        self.registered: list[int] = []

    def register(self, raw: Pixels) -> Registration:
        self.registered.append(int(raw.flat[0]))
        self.state += 1
        return self._moved(raw, accepted=bool(np.ptp(raw) > 0))

    def apply(self, raw: Pixels, registration: Registration) -> Registration:
        return self._moved(raw, accepted=registration.accepted)

    def reset(self) -> None:
        self.state = 0

    def describe(self) -> dict[str, str]:
        return {"model": self.model, "weights_sha256": "0" * 64, "device": "cpu"}

    def _moved(self, raw: Pixels, accepted: bool) -> Registration:
        if raw.ndim != 2:
            raise InputError(f"a frame of shape {raw.shape} came; expected (H, W)")
        forward, backward = split(raw, self.geometry)
        warped = np.roll(backward, SHIFT_PX, axis=-1) if accepted else backward
        rendered = warped + np.ones((), raw.dtype) if accepted else backward
        images = {
            "rendered": merge(forward, rendered, self.geometry),
            "warped": merge(forward, warped, self.geometry),
        }
        ncc = 0.9 if accepted else 0.5
        return Registration(
            image=images["warped" if self.output == "warped" else "rendered"],
            rendered=rendered.astype(np.float32),
            warped=warped.astype(np.float32),
            displacement_px=np.full(backward.shape, float(SHIFT_PX * accepted), np.float32),
            metrics=RegistrationMetrics(0.5, ncc, 0.4, ncc - 0.1, SHIFT_PX * accepted, float(self.state), 1.0),
            accepted=accepted,
            reason="" if accepted else "constant frame",
            warped_image=images["warped"] if self.output == "both" else None,
            line_confidence=np.full(len(backward), 0.75, np.float32) if accepted else None,
            measured=_measured(*backward.shape) if accepted else None,
        )


def _measured(lines: int, width: int) -> MeasuredDisplacement:
    still, sure = np.zeros, lambda length: np.full(length, 0.25, np.float32)
    profile = np.full(width, SHIFT_PX, np.float32)
    of_lines, creep = still(lines, np.float32), still(width, np.float32)
    return MeasuredDisplacement(profile, of_lines, creep, sure(width), sure(lines), creep)


def expected(raw: Any, kind: str = "rendered") -> Any:
    """What a `FakeRegistrar` makes of frames (..., H, W)."""
    out = raw.copy()
    out[..., 1::2, :] = np.roll(raw[..., 1::2, :], SHIFT_PX, axis=-1) + (kind == "rendered")
    return out.astype(raw.dtype)
