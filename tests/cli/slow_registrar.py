"""A registrar without a model, for tests of the commands: moves nothing, says that it did well."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from sasnet_live.errors import InputError
from sasnet_live.frame import Registration, RegistrationMetrics


class Registrar:
    """Fails, or takes its time, as the environment says."""

    def __init__(self, model: str = "default", **settings: Any) -> None:
        if model == "none":
            raise InputError("model 'none' is not known; expected one of lite, full")
        self.settings = settings
        self.count = 0

    def register(self, raw: np.ndarray[Any, Any]) -> Registration:
        self.count += 1
        time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
        if self.count == int(os.environ.get("FAKE_FAILS_AT", "-1")):
            raise RuntimeError("out of memory")
        lines = raw[1::2].astype(np.float32)
        both = self.settings.get("output") == "both"
        metrics = RegistrationMetrics(0.5, 0.9, 0.4, 0.8, 2.5, 0.7, 10.0)
        moved = np.zeros_like(lines)
        return Registration(raw.copy(), None, lines, moved, metrics, True, "", raw.copy() if both else None)

    def apply(self, raw: np.ndarray[Any, Any], registration: Registration) -> Registration:
        return self.register(raw)

    def reset(self) -> None:
        pass

    def warm_up(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        pass

    def describe(self) -> dict[str, str]:
        return {"model": "fake"}
