"""Where frames come from, and how it stands with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from sasnet_live.plugin.widgets.parts import Choice, PathField, Seconds
from sasnet_live.plugin.widgets.status_line import StatusLine
from sasnet_live.session.microscope import camera_label, is_live
from sasnet_live.session.settings import LONGEST_SETTLE_S, LiveSettings

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus


class SourcePanel(QWidget):
    """Status line, choice of the source, and what that source needs."""

    changed = Signal()
    load_configuration = Signal(str)
    toggle_live = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.status = StatusLine()
        self.kind = Choice(
            [("camera", "Micro-Manager camera"), ("simulated", "simulated scanner"), ("folder", "folder to watch")],
            "Where frames come from. Micro-Manager: acquisitions, live mode and snaps of napari-micromanager or of a "
            "script in this napari. Simulated: no microscope needed. Folder: TIFF files that another program writes.",
            "Source",
        )
        self.live = QPushButton("Live")
        self.live.setToolTip("Start or stop the live mode of the camera.")
        self.load = QPushButton("Load\N{HORIZONTAL ELLIPSIS}")
        self.load.setToolTip("Load a Micro-Manager configuration.")
        self.level = Choice(
            [("easy", "easy"), ("medium", "medium"), ("hard", "hard")],
            "How far the passes of the simulated scanner are apart, and how noisy they are.",
            "Simulated scanner",
        )
        self.folder = PathField(
            "Folder that another program writes TIFF files into.",
            "Folder to watch",
            lambda present: QFileDialog.getExistingDirectory(self, "Watch", present or str(Path.home())),
            placeholder="choose a folder",
        )
        self.settle = Seconds(
            LONGEST_SETTLE_S,
            "A file counts as complete when it has not changed for so long. Take more where the other program pauses "
            "in the middle of a file.",
            "Settle time",
        )
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(self.kind, 2)
        line.addWidget(self.level, 1)
        line.addWidget(self.live)
        line.addWidget(self.load)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.status)
        layout.addLayout(line)
        folder_line = QHBoxLayout()
        folder_line.setContentsMargins(0, 0, 0, 0)
        folder_line.setSpacing(4)
        folder_line.addWidget(self.folder, 1)
        folder_line.addWidget(self.settle)
        layout.addLayout(folder_line)
        self.kind.chosen.connect(self._on_kind)
        self.level.chosen.connect(self.changed)
        self.folder.changed.connect(self.changed)
        self.settle.valueChanged.connect(self.changed)
        self.live.clicked.connect(self.toggle_live)
        self.load.clicked.connect(self._ask_configuration)
        self._arrange()

    def show_settings(self, settings: LiveSettings) -> None:
        """Show values without saying that they changed."""
        blocker = QSignalBlocker(self)
        self.kind.choose(settings.source)
        self.level.choose(settings.level)
        self.folder.set_path(settings.folder)
        self.settle.setValue(settings.settle_s)
        blocker.unblock()
        self._arrange()

    def values(self) -> dict[str, Any]:
        """What is chosen, by the names of `LiveSettings`."""
        return {
            "source": self.kind.value,
            "level": self.level.value,
            "folder": self.folder.path,
            "settle_s": self.settle.value(),
        }

    def show_core(self, core: CMMCorePlus | None) -> None:
        """Offer what the core can do now."""
        has_camera = core is not None and bool(camera_label(core))
        running = core is not None and has_camera and is_live(core)
        self.live.setEnabled(has_camera)
        self.live.setText("Stop live" if running else "Live")

    def _on_kind(self) -> None:
        self._arrange()
        self.changed.emit()

    def _arrange(self) -> None:
        kind = self.kind.value
        self.live.setVisible(kind == "camera")
        self.load.setVisible(kind == "camera")
        self.level.setVisible(kind == "simulated")
        self.folder.setVisible(kind == "folder")
        self.settle.setVisible(kind == "folder")

    def _ask_configuration(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Micro-Manager configuration", "", "Configurations (*.cfg)")
        if path:
            self.load_configuration.emit(path)
