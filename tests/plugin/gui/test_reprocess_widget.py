"""Reprocessing a layer and files from a real viewer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QApplication

from sasnet_live.geometry import ScanGeometry
from sasnet_live.plugin.reprocess.reprocess_widget import ReprocessWidget
from sasnet_live.session.settings import LiveSettings, SettingsStore
from sasnet_live.settings import RegistrarSettings
from sasnet_live.simulation import random_scanner, record

pytestmark = pytest.mark.gui
PATIENCE_MS = 40_000


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    rng = np.random.default_rng(0)
    frames = record(0, random_scanner(rng, "easy", 128), rng, 5, height=64, width=128)
    return np.stack([frame.raw for frame in frames])


@pytest.fixture
def widget(make_napari_viewer: Any, store: SettingsStore) -> Any:
    viewer = make_napari_viewer()
    widget = ReprocessWidget(viewer, store=store)
    viewer.window.add_dock_widget(widget, name="Reprocess")
    yield widget
    widget.shut_down()
    if widget.parent() is None:
        widget.deleteLater()


def run(qtbot: Any, widget: ReprocessWidget) -> None:
    widget.start_button.click()
    assert widget._job is not None
    qtbot.waitUntil(lambda: widget._job is None, timeout=PATIENCE_MS)


def test_a_layer_becomes_a_registered_layer_with_its_figures(qtbot: Any, widget: Any, raw: np.ndarray) -> None:
    viewer = widget._viewer
    layer = viewer.add_image(raw, name="scan", scale=(1, 2.5, 2.5), translate=(0, 10, 0))
    assert "scan" in widget.target.text()
    run(qtbot, widget)
    registered = viewer.layers["scan registered"]
    assert registered.data.shape == raw.shape
    assert np.array_equal(registered.data[:, 0::2], raw[:, 0::2])
    assert registered.scale.tolist() == layer.scale.tolist()
    assert registered.translate.tolist() == layer.translate.tolist()
    about = registered.metadata["sasnet_live"]
    assert about["record"]["model"] == "correspondence"
    assert about["means"]["ncc_after"] > about["means"]["ncc_before"]
    assert [frame["index"] for frame in about["frames"]] == [[n] for n in range(5)]
    assert "NCC 0." in widget.state.text()


@pytest.mark.parametrize(
    ("noisy", "name"), [(1, "not registered (0 of 1 accepted)"), (2, "registered (3 of 5 accepted)")]
)
def test_what_was_not_registered_says_so(
    qtbot: Any, widget: Any, raw: np.ndarray, said: list[str], noisy: int, name: str
) -> None:
    viewer = widget._viewer
    noise = np.random.default_rng(0).integers(0, 4000, raw.shape, np.uint16)
    viewer.add_image(noise[0] if noisy == 1 else np.concatenate([raw[:3], noise[:2]]), name="scan")
    run(qtbot, widget)
    verdict = viewer.layers[f"scan {name}"].metadata["sasnet_live"]["verdict"]
    count = "0 of 1 accepted: " if noisy == 1 else "3 of 5 accepted: "
    assert verdict.startswith(count)
    assert len(verdict) > len(count)
    assert any(verdict in message for message in said)
    assert verdict in widget.state.text()


def test_a_result_is_registered_again_only_when_asked_for(qtbot: Any, widget: Any, raw: np.ndarray) -> None:
    viewer = widget._viewer
    scan = viewer.add_image(raw[:2], name="scan")
    run(qtbot, widget)
    assert viewer.layers.selection.active is viewer.layers["scan registered"]  # napari selects what is new
    widget.start_button.click()
    assert widget._job is None
    assert "a result already" in widget.status.text()
    assert widget.start_button.text() == "Register again"
    viewer.layers.selection.active = scan
    assert widget.start_button.text() == "Register"
    assert not widget.status.isVisibleTo(widget)
    viewer.layers.selection.active = viewer.layers["scan registered"]
    widget.start_button.click()
    run(qtbot, widget)
    assert "scan registered registered" in viewer.layers


def test_cancel_keeps_the_widget_usable(qtbot: Any, widget: Any, raw: np.ndarray) -> None:
    viewer = widget._viewer
    viewer.add_image(np.tile(raw, (80, 1, 1)), name="long")
    widget.start_button.click()
    job = widget._job
    qtbot.waitUntil(lambda: job.done >= 2, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: any(bar.total == 400 for bar in _bars()), timeout=PATIENCE_MS)
    widget.start_button.click()
    qtbot.waitUntil(lambda: widget._job is None, timeout=PATIENCE_MS)
    assert 2 <= job.done < 400
    assert "cancelled" in widget.state.text()
    assert not [bar for bar in _bars() if bar.desc.startswith("SASNet")]
    viewer.layers.selection.active = viewer.add_image(raw, name="short")
    run(qtbot, widget)
    assert "short registered" in viewer.layers


def test_files_are_written_and_shown(qtbot: Any, widget: Any, raw: np.ndarray, tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / name, raw[:3], photometric="minisblack")
    (tmp_path / "broken.tif").write_bytes(b"no tiff")
    widget.what.choose("files")
    widget.add_files([str(tmp_path / name) for name in ("a.tif", "b.tif", "a.tif")])
    assert widget.files.count() == 2
    assert widget.folder.path == str(tmp_path / "registered")
    run(qtbot, widget)
    assert sorted(path.name for path in (tmp_path / "registered").iterdir()) == [
        "a_registered.ome.tiff",
        "b_registered.ome.tiff",
    ]
    assert {layer.name for layer in widget._viewer.layers} == {"a_registered", "b_registered"}
    assert widget._viewer.layers[0].metadata["sasnet_live"]["means"]["ncc_after"] > 0.5


def test_files_that_are_registered_already_are_left_out_with_a_line(
    qtbot: Any, widget: Any, raw: np.ndarray, tmp_path: Path, said: list[str]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", raw[:2], photometric="minisblack")
    widget.what.choose("files")
    widget.add_files([str(tmp_path / "a.tif")])
    run(qtbot, widget)
    widget.add_files([str(tmp_path / "registered" / "a_registered.ome.tiff")])
    run(qtbot, widget)
    assert [path.name for path in (tmp_path / "registered").iterdir()] == ["a_registered.ome.tiff"]
    [line] = [line for line in said if "left out" in line]
    assert "a_registered.ome.tiff: registered by this program already" in line
    assert "left out" in widget.state.text()


@pytest.mark.parametrize("shown", [True, False])
def test_a_file_that_was_not_registered_says_so(
    qtbot: Any, widget: Any, tmp_path: Path, said: list[str], shown: bool
) -> None:
    noise = np.random.default_rng(0).integers(0, 4000, (2, 64, 128), np.uint16)
    tifffile.imwrite(tmp_path / "noise.tif", noise, photometric="minisblack")
    widget.what.choose("files")
    widget.add_files([str(tmp_path / "noise.tif")])
    widget.show_results.setChecked(shown)
    run(qtbot, widget)
    assert any("noise_registered: 0 of 2 accepted: " in message for message in said)
    assert "0 of 2 accepted: " in widget.state.text()
    names = [layer.name for layer in widget._viewer.layers]
    assert names == (["noise_registered (0 of 2 accepted)"] if shown else [])


@pytest.mark.parametrize("what", ["nothing selected", "points selected", "no files", "no folder", "unknown model"])
def test_errors_say_what_to_do(
    qtbot: Any, widget: Any, raw: np.ndarray, store: SettingsStore, said: list[str], what: str
) -> None:
    viewer = widget._viewer
    if what == "points selected":
        viewer.add_points([[0, 0]])
    elif what == "unknown model":
        viewer.add_image(raw)
        store.save(replace(store.load(), registrar=RegistrarSettings("lit")))
    elif what in ("no files", "no folder"):
        widget.what.choose("files")
        widget.folder.set_path("" if what == "no folder" else "/tmp")
    widget.start_button.click()
    qtbot.waitUntil(lambda: bool(said), timeout=PATIENCE_MS)
    expected = {
        "nothing selected": "select one in the layer list",
        "points selected": "select one in the layer list",
        "no files": "add TIFF files first",
        "no folder": "choose one",
        "unknown model": "did you mean",
    }
    assert expected[what] in said[0]
    qtbot.waitUntil(lambda: widget._job is None and widget.start_button.text() == "Register", timeout=PATIENCE_MS)


def test_closing_while_it_runs_ends_it(qtbot: Any, widget: Any, raw: np.ndarray) -> None:
    widget._viewer.add_image(np.tile(raw, (80, 1, 1)), name="long")
    widget.start_button.click()
    job = widget._job
    qtbot.waitUntil(lambda: job.done >= 1, timeout=PATIENCE_MS)
    widget._viewer.window.remove_dock_widget(widget)
    assert job.ended
    QApplication.processEvents()


def test_settings_of_the_live_widget_are_shown(widget: Any, store: SettingsStore) -> None:
    store.save(
        LiveSettings(
            registrar=RegistrarSettings("correspondence", output="warped", geometry=ScanGeometry(line_axis="columns"))
        )
    )
    widget._show_settings()
    assert "columns" in widget.settings_line.text()
    assert "warped" in widget.settings_line.text()


def _bars() -> list[Any]:
    from napari.utils.progress import progress

    return [bar for bar in progress._all_instances if bar.desc.startswith("SASNet")]
