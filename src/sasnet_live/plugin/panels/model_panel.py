"""Which model registers, and on which device."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QFileDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from sasnet_live.network.names import DEFAULT, model_names
from sasnet_live.parameters import parameter_at
from sasnet_live.plugin.panels.settings_panel import SettingsPanel
from sasnet_live.plugin.widgets.parts import Choice, Number, form, row
from sasnet_live.session.settings import LiveSettings

_NAMES = {
    "default": "automatic",
    "lite": "lite (for CPUs)",
    "full": "full (for GPUs)",
    "correspondence": "correspondence (no network)",
}
_OWN = object()


class ModelPanel(SettingsPanel):
    """Model, device, precision, running estimate, search range."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = Choice(
            [(name, _NAMES.get(name, name)) for name in available_models()],
            "Model",
            parameter_at(LiveSettings, "registrar.model").help,
        )
        self.model.addItem("other weights\N{HORIZONTAL ELLIPSIS}", _OWN)
        self.back = QPushButton("Back to the weights before")
        self.back.setToolTip("Use the model again that was in use before fine-tuned weights were taken.")
        self.device = self.field(
            "registrar.device", Choice([("auto", "automatic"), ("cpu", "CPU")], "Device"), write=self._write_device
        )
        widths = [("auto", "automatic"), ("fp32", "32 bit"), ("bf16", "16 bit (bf16)"), ("fp16", "16 bit (fp16)")]
        self.precision = self.field("registrar.precision", Choice(widths, "Precision"))
        self.temporal = self.field("registrar.temporal", QCheckBox("use earlier frames"))
        search = Number(0, 1024, "Search range", suffix=" px", special="a tenth of the line")
        self.search_px = self.field(
            "registrar.search_px",
            search,
            read=lambda: float(search.value()) or None,
            write=lambda px: search.setValue(round(px or 0)),
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
        self.field_of_parts("registrar.model", lambda: self._chosen, self._choose_model)
        self.field_of_parts("previous_model", lambda: self._previous, self._write_previous)
        self.back.setVisible(False)

    def _write_device(self, device: str) -> None:
        if self.device.findData(device) < 0:
            self.device.addItem(device, device)
        self.device.choose(device)

    def _write_previous(self, model: str) -> None:
        self._previous = model
        self.back.setVisible(bool(model))

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
    model = description.get("model") or weights_title(settings.registrar.model).partition(" (")[0]
    device = description.get("device") or settings.registrar.device
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
