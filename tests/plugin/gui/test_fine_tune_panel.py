"""Collecting frames, showing the curve, taking the new weights and going back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sasnet_live.plugin.live.live_widget import LiveWidget
from sasnet_live.plugin.panels import fine_tune_panel
from sasnet_live.session.settings import SettingsStore
from sasnet_live.training.fine_tune import FineTuneSettings, FineTuneState

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("small_scanner")]
PATIENCE_MS = 40_000


class Job:
    """Stands in for a training process."""

    def __init__(self, settings: FineTuneSettings, folder: Path) -> None:
        self.recordings, self.minutes = settings.recordings, settings.minutes
        self.state = FineTuneState("training", 0.9, ((0, 0.9),), None, 1, 20)
        self.closed = False

    def cancel(self) -> None:
        self.state = FineTuneState("cancelled", 0.9, ((0, 0.9),))

    def close(self) -> None:
        self.closed = True


def test_from_live_frames_to_new_weights_and_back(
    qtbot: Any, make_napari_viewer: Any, store: SettingsStore, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    import shutil

    import tifffile

    from sasnet_live.network.names import shipped_weights

    monkeypatch.setattr(fine_tune_panel, "FineTuneJob", Job)
    widget = LiveWidget(make_napari_viewer(), store=store)
    qtbot.addWidget(widget)
    panel = widget.form.fine_tune
    widget.form.groups["fine_tune"].set_open(True)
    panel.frames.setValue(16)
    panel.start_button.click()  # registers by itself when it does not run yet
    qtbot.waitUntil(lambda: panel._job is not None, timeout=PATIENCE_MS)
    job: Any = panel._job
    assert tifffile.imread(job.recordings[0]).shape == (16, 64, 96)
    assert job.minutes == 10
    qtbot.waitUntil(lambda: "training" in widget.form.groups["fine_tune"].value, timeout=PATIENCE_MS)
    assert panel.start_button.text() == "Cancel"
    assert panel.use_button.isHidden()

    weights = store.path.parent / "better.safetensors"  # type: ignore[union-attr]
    shutil.copy(shipped_weights()["lite"], weights)
    job.state = FineTuneState("better", 0.9, ((0, 0.9), (20, 0.95)), (0.89, 0.93), 20, 20, str(weights))
    qtbot.waitUntil(lambda: not panel.use_button.isHidden(), timeout=PATIENCE_MS)
    assert panel._curve.getData()[1].tolist() == [0.9, 0.95]
    assert "0.890 before, 0.930 now" in panel.state.text()
    panel.use_button.click()
    assert widget.settings.registrar.model == str(weights)
    assert widget.settings.previous_model == "correspondence"
    target = len(widget.history) + 3
    qtbot.waitUntil(lambda: widget.engine.describe().get("weights_sha256", "") != "", timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: len(widget.history) >= min(target, 3), timeout=PATIENCE_MS)
    widget.form.model.back.click()
    assert (widget.settings.registrar.model, widget.settings.previous_model) == ("correspondence", "")
    assert not said
    widget.shut_down()
    assert job.closed


def test_cancel_and_failure(
    qtbot: Any, make_napari_viewer: Any, store: SettingsStore, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr(fine_tune_panel, "FineTuneJob", Job)
    widget = LiveWidget(make_napari_viewer(), store=store)
    qtbot.addWidget(widget)
    panel = widget.form.fine_tune
    panel.start([Path("a.tif")])
    panel.look()
    panel.start_button.click()
    qtbot.waitUntil(lambda: "Cancelled" in panel.state.text(), timeout=PATIENCE_MS)
    panel.start([Path("a.tif")])
    panel._job.state = FineTuneState("failed", message="no memory")  # type: ignore[union-attr,misc]
    qtbot.waitUntil(lambda: bool(said), timeout=PATIENCE_MS)
    assert "The weights in use are unchanged" in said[0]
    assert panel.use_button.isHidden()
    widget.shut_down()
