"""Every example runs."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("pymmcore_plus")

_EXAMPLES = Path(__file__).parents[1] / "examples"


def test_attach_to_core_registers_every_frame(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "cli"))
    import slow_registrar

    monkeypatch.setitem(sys.modules, "sasnet_live.registrar", slow_registrar)
    monkeypatch.setattr(sys, "argv", ["attach_to_core.py"])
    runpy.run_path(str(_EXAMPLES / "attach_to_core.py"), run_name="__main__")
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == "10 of 10 frames, 10 registered"
    assert printed[0] == "frame 0: NCC 0.500 -> 0.900"


def test_the_example_acquisition_is_a_sequence() -> None:
    import useq

    assert len(list(useq.MDASequence.from_file(_EXAMPLES / "timelapse.yaml"))) == 30
