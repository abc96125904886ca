"""What comes out, and what of it is shown."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLineEdit, QVBoxLayout, QWidget

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


class OutputPanel(QWidget):
    """Output, policy, channel, layers, overlay."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.output = Choice(
            [("rendered", "rendered"), ("warped", "warped"), ("both", "both")],
            "Rendered: backward lines in the appearance of the forward pass, denoised. Warped: moved only, measured "
            "intensities kept, for quantitative work.",
            "Output",
        )
        self.policy = Choice(
            [("auto", "automatic"), ("latest", "newest frame"), ("all", "every frame")],
            "When frames come faster than they are registered. Newest: older ones are dropped and counted. Every: "
            "they wait, on disk if need be. Automatic: every frame while recording.",
            "Frames",
        )
        self.align_on = QLineEdit()
        self.align_on.setPlaceholderText("each by itself")
        self.align_on.setToolTip(
            "Name or number of the channel whose displacement moves all others of the same scan. Empty: each channel "
            "by itself."
        )
        self.align_on.setAccessibleName("Channel to align on")
        self.arrangement = Choice(
            [("side by side", "side by side"), ("stacked", "on top of each other")],
            "How the layers are laid out on the canvas.",
            "Layout",
        )
        self.overlay = QCheckBox("figures on the canvas")
        self.overlay.setToolTip("Write NCC, SSIM, shift and speed on the canvas, coloured by trust.")
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
        for choice in (self.output, self.policy, self.arrangement):
            choice.chosen.connect(self.changed)
        self.align_on.editingFinished.connect(self.changed)
        for box in (self.overlay, *self.layers.values()):
            box.toggled.connect(self.changed)

    def show_settings(self, settings: LiveSettings) -> None:
        """Show values without saying that they changed."""
        blocker = QSignalBlocker(self)
        self.output.choose(settings.output)
        self.policy.choose(settings.policy)
        self.align_on.setText(settings.align_on)
        self.arrangement.choose(settings.arrangement)
        self.overlay.setChecked(settings.overlay)
        for kind, box in self.layers.items():
            box.setChecked(kind in settings.layers)
        blocker.unblock()

    def values(self) -> dict[str, Any]:
        """What is chosen, by the names of `LiveSettings`."""
        return {
            "output": self.output.value,
            "policy": self.policy.value,
            "align_on": str(self.align_on.text()).strip(),
            "arrangement": self.arrangement.value,
            "overlay": self.overlay.isChecked(),
            "layers": tuple(kind for kind, box in self.layers.items() if box.isChecked()),
        }

    def untick(self, kind: str) -> None:
        """The user deleted a layer."""
        self.layers[kind].setChecked(False)


def summary(settings: LiveSettings) -> str:
    """Output and layers in a few words."""
    extra = [kind for kind in settings.layers if kind not in ("raw", "registered")]
    policy = {"auto": [], "latest": ["newest frame"], "all": ["every frame"]}[settings.policy]
    return ", ".join([settings.output, *policy, *extra])
