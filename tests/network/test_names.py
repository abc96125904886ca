"""Which model a name stands for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sasnet_live.errors import InputError
from sasnet_live.network import names
from sasnet_live.network.names import default_model, find_weights, model_names, shipped_weights


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no model 'lit'; did you mean 'lite'\? Models: .*lite"):
        find_weights("lit")
    with pytest.raises(InputError, match=r"did you mean 'correspondence'\?"):
        find_weights("corespondance", also=("correspondence",))
    with pytest.raises(InputError, match=r"no model 'xyzzy'; Models: "):
        find_weights("xyzzy")


def test_names_and_paths_are_told_apart(tmp_path: Path) -> None:
    assert find_weights("lite") == shipped_weights()["lite"]
    for path in (tmp_path / "lite", Path("lite.safetensors")):
        assert find_weights(path) == path


def test_each_model_has_one_name() -> None:
    assert {"lite", "full", "correspondence"} <= set(model_names())
    assert "default" not in model_names()


@pytest.mark.parametrize(
    ("shipped", "device", "expected"),
    [
        (("full", "lite"), "cpu", "lite"),
        (("full", "lite"), "cuda", "full"),
        (("lite",), "cuda", "lite"),
        ((), "cpu", "lite"),
    ],
)
def test_the_default_fits_the_device(
    shipped: tuple[str, ...], device: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "shipped_weights", lambda: {name: Path(name) for name in shipped})
    assert default_model(device) == expected


def test_names_are_known_without_torch() -> None:
    code = "import sys, sasnet_live.network.names as names; names.model_names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
