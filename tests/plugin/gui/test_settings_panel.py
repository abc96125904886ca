"""Settings and widgets: one mapping, both ways."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("napari")

from sasnet_live.geometry import ScanGeometry
from sasnet_live.parameters import parameter_at
from sasnet_live.plugin.live.live_form import LiveForm
from sasnet_live.session.engine import LiveEngine
from sasnet_live.session.history import History
from sasnet_live.session.settings import LiveSettings
from sasnet_live.settings import RegistrarSettings

pytestmark = pytest.mark.gui

CHANGED = LiveSettings(
    source="folder",
    folder="/data/in",
    settle_s=2.5,
    level="hard",
    registrar=RegistrarSettings(
        "lite", "cpu", "fp32", "both", ScanGeometry("columns", "backward", True, -3, (1, 2), "stepped"), 20.0, False
    ),
    previous_model="full",
    policy="all",
    align_on="1",
    record_folder="/data/out",
    record_name="ear",
    record_format="ome.zarr",
    record_raw=False,
    record_metrics=False,
    layers=("raw", "error"),
    arrangement="stacked",
    overlay=False,
)


@pytest.fixture
def form(qtbot: Any) -> LiveForm:
    form = LiveForm(LiveEngine(), History(), LiveSettings())
    qtbot.addWidget(form)
    return form


def test_what_is_shown_is_what_is_chosen(form: LiveForm) -> None:
    plain = LiveSettings()
    for shown, other in ((CHANGED, plain), (plain, CHANGED)):
        form.show_settings(shown)
        for panel in form._panels:
            other = panel.chosen(other)
        assert other == shown


def test_tips_are_those_of_the_settings(form: LiveForm) -> None:
    assert form.scan.crop[0].toolTip() == parameter_at(ScanGeometry, "crop").help
    assert form.model.search_px.toolTip() == parameter_at(RegistrarSettings, "search_px").help
    assert form.source.folder.edit.toolTip() == parameter_at(LiveSettings, "folder").help
