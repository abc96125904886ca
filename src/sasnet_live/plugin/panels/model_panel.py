"""Which model registers, and on which device."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QFileDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from sasnet_live.network.names import DEFAULT, model_names
from sasnet_live.plugin.widgets.parts import Choice, Number, form, row
from sasnet_live.session.settings import LiveSettings

_NAMES = {
    "default": "automatic",
    "lite": "lite (for CPUs)",
    "full": "full (for GPUs)",
    "correspondence": "correspondence (no network)",
}
_OWN = object()


class ModelPanel(QWidget):
    """Model, device, precision, running estimate, search range."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = Choice(
            [(name, _NAMES.get(name, name)) for name in available_models()],
            "The weights that render backward lines. Correspondence moves lines only and matches their gain: "
            "nothing learned.",
            "Model",
        )
        self.model.addItem("other weights\N{HORIZONTAL ELLIPSIS}", _OWN)
        self.back = QPushButton("Back to the weights before")
        self.back.setToolTip("Use the model again that was in use before fine-tuned weights were taken.")
        self.device = Choice([("auto", "automatic"), ("cpu", "CPU")], "Where the network runs.", "Device")
        self.precision = Choice(
            [("auto", "automatic"), ("fp32", "32 bit"), ("bf16", "16 bit (bf16)"), ("fp16", "16 bit (fp16)")],
            "Of the network's arithmetic: automatic is 16 bit on a GPU and 32 bit on a CPU.",
            "Precision",
        )
        self.temporal = QCheckBox("use earlier frames")
        self.temporal.setToolTip("A running estimate of the displacement steadies each frame. Off: each by itself.")
        self.search_px = Number(
            0,
            1024,
            "Largest displacement looked for, either side of the line offset; up to three times as far where a first "
            "frame clearly fits better there.",
            "Search range",
            suffix=" px",
            special="a tenth of the line",
        )
        self._memory = QLabel("")
        self._memory.setToolTip("Free memory of the device.")
        fields, layout = form()
        row(layout, "Model", self.model)
        layout.addRow("", self.back)
        row(layout, "Device", self.device)
        row(layout, "Precision", self.precision)
        row(layout, "Estimate", self.temporal)
        row(layout, "Search", self.search_px)
        row(layout, "Free", self._memory)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(fields)
        self._previous = ""
        self._chosen = "default"
        self.model.chosen.connect(self._on_model)
        self.back.clicked.connect(self.go_back)
        for choice in (self.device, self.precision):
            choice.chosen.connect(self.changed)
        self.temporal.toggled.connect(self.changed)
        self.search_px.valueChanged.connect(self.changed)
        self.back.setVisible(False)

    def show_settings(self, settings: LiveSettings) -> None:
        """Show values without saying that they changed."""
        blocker = QSignalBlocker(self)
        self._choose_model(settings.model)
        self._previous = settings.previous_model
        self.back.setVisible(bool(self._previous))
        if self.device.findData(settings.device) < 0:
            self.device.addItem(settings.device, settings.device)
        self.device.choose(settings.device)
        self.precision.choose(settings.precision)
        self.temporal.setChecked(settings.temporal)
        self.search_px.setValue(settings.search_px)
        blocker.unblock()

    def values(self) -> dict[str, Any]:
        """What is chosen, by the names of `LiveSettings`."""
        return {
            "model": self._chosen,
            "previous_model": self._previous,
            "device": self.device.value,
            "precision": self.precision.value,
            "temporal": self.temporal.isChecked(),
            "search_px": self.search_px.value(),
        }

    def use(self, weights: str) -> None:
        """Take fine-tuned weights; the model before stays one click away."""
        self._previous = self._chosen
        self.back.setVisible(True)
        self._choose_model(weights)
        self.changed.emit()

    def go_back(self) -> None:
        """Use the model before again."""
        previous, self._previous = self._previous, ""
        self.back.setVisible(False)
        self._choose_model(previous or "default")
        self.changed.emit()

    def show_devices(self, names: list[tuple[str, str]]) -> None:
        """Offer the GPUs that were found, as (name for torch, name for people)."""
        blocker = QSignalBlocker(self)
        for name, text in names:
            index = self.device.findData(name)
            if index < 0:
                self.device.addItem(text, name)
            else:
                self.device.setItemText(index, text)
        blocker.unblock()

    def show_memory(self, text: str) -> None:
        """How much memory is free."""
        self._memory.setText(text)

    def _choose_model(self, name: str) -> None:
        blocker = QSignalBlocker(self.model)
        if self.model.findData(name) < 0:
            self.model.insertItem(self.model.count() - 1, weights_title(name), name)
        self.model.choose(name)
        self.model.setToolTip(name)
        self._chosen = name
        blocker.unblock()

    def _on_model(self) -> None:
        if self.model.value is not _OWN:
            self._chosen = self.model.value
            self.changed.emit()
            return
        path, _ = QFileDialog.getOpenFileName(self, "Weights", "", "Weights (*.safetensors)")
        self._choose_model(path or self._chosen)
        if path:
            self.changed.emit()


def available_models() -> list[str]:
    """Models that ship; found without loading torch."""
    return [DEFAULT, *(name for name in model_names() if name != "paper")]


def weights_title(name: str) -> str:
    """A model's name as people read it; of a weights file its folder, which says when it was made."""
    if name in _NAMES:
        return _NAMES[name]
    path = Path(name)
    return f"{path.parent.name}/{path.stem}" if path.parent.name else path.stem


def summary(settings: LiveSettings, description: dict[str, str]) -> str:
    """Model and device in a few words: what runs, or what is chosen."""
    model = description.get("model") or weights_title(settings.model).partition(" (")[0]
    device = description.get("device") or settings.device
    if device == "auto":
        return model
    words = {"cpu": "CPU", "cuda": "GPU"}
    return f"{model}, {words.get(device, device.replace('cuda:', 'GPU '))}"


def free_memory() -> str:
    """Free memory of this machine, and of the GPU once torch is loaded."""
    lines = []
    try:
        import psutil

        lines.append(f"{psutil.virtual_memory().available / 2**30:.1f} GiB")
    except ImportError:
        pass
    torch = _torch()
    if torch is not None and torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        lines.append(f"GPU {free / 2**30:.1f} of {total / 2**30:.0f} GiB")
    return ", ".join(lines) or "unknown"


def cuda_devices() -> list[tuple[str, str]]:
    """GPUs, once torch is loaded."""
    torch = _torch()
    if torch is None or not torch.cuda.is_available():
        return []
    return [(f"cuda:{n}", f"GPU {n}: {torch.cuda.get_device_name(n)}") for n in range(torch.cuda.device_count())]


def _torch() -> Any:
    """torch, if it is loaded; None, too, while the pipeline's thread is at loading it: half of it is not there then."""
    module = sys.modules.get("torch")
    being_loaded = getattr(getattr(module, "__spec__", None), "_initializing", False)
    return None if being_loaded else module
