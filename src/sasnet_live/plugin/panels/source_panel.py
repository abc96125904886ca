"""Where frames come from, and how it stands with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from sasnet_live.plugin.panels.settings_panel import SettingsPanel
from sasnet_live.plugin.widgets.parts import Choice, Number, PathField, Seconds
from sasnet_live.plugin.widgets.status_line import StatusLine
from sasnet_live.session.microscope import camera_label, is_live
from sasnet_live.session.settings import LONGEST_SETTLE_S
from sasnet_live.sources.tcp_defaults import HOST

if TYPE_CHECKING:
    from pymmcore_plus import CMMCorePlus


class SourcePanel(SettingsPanel):
    """Status line, choice of the source, and what that source needs."""

    load_configuration = Signal(str)
    toggle_live = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.status = StatusLine()
        kinds = [
            ("camera", "Micro-Manager camera"),
            ("simulated", "simulated scanner"),
            ("folder", "folder to watch"),
            ("tcp", "another program (TCP)"),
        ]
        self.kind = self.field("source", Choice(kinds, "Source"))
        self.live = QPushButton("Live")
        self.live.setToolTip("Start or stop the live mode of the camera.")
        self.load = QPushButton("Load\N{HORIZONTAL ELLIPSIS}")
        self.load.setToolTip("Load a Micro-Manager configuration.")
        levels = [("easy", "easy"), ("medium", "medium"), ("hard", "hard")]
        self.level = self.field("level", Choice(levels, "Simulated scanner"))
        self.folder = self.field(
            "folder",
            PathField(
                "Folder to watch",
                lambda present: QFileDialog.getExistingDirectory(self, "Watch", present or str(Path.home())),
                placeholder="choose a folder",
            ),
        )
        self.settle = self.field("settle_s", Seconds(LONGEST_SETTLE_S, "Settle time"))
        self.host = self.field("tcp_host", QLineEdit())
        self.host.setAccessibleName("Address to listen on")
        self.host.setPlaceholderText(HOST)
        self.port = self.field("tcp_port", Number(1, 65_535, "Port to listen on"))
        self.port.setPrefix("port ")
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
        program_line = QHBoxLayout()
        program_line.setContentsMargins(0, 0, 0, 0)
        program_line.setSpacing(4)
        program_line.addWidget(self.host, 2)
        program_line.addWidget(self.port, 1)
        layout.addLayout(program_line)
        self.kind.chosen.connect(self._arrange)
        self.live.clicked.connect(self.toggle_live)
        self.load.clicked.connect(self._ask_configuration)
        self._arrange()

    def show_core(self, core: CMMCorePlus | None) -> None:
        """Offer what the core can do now."""
        has_camera = core is not None and bool(camera_label(core))
        running = core is not None and has_camera and is_live(core)
        self.live.setEnabled(has_camera)
        self.live.setText("Stop live" if running else "Live")

    def _arrange(self) -> None:
        kind = self.kind.value
        self.live.setVisible(kind == "camera")
        self.load.setVisible(kind == "camera")
        self.level.setVisible(kind == "simulated")
        self.folder.setVisible(kind == "folder")
        self.settle.setVisible(kind == "folder")
        self.host.setVisible(kind == "tcp")
        self.port.setVisible(kind == "tcp")

    def _ask_configuration(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Micro-Manager configuration", "", "Configurations (*.cfg)")
        if path:
            self.load_configuration.emit(path)
