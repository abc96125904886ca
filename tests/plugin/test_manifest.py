"""napari finds the plugin, and everything that it announces is there."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

npe2 = pytest.importorskip("npe2", reason="npe2 is not installed: pip install 'sasnet-live[gui-test]'")

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "src" / "sasnet_live" / "napari.yaml"


def test_the_manifest_is_valid_and_its_functions_can_be_imported() -> None:
    manifest = npe2.PluginManifest.from_file(FILE)
    pytest.importorskip("pyqtgraph")
    manifest.validate_imports()
    contributed = manifest.contributions
    assert [widget.display_name for widget in contributed.widgets] == ["SASNet Live", "Reprocess"]
    assert [sample.key for sample in contributed.sample_data] == ["calm", "drifting", "noisy"]
    assert set(contributed.menus) == {"napari/file/acquire", "napari/layers/register"}
    assert "display" in contributed.configurations
    commands = {command.id for command in contributed.commands}
    used = [item.command for item in (*contributed.widgets, *contributed.readers, *contributed.sample_data)]
    assert set(used) <= commands


def test_the_root_has_a_link_to_it() -> None:
    assert (ROOT / "napari.yaml").resolve() == FILE


def test_the_installed_package_announces_it() -> None:
    """Whether installed from a wheel or editable: npe2 reads the entry point and finds the file."""
    found = [point for point in entry_points(group="napari.manifest") if point.name == "sasnet-live"]
    assert [point.value for point in found] == ["sasnet_live:napari.yaml"]
    manifests = [result.manifest for result in npe2.PluginManifest.discover() if result.manifest]
    assert "sasnet-live" in [manifest.name for manifest in manifests]


@pytest.mark.parametrize("module", ["engine", "settings", "trust", "recorder", "reader", "sample_data", "fine_tune"])
def test_parts_without_windows_load_neither_qt_nor_torch(module: str) -> None:
    code = (
        f"import sys, sasnet_live.plugin.{module}\n"
        "heavy = {'torch', 'qtpy', 'PyQt6', 'napari', 'pymmcore_plus', 'pyqtgraph'} & set(sys.modules)\n"
        "sys.exit(f'loads {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
