"""What comes out, and what of it is shown."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QGridLayout, QLineEdit, QVBoxLayout, QWidget

from sasnet_live.plugin.panels.settings_panel import SettingsPanel
from sasnet_live.plugin.widgets.parts import Choice, form, row
from sasnet_live.session.settings import LiveSettings

_SHOWN = {
    "raw": "raw",
    "registered": "registered",
    "pair before": "pair before",
    "pair after": "pair after",
    "displacement": "displacement",
    "error": "error",
}
_TIPS = {
    "raw": "The frame as acquired.",
    "registered": "The registered frame.",
    "pair before": "Forward pass green, backward pass magenta: grey where they agree.",
    "pair after": "Forward pass green, registered backward pass magenta: grey where they agree.",
    "displacement": "How far backward lines were moved, px: blue to the left, red to the right.",
    "error": "Absolute difference of the forward and the registered backward pass.",
}


class OutputPanel(SettingsPanel):
    """Output, policy, channel, layers, overlay."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        kinds = [("rendered", "rendered"), ("warped", "warped"), ("both", "both")]
        self.output = self.field("registrar.output", Choice(kinds, "Output"))
        policies = [("auto", "automatic"), ("latest", "newest frame"), ("all", "every frame")]
        self.policy = self.field("policy", Choice(policies, "Frames"))
        self.align_on = self.field("align_on", QLineEdit())
        self.align_on.setPlaceholderText("each by itself")
        self.align_on.setAccessibleName("Channel to align on")
        arrangements = [("side by side", "side by side"), ("stacked", "on top of each other")]
        self.arrangement = self.field("arrangement", Choice(arrangements, "Layout"))
        self.overlay = self.field("overlay", QCheckBox("figures on the canvas"))
        self.layers = {kind: QCheckBox(text) for kind, text in _SHOWN.items()}
        grid_widget = QWidget()
        grid = QGridLayout(grid_widget)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        grid.setHorizontalSpacing(4)
        for number, (kind, box) in enumerate(self.layers.items()):
            box.setToolTip(_TIPS[kind])
            grid.addWidget(box, number // 2, number % 2)
        fields, layout = form()
        row(layout, "Output", self.output)
        row(layout, "Frames", self.policy)
        row(layout, "Align on", self.align_on)
        row(layout, "Layers", grid_widget)
        row(layout, "Layout", self.arrangement)
        row(layout, "Overlay", self.overlay)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(fields)
        self.field_of_parts("layers", self._read_layers, self._write_layers)
        for box in self.layers.values():
            box.toggled.connect(self.edited)

    def _read_layers(self) -> tuple[str, ...]:
        return tuple(kind for kind, box in self.layers.items() if box.isChecked())

    def _write_layers(self, kinds: tuple[str, ...]) -> None:
        for kind, box in self.layers.items():
            box.setChecked(kind in kinds)

    def untick(self, kind: str) -> None:
        """The user deleted a layer."""
        self.layers[kind].setChecked(False)


def summary(settings: LiveSettings) -> str:
    """Output and layers in a few words."""
    extra = [kind for kind in settings.layers if kind not in ("raw", "registered")]
    policy = {"auto": [], "latest": ["newest frame"], "all": ["every frame"]}[settings.policy]
    return ", ".join([settings.registrar.output, *policy, *extra])
