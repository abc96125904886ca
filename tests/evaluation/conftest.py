"""A registrar that stands in for the real one: fast, and with behaviour that tests can predict."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

from sasnet_live.frame import Registration, RegistrationMetrics
from sasnet_live.scan import ScanGeometry, split


class FakeRegistrar:
    """Gives back the forward lines as "rendered", leaves "warped" as it is, and counts what is asked of it."""

    calls: list[str]

    def __init__(self, model: str = "default", *, geometry: ScanGeometry, device: str = "auto", **options: Any) -> None:
        self.model, self.geometry, self.options = model, geometry, options
        type(self).calls.append(f"new {model}")

    def warm_up(self, shape: tuple[int, int], dtype: Any) -> None:
        self.calls.append(f"warm up {shape}")

    def reset(self) -> None:
        self.calls.append("reset")

    def describe(self) -> dict[str, str]:
        return {"model": self.model}

    def register(self, raw: Any) -> Registration:
        import torch

        self.calls.append("register")
        torch.ones(4, 8) @ torch.ones(8, 16)  # something to count
        forward, backward = split(raw, self.geometry)
        accepted = bool(np.ptp(raw) > 0)
        return Registration(
            image=raw,
            rendered=None if self.options.get("output") == "warped" else np.array(forward[: len(backward)], np.float32),
            warped=np.array(backward, np.float32),
            displacement_px=np.zeros(backward.shape, np.float32),
            metrics=RegistrationMetrics(),
            accepted=accepted,
            reason="" if accepted else "constant frame",
        )


@pytest.fixture
def fake_registrar(monkeypatch: pytest.MonkeyPatch) -> type[FakeRegistrar]:
    """`sasnet_live.registrar` replaced; models "lite" and "full"."""
    FakeRegistrar.calls = []
    module: Any = types.ModuleType("sasnet_live.registrar")
    module.Registrar = FakeRegistrar
    module.model_names = lambda: ("default", "lite", "full")
    monkeypatch.setitem(sys.modules, "sasnet_live.registrar", module)
    return FakeRegistrar
