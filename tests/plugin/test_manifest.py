"""napari finds the plugin, and everything that it announces is there."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

npe2 = pytest.importorskip("npe2", reason="npe2 is not installed: pip install -e '.[gui-test]'")

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
    """As it is installed here, which for developers is editable: npe2 reads the entry point and finds the file."""
    found = [point for point in entry_points(group="napari.manifest") if point.name == "sasnet-live"]
    assert [point.value for point in found] == ["sasnet_live:napari.yaml"]
    manifests = [result.manifest for result in npe2.PluginManifest.discover() if result.manifest]
    assert "sasnet-live" in [manifest.name for manifest in manifests]


@pytest.fixture(scope="module")
def wheel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what pip installs from a wheel that was built just now."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("pip is not installed in this environment")
    here = importlib.util.find_spec("hatchling") is not None
    built, folder = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", *(["--no-build-isolation"] if here else []), "-w", str(built), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode and not here:
        pytest.skip("hatchling is not installed, and pip cannot fetch it: no wheel can be built here")
    assert done.returncode == 0, done.stderr
    (wheel,) = built.glob("sasnet_live-*.whl")
    install = [*pip, "install", "--no-deps", "--no-index", "--target", str(folder), str(wheel)]
    subprocess.run(install, check=True, timeout=120)
    return folder


def test_a_wheel_holds_what_the_plugin_needs(wheel_folder: Path) -> None:
    package = wheel_folder / "sasnet_live"
    source = ROOT / "src" / "sasnet_live"
    needed = [
        path.relative_to(source) for path in source.rglob("*") if path.suffix in (".yaml", ".cfg", ".safetensors")
    ]
    assert {path.name for path in needed} >= {"napari.yaml", "orpam.cfg", "lite.safetensors"}
    for path in needed:
        assert (package / path).read_bytes() == (source / path).read_bytes(), path
    assert (package / "py.typed").is_file()


def test_napari_discovers_the_plugin_from_a_wheel(wheel_folder: Path) -> None:
    """In a process that does not see the source folder, should the package be installed editable, too."""
    code = (
        "import sys\n"
        f"sys.path = [folder for folder in sys.path if folder.rstrip('/') != {str(ROOT / 'src')!r}]\n"
        "import npe2, sasnet_live\n"
        "found = [one for one in npe2.PluginManifest.discover() if one.distribution is not None]\n"
        f"here = [one for one in found if str(one.distribution.locate_file('')) == {str(wheel_folder)!r}]\n"
        "(mine,) = [one.manifest for one in here if one.manifest and one.manifest.name == 'sasnet-live']\n"
        "from sasnet_live.plugin.panels.model_panel import available_models\n"
        "print(sasnet_live.__file__)\n"
        "print(*[widget.display_name for widget in mine.contributions.widgets], sep='|')\n"
        "print(*available_models())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(wheel_folder), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, cwd=ROOT.anchor
    )
    assert done.returncode == 0, done.stderr
    module, widgets, models = done.stdout.splitlines()
    assert Path(module).parent == wheel_folder / "sasnet_live"
    assert widgets == "SASNet Live|Reprocess"
    assert "lite" in models.split()


@pytest.mark.parametrize(
    "module",
    [
        *("session.engine", "session.settings", "session.trust", "session.recorder"),
        *("plugin.readers.reader", "plugin.readers.sample_data", "training.fine_tune"),
    ],
)
def test_parts_without_windows_load_neither_qt_nor_torch(module: str) -> None:
    code = (
        f"import sys, sasnet_live.{module}\n"
        "heavy = {'torch', 'qtpy', 'PyQt6', 'napari', 'pymmcore_plus', 'pyqtgraph'} & set(sys.modules)\n"
        "sys.exit(f'loads {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
